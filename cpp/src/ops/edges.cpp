#include "ops/edges.hpp"

#include "so3/harmonics.hpp"

namespace nbcore {

namespace detail {
using V8 = Simd<double>;
inline constexpr int edges_per_register = width<double>;
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
/// column j of rows e .. e+count-1, one edge per lane
template <class T, class Real>
NB_INLINE void scatter(PlaneBuffer<Real>& a, int row, std::int64_t e, int count, int j, T x) {
  for (int k = 0; k < count; ++k) {
    a.value[(e + k) * row + j] = Real(value_of(x)[k]);
    if constexpr (is_dual<T>) a.dot[(e + k) * row + j] = Real(x.dot[k]);
  }
}
template <class T, class Real>
NB_INLINE T gather(const PlaneBuffer<Real>& a, int row, std::int64_t e, int count, int j) {
  T x{};
  for (int k = 0; k < count; ++k) {
    if constexpr (is_dual<T>) x.value[k] = a.value[(e + k) * row + j], x.dot[k] = a.dot[(e + k) * row + j];
    else x[k] = a.value[(e + k) * row + j];
  }
  return x;
}
}  // namespace detail

template <bool dual, class Real> void edges_forward(Edges<Real>& s) {
  using namespace detail;
  using T = std::conditional_t<dual, Dual<V8>, V8>;
  const int n_lm = (s.l_max + 1) * (s.l_max + 1);
  const double norm = std::sqrt(4 * M_PI);
  T Y[(max_l_network + 1) * (max_l_network + 1)], B[max_radial], dB[max_radial];
  for (std::size_t k = 0; k < s.radials.size(); ++k) s.B[k].clear(dual);  // padding
  for (std::int64_t e = 0; e < s.n; e += edges_per_register) {
    const int count = int(std::min<std::int64_t>(edges_per_register, s.n - e));
    const T x = load_edges<T>(s.r, e), y = load_edges<T>(s.r, s.stride() + e),
            z = load_edges<T>(s.r, 2 * s.stride() + e);
    const T length = square_root(x * x + y * y + z * z + tiny), inverse = reciprocal(length);
    const T unit = s.solid() ? x * 0.0 + 1 / s.radials[0].radial.cutoff : inverse;
    so3::harmonics(s.l_max, x * unit, y * unit, z * unit, Y);
    for (int lm = 0; lm < n_lm; ++lm) scatter(s.Y, s.Y_row, e, count, lm, Y[lm] * norm);
    for (std::size_t k = 0; k < s.radials.size(); ++k) {
      const int row = s.B_row(int(k));
      if constexpr (!dual)
        if (const RadialSpline* spline = s.spline(int(k)))
          spline->forward(reinterpret_cast<const double*>(&length), count, s.B[k].value.data() + e * row, row);
      if (!s.is_wanted(int(k))) continue;
      const Radial& radial = s.radials[k].radial;
      radial_functions(radial, length, B, dB);
      for (int n = 0; n < radial.n; ++n) scatter(s.B[k], row, e, count, n, B[n]);
    }
  }
}

template <bool dual, class Real> void edges_adjoint(Edges<Real>& s) {
  using namespace detail;
  using T = std::conditional_t<dual, Dual<V8>, V8>;
  const int n_lm = (s.l_max + 1) * (s.l_max + 1);
  const double norm = std::sqrt(4 * M_PI);
  T Y[(max_l_network + 1) * (max_l_network + 1)], dY[3 * (max_l_network + 1) * (max_l_network + 1)], B[max_radial],
      dB[max_radial];
  for (std::int64_t e = 0; e < s.n; e += edges_per_register) {
    const int count = int(std::min<std::int64_t>(edges_per_register, s.n - e));
    const T x = load_edges<T>(s.r, e), y = load_edges<T>(s.r, s.stride() + e),
            z = load_edges<T>(s.r, 2 * s.stride() + e);
    const T length = square_root(x * x + y * y + z * z + tiny), inverse = reciprocal(length);
    const T u[3] = {x * inverse, y * inverse, z * inverse};
    const double c_solid = s.solid() ? 1 / s.radials[0].radial.cutoff : 0;
    if (s.solid()) so3::harmonics_gradient(s.l_max, x * c_solid, y * c_solid, z * c_solid, Y, dY);
    else so3::harmonics_gradient(s.l_max, u[0], u[1], u[2], Y, dY);
    T g[3] = {x * 0.0, x * 0.0, x * 0.0}, along = x * 0.0;
    for (int lm = 1; lm < n_lm; ++lm) {  // Y_00 is constant
      const T Y_bar = gather<T>(s.Y_bar, s.Y_row, e, count, lm) * norm;
      for (int c = 0; c < 3; ++c) g[c] += Y_bar * dY[c * n_lm + lm];
    }
    for (int c = 0; c < 3; ++c) along += g[c] * u[c];
    T length_bar = x * 0.0;
    for (std::size_t k = 0; k < s.radials.size(); ++k) {
      const int row = s.B_row(int(k));
      if constexpr (!dual)
        if (const RadialSpline* spline = s.spline(int(k)))
          spline->adjoint(reinterpret_cast<const double*>(&length), count, s.B_bar[k].value.data() + e * row, row,
                          reinterpret_cast<double*>(&length_bar));
      if (!s.is_wanted(int(k))) continue;
      const Radial& radial = s.radials[k].radial;
      radial_functions(radial, length, B, dB);
      for (int n = 0; n < radial.n; ++n) length_bar += gather<T>(s.B_bar[k], row, e, count, n) * dB[n];
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
