#include "ops/edges.hpp"

#include "so3/harmonics.hpp"
#include "so3/transpose.hpp"

namespace nbcore {

namespace detail {
using V8 = Vector<double>;
inline constexpr int edges_per_register = vector_width<double>;
inline constexpr double tiny = 1e-300;  // a child may stand at the centre of its parent

template <class T> NB_INLINE T load_edges(const PlaneBuffer<double>& a, std::int64_t k) {
  const auto at = [&](const Buffer<double>& b) { return *reinterpret_cast<const V8*>(b.data() + k); };
  if constexpr (is_dual<T>) return {at(a.value), at(a.dot)};
  else return at(a.value);
}
template <class T> NB_INLINE void store_edges(PlaneBuffer<double>& a, std::int64_t k, T x) {
  *reinterpret_cast<V8*>(a.value.data() + k) = value_of(x);
  if constexpr (is_dual<T>) *reinterpret_cast<V8*>(a.dot.data() + k) = x.dot;
}
template <class Real> using RowPart [[gnu::vector_size(edges_per_register * sizeof(Real)), gnu::may_alias]] = Real;

/// Columns of a register of edges, one edge per lane, become their rows, `row` numbers each: zeros from column n on.
template <class Real> NB_INLINE void store_rows(const V8* columns, int step, int n, Real* rows, int row, int count) {
  constexpr int w = edges_per_register;
  for (int j = 0; j < row; j += w) {
    V8 x[w];
  NB_UNROLL for (int i = 0; i < w; ++i) x[i] = j + i < n ? columns[(j + i) * step] : V8{};
    so3::transpose(x);
    NB_UNROLL for (int k = 0; k < w; ++k)
        if (k < count)
          *reinterpret_cast<RowPart<Real>*>(rows + k * row + j) = __builtin_convertvector(x[k], RowPart<Real>);
  }
}
/// The other way; lanes without an edge are zero.
template <class Real>
NB_INLINE void load_rows(V8* columns, int step, int n, const Real* rows, int row, int count) {
  constexpr int w = edges_per_register;
  for (int j = 0; j < n; j += w) {
    V8 x[w];
    NB_UNROLL for (int k = 0; k < w; ++k)
        x[k] = k < count ? __builtin_convertvector(*reinterpret_cast<const RowPart<Real>*>(rows + k * row + j), V8)
                         : V8{};
    so3::transpose(x);
    NB_UNROLL for (int i = 0; i < w; ++i) if (j + i < n) columns[(j + i) * step] = x[i];
  }
}
/// The same for lanes with or without tangents: edges e .. e + count - 1 of an edge array.
template <class T, class Real>
NB_INLINE void scatter(const T* columns, int n, PlaneBuffer<Real>& a, int row, std::int64_t e, int count) {
  if constexpr (is_dual<T>) {
    store_rows(&columns->value, 2, n, a.value.data() + e * row, row, count);
    store_rows(&columns->dot, 2, n, a.dot.data() + e * row, row, count);
  } else {
    store_rows(columns, 1, n, a.value.data() + e * row, row, count);
  }
}
template <class T, class Real>
NB_INLINE void gather(T* columns, int n, const PlaneBuffer<Real>& a, int row, std::int64_t e, int count) {
  if constexpr (is_dual<T>) {
    load_rows(&columns->value, 2, n, a.value.data() + e * row, row, count);
    load_rows(&columns->dot, 2, n, a.dot.data() + e * row, row, count);
  } else {
    load_rows(columns, 1, n, a.value.data() + e * row, row, count);
  }
}
/// f(l_max as a constant) for what most networks have: rows of harmonics stay in registers; else f(-1).
template <class F> NB_INLINE void with_l_max(int l_max, F f) {
  if (l_max == 3) f(std::integral_constant<int, 3>{});
  else if (l_max == 2) f(std::integral_constant<int, 2>{});
  else f(std::integral_constant<int, -1>{});
}
}  // namespace detail

template <bool dual, class Real> void edges_forward(Edges<Real>& s) {
  using namespace detail;
  using T = std::conditional_t<dual, Dual<V8>, V8>;
  const int n_lm = (s.l_max + 1) * (s.l_max + 1);
  const double norm = std::sqrt(4 * M_PI);
  T Y[(max_l_network + 1) * (max_l_network + 1)], B[max_basis], dB[max_basis];
  if constexpr (!dual) s.choose_tables();
  s.resize_functions(dual);
  for (std::size_t k = 0; k < s.radials.size(); ++k)
    if (!s.is_wanted(int(k)) && !s.table(int(k))) s.B[k].clear(dual);  // padding of what splines and networks write
  for (std::int64_t e = 0; e < s.n; e += edges_per_register) {
    const int count = int(std::min<std::int64_t>(edges_per_register, s.n - e));
    const T x = load_edges<T>(s.r, e), y = load_edges<T>(s.r, s.stride() + e),
            z = load_edges<T>(s.r, 2 * s.stride() + e);
    const T square = x * x + y * y + z * z + tiny, inverse = inverse_square_root(square), length = square * inverse;
    const T unit = s.solid() ? x * 0.0 + 1 / s.radials[0].radial.cutoff : inverse;
    with_l_max(s.l_max, [&](auto fixed) { so3::harmonics<fixed>(s.l_max, x * unit, y * unit, z * unit, Y); });
    for (int lm = 0; lm < n_lm; ++lm) Y[lm] = Y[lm] * norm;
    scatter(Y, n_lm, s.Y, s.Y_row, e, count);
    for (std::size_t k = 0; k < s.radials.size(); ++k) {
      const int row = s.B_row(int(k));
      if constexpr (!dual) {
        if (const RadialTable<Real>* table = s.table(int(k))) {
          constexpr int active = BSplines::active;
          TableEdges<Real>& t = s.tables[k];
          V8 N[active], dN[active];
          table->at(length, count, s.elements.empty() ? nullptr : s.elements.data() + e, t.first.data() + e, N, dN);
          store_rows(N, 1, active, t.N.data() + e * active, active, count);
          store_rows(dN, 1, active, t.dN.data() + e * active, active, count);
          continue;
        }
        if (const RadialSpline* spline = s.spline(int(k)))
          spline->forward(reinterpret_cast<const double*>(&length), count, s.B[k].value.data() + e * row, row);
      }
      if (!s.is_wanted(int(k))) continue;
      const Radial& radial = s.radials[k].radial;
      if (radial.transformed()) {
        V8 r0 = V8{} + 1.0;
        for (int k = 0; k < count; ++k) r0[k] = radial.pair_length(s.elements[e + k][0], s.elements[e + k][1]);
        radial_functions(radial, length, B, dB, r0);
      } else {
        radial_functions(radial, length, B, dB, V8{});
      }
      scatter(B, radial.basis_width(), s.B[k], row, e, count);
      for (int n = 0; n < radial.basis_width(); ++n) store_edges(s.dB[k], n * s.stride() + e, dB[n]);
    }
  }
}

template <bool dual, class Real> void edges_adjoint(Edges<Real>& s) {
  using namespace detail;
  using T = std::conditional_t<dual, Dual<V8>, V8>;
  const int n_lm = (s.l_max + 1) * (s.l_max + 1);
  const double norm = std::sqrt(4 * M_PI);
  constexpr int most = (max_l_network + 1) * (max_l_network + 1);
  T Y[most], dY[3 * most], Y_bar[most], B_bar[max_basis];
  for (std::int64_t e = 0; e < s.n; e += edges_per_register) {
    const int count = int(std::min<std::int64_t>(edges_per_register, s.n - e));
    const T x = load_edges<T>(s.r, e), y = load_edges<T>(s.r, s.stride() + e),
            z = load_edges<T>(s.r, 2 * s.stride() + e);
    const T square = x * x + y * y + z * z + tiny, inverse = inverse_square_root(square), length = square * inverse;
    const T u[3] = {x * inverse, y * inverse, z * inverse};
    const double c_solid = s.solid() ? 1 / s.radials[0].radial.cutoff : 0;
    const T at[3] = {s.solid() ? x * c_solid : u[0], s.solid() ? y * c_solid : u[1], s.solid() ? z * c_solid : u[2]};
    with_l_max(s.l_max, [&](auto fixed) { so3::harmonics_gradient<fixed>(s.l_max, at[0], at[1], at[2], Y, dY); });
    T g[3] = {x * 0.0, x * 0.0, x * 0.0}, along = x * 0.0;
    gather(Y_bar, n_lm, s.Y_bar, s.Y_row, e, count);
    for (int lm = 1; lm < n_lm; ++lm)  // Y_00 is constant
      for (int c = 0; c < 3; ++c) g[c] += Y_bar[lm] * dY[c * n_lm + lm];
    for (int c = 0; c < 3; ++c) g[c] = g[c] * norm;
    for (int c = 0; c < 3; ++c) along += g[c] * u[c];
    T length_bar = x * 0.0;
    for (std::size_t k = 0; k < s.radials.size(); ++k) {
      const int row = s.B_row(int(k));
      if constexpr (!dual) {
        if (s.table(int(k))) {
          for (int q = 0; q < count; ++q)
            for (int lane = 0; lane < width<Real>; ++lane)
              length_bar[q] += double(s.tables[k].slope[(e + q) * width<Real> + lane]);
          continue;
        }
        if (const RadialSpline* spline = s.spline(int(k)))
          spline->adjoint(reinterpret_cast<const double*>(&length), count, s.B_bar[k].value.data() + e * row, row,
                          reinterpret_cast<double*>(&length_bar));
      }
      if (!s.is_wanted(int(k))) continue;
      const int width = s.radials[k].radial.basis_width();
      gather(B_bar, width, s.B_bar[k], row, e, count);
      for (int n = 0; n < width; ++n) length_bar += B_bar[n] * load_edges<T>(s.dB[k], n * s.stride() + e);
    }
    // through the unit vector only what is perpendicular to it passes, over r
    for (int c = 0; c < 3; ++c)
      store_edges(s.r_bar, c * s.stride() + e,
                  length_bar * u[c] + (s.solid() ? g[c] * c_solid : (g[c] - along * u[c]) * inverse));
  }
}

template void edges_forward<false, double>(Edges<double>&);
template void edges_forward<true, double>(Edges<double>&);
template void edges_forward<false, float>(Edges<float>&);
template void edges_forward<true, float>(Edges<float>&);
template void edges_adjoint<false, double>(Edges<double>&);
template void edges_adjoint<true, double>(Edges<double>&);
template void edges_adjoint<false, float>(Edges<float>&);
template void edges_adjoint<true, float>(Edges<float>&);

}  // namespace nbcore
