// Powers of positive registers: x^p with its derivative by x, by squaring where p is a whole number, else through
// the logarithm; and functions of radial.hpp, which are computed in double, of registers of either precision.
#pragma once
#include <cmath>

#include "base/lanes.hpp"

namespace nbcore {

template <class T> struct PowerAndSlope {
  T value, slope;
};
/// x^p and p x^(p - 1), p >= 1; x may be zero where p is a whole number
template <class T> NB_INLINE PowerAndSlope<T> power(T x, double p) {
  using Real = RealOf<T>;
  T below = x * Real(0) + Real(1);  // x^(p - 1)
  if (p == std::floor(p)) {
    T square = x;
    for (int k = int(p) - 1; k > 0; k /= 2) {
      if (k % 2) below = product(below, square);
      square = product(square, square);
    }
  } else {
    below = exponential(logarithm(x) * Real(p - 1));
  }
  return {product(below, x), below * Real(p)};
}

/// A register of doubles with as many numbers as there are in T
template <class T> struct DoublesOf {
  typedef double type __attribute__((vector_size(sizeof(T) / sizeof(RealOf<T>) * sizeof(double))));
};
template <Number T> struct DoublesOf<T> {
  using type = double;
};
/// The numbers of x as those of another type
template <class To, class T> NB_INLINE To converted(T x) {
  if constexpr (std::is_arithmetic_v<T>) return To(x);
  else return __builtin_convertvector(x, To);
}

/// f(x), f a function of registers of doubles to a struct Result<T> of two such numbers
template <template <class> class Result, class F, class T> NB_INLINE Result<T> in_double(F f, T x) {
  if constexpr (is_dual<T>) {
    using Plain = PlainOf<T>;
    if constexpr (sizeof(RealOf<Plain>) == 8) {
      return f(x);
    } else {
      using Wide = typename DoublesOf<Plain>::type;
      const auto y = f(Dual<Wide>{converted<Wide>(x.value), converted<Wide>(x.dot)});
      const auto narrow = [](const Dual<Wide>& a) { return T{converted<Plain>(a.value), converted<Plain>(a.dot)}; };
      return {narrow(y.f), narrow(y.df)};
    }
  } else if constexpr (sizeof(RealOf<T>) == 8) {
    return f(x);
  } else {
    const auto y = f(converted<typename DoublesOf<T>::type>(x));
    return {converted<T>(y.f), converted<T>(y.df)};
  }
}

}  // namespace nbcore
