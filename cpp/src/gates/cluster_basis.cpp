// Invariant products of different channels of a state: the B basis of the atomic cluster expansion, of up to five
// factors.
//
//   B[i][v] = sum over m of  T_v[m_1 ... m_nu] A[i][t_1 m_1] ... A[i][t_nu m_nu]
//
// v runs over all sets of factors t = (l, group, channel) whose l and channel lie below the bounds of their number, and
// for each over a basis of its invariants (ops/cluster_products.hpp). No weights: a mix gate behind it has those of the
// expansion. All nodes run through the same list of products, a register of nodes at a time.
#include <memory>
#include <set>

#include "gates/gate.hpp"
#include "ops/cluster_products.hpp"
#include "so3/transpose.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    wholes("l_max", 0, max_l_network, most_factors,
           "largest l of the factors of products of one, two, ... factors; 0, 2, 2 where none is given"),
    wholes("n_max", 1, 4096, most_factors,
           "how many channels of each group they have, a number beside each l_max; all where none is given"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  std::shared_ptr<const ClusterProducts> products;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around) {
    if (inputs.size() != 1) throw InputError("it takes one input");
    std::set<int> ls;
    int most_channels_of_a_group = 0;
    for (const Part& p : inputs[0]) {
      if (p.complex) throw InputError("it takes real parts");
      if (p.parity != around.natural(p.l)) throw InputError("parts of natural parity expected");
      if (!ls.insert(p.l).second) throw InputError("one part per l is expected; mix first");
      most_channels_of_a_group = std::max(most_channels_of_a_group, p.group);
    }
    std::vector<double> l_max = o.numbers("l_max"), n_max = o.numbers("n_max");
    if (l_max.empty()) l_max = {0, 2, 2};
    if (n_max.empty()) n_max.assign(l_max.size(), most_channels_of_a_group);
    if (n_max.size() != l_max.size())
      throw InputError(message("n_max needs a number beside each of l_max, ", l_max.size(), ", got ", n_max.size()));
    std::vector<ClusterProducts::Order> orders;
    for (std::size_t k = 0; k < l_max.size(); ++k) orders.push_back({int(l_max[k]), int(n_max[k])});
    products = std::make_shared<const ClusterProducts>(orders, std::vector<Part>(inputs[0].begin(), inputs[0].end()));
    if (products->functions.empty()) throw InputError("no product of the input is invariant");
    if (products->functions.size() > std::size_t(most_channels)) throw InputError("there are too many products");
    count_terms(std::int64_t(products->shares.size() / 64));
    output = {{0, around.natural(0), 1, int(products->functions.size())}};
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  static constexpr int w = width<Real>;
  std::shared_ptr<const ClusterProducts> shared;
  const ClusterProducts& p;
  std::vector<Real> coefficients;  // of the shares

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>) : shared(rule.products), p(*shared) {
    for (const auto& share : p.shares) coefficients.push_back(Real(share.coefficient));
  }

  template <class Lane> void forward(Block<Real>& b) const {
    Lane *x = take<Lane>(b, n_numbers()), *B = take<Lane>(b, n_functions());
    for (int i = 0; i < b.n; i += w) {
      load_numbers(b, i, x);
      std::fill_n(B, n_functions(), Lane{});
      for (std::size_t k = 0; k + 1 < p.monomials.size(); ++k) {
        const auto& monomial = p.monomials[k];
        const Lane y = monomial.b < 0 ? x[monomial.a] : product(x[monomial.a], x[monomial.b]);
        for (std::int64_t s = monomial.first; s < p.monomials[k + 1].first; ++s)
          add_product(B[p.shares[s].function], coefficients[s], y);
      }
      for (int f = 0; f < n_functions(); f += w) {
        so3::transpose(B + f);
        for (int k = 0; k < std::min(w, b.n - i); ++k)
          put(b.output.own(0), std::ptrdiff_t(i + k) * b.output.layout->row(0) + f, B[f + k]);
      }
    }
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    Lane *x = take<Lane>(b, n_numbers()), *x_bar = take<Lane>(b, n_numbers()), *B_bar = take<Lane>(b, n_functions());
    for (int i = 0; i < b.n; i += w) {
      load_numbers(b, i, x);
      for (int f = 0; f < n_functions(); f += w)
        rows_to_registers(b.output.own_bar(0), b.output.layout->row(0), i, f, b.n, B_bar + f);
      std::fill_n(x_bar, n_numbers(), Lane{});
      for (std::size_t k = 0; k + 1 < p.monomials.size(); ++k) {
        const auto& monomial = p.monomials[k];
        Lane y_bar{};
        for (std::int64_t s = monomial.first; s < p.monomials[k + 1].first; ++s)
          add_product(y_bar, coefficients[s], B_bar[p.shares[s].function]);
        if (monomial.b < 0) {
          add_product(x_bar[monomial.a], Real(1), y_bar);
        } else {
          add_product(x_bar[monomial.a], y_bar, x[monomial.b]);
          add_product(x_bar[monomial.b], y_bar, x[monomial.a]);
        }
      }
      for (int k = int(p.products.size()) - 1; k >= 0; --k) {
        const Lane y_bar = x_bar[p.n_numbers + k];
        add_product(x_bar[p.products[k].a], y_bar, x[p.products[k].b]);
        add_product(x_bar[p.products[k].b], y_bar, x[p.products[k].a]);
      }
      each_register(b.inputs[0], [&](int part, int m, int at, int first, int n) {
        const Planes<Real> to = b.inputs[0].own_bar(part);
        const int d = (*b.inputs[0].layout)[part].dim(), row = b.inputs[0].layout->row(part);
        Lane y[w] = {};
        std::copy_n(x_bar + first, n, y);
        so3::transpose(y);
        for (int k = 0; k < std::min(w, b.n - i); ++k) {
          const std::ptrdiff_t place = (std::ptrdiff_t(i + k) * d + m) * row + at;
          Lane sum = load<Lane>(to, place);
          add_product(sum, Real(1), y[k]);
          put(to, place, sum);
        }
      });
    }
  }

 private:
  int n_numbers() const { return p.n_numbers + int(p.products.size()); }
  int n_functions() const { return padded<Real>(int(p.functions.size())); }
  template <class Lane> static Lane* take(Block<Real>& b, int n) { return b.scratch->template take_registers<Lane>(n); }
  /// f(part, m, place in its row, number of the first, how many) for every register of channels of a node
  template <class F> static void each_register(const State<Real>& A, F f) {
    for (int part = 0, first = 0; part < A.layout->size(); ++part) {
      const Part& of = (*A.layout)[part];
      for (int m = 0; m < of.dim(); ++m)
        for (int group = 0; group < of.groups; ++group)
          for (int c = 0; c < of.group; c += w) {
            const int n = std::min(w, of.group - c);
            f(part, m, group * padded<Real>(of.group) + c, first, n);
            first += n;
          }
    }
  }
  /// A register's width of nodes from node i on, one register per column
  template <class Lane>
  static void rows_to_registers(Planes<Real> from, std::ptrdiff_t row, int i, std::ptrdiff_t at, int n, Lane* to) {
    for (int k = 0; k < w; ++k) to[k] = i + k < n ? load<Lane>(from, (i + k) * row + at) : Lane{};
    so3::transpose(to);
  }
  /// The numbers of nodes from i on, and their products
  template <class Lane> void load_numbers(Block<Real>& b, int i, Lane* x) const {
    each_register(b.inputs[0], [&](int part, int m, int at, int first, int n) {
      const int d = (*b.inputs[0].layout)[part].dim(), row = b.inputs[0].layout->row(part);
      Lane y[w];
      rows_to_registers(b.inputs[0].own(part), std::ptrdiff_t(d) * row, i, m * row + at, b.n, y);
      std::copy_n(y, n, x + first);
    });
    for (std::size_t k = 0; k < p.products.size(); ++k)
      x[p.n_numbers + k] = product(x[p.products[k].a], x[p.products[k].b]);
  }
};

}  // namespace

NB_GATE(cluster_basis, "Invariant products of different channels, up to five factors: the B basis of ACE")

}  // namespace nbcore
