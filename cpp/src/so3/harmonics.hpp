// Real solid harmonics and their gradients, as polynomials in x, y, z: no angles, no poles, no branches on values.
#pragma once
#include <array>
#include <cmath>
#include <functional>
#include <numbers>
#include <type_traits>
#include <utility>

#include "base/lanes.hpp"
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
  std::array<Real, l_supported + 1> sectoral{};    // S_ll from S_{l-1,l-1}
  std::array<Real, size> rise{}, fall{};           // S_l = rise z S_{l-1} - fall r^2 S_{l-2}
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

namespace detail {

/// row(l) for l = 1..l_max. Where l_max is a constant, `fixed`, so is l: the loops over m unroll and rows stay in
/// registers.
template <int fixed, class Row> NB_INLINE void by_rows(int l_max, Row row) {
  if constexpr (fixed >= 0) {
    [&]<int... l>(std::integer_sequence<int, l...>) {
      (row(std::integral_constant<int, l + 1>{}), ...);
    }(std::make_integer_sequence<int, fixed>{});
  } else {
    for (int l = 1; l <= l_max; ++l) row(l);
  }
}

/// f(m) for m = 2..l-2
template <class L, class F> NB_INLINE void between(L l, F f) {
  if constexpr (std::is_same_v<L, int>) {
    for (int m = 2; m <= l - 2; ++m) f(m);
  } else {
    repeat<(L::value > 3 ? L::value - 3 : 0)>(0, [&](int m) { f(m + 2); });
  }
}

/// Row l of solid harmonics, S[-l] .. S[l], from the two before it, which lie before it in memory.
template <class L, class T> NB_INLINE void next_row(L l, T x, T y, T z, T r2, T* S) {
  const auto& table = harmonics_table<typename Constant<T>::Type>();
  const auto *rise = table.rise.data() + l * (l + 1) / 2, *fall = table.fall.data() + l * (l + 1) / 2;
  const T *one = S - 2 * l, *two = S - 4 * l + 2;  // (l - 1, 0), (l - 2, 0)
  const T cx = x * table.sectoral[l];
  const T cy = y * table.sectoral[l];
  if (l == 1) {
    S[-1] = cy * one[0], S[0] = z * rise[0] * one[0], S[1] = cx * one[0];
    return;
  }
  const auto both = [&](int m) {
    const T up = z * rise[m], down = r2 * fall[m];
    S[-m] = up * one[-m] - down * two[-m], S[m] = up * one[m] - down * two[m];
  };
  S[0] = z * rise[0] * one[0] - r2 * fall[0] * two[0];
  if (l > 2) both(1);
  between(l, both);
  const T up = z * rise[l - 1];
  S[1 - l] = up * one[1 - l], S[l - 1] = up * one[l - 1];
  S[-l] = cx * one[1 - l] + cy * one[l - 1], S[l] = cx * one[l - 1] - cy * one[1 - l];
}

/// put(m, d/dx, d/dy, d/dz) of row l of solid harmonics, m = -l..l, from the row before, one[-l + 1] .. one[l - 1].
/// scaled(c) is the constant c times what all derivatives are to be multiplied with.
template <class L, class T, class Scaled, class Put>
NB_INLINE void row_gradient(L l, const T* one, Scaled scaled, Put put) {
  const auto& table = harmonics_table<typename Constant<T>::Type>();
  const int k = l * (l + 1) / 2;
  const auto *lower = table.lower.data() + k, *higher = table.higher.data() + k, *dz = table.dz.data() + k;
  const T zero = Constant<T>::make(0);
  /// Of m and -m; there is no sine at m - 1 = 0, and row l - 1 ends at m = l - 1.
  const auto both = [&]<bool has_sine, bool has_same, bool has_higher>(int m) {
    const auto low = scaled(lower[m]);
    const T cosine = one[m - 1] * low;
    T x = cosine, x_sine = zero, minus_y = zero, y_sine = cosine, z = zero, z_sine = zero;
    if constexpr (has_sine) minus_y = x_sine = one[1 - m] * low;
    if constexpr (has_higher) {
      const auto high = scaled(higher[m]);
      x = x - one[m + 1] * high, x_sine = x_sine - one[-m - 1] * high;
      minus_y = minus_y + one[-m - 1] * high, y_sine = y_sine + one[m + 1] * high;
    }
    if constexpr (has_same) {
      const auto same = scaled(dz[m]);
      z = one[m] * same, z_sine = one[-m] * same;
    }
    put(-m, x_sine, y_sine, z_sine), put(m, x, has_sine || has_higher ? -minus_y : zero, z);
  };
  const T z = one[0] * scaled(dz[0]);
  if (l == 1) {
    put(0, zero, zero, z), both.template operator()<false, false, false>(1);
    return;
  }
  const auto high = scaled(higher[0]);
  put(0, -(one[1] * high), -(one[-1] * high), z);
  if (l == 2) {
    both.template operator()<false, true, false>(1);
  } else {
    both.template operator()<false, true, true>(1);
    between(l, [&](int m) { both.template operator()<true, true, true>(m); });
    both.template operator()<true, true, false>(l - 1);
  }
  both.template operator()<true, false, false>(l);
}

template <class T> T harmonic_of_zero() {
  return Constant<T>::make(0.5 * std::numbers::inv_sqrtpi_v<typename Constant<T>::Type>);
}

}  // namespace detail

