// The first-order gate of relative positions (eq. 12 and its generalisation): a sum over the pairs of a node's
// children.
//
//   A[p][M][c] = sum over children i != j, sum over m1, m2 of  K_p[M][m1][m2](r_ij) w_p[c] H[i][m1][c] H[j][m2][c]
//   K_p        = sum over m12, m' of  C(l1 l2 l12)[m1 m2 m12] C(l12 l' L)[m12 m' M] Y_l'm'(r_ij),   r_ij = r_i - r_j
//   w_p[c]     = sum_n W[p][n][c] B_n(|r_ij|)
//
// Paths p = (parts of H with l1 <= l2, l12, l', L). Eq. (12) has l' = 1 alone and all pairs of channels: l_min = l_max
// = 1, radial_mode "all" (w = B_n, a group of channels per function, no parameters), channels "all" (H[i] of channel a,
// H[j] of channel b, a group per a). r_ij is odd under exchange, so with one scalar channel its sums vanish; even l'
// keep what is symmetric: the Coulomb energy of charges is l' = 0.
#include <algorithm>
#include <cmath>
#include <map>

#include "gates/gate.hpp"
#include "so3/clebsch_gordan.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    whole("l_max", 2, 0, max_l_network, "largest l of the harmonics of r_ij"),
    whole("l_min", 0, 0, "l_max", "smallest l of the harmonics"),
    whole("l_out", "l_max", 0, max_l_network, "largest l of the output"),
    radial_functions("radial basis"),
    choice("radial_mode", {"mix", "all"}, "mix: weights per path; all: every radial function apart"),
    choice("channels", {"same", "all"}, "same: channel c of i with channel c of j; all: every pair"),
    real("scale", 1.0, "factor of the sum"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::pairs;
  struct PairPath {
    int part1, part2, l12, l, L, out, slot;  // slot: first group of the output part
  };
  int l_max, l_min, l_out, channels, groups, copies;  // groups: of a path
  bool all_radial, all_channels, o3;
  double scale;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : l_max(o.whole("l_max")),
        l_min(o.whole("l_min")),
        l_out(o.whole("l_out")),
        all_radial(o.is("radial_mode", "all")),
        all_channels(o.is("channels", "all")),
        o3(around.o3),
        scale(o.real("scale")) {
    if (inputs.size() != 1) throw InputError("it takes one input, the state of the children");
    radials = {radial_of(o)}, l_harmonics = l_max, copies = all_radial ? radials[0].width() : 1;
    channels = inputs[0][0].channels(), groups = all_channels ? channels : 1;
    for (const Part& h : inputs[0])
      if (h.groups != 1 || h.group != channels) throw InputError("all parts of the input must have the same channels");
    const std::int64_t n = std::int64_t(paths(inputs[0], output).size());
    count_terms(n);
    if (!all_radial) parameters.push_back({"R", {n, radials[0].width(), channels}});
  }

  /// All paths, and the parts of the output
  std::vector<PairPath> paths(std::span<const Part> H, std::vector<Part>& parts) const {
    std::vector<PairPath> found;
    std::map<std::pair<int, int>, Part> of_type;  // (L, parity)
    for (int p = 0; p < int(H.size()); ++p)
      for (int q = p; q < int(H.size()); ++q)
        for (int l12 = std::abs(H[p].l - H[q].l); l12 <= H[p].l + H[q].l; ++l12)
          for (int l = l_min; l <= l_max; ++l)
            for (int L = std::abs(l12 - l); L <= std::min(l12 + l, l_out); ++L) {
              const int parity = H[p].parity * H[q].parity * (l % 2 ? -1 : 1);
              if (o3 && parity != (L % 2 ? -1 : 1)) continue;  // natural parity
              // exchange of i and j takes the sum over a part with itself to minus itself
              if (p == q && !all_channels && (l12 + l) % 2) continue;
              Part& part = of_type.try_emplace({L, parity}, Part{L, parity, 0, channels}).first->second;
              for (int copy = 0; copy < copies; ++copy) {
                if (std::int64_t(found.size()) >= most_terms) throw InputError("it would have too many paths");
                found.push_back({p, q, l12, l, L, 0, part.groups});
                add_groups(part, groups);
              }
            }
    if (found.empty()) throw InputError("no path leads to l <= l_out");
    std::map<std::pair<int, int>, int> number;
    for (const auto& [type, part] : of_type) number[type] = int(parts.size()), parts.push_back(part);
    for (PairPath& path : found)
      path.out = number[{path.L, H[path.part1].parity * H[path.part2].parity * (path.l % 2 ? -1 : 1)}];
    return found;
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  using V = Simd<Real>;
  static constexpr int w = width<Real>;
  struct Element {  // a number of K that is not always zero
    int M, m1, m2;
  };
  struct Term {  // its dependence on Y
    int element, lm;
    Real C;
  };
  struct Path : Rule::PairPath {
    std::vector<Element> elements;
    std::vector<Term> terms;
  };
  std::vector<Path> paths;
  int radial, n_radial, channels, row, groups, max_elements = 0;

 public:
  Kernels(const Rule& rule, const States& inputs, std::span<const RadialPlace> places)
      : radial(places[0].set),
        n_radial(rule.radials[0].width()),
        channels(rule.channels),
        row(padded<Real>(channels)),
        groups(rule.groups) {
    std::vector<Part> output;
    for (const auto& path : rule.paths(inputs[0], output)) {
      paths.push_back({path, {}, {}});
      couple(paths.back(), inputs[0][path.part1].l, inputs[0][path.part2].l, Real(rule.scale));
      max_elements = std::max(max_elements, int(paths.back().elements.size()));
    }
    // weights packed [register][path][n][lane]
    const double scale = 1 / std::sqrt(double(n_radial));
    for (int at = 0; at < row; at += w)
      for (std::int64_t p = 0; p < std::int64_t(paths.size()); ++p)
        for (int n = 0; n < n_radial; ++n)
          for (int c = at; c < at + w; ++c) {
            if (c >= channels) this->packing.zeros(1);
            else if (rule.all_radial) this->packing.constants(p % rule.copies == n ? 1 : 0, 1);
            else this->packing.weight((p * n_radial + n) * channels + c, scale);
          }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    const State<Real>& H = b.inputs[0];
    b.output.template clear<Lane>(0, b.n);
    const Planes<Real> K = b.scratch->take_planes(max_elements, is_dual<Lane>);
    each_edge_and_path<Lane>(b, K, [&](int i, std::int64_t e, int p, const Path& path) {
      const Planes<Real> x = at(H, path.part1, b.child[e]), y = at(H, path.part2, b.partner[e]);
      each_group<Lane>(b, e, p, path, i, [&](int g, int c, Lane weight, std::ptrdiff_t out_row, std::ptrdiff_t offset) {
        const Planes<Real> A = b.output.own(path.out) + offset;
        with_left<Lane>(x, g, c, [&](auto left) {
          for (std::size_t k = 0; k < path.elements.size(); ++k) {
            const Element& m = path.elements[k];
            Lane sum = load<Lane>(A, m.M * out_row);
            add_product(sum, product(load_scalar<ScalarOf<Lane>>(K, k), left(m.m1)),
                        product(weight, load<Lane>(y, m.m2 * row + c)));
            put(A, m.M * out_row, sum);
          }
        });
      });
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    using Scalar = ScalarOf<Lane>;
    Edges<Real>& edges = *b.edges;
    const Planes<Real> B = edges.B[radial].planes(), B_bar = edges.B_bar[radial].planes(), Y_bar = edges.Y_bar.planes();
    const int B_row = edges.B_row(radial), P = int(paths.size());
    const State<Real>& H = b.inputs[0];
    const bool full = groups > 1, radial_too = this->wants_radial(want);
    const Planes<Real> K = b.scratch->take_planes(max_elements, is_dual<Lane>);
    Lane* const K_bar = b.scratch->template take_registers<Lane>(max_elements);
    each_edge_and_path<Lane>(b, K, [&](int i, std::int64_t e, int p, const Path& path) {
      const Planes<Real> x = at(H, path.part1, b.child[e]), y = at(H, path.part2, b.partner[e]),
                         x_bar = bar_at(H, path.part1, b.child_bar[e]), y_bar = bar_at(H, path.part2, b.partner_bar[e]);
      std::fill_n(K_bar, max_elements, Lane{});
      each_group<Lane>(b, e, p, path, i, [&](int g, int c, Lane weight, std::ptrdiff_t out_row, std::ptrdiff_t offset) {
        const Planes<Real> A_bar = b.output.own_bar(path.out) + offset;
        Lane weight_bar{};
        with_left<Lane>(x, g, c, [&](auto left) {
          for (std::size_t k = 0; k < path.elements.size(); ++k) {
            const Element& m = path.elements[k];
            const Scalar K_k = load_scalar<Scalar>(K, k);
            const Lane a = load<Lane>(A_bar, m.M * out_row), right = load<Lane>(y, m.m2 * row + c);
            const Lane t = product(a, product(left(m.m1), right));  // all but K and the weight
            add_product(weight_bar, K_k, t);
            if constexpr (want.edges) add_product(K_bar[k], weight, t);
            const Lane aKw = product(product(K_k, a), weight);
            add_lane<Lane>(y_bar, m.m2 * row + c, product(left(m.m1), aKw));
            if (full) {
              add_scalar(x_bar, m.m1 * row + g, sum_of<Scalar>(product(aKw, right)));
              sync();  // y_bar may be the same
            } else add_lane<Lane>(x_bar, m.m1 * row + c, product(aKw, right));
          }
        });
        const std::size_t at_W = (std::size_t(c / w) * P + p) * n_radial * w;
        for (int n = 0; n < n_radial; ++n) {
          if (radial_too)
            add_scalar(B_bar, e * B_row + n, sum_of<Scalar>(product(load_weight(b.weights, at_W, n), weight_bar)));
          if constexpr (want.parameters) {
            V& W_bar = registers(b.weights_bar + at_W)[n];
            const Scalar B_n = load_scalar<Scalar>(B, e * B_row + n);
            if constexpr (is_dual<Lane>) W_bar += weight_bar.dot * B_n.value + weight_bar.value * B_n.dot;
            else W_bar += weight_bar * B_n;
          }
        }
      });
      if constexpr (want.edges)
        for (const Term& t : path.terms)
          add_scalar(Y_bar, e * edges.Y_row + t.lm, product(t.C, sum_of<Scalar>(K_bar[t.element])));
    });
  }

 private:
  /// Elements and terms of K
  void couple(Path& path, int l1, int l2, Real scale) const {
    const std::vector<double> C1 = so3::real_clebsch_gordan(l1, l2, path.l12),
                              C2 = so3::real_clebsch_gordan(path.l12, path.l, path.L);
    const int d1 = 2 * l1 + 1, d2 = 2 * l2 + 1, d12 = 2 * path.l12 + 1, d = 2 * path.l + 1, D = 2 * path.L + 1;
    for (int M = 0; M < D; ++M)
      for (int m1 = 0; m1 < d1; ++m1)
        for (int m2 = 0; m2 < d2; ++m2) {
          const std::size_t before = path.terms.size();
          for (int m = 0; m < d; ++m) {
            double sum = 0;
            for (int m12 = 0; m12 < d12; ++m12) sum += C1[(m1 * d2 + m2) * d12 + m12] * C2[(m12 * d + m) * D + M];
            if (std::abs(sum) > 1e-14)
              path.terms.push_back({int(path.elements.size()), path.l * path.l + m, Real(scale * sum)});
          }
          if (path.terms.size() > before) path.elements.push_back({M, m1, m2});
        }
  }
  Planes<Real> at(const State<Real>& H, int part, std::int32_t node) const {
    return H.part(part) + std::ptrdiff_t(node) * (*H.layout)[part].dim() * row;
  }
  Planes<Real> bar_at(const State<Real>& H, int part, std::int32_t node) const {
    return H.part_bar(part) + std::ptrdiff_t(node) * (*H.layout)[part].dim() * row;
  }
  static V load_weight(const Real* weights, std::size_t at, int n) { return registers(weights + at)[n]; }
  template <class Lane> static void add_lane(Planes<Real> x, std::ptrdiff_t k, Lane a) {
    Lane sum = load<Lane>(x, k);
    if constexpr (is_dual<Lane>) sum += a;
    else sum += a;
    store(x, k, sum);
  }
  template <class Scalar, class Lane> static Scalar sum_of(Lane x) {
    if constexpr (is_dual<Lane>) return Scalar{lane_sum(x.value), lane_sum(x.dot)};
    else return lane_sum(x);
  }
  /// f(left factor as a function of m1): the register of the same channels, or channel g for all
  template <class Lane, class F> void with_left(Planes<Real> x, int g, int c, F f) const {
    if (groups > 1) f([&](int m1) { return load_scalar<ScalarOf<Lane>>(x, m1 * row + g); });
    else f([&](int m1) { return load<Lane>(x, m1 * row + c); });
  }
  /// K of every path of every edge, then f(parent, edge, number of the path, path)
  template <class Lane, class F> void each_edge_and_path(const Block<Real>& b, Planes<Real> K, F f) const {
    using Scalar = ScalarOf<Lane>;
    const Planes<Real> Y = b.edges->Y.planes();
    for (int i = 0; i < b.n; ++i)
      for (std::int64_t e = b.first[i]; e < b.first[i + 1]; ++e)
        for (int p = 0; p < int(paths.size()); ++p) {
          const auto n = std::ptrdiff_t(paths[p].elements.size());
          fill(K.value, n, 0);
          if constexpr (is_dual<Lane>) fill(K.dot, n, 0);
          for (const Term& t : paths[p].terms)
            add_scalar(K, t.element, product(t.C, load_scalar<Scalar>(Y, e * b.edges->Y_row + t.lm)));
          sync();
          f(i, e, p, paths[p]);
        }
  }
  /// f(group, first channel of a register, w_p, distance of components, place in the output part) for a path
  template <class Lane, class F>
  void each_group(const Block<Real>& b, std::int64_t e, int p, const Path& path, int i, F f) const {
    const Planes<Real> B = b.edges->B[radial].planes() + e * b.edges->B_row(radial);
    const std::ptrdiff_t out_row = b.output.layout->row(path.out), node = i * out_row * (2 * path.L + 1);
    for (int c = 0; c < row; c += w) {
      const std::size_t at_W = (std::size_t(c / w) * paths.size() + p) * n_radial * w;
      Lane weight{};
      for (int n = 0; n < n_radial; ++n)
        add_product(weight, load_weight(b.weights, at_W, n), load_scalar<ScalarOf<Lane>>(B, n));
      for (int g = 0; g < groups; ++g) f(g, c, weight, out_row, node + (path.slot + g) * row + c);
    }
  }
};

}  // namespace

NB_GATE(first_order_relative,
        "Sum over pairs of children (eq. 12, generalised): A = sum_ij R(r_ij) psi_i x psi_j x Y(r_ij)")

}  // namespace nbcore
