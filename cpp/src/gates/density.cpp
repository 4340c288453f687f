// The zeroth-order gate of the first level (eq. 10 with leaves as children). Leaves carry their species alone, so the
// sum is taken in the radial basis, whatever the number of channels:
//
//   A[i][lm][z n] = scale * sum over children j of species z of  Y_lm(r_ij) B_n(r_ij)
//
// Part l has n_species groups of n radial functions; a mix gate makes channels of them, once per atom. With by_species
// false the sum runs over all children, one group. No parameters.
#include "gates/gate.hpp"
#include "so3/transpose.hpp"

namespace nbcore {

template <class Real> class Density : public GateOf<Density<Real>, Real> {
  int radial, n_radial, first_lm, n_lm;
  std::vector<int> part_of;  // [lm] of the output; -1: there is none
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
    radial = around.radial(basis), n_radial = basis.width();
    scale = Real(spec.get("scale", 1.0));
    around.l_harmonics = std::max(around.l_harmonics, l_max);
    n_lm = (l_max + 1) * (l_max + 1);
    part_of.assign(n_lm, -1);
    const int first = l_max - (l_max - l_min) / l_step * l_step;
    first_lm = first * first;
    for (int l = first; l <= l_max; l += l_step) {
      std::fill_n(part_of.begin() + l * l, 2 * l + 1, int(this->output.size()));
      this->output.push_back({l, around.o3 ? (l % 2 ? -1 : 1) : 0, by_species ? around.n_child_species : 1, n_radial});
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    b.output.template clear<Lane>(0, b.n);
    for_runs(b, [&](int i, int z, std::int64_t q, std::int64_t end) {
      int lm = first_lm;
      const auto rows = [&]<int count>() {
        for (; lm + count <= n_lm; lm += count) sums<count, Lane>(b, i, z, q, end, lm);
      };
      if constexpr (!is_dual<Lane>) rows.template operator()<16>();
      rows.template operator()<8>(), rows.template operator()<4>(), rows.template operator()<1>();
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    if constexpr (want.edges) adjoint_of_edges<true, Lane>(b);
    else if (this->wants_radial(want)) adjoint_of_edges<false, Lane>(b);
  }

 private:
  /// f(parent, species, first edge, end) for children of one species in a row
  template <class F> void for_runs(const Block<Real>& b, F f) const {
    for (int i = 0; i < b.n; ++i)
      for (std::int64_t q = b.first[i], end; q < b.first[i + 1]; q = end) {
        const int z = group(b, q);
        for (end = q + 1; end < b.first[i + 1] && group(b, end) == z;) ++end;
        f(i, z, q, end);
      }
  }
  /// Row lm of species z of parent i in an array of the output; without memory where the output has no such l
  Planes<Real> row_of(const State<Real>& output, bool bar, int i, int z, int lm, int row) const {
    const int p = part_of[lm];
    if (p < 0) return {};
    const int l = (*output.layout)[p].l, stride = output.layout->row(p);
    return (bar ? output.own_bar(p) : output.own(p)) +
           ((std::ptrdiff_t(i) * (2 * l + 1) + lm - l * l) * stride + z * row);
  }

  /// `count` rows from lm on, summed over children q .. end - 1 in registers
  template <int count, class Lane>
  void sums(Block<Real>& b, int i, int z, std::int64_t q, std::int64_t end, int lm) const {
    Edges<Real>& e = *b.edges;
    const int row = e.B_row(radial);
    const Planes<Real> Y = e.Y.planes() + lm, B = e.B[radial].planes();
    for (int n = 0; n < row; n += width<Real>) {
      Lane sum[count] = {};
      for (std::int64_t k = q; k < end; ++k) {
        const Lane B_n = load<Lane>(B, k * row + n);
    NB_UNROLL for (int j = 0; j < count; ++j)
            add_product(sum[j], load_scalar<ScalarOf<Lane>>(Y, k * e.Y_row + j), B_n);
      }
      for (int j = 0; j < count; ++j)
        if (const Planes<Real> to = row_of(b.output, false, i, z, lm + j, row); to.value) {
          Lane a = load<Lane>(to, n);
          add_product(a, scale, sum[j]);
          put(to, n, a);
        }
    }
  }

  /// B_bar and, with harmonics, Y_bar of children of one species, from A_bar as it is and transposed: nothing is summed
  /// over lanes.
  template <bool harmonics, class Lane> void adjoint_of_edges(Block<Real>& b) const {
    constexpr int w = width<Real>;
    const int row = b.edges->B_row(radial), lm_row = padded<Real>(n_lm);
    const Planes<Real> A = b.scratch->take_planes(std::size_t(lm_row) * row, is_dual<Lane>),
                       A_T = b.scratch->take_planes(std::size_t(lm_row) * row, is_dual<Lane>);
    for_runs(b, [&](int i, int z, std::int64_t q, std::int64_t end) {
      for (int n = 0; n < row; n += w)
        for (int lm = 0; lm < lm_row; lm += w) {
          Lane a[w] = {};
          for (int k = 0; k < w && lm + k < n_lm; ++k)
            if (const Planes<Real> from = row_of(b.output, true, i, z, lm + k, row); from.value)
              a[k] = product(scale, load<Lane>(from, n));
          for (int k = 0; k < w; ++k) store(A, (lm + k) * row + n, a[k]);
          if constexpr (harmonics) {
            transposed(a);
            for (int k = 0; k < w; ++k) store(A_T, (n + k) * lm_row + lm, a[k]);
          }
        }
      for (; q + 4 <= end; q += 4) children<4, harmonics, Lane>(*b.edges, q, A, A_T);
      for (; q < end; ++q) children<1, harmonics, Lane>(*b.edges, q, A, A_T);
    });
  }
  template <class Lane> static void transposed(Lane* x) {
    constexpr int w = width<Real>;
    if constexpr (is_dual<Lane>) {
      Simd<Real> value[w], dot[w];
      for (int k = 0; k < w; ++k) value[k] = x[k].value, dot[k] = x[k].dot;
      so3::transpose(value), so3::transpose(dot);
      for (int k = 0; k < w; ++k) x[k] = {value[k], dot[k]};
    } else {
      so3::transpose(x);
    }
  }
  /// Of `count` children from q on: B_bar[n] += Y[lm] A[lm][n], Y_bar[lm] += B[n] A_T[n][lm]
  template <int count, bool harmonics, class Lane>
  void children(Edges<Real>& e, std::int64_t q, Planes<Real> A, Planes<Real> A_T) const {
    constexpr int w = width<Real>;
    const int row = e.B_row(radial), lm_row = padded<Real>(n_lm);
    const Planes<Real> Y = e.Y.planes() + q * e.Y_row, B = e.B[radial].planes() + q * row,
                       Y_bar = e.Y_bar.planes() + q * e.Y_row, B_bar = e.B_bar[radial].planes() + q * row;
    /// bar[k][lanes from `at` on] += sum over j of factor[k][j] matrix[j][lanes]
    const auto multiply = [](Planes<Real> bar, int bar_row, int at, Planes<Real> factor, int factor_row, int first,
                             int last, Planes<Real> matrix, int matrix_row) {
      Lane sum[count];
      NB_UNROLL for (int k = 0; k < count; ++k) sum[k] = load<Lane>(bar, k * bar_row + at);
      for (int j = first; j < last; ++j) {
        const Lane a = load<Lane>(matrix, j * matrix_row + at);
        NB_UNROLL for (int k = 0; k < count; ++k)
            add_product(sum[k], load_scalar<ScalarOf<Lane>>(factor, k * factor_row + j), a);
      }
      NB_UNROLL for (int k = 0; k < count; ++k) store(bar, k * bar_row + at, sum[k]);
    };
    for (int n = 0; n < row; n += w) multiply(B_bar, row, n, Y, e.Y_row, first_lm, n_lm, A, row);
    if constexpr (harmonics)
      for (int lm = first_lm / w * w; lm < n_lm; lm += w)
        multiply(Y_bar, e.Y_row, lm, B, row, 0, n_radial, A_T, lm_row);
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
