// The zeroth-order gate of the first level (eq. 10 with leaves as children). Leaves carry their species alone, so the
// sum is taken in the radial basis, whatever the number of channels:
//
//   A[i][lm][z n] = scale * sum over children j of species z of  Y_lm(r_ij) B_n(r_ij)
//
// Part l has n_species groups of n radial functions; a mix gate makes channels of them, once per atom. With by_species
// false the sum runs over all children, one group. No parameters.
#include "gates/gate.hpp"

namespace nbcore {

template <class Real> class Density : public GateOf<Density<Real>, Real> {
  int radial;
  bool by_species;
  Real scale;

 public:
  Density(const Options& spec, const std::vector<std::vector<Part>>& inputs, Surroundings& around) {
    if (!inputs.empty()) throw InputError("gate density: its children are leaves; it takes no inputs");
    this->aggregates = true;
    const int l_max = spec.whole("l_max", 3, 0, max_l_network), l_min = spec.whole("l_min", 0, 0, l_max),
              l_step = spec.whole("l_step", 1, 1, 2);
    by_species = spec.get("by_species", true);
    const Radial basis = radial_option(spec);
    radial = around.radial(basis);
    scale = Real(spec.get("scale", 1.0));
    around.l_harmonics = std::max(around.l_harmonics, l_max);
    for (int l = l_max - (l_max - l_min) / l_step * l_step; l <= l_max; l += l_step)
      this->output.push_back(
          {l, around.o3 ? (l % 2 ? -1 : 1) : 0, by_species ? around.n_child_species : 1, basis.width()});
  }

  template <class Lane> void forward(Block<Real>& b) const {
    using Scalar = ScalarOf<Lane>;
    constexpr int w = width<Real>;
    const Edges<Real>& e = *b.edges;
    const int row = e.B_row(radial);
    const Planes<Real> Y = const_cast<Edges<Real>&>(e).Y.planes(), B = const_cast<Edges<Real>&>(e).B[radial].planes();
    for (int p = 0; p < b.output.layout->size(); ++p) {
      const int l = (*b.output.layout)[p].l, stride = b.output.layout->row(p);
      const Planes<Real> A = b.output.own(p);
      for (int i = 0; i < b.n; ++i) {
        const Planes<Real> A_i = A + std::ptrdiff_t(i) * (2 * l + 1) * stride;
        for (int k = 0; k < (2 * l + 1) * stride; k += w) store(A_i, k, Lane{});
        for (std::int64_t q = b.first[i]; q < b.first[i + 1]; ++q)
          for (int m = 0; m <= 2 * l; ++m) {
            const Scalar y = product(scale, load_scalar<Scalar>(Y, q * e.Y_row + l * l + m));
            const Planes<Real> sum = A_i + (m * stride + group(b, q) * row);
            for (int n = 0; n < row; n += w) {
              Lane a = load<Lane>(sum, n);
              add_product(a, y, load<Lane>(B, q * row + n));
              store(sum, n, a);
            }
          }
      }
    }
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    if constexpr (want.edges) adjoint_of_edges<true, Lane>(b);
    else if (this->wants_radial(want)) adjoint_of_edges<false, Lane>(b);
  }

 private:
  /// B_bar and, with harmonics, Y_bar
  template <bool harmonics, class Lane> void adjoint_of_edges(Block<Real>& b) const {
    using V = Simd<Real>;
    using Scalar = ScalarOf<Lane>;
    constexpr int w = width<Real>;
    Edges<Real>& e = *b.edges;
    const int row = e.B_row(radial), parts = b.output.layout->size();
    const Planes<Real> Y = e.Y.planes(), B = e.B[radial].planes(), Y_bar = e.Y_bar.planes(),
                       B_bar = e.B_bar[radial].planes();
    V value[(max_l_network + 1) * (max_l_network + 1) + w], dot[sizeof(value) / sizeof(V)];  // of Y_bar, by lane
    const int l_max = (*b.output.layout)[parts - 1].l, n_lm = ((l_max + 1) * (l_max + 1) + w - 1) / w * w;
    for (int i = 0; i < b.n; ++i)
      for (std::int64_t q = b.first[i]; q < b.first[i + 1]; ++q) {
        if constexpr (harmonics)
          for (int lm = 0; lm < n_lm; ++lm) value[lm] = dot[lm] = V{};
        for (int n = 0; n < row; n += w) {
          const Lane B_n = load<Lane>(B, q * row + n);
          Lane B_sum = load<Lane>(B_bar, q * row + n);
          for (int p = 0; p < parts; ++p) {
            const int l = (*b.output.layout)[p].l, stride = b.output.layout->row(p);
            const Planes<Real> A_q =
                b.output.own_bar(p) + (std::ptrdiff_t(i) * (2 * l + 1) * stride + group(b, q) * row + n);
            for (int m = 0; m <= 2 * l; ++m) {
              const Lane a = load<Lane>(A_q, m * stride);
              add_product(B_sum, product(scale, load_scalar<Scalar>(Y, q * e.Y_row + l * l + m)), a);
              if constexpr (harmonics) {
                const Lane y = product(a, B_n);
                value[l * l + m] += value_of(y);
                if constexpr (is_dual<Lane>) dot[l * l + m] += y.dot;
              }
            }
          }
          store(B_bar, q * row + n, B_sum);
        }
        if constexpr (harmonics)
          for (int lm = 0; lm < n_lm; lm += w) {
            *reinterpret_cast<V*>(Y_bar.value + q * e.Y_row + lm) += scale * transposed_sum(value + lm);
            if constexpr (is_dual<Lane>)
              *reinterpret_cast<V*>(Y_bar.dot + q * e.Y_row + lm) += scale * transposed_sum(dot + lm);
          }
      }
  }
  int group(const Block<Real>& b, std::int64_t edge) const { return by_species ? b.child_species[edge] : 0; }
};

NB_GATE(Density, "density",
        "Aggregation of leaves in the radial basis: A[z n] = sum_j Y_lm(r_ij) B_n(r_ij), children of species z", R"({
  "l_max": {"type": "int", "default": 3, "doc": "largest l of the harmonics"},
  "l_min": {"type": "int", "default": 0, "doc": "smallest l of the harmonics"},
  "l_step": {"type": "int", "default": 1, "doc": "2: every second l only, l_max, l_max - 2, ..."},
  "by_species": {"type": "bool", "default": true, "doc": "false: one sum over children of all species"},
  "radial": {"type": "radial", "default": {}, "doc": "radial basis"},
  "scale": {"type": "float", "default": 1.0, "doc": "factor of the sum, one over the usual number of neighbours, say"}})")

}  // namespace nbcore
