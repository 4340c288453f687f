// Invariants of a state as contractions of its tensors, channel by channel: a part l is the traceless symmetric tensor T
// of l directions whose components are psi in the basis of harmonics,
//
//   T_ij...[c] = sum over m of  t_ij...^m psi^l[m][c],      T : T = sum over m of psi^l[m]^2
//
// and an invariant is a product of tensors in which every index is summed. It is written as its indices: "i,ij,j" is
// v_i q_ij v_j, "" is the scalar itself. Where none are named they are those of HIP-HOP-NN, to l_max and n_max factors.
//
// A contraction is taken pair of tensors by pair, in the order that costs least. Every number that comes up on the way
// is one slot, a sum of products of slots before it; those that come up twice (the components of a symmetric tensor,
// what several invariants have in common) are there once. The adjoint runs the same list backwards.
#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "gates/gate.hpp"
#include "so3/clebsch_gordan.hpp"

namespace nbcore {

namespace {

constexpr int most_rank = 4, most_factors = 5, most_open = 6;  // of a tensor, of an invariant, of what comes up between

const OptionTable options = {
    whole("l_max", 3, 0, 3, "largest l of the tensors, where no invariants are named"),
    whole("n_max", 4, 1, 4, "most factors of an invariant, where none are named"),
    texts("terms", "the invariants by their indices: \"i,ij,j\""),
};

/// The contractions of HIP-HOP-NN, in the order of its weights
const std::vector<std::string> hop = {
    "",  // s
    "i,i",       "ij,ij",     "ij,jk,ki",    "ijk,ijk",    "ijk,ijl,abk,abl", "i,ij,j",
    "i,ij,jk,k", "i,j,k,ijk", "i,ijk,jkl,l", "ij,jkl,ikl", "ij,jk,ilm,klm",   "ij,ijk,abk,ab"};

std::vector<std::string> factors_of(const std::string& term) {
  std::vector<std::string> factors(1);
  for (char c : term)
    if (c == ',') factors.emplace_back();
    else factors.back() += c;
  return factors;
}

/// A list of numbers, each a sum of c x[a] x[b], or of c x[a] where b is -1, of numbers before it.
struct Contractions {
  struct Term {
    int a, b;
    double c;
    bool operator<(const Term& t) const { return std::tuple(a, b, c) < std::tuple(t.a, t.b, t.c); }
  };
  struct Reference {  // a number of the list times c
    int slot;
    double c;
  };
  struct Tensor {
    std::string indices;
    std::vector<Reference> components;  // [i][j]..., the last index fastest; c = 0 where it vanishes
  };
  int n_slots = 0, n_terms = 0;
  std::vector<std::pair<int, std::vector<Term>>> rows;  // slot, what it is
  std::map<std::vector<Term>, int> known;
  std::vector<Reference> outputs;

  /// One number for this sum, the one that is there already if it is
  Reference number(std::map<std::pair<int, int>, double> sum) {
    std::vector<Term> terms;
    for (const auto& [key, c] : sum)
      if (std::abs(c) > 1e-12) terms.push_back({key.first, key.second, std::round(c * 1e14) / 1e14});
    if (terms.empty()) return {0, 0};
    if (terms.size() == 1 && terms[0].b < 0) return {terms[0].a, terms[0].c};
    const auto [at, fresh] = known.try_emplace(terms, n_slots);
    if (fresh) rows.emplace_back(n_slots++, terms), n_terms += int(terms.size());
    return {at->second, 1};
  }

  /// Sum over the indices that both have
  Tensor contract(const Tensor& A, const Tensor& B) {
    std::string open, summed;
    for (char i : A.indices) (B.indices.find(i) == std::string::npos ? open : summed) += i;
    for (char i : B.indices)
      if (A.indices.find(i) == std::string::npos) open += i;
    const std::string all = open + summed;
    const auto count = [](std::size_t rank) { return std::size_t(std::pow(3, rank) + 0.5); };
    const auto component = [&](const Tensor& T, std::size_t of) {  // of: the values of all indices, the last fastest
      std::size_t at = 0;
      for (char i : T.indices) {
        const std::size_t behind = all.size() - 1 - all.find(i);
        at = 3 * at + of / count(behind) % 3;
      }
      return T.components[at];
    };
    Tensor result{open, {}};
    for (std::size_t o = 0; o < count(open.size()); ++o) {
      std::map<std::pair<int, int>, double> sum;
      for (std::size_t s = 0; s < count(summed.size()); ++s) {
        const std::size_t of = o * count(summed.size()) + s;
        const Reference a = component(A, of), b = component(B, of);
        sum[std::minmax(a.slot, b.slot)] += a.c * b.c;
      }
      result.components.push_back(number(std::move(sum)));
    }
    return result;
  }

