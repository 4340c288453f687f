// silu(x) = x / (1 + exp(-x)), the pointwise non-linearity on scalars, scaled so that normal inputs keep unit size:
// 1.679 is one over the root mean square of silu(x), x normal. It is zero at zero.
#pragma once
#include "base/lanes.hpp"

namespace nbcore {

inline constexpr double silu_norm = 1.6790;

template <class T> struct Silu {
  T value, slope;
};

template <class T> NB_INLINE T sigmoid(T x) { return reciprocal(exponential(-x) + RealOf<T>(1)); }
/// the tangent from the value: that of exp(-x) may be infinite
template <class T> NB_INLINE Dual<T> sigmoid(Dual<T> x) {
  const T s = sigmoid(x.value);
  return {s, s * (RealOf<T>(1) - s) * x.dot};
}

/// c silu(x) and its derivative
template <class T> NB_INLINE Silu<T> silu(T x) {
  using Real = RealOf<T>;
  const T s = sigmoid(x), y = x * s;
  return {y * Real(silu_norm), (s + y * (Real(1) - s)) * Real(silu_norm)};
}

}  // namespace nbcore
