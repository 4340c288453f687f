// Real solid harmonics and their gradients, as polynomials in x, y, z: no angles, no poles, no branches on values.
#pragma once
#include <array>
#include <cmath>
#include <numbers>
#include <type_traits>
#include <utility>

#include "so3/clebsch_gordan.hpp"  // l_supported

namespace nbcore::so3 {

/// The floating-point type of the constants that multiply a T: T itself, the element of a GCC vector register,
/// that of T::value for pairs of value and tangent, double for any other number type.
template <class T> struct Constant {
  static constexpr auto find() {
    if constexpr (std::is_floating_point_v<T>) return T{};
    else if constexpr (requires(T t) { t.value; })
      return typename Constant<std::remove_cvref_t<decltype(std::declval<T>().value)>>::Type{};
    else if constexpr (requires(T t) { t[0]; }) return std::remove_cvref_t<decltype(std::declval<T>()[0])>{};
    else return double{};
  }
  using Type = decltype(find());

  /// The constant c as a T, without tangent.
  static T make(Type c) {
    if constexpr (std::is_floating_point_v<T>) return c;
    else if constexpr (requires(T t) { t.value; }) {
      T t{};
      t.value = Constant<std::remove_cvref_t<decltype(t.value)>>::make(c);
      return t;
    } else if constexpr (requires(T t) { t[0]; }) return T{} + c;
    else return T(c);
  }
};

/// The numbers of the recursions below; entry l (l + 1) / 2 + m belongs to (l, m), m = 0..l.
template <class Real> struct HarmonicsTable {
  static constexpr int size = (l_supported + 1) * (l_supported + 2) / 2;
  std::array<Real, l_supported + 1> sectoral{};    // S_mm from S_{m-1,m-1}
  std::array<Real, size> rise{}, fall{};           // Q_l = rise z Q_{l-1} - fall r^2 Q_{l-2}
  std::array<Real, size> dz{}, lower{}, higher{};  // d/dz: S_{l-1,m}; d/dx, d/dy: S_{l-1,m-1} and S_{l-1,m+1}

  HarmonicsTable() {
    for (int l = 0; l <= l_supported; ++l) {
      sectoral[l] = Real(l == 1 ? std::sqrt(3.0) : l == 0 ? 1 : std::sqrt((2 * l + 1) / (2.0 * l)));
      for (int m = 0; m <= l; ++m) {
        const int k = l * (l + 1) / 2 + m;
        const double ll = l * l, mm = m * m;
        if (l > m) rise[k] = Real(std::sqrt((4 * ll - 1) / (ll - mm)));
        if (l > m + 1) fall[k] = Real(std::sqrt((2 * l + 1) * ((l - 1.0) * (l - 1) - mm) / ((2 * l - 3) * (ll - mm))));
        if (l == 0) continue;
        const double ratio = (2 * l + 1) / (2 * l - 1.0);
        dz[k] = Real(std::sqrt(ratio * (ll - mm)));
        lower[k] = Real(std::sqrt(ratio * (l + m) * (l + m - 1) * (m == 1 ? 2 : 1)) / 2);
        higher[k] = Real(std::sqrt(ratio * (l - m) * (l - m - 1) * (m == 0 ? 0.5 : 0.25)));
      }
    }
  }
};

template <class Real> const HarmonicsTable<Real>& harmonics_table() {
  static const HarmonicsTable<Real> table;
  return table;
}

/// Real solid harmonics S_lm(x, y, z) = r^l Y_lm: on the unit sphere the orthonormal spherical harmonics Y_lm
/// themselves. No Condon-Shortley sign: S_1 = sqrt(3 / 4 pi) (y, z, x). With z-polynomials Q normalised so that Q_mm =
/// 1,
///
///     S_l,m + i S_l,-m = Q_lm(z, r^2) sqrt(...) (x + i y)^m,    Q_lm = rise z Q_{l-1,m} - fall r^2 Q_{l-2,m}
///
/// Y[l l + l + m] is overwritten, l = 0..l_max, 0 <= l_max <= l_supported (not checked). T is double, float, a GCC
/// vector register or a number type with T + T, T - T, T * T and T * constant (see Constant).
template <class T> void harmonics(int l_max, T x, T y, T z, T* Y) {
  const auto& table = harmonics_table<typename Constant<T>::Type>();
  const T r2 = x * x + y * y + z * z;
  T cosine = Constant<T>::make(0.5 * std::numbers::inv_sqrtpi_v<typename Constant<T>::Type>);
  T sine = Constant<T>::make(0);
  for (int m = 0; m <= l_max; ++m) {
    if (m > 0) {
      const T next = (x * cosine - y * sine) * table.sectoral[m];
      sine = (x * sine + y * cosine) * table.sectoral[m];
      cosine = next;
      Y[m * m + m - m] = sine;
    }
    Y[m * m + m + m] = cosine;
    T Q_before = z, Q = z;  // overwritten before they are read
    for (int l = m + 1; l <= l_max; ++l) {
      const int k = l * (l + 1) / 2 + m;
      const T Q_next = l == m + 1   ? z * table.rise[k]
                       : l == m + 2 ? z * Q * table.rise[k] - r2 * table.fall[k]
                                    : z * Q * table.rise[k] - r2 * Q_before * table.fall[k];
      Q_before = Q;
      Q = Q_next;
      if (m > 0) Y[l * l + l - m] = Q * sine;
      Y[l * l + l + m] = Q * cosine;
    }
  }
}

/// d/dx, d/dy and d/dz of solid harmonics S[(l_max + 1)^2], or of a derivative of them: rows l are made of rows l - 1
/// (Varshalovich et al., section 5.8; c without Condon-Shortley sign, and sqrt(2) where m - 1 or m is 0):
///
///     dS_lm/dz = dz S_{l-1,m},  (d/dx -+ i d/dy) (S_l,m + i S_l,-m) = +2 lower ( )_{l-1,m-1},  -2 higher ( )_{l-1,m+1}
///
/// Of which a place is given (not nullptr) that is overwritten. Derivatives commute with these sums, so applied to
/// gradients they give second derivatives.
template <class T> void differentiate(int l_max, const T* S_all, T* dx, T* dy, T* dz) {
  const auto& table = harmonics_table<typename Constant<T>::Type>();
  const T zero = Constant<T>::make(0);
  for (T* first : {dx, dy, dz})
    if (first) first[0] = zero;
  for (int l = 1; l <= l_max; ++l) {
    const T* S = S_all + (l - 1) * (l - 1) + l - 1;  // S[m], |m| <= l - 1
    const int row = l * l + l;                       // of (l, 0)
    for (int m = 0; m <= l; ++m) {
      const int k = l * (l + 1) / 2 + m;
      const bool has_higher = m + 1 <= l - 1, has_same = m <= l - 1, has_lower_sine = m >= 2;
      const T cosine_higher = has_higher ? S[m + 1] * table.higher[k] : zero;
      const T sine_higher = has_higher ? S[-m - 1] * table.higher[k] : zero;
      if (m > 0) {
        const T cosine_lower = S[m - 1] * table.lower[k];
        const T sine_lower = has_lower_sine ? S[1 - m] * table.lower[k] : zero;
        if (dx) dx[row + m] = cosine_lower - cosine_higher, dx[row - m] = sine_lower - sine_higher;
        if (dy) dy[row + m] = zero - sine_higher - sine_lower, dy[row - m] = cosine_higher + cosine_lower;
        if (dz) dz[row - m] = has_same ? S[-m] * table.dz[k] : zero;
      } else {
        if (dx) dx[row] = zero - cosine_higher;
        if (dy) dy[row] = zero - sine_higher;
      }
      if (dz) dz[row + m] = has_same ? S[m] * table.dz[k] : zero;
    }
  }
}

/// harmonics, and dY[3][(l_max + 1)^2]: the gradient of the solid harmonics S_lm, also overwritten.
/// The gradient of Y_lm(r / |r|) at a unit vector n is dY_lm - l Y_lm n.
template <class T> void harmonics_gradient(int l_max, T x, T y, T z, T* Y, T* dY) {
  const int n_lm = (l_max + 1) * (l_max + 1);
  harmonics(l_max, x, y, z, Y);
  differentiate(l_max, Y, dY, dY + n_lm, dY + 2 * n_lm);
}

/// harmonics_gradient, and the second derivatives ddY[6][(l_max + 1)^2]: xx, xy, xz, yy, yz, zz.
template <class T> void harmonics_hessian(int l_max, T x, T y, T z, T* Y, T* dY, T* ddY) {
  const int n = (l_max + 1) * (l_max + 1);
  T* const none = nullptr;
  harmonics_gradient(l_max, x, y, z, Y, dY);
  differentiate(l_max, dY, ddY, ddY + n, ddY + 2 * n);
  differentiate(l_max, dY + n, none, ddY + 3 * n, ddY + 4 * n);
  differentiate(l_max, dY + 2 * n, none, none, ddY + 5 * n);
}

}  // namespace nbcore::so3