  /// All orders of pairs that share an index, or of which one is a number; the cheapest. Nothing where there is none.
  bool add_cheapest(const std::vector<Tensor>& factors) {
    if (factors.size() == 1) {
      outputs.push_back(factors[0].components[0]);
      return true;
    }
    Contractions best;
    bool found = false;
    for (std::size_t p = 0; p < factors.size(); ++p)
      for (std::size_t q = p + 1; q < factors.size(); ++q) {
        const std::string &a = factors[p].indices, &b = factors[q].indices;
        const auto shared = std::size_t(std::count_if(a.begin(), a.end(), [&](char i) { return b.find(i) != b.npos; }));
        if (a.size() + b.size() - 2 * shared > most_open || (shared == 0 && !a.empty() && !b.empty())) continue;
        Contractions tried = *this;
        std::vector<Tensor> rest{tried.contract(factors[p], factors[q])};
        for (std::size_t k = 0; k < factors.size(); ++k)
          if (k != p && k != q) rest.push_back(factors[k]);
        if (!tried.add_cheapest(rest) || (found && tried.n_terms >= best.n_terms)) continue;
        best = std::move(tried), found = true;
      }
    if (found) *this = std::move(best);
    return found;
  }
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  Contractions list;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around) {
    if (inputs.size() != 1) throw InputError("it takes one input");
    std::map<int, int> first;  // l -> its slot of m = -l
    for (const Part& p : inputs[0]) {
      if (p.parity != around.natural(p.l)) throw InputError("the parts of its input must have natural parity");
      if (p.complex || p.groups != 1 || p.group != inputs[0][0].group)
        throw InputError("the parts of its input must have one group of the same channels");
      if (!first.emplace(p.l, list.n_slots).second) throw InputError(message("its input has l = ", p.l, " twice"));
      list.n_slots += p.dim();
    }
    const bool named = !o.texts("terms").empty();
    std::map<int, std::vector<Contractions::Reference>> tensors;  // components
    std::vector<std::vector<std::string>> terms;
    for (const std::string& term : named ? o.texts("terms") : hop) {
      terms.push_back(factors_of(term));
      if (named) check(term, terms.back(), first);
      else if (int(terms.back().size()) > o.whole("n_max") || !std::ranges::all_of(terms.back(), [&](const auto& f) {
                 return int(f.size()) <= o.whole("l_max") && first.contains(int(f.size()));
               }))
        terms.pop_back();
    }
    if (terms.empty()) throw InputError("its input has none of the tensors of the invariants to l_max");
    for (const auto& factors : terms) {
      std::vector<Contractions::Tensor> product;
      for (const std::string& f : factors) {
        const int l = int(f.size());
        if (!tensors.contains(l)) tensors[l] = tensor(l, first[l]);
        product.push_back({f, tensors[l]});
      }
      if (!list.add_cheapest(product))
        throw InputError(message("terms: a tensor with more than ", most_open, " indices would come up"));
      count_terms(list.n_terms);
    }
    output = {{0, around.natural(0), int(terms.size()), inputs[0][0].group}};
    if (std::int64_t(terms.size()) * inputs[0][0].group > most_channels)
      throw InputError(message("its output would have more than ", most_channels, " channels"));
  }

 private:
  static void check(const std::string& term, const std::vector<std::string>& factors, const std::map<int, int>& first) {
    const auto refuse = [&](const auto&... why) { throw InputError(message("terms: \"", term, "\" ", why...)); };
    if (int(factors.size()) > most_factors) refuse("has more than ", most_factors, " factors");
    std::map<char, int> times;
    for (const std::string& f : factors) {
      if (!first.contains(int(f.size())) || int(f.size()) > most_rank)
        refuse("has a tensor of ", f.size(), " indices, its input no part with l = ", f.size(), " <= ", most_rank);
      for (char i : f) {
        if (i < 'a' || i > 'z') refuse("must be letters a to z and commas");
        if (std::count(f.begin(), f.end(), i) > 1) refuse("is zero, the tensors have no trace (", i, ")");
        ++times[i];
      }
    }
    for (const auto& [i, n] : times)
      if (n != 2) refuse("must have every index twice, it has ", i, " ", n, n == 1 ? " time" : " times");
  }