/// Real solid harmonics S_lm(x, y, z) = r^l Y_lm: on the unit sphere the orthonormal spherical harmonics Y_lm
/// themselves. No Condon-Shortley sign: S_1 = sqrt(3 / 4 pi) (y, z, x). Row by row,
///
///     S_lm = rise z S_{l-1,m} - fall r^2 S_{l-2,m},
///     S_l,l + i S_l,-l = sectoral (x + i y) (S_{l-1,l-1} + i S_{l-1,1-l})
///
/// Y[l l + l + m] is overwritten, l = 0..l_max, 0 <= l_max <= l_supported (not checked). T is double, float, a GCC
/// vector register or a number type with T + T, T - T, -T, T * T and T * constant (see Constant). `fixed` is l_max
/// where that is known to the compiler.
template <int fixed = -1, class T> NB_INLINE void harmonics(int l_max, T x, T y, T z, T* Y) {
  const T r2 = x * x + y * y + z * z;
  Y[0] = detail::harmonic_of_zero<T>();
  detail::by_rows<fixed>(l_max, [&](auto l) { detail::next_row(l, x, y, z, r2, Y + l * l + l); });
}

/// put(l, lm, d/dx, d/dy, d/dz) for all solid harmonics S[(l_max + 1)^2], or for a derivative of them: rows l are made
/// of rows l - 1 (Varshalovich et al., section 5.8; c without Condon-Shortley sign, and sqrt(2) where m - 1 or m is 0):
///
///     dS_lm/dz = dz S_{l-1,m},  (d/dx -+ i d/dy) (S_l,m + i S_l,-m) = +2 lower ( )_{l-1,m-1},  -2 higher ( )_{l-1,m+1}
///
/// What put does not use is not computed. Derivatives commute with these sums, so applied to gradients they give second
/// derivatives.
template <class T, class Put> NB_INLINE void differentiate(int l_max, const T* S, Put put) {
  const T zero = Constant<T>::make(0);
  put(0, 0, zero, zero, zero);
  detail::by_rows<-1>(l_max, [&](auto l) {
    const int row = l * l + l;
    detail::row_gradient(l, S + row - 2 * l, std::identity{}, [&](int m, T x, T y, T z) { put(l, row + m, x, y, z); });
  });
}

/// harmonics, and dY[3][(l_max + 1)^2]: the gradient of the solid harmonics S_lm, also overwritten.
template <int fixed = -1, class T> NB_INLINE void harmonics_gradient(int l_max, T x, T y, T z, T* Y, T* dY) {
  const int n_lm = (l_max + 1) * (l_max + 1);
  const T r2 = x * x + y * y + z * z;
  Y[0] = detail::harmonic_of_zero<T>();
  for (int a = 0; a < 3; ++a) dY[a * n_lm] = Constant<T>::make(0);
  detail::by_rows<fixed>(l_max, [&](auto l) {
    T *S = Y + l * l + l, *dx = dY + l * l + l, *dy = dx + n_lm, *dz = dy + n_lm;
    detail::next_row(l, x, y, z, r2, S);
    detail::row_gradient(l, S - 2 * l, std::identity{}, [&](int m, T x, T y, T z) { dx[m] = x, dy[m] = y, dz[m] = z; });
  });
}

/// harmonics_gradient, and the second derivatives ddY[6][(l_max + 1)^2]: xx, xy, xz, yy, yz, zz.
template <class T> void harmonics_hessian(int l_max, T x, T y, T z, T* Y, T* dY, T* ddY) {
  const int n = (l_max + 1) * (l_max + 1);
  harmonics_gradient(l_max, x, y, z, Y, dY);
  differentiate(l_max, dY, [&](int, int lm, T x, T y, T z) { ddY[lm] = x, ddY[n + lm] = y, ddY[2 * n + lm] = z; });
  differentiate(l_max, dY + n, [&](int, int lm, T, T y, T z) { ddY[3 * n + lm] = y, ddY[4 * n + lm] = z; });
  differentiate(l_max, dY + 2 * n, [&](int, int lm, T, T, T z) { ddY[5 * n + lm] = z; });
}

}  // namespace nbcore::so3
