// The Clebsch-Gordan product of two states of the same nodes, or of a state with itself: all pairs of channels, or
// channel by channel (eq. 6; eq. 11 factorised: the double sum over children of psi_i x psi_j x r_i x r_j is A x A,
// with A = sum_i psi_i x r_i).
//
//   out[s, p, q, L][m][a b] = sum over m1, m2 of  C[m1][m2][m]  A_p[m1][a] B_q[m2][b]          pairs "all"
//   out[s, p, q, L][m][a]   = sum over m1, m2 of  C[m1][m2][m]  A_p[m1][a] B_q[m2][a]          pairs "same"
//
// A state with itself has p <= q: exchange adds nothing new. With n_blocks = S the channels are S interleaved sets (one
// per radial function, s = 0, 1, ...), and only channels of the same set are multiplied, as in the four sums of
// eq. (11). Sets are interleaved over the channels of a group (density: a group per species) or over groups
// (zeroth_order, radial "all"). No parameters; a mix gate follows.
//
// Complex states (Part) are multiplied as complex numbers, plane by plane. In the complex basis C is real; seen from
// the real basis the same product is i times the real coupling where l1 + l2 + L is odd (so3::real_clebsch_gordan).
#include <algorithm>

#include "gates/gate.hpp"
#include "so3/clebsch_gordan.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    whole("l_max", 2, 0, max_l_network, "largest l of the output"),
    choice("pairs", {"all", "same"}, "all: every channel with every channel; same: channel by channel"),
    choice("parities", {"natural", "all"}, "with o3, natural: outputs of parity (-1)^l only; all: pseudo-tensors too"),
    whole("n_blocks", 1, 1, max_radial, "sets of channels, interleaved, that are not multiplied with each other"),
    choice("blocks_over", {"channels", "groups"},
           "channels: channel c of a group is of set c mod n_blocks; groups: group g is of set g mod n_blocks"),
    choice("algebra", {"real", "complex"},
           "complex: products of two real states with odd l1 + l2 + l are imaginary, as with complex coefficients"),
    flag("conjugate", false, "the second factor is conjugated, as norms of complex states need it"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  struct PartProduct {
    int s, p, q, out;  // set, parts of A and B, part of the output
    int rows;          // channels of A that meet every register of B; 1 where pairs are "same"
  };
  std::vector<PartProduct> products;
  int n_blocks;
  bool same, over_groups, conjugate;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : n_blocks(o.whole("n_blocks")),
        same(o.is("pairs", "same")),
        over_groups(o.is("blocks_over", "groups")),
        conjugate(o.flag("conjugate")) {
    if (inputs.empty() || inputs.size() > 2) throw InputError("it takes one input or two");
    const int l_max = o.whole("l_max");
    const bool any_parity = o.is("parities", "all"), imaginary = o.is("algebra", "complex"),
               itself = inputs.size() == 1;
    for (std::span<const Part> parts : inputs)
      for (const Part& p : parts) {
        const int interleaved = over_groups ? p.groups / p.planes() : p.group;
        if (interleaved % n_blocks)
          throw InputError(
              message(interleaved, over_groups ? " groups" : " channels", " cannot be cut into n_blocks = ", n_blocks));
      }
    const auto A = inputs[0], B = inputs.back();
    for (int s = 0; s < n_blocks; ++s)
      for (int p = 0; p < int(A.size()); ++p)
        for (int q = itself ? p : 0; q < int(B.size()); ++q)
          for (int L = std::abs(A[p].l - B[q].l); L <= std::min(A[p].l + B[q].l, l_max); ++L) {
            const int parity = A[p].parity * B[q].parity, n_a = channels_of_set(A[p]), n_b = channels_of_set(B[q]);
            if (around.o3 && !any_parity && parity != (L % 2 ? -1 : 1)) continue;
            if (same && n_a != n_b)
              throw InputError(message("pairs \"same\" needs equal channels, got ", n_a, " and ", n_b, "; mix first"));
            if (same && itself && p == q && L % 2 && !conjugate) continue;  // x_a x_a, antisymmetric: zero
            const bool odd = (A[p].l + B[q].l + L) % 2, complex = A[p].complex || B[q].complex || (imaginary && odd);
            const int rows = same ? 1 : n_a;
            Part out{L, parity, 0, n_b, complex};
            add_groups(out, std::int64_t(rows) * out.planes());
            if (output.size() >= std::size_t(most_parts))
              throw InputError(message("its output would have more than ", most_parts, " parts; mix first"));
            products.push_back({s, p, q, int(output.size()), rows});
            output.push_back(out);
          }
    if (products.empty()) throw InputError("no product has l <= l_max");
    count_terms(std::int64_t(products.size()));
  }
  int channels_of_set(const Part& part) const { return part.algebraic_channels() / n_blocks; }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  static constexpr int w = width<Real>;
  /// The channels of an input by sets, as they are copied side by side: [part][set][plane][m][channel], padded
  struct Factor {
    std::vector<std::vector<std::vector<int>>> place;  // [part][set] place of a channel in its row, plane after plane
    std::vector<int> channels, size;                   // [part] of a set, the same padded
    std::vector<std::ptrdiff_t> start, stride;         // [part] first element of set 0, from set to set
    std::ptrdiff_t compact = 0;                        // numbers in the copy
    std::ptrdiff_t set(int p, int s) const { return start[p] + s * stride[p]; }
  };
  struct Term {  // where the rows of m1, m2, m3 begin within set, set and row of groups
    int a, b, out;
    Real c;
  };
  struct Product : Rule::PartProduct {
    std::vector<int> starts;  // rows of the output, to be cleared
    std::vector<Term> terms;
  };
  std::vector<Factor> factors;  // one, or two
  std::vector<Product> products;
  int n_blocks;
  bool same;

 public:
  Kernels(const Rule& rule, const States& inputs, std::span<const RadialPlace>)
      : n_blocks(rule.n_blocks), same(rule.same) {
    for (std::span<const Part> parts : inputs) factors.push_back(factor(layout_of<Real>(parts), rule));
    const auto A = inputs[0], B = inputs.back();
    for (const auto& of : rule.products) {
      Product x{of, {}, {}};
      const auto [p, q] = std::pair(x.p, x.q);
      const Part& out = rule.output[x.out];
      const int L = out.l, planes = out.planes();
      const bool odd = (A[p].l + B[q].l + L) % 2;
      const int size_a = factors[0].size[p], size_b = factors.back().size[q], row = x.rows * planes * size_b;
      for (int m3 = 0; m3 <= 2 * L; ++m3)
        for (int plane = 0; plane < planes; ++plane) x.starts.push_back(m3 * row + plane * size_b);
      const std::vector<double> C = so3::real_clebsch_gordan(A[p].l, B[q].l, L);
      for (int a = 0; a < A[p].planes(); ++a)
        for (int b = 0; b < B[q].planes(); ++b) {
          const int power = a + b + (out.complex && odd ? 1 : 0);  // of i
          const double sign = (power >= 2 ? -1 : 1) * (rule.conjugate && b ? -1 : 1);
          for (int m1 = 0, k = 0; m1 < A[p].dim(); ++m1)
            for (int m2 = 0; m2 < B[q].dim(); ++m2)
              for (int m3 = 0; m3 <= 2 * L; ++m3, ++k)
                if (C[k] != 0)
                  x.terms.push_back({(a * A[p].dim() + m1) * size_a, (b * B[q].dim() + m2) * size_b,
                                     m3 * row + power % 2 * size_b, Real(sign * C[k])});
        }
      products.push_back(std::move(x));
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    using Scalar = ScalarOf<Lane>;
    const auto [A, B] = take(b, is_dual<Lane>);
    for (int i = 0; i < b.n; ++i) {
      gather<Lane>(b, i, A, B);
      // named captures here and below: clang before 16 does not capture structured bindings
      each_row(b, i, [&, A = A, B = B](const Product& x, int k, std::ptrdiff_t offset) {
        const Planes<Real> a = A + factors[0].set(x.p, x.s), c = B + factors.back().set(x.q, x.s),
                           out = b.output.own(x.out) + offset;
        for (int n = 0; n < factors.back().size[x.q]; n += w) {
          for (int start : x.starts) store(out, start + n, Lane{});
          for (const Term& t : x.terms) {
            Lane sum = load<Lane>(out, t.out + n);
            const Lane c_n = load<Lane>(c, t.b + n);
            if (same) add_product(sum, product(t.c, load<Lane>(a, t.a + n)), c_n);
            else add_product(sum, product(t.c, load_scalar<Scalar>(a, t.a + k)), c_n);
            store(out, t.out + n, sum);
          }
        }
      });
    }
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    using Scalar = ScalarOf<Lane>;
    constexpr bool dual = is_dual<Lane>;
    const auto [A, B] = take(b, dual);
    const auto [A_bar, B_bar] = take(b, dual);
    for (int i = 0; i < b.n; ++i) {
      gather<Lane>(b, i, A, B);
      for (std::size_t f = 0; f < factors.size(); ++f) clear(f ? B_bar : A_bar, factors[f].compact, dual);
      each_row(b, i, [&, A = A, B = B, A_bar = A_bar, B_bar = B_bar](const Product& x, int k, std::ptrdiff_t offset) {
        const std::ptrdiff_t at_a = factors[0].set(x.p, x.s), at_c = factors.back().set(x.q, x.s);
        const Planes<Real> a = A + at_a, c = B + at_c, a_bar = A_bar + at_a, c_bar = B_bar + at_c,
                           out_bar = b.output.own_bar(x.out) + offset;
        for (const Term& t : x.terms) {
          Lane a_sum{};
          for (int n = 0; n < factors.back().size[x.q]; n += w) {
            const Lane o = load<Lane>(out_bar, t.out + n), c_n = load<Lane>(c, t.b + n);
            Lane c_sum = load<Lane>(c_bar, t.b + n);
            if (same) add_product(c_sum, product(t.c, load<Lane>(a, t.a + n)), o);
            else add_product(c_sum, product(t.c, load_scalar<Scalar>(a, t.a + k)), o);
            store(c_bar, t.b + n, c_sum);
            if (same) {
              a_sum = load<Lane>(a_bar, t.a + n);
              add_product(a_sum, product(t.c, c_n), o);
              store(a_bar, t.a + n, a_sum);
            } else add_product(a_sum, o, c_n);
          }
          if (same) continue;
          const Scalar total = lane_sum(a_sum);
          for_lanes(1, [&](std::ptrdiff_t) {
            a_bar.value[t.a + k] += t.c * value_of(total);
            if constexpr (dual) a_bar.dot[t.a + k] += t.c * total.dot;
          });
        }
      });
      for (std::size_t f = 0; f < factors.size(); ++f) {
        const Planes<Real> from = f ? B_bar : A_bar, to = b.inputs[f].bar;
        each_channel(b, int(f), i, true, [&](std::ptrdiff_t in_state, std::ptrdiff_t in_copy) {
          to.value[in_state] += from.value[in_copy];
          if constexpr (dual) to.dot[in_state] += from.dot[in_copy];
        });
      }
    }
  }

 private:
  Factor factor(const Layout<Real>& layout, const Rule& rule) const {
    Factor f;
    for (int p = 0; p < layout.size(); ++p) {
      const Part& part = layout[p];
      const int n = part.algebraic_channels();
      f.place.emplace_back(n_blocks);
      for (int plane = 0; plane < part.planes(); ++plane)
        for (int c = 0; c < n; ++c)
          f.place[p][(rule.over_groups ? c / part.group : c) % n_blocks].push_back(layout.position(p, c, plane));
      f.channels.push_back(n / n_blocks), f.size.push_back(padded<Real>(n / n_blocks)), f.start.push_back(f.compact);
      f.stride.push_back(std::ptrdiff_t(part.planes()) * part.dim() * f.size.back());
      f.compact += n_blocks * f.stride.back();
    }
    return f;
  }
  static void clear(Planes<Real> x, std::ptrdiff_t n, bool dual) {
    fill(x.value, n, 0);
    if (dual) fill(x.dot, n, 0);
  }
  std::pair<Planes<Real>, Planes<Real>> take(Block<Real>& b, bool dual) const {
    const Planes<Real> A = b.scratch->take_planes(factors[0].compact, dual);
    return {A, factors.size() == 1 ? A : b.scratch->take_planes(factors[1].compact, dual)};
  }
  /// f(product, channel of A, where the row lies in the output) for node i
  template <class F> void each_row(Block<Real>& b, int i, F f) const {
    for (const Product& x : products) {
      const Layout<Real>& layout = *b.output.layout;
      const std::ptrdiff_t row = layout.row(x.out);
      for (int k = 0; k < x.rows; ++k) f(x, k, i * row * layout[x.out].dim() + k * (row / x.rows));
    }
  }
  /// f(element of the state (x or bar), element of the copy) for all channels of input `input` of node i
  template <class F> void each_channel(Block<Real>& b, int input, int i, bool bar, F f) const {
    const State<Real>& state = b.inputs[input];
    const Factor& factor = factors[input];
    sync();
    for (int p = 0; p < state.layout->size(); ++p) {
      const int d = (*state.layout)[p].dim(), row = state.layout->row(p), n = factor.channels[p];
      const std::ptrdiff_t node = (bar ? state.bar_node : state.node) + i;
      const std::ptrdiff_t first = state.layout->offset(p, bar ? state.bar_rows : state.rows) + node * d * row;
      for (int s = 0; s < n_blocks; ++s) {
        const std::vector<int>& place = factor.place[p][s];
        for (int plane = 0; plane < (*state.layout)[p].planes(); ++plane)
          for (int m = 0; m < d; ++m)
            share(n, [&](std::ptrdiff_t k) {
              f(first + m * row + place[plane * n + k],
                factor.set(p, s) + std::ptrdiff_t(plane * d + m) * factor.size[p] + k);
            });
      }
    }
    sync();
  }
  template <class Lane> void gather(Block<Real>& b, int i, Planes<Real> A, Planes<Real> B) const {
    for (std::size_t f = 0; f < factors.size(); ++f) {
      const Planes<Real> to = f ? B : A, from = b.inputs[f].x;
      clear(to, factors[f].compact, is_dual<Lane>);
      each_channel(b, int(f), i, false, [&](std::ptrdiff_t in_state, std::ptrdiff_t in_copy) {
        to.value[in_copy] = from.value[in_state];
        if constexpr (is_dual<Lane>) to.dot[in_copy] = from.dot[in_state];
      });
    }
  }
};

}  // namespace

NB_GATE(tensor_product,
        "Clebsch-Gordan product of two states, or of one with itself: all pairs of channels, or channel by channel "
        "(eqs. 6 and 11)")

}  // namespace nbcore