  /// T_ij... in the basis of harmonics, by coupling directions one by one to the largest l: symmetric, without trace
  std::vector<Contractions::Reference> tensor(int l, int first) {
    std::vector<std::vector<double>> t{{1.0}};  // [components][m]
    for (int k = 1; k <= l; ++k) {
      const std::vector<double> C = so3::real_clebsch_gordan(1, k - 1, k);
      const int before = 2 * k - 1, now = 2 * k + 1;
      std::vector<std::vector<double>> next;
      for (int i = 0; i < 3; ++i)
        for (const std::vector<double>& of : t) {
          std::vector<double> row(now);
          for (int m = 0; m < before; ++m)
            for (int n = 0; n < now; ++n) row[n] += C[(i * before + m) * now + n] * of[m];
          next.push_back(row);
        }
      t = std::move(next);
    }
    // T_zz... of a state like the harmonics of the z axis is positive; z is the middle of the three directions
    const double sign = t[t.size() / 2][l] < 0 ? -1 : 1;
    std::vector<Contractions::Reference> components;
    for (const std::vector<double>& row : t) {
      std::map<std::pair<int, int>, double> sum;
      for (int m = 0; m <= 2 * l; ++m) sum[{first + m, -1}] = sign * row[m];
      components.push_back(list.number(sum));
    }
    return components;
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  static constexpr int w = width<Real>;
  struct Term {
    int a, b;
    Real c;
  };
  struct Row {
    int slot, linear, begin, end;  // terms up to `linear` have one factor
  };
  std::vector<Term> terms;
  std::vector<Row> rows;
  std::vector<Contractions::Reference> outputs;
  int n_slots, n_inputs = 0, row;

 public:
  Kernels(const Rule& rule, const States& inputs, std::span<const RadialPlace>)
      : outputs(rule.list.outputs), n_slots(rule.list.n_slots), row(padded<Real>(inputs[0][0].group)) {
    for (const Part& p : inputs[0]) n_inputs += p.dim();
    for (const auto& [slot, of] : rule.list.rows) {
      const int begin = int(terms.size());
      for (const bool linear : {true, false})
        for (const Contractions::Term& t : of)
          if ((t.b < 0) == linear) terms.push_back({t.a, t.b, Real(t.c)});
      const auto n_linear = std::count_if(of.begin(), of.end(), [](const auto& t) { return t.b < 0; });
      rows.push_back({slot, begin + int(n_linear), begin, int(terms.size())});
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    Lane* const x = take<Lane>(b);
    each_register(b, [&](int i, int c) {
      evaluate(b, i, c, x);
      for (std::size_t k = 0; k < outputs.size(); ++k)
        put(b.output.own(0), place(i, c, k), product(Real(outputs[k].c), x[outputs[k].slot]));
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    Lane *const x = take<Lane>(b), *const bar = take<Lane>(b);
    each_register(b, [&](int i, int c) {
      evaluate(b, i, c, x);
      std::fill(bar, bar + n_slots, Lane{});
      for (std::size_t k = 0; k < outputs.size(); ++k)
        add_product(bar[outputs[k].slot], Real(outputs[k].c), load<Lane>(b.output.own_bar(0), place(i, c, k)));
      for (auto r = rows.rbegin(); r != rows.rend(); ++r) {
        const Lane along = bar[r->slot];
        for (int k = r->begin; k < r->linear; ++k) add_product(bar[terms[k].a], terms[k].c, along);
        for (int k = r->linear; k < r->end; ++k) {
          const Lane scaled = product(terms[k].c, along);
          add_product(bar[terms[k].a], scaled, x[terms[k].b]);
          add_product(bar[terms[k].b], scaled, x[terms[k].a]);
        }
      }
      each_component(b, i, c, true, [&](int slot, Planes<Real> p) { put(p, 0, load<Lane>(p, 0) + bar[slot]); });
    });
  }

 private:
  template <class Lane> Lane* take(Block<Real>& b) const {
    return b.scratch->template take_registers<Lane>(std::size_t(n_slots));
  }
  /// All numbers of the list for one node and register of channels
  template <class Lane> void evaluate(const Block<Real>& b, int i, int c, Lane* x) const {
    each_component(b, i, c, false, [&](int slot, Planes<Real> p) { x[slot] = load<Lane>(p, 0); });
    for (const Row& r : rows) {
      Lane sum{};
      for (int k = r.begin; k < r.linear; ++k) add_product(sum, terms[k].c, x[terms[k].a]);
      for (int k = r.linear; k < r.end; ++k) add_product(sum, product(terms[k].c, x[terms[k].a]), x[terms[k].b]);
      x[r.slot] = sum;
    }
  }
  std::ptrdiff_t place(int i, int c, std::size_t k) const {
    return (std::ptrdiff_t(i) * std::ptrdiff_t(outputs.size()) + std::ptrdiff_t(k)) * row + c;
  }
  template <class F> void each_register(const Block<Real>& b, F f) const {
    for (int i = 0; i < b.n; ++i)
      for (int c = 0; c < row; c += w) f(i, c);
  }
  /// f(slot, where the register lies) for all components of the input
  template <class F> void each_component(const Block<Real>& b, int i, int c, bool bar, F f) const {
    const State<Real>& state = b.inputs[0];
    for (int p = 0, slot = 0; p < state.layout->size(); ++p) {
      const Planes<Real> part = (bar ? state.own_bar(p) : state.own(p)) + c;
      const int d = (*state.layout)[p].dim();
      for (int m = 0; m < d; ++m) f(slot++, part + (std::ptrdiff_t(i) * d + m) * row);
    }
  }
};

}  // namespace

NB_GATE(invariants, "Contractions of the tensors of a state, channel by channel, by their indices: \"i,ij,j\"")

}  // namespace nbcore
