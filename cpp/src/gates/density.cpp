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

namespace {

const OptionTable options = {
    whole("l_max", 3, 0, max_l_network, "largest l of the harmonics"),
    whole("l_min", 0, 0, "l_max", "smallest l of the harmonics"),
    whole("l_step", 1, 1, 2, "2: every second l only, l_max, l_max - 2, ..."),
    flag("by_species", true, "false: one sum over children of all species"),
    radial_functions("radial basis"),
    real("scale", 1.0, "factor of the sum, one over the usual number of neighbours, say"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::children;
  int l_max, first_l, l_step;
  bool by_species;
  double scale;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : l_max(o.whole("l_max")), l_step(o.whole("l_step")), by_species(o.flag("by_species")), scale(o.real("scale")) {
    if (!inputs.empty()) throw InputError("its children are leaves; it takes no inputs");
    first_l = l_max - (l_max - o.whole("l_min")) / l_step * l_step;
    radials = {radial_of(o)}, l_harmonics = l_max;
    for (int l = first_l; l <= l_max; l += l_step)
      output.push_back({l, around.natural(l), by_species ? around.n_child_species : 1, radials[0].width()});
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  int radial, n_radial, first_lm, n_lm;
  std::vector<int> part_of;  // [lm] of the output; -1: there is none
  bool by_species;
  Real scale;

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace> places)
      : radial(places[0].set),
        n_radial(rule.radials[0].width()),
        first_lm(rule.first_l * rule.first_l),
        n_lm((rule.l_max + 1) * (rule.l_max + 1)),
        part_of(n_lm, -1),
        by_species(rule.by_species),
        scale(Real(rule.scale)) {
    for (int l = rule.first_l, part = 0; l <= rule.l_max; l += rule.l_step, ++part)
      std::fill_n(part_of.begin() + l * l, 2 * l + 1, part);
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
            so3::transpose(a);
            for (int k = 0; k < w; ++k) store(A_T, (n + k) * lm_row + lm, a[k]);
          }
        }
      for (; q + 4 <= end; q += 4) children<4, harmonics, Lane>(*b.edges, q, A, A_T);
      for (; q < end; ++q) children<1, harmonics, Lane>(*b.edges, q, A, A_T);
    });
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

}  // namespace

NB_GATE(density, "Aggregation of leaves in the radial basis: A[z n] = sum_j Y_lm(r_ij) B_n(r_ij), children of species z")

}  // namespace nbcore
