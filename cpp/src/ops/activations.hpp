// Functions of a scalar, each with its derivative and scaled so that normal inputs keep unit size: its factor is one
// over the root mean square of f(x), x normal. All have derivatives of every order, except celu, whose second one jumps
// at zero; all but softplus and sigmoid are zero at zero. Where a state has parity, a function of an odd scalar has to be odd, and of
// these tanh is.
#pragma once
#include <string_view>
#include <type_traits>

#include "base/lanes.hpp"

namespace nbcore {

/// x / (1 + exp(-x)); tanh x; ln((1 + exp x) / 2), the shifted softplus; x, but below zero (exp(10 x) - 1) / 10;
/// ln(1 + exp x); 1 / (1 + exp(-x))
enum class Activation { silu, tanh, ssp, celu, softplus, sigmoid };

/// The one of this name; silu where there is none
inline Activation activation_named(std::string_view name) {
  return name == "tanh"       ? Activation::tanh
         : name == "ssp"      ? Activation::ssp
         : name == "celu"     ? Activation::celu
         : name == "softplus" ? Activation::softplus
         : name == "sigmoid"  ? Activation::sigmoid
                              : Activation::silu;
}

template <class T> struct ValueAndSlope {
  T value, slope;
};

template <class T> NB_INLINE T sigmoid(T x) { return reciprocal(exponential(-x) + RealOf<T>(1)); }
/// the tangent from the value: that of exp(-x) may be infinite
template <class T> NB_INLINE Dual<T> sigmoid(Dual<T> x) {
  const T s = sigmoid(x.value);
  return {s, s * (RealOf<T>(1) - s) * x.dot};
}

/// 2 artanh z, |z| <= 1/3, where its series converges fast
template <class T> NB_INLINE T twice_artanh(T z) {
  using Real = RealOf<T>;
  const T z2 = z * z;
  T series = z * Real(0);
  NB_UNROLL for (int n = sizeof(Real) == 8 ? 16 : 7; n >= 0; --n) series = series * z2 + Real(1.0 / (2 * n + 1));
  return z * series * Real(2);
}
/// ln((1 + exp x) / 2) to rounding, absolute and exactly zero at zero: with u = exp(-|x|) it is max(x, 0) plus
/// ln((1 + u) / 2) = 2 artanh z, z = (u - 1) / (u + 3)
template <class T> NB_INLINE T shifted_softplus(T x) {
  using Real = RealOf<T>;
  const T size = x < Real(0) ? -x : x, u = exponential(-size);
  return (x + size) * Real(0.5) + twice_artanh((u - Real(1)) / (u + Real(3)));
}
/// ln(1 + exp x) to rounding, relative: max(x, 0) plus ln(1 + u) = 2 artanh z, z = u / (u + 2)
template <class T> NB_INLINE T softplus(T x) {
  using Real = RealOf<T>;
  const T size = x < Real(0) ? -x : x, u = exponential(-size);
  return (x + size) * Real(0.5) + twice_artanh(u / (u + Real(2)));
}
template <class T> NB_INLINE Dual<T> softplus(Dual<T> x) {
  return {softplus(x.value), sigmoid(x.value) * x.dot};
}
template <class T> NB_INLINE Dual<T> shifted_softplus(Dual<T> x) {
  return {shifted_softplus(x.value), sigmoid(x.value) * x.dot};
}

/// x below zero, else zero
template <class T> NB_INLINE T negative_part(T x) { return x < RealOf<T>(0) ? x : x * RealOf<T>(0); }
template <class T> NB_INLINE Dual<T> negative_part(Dual<T> x) {
  return {negative_part(x.value), x.value < RealOf<T>(0) ? x.dot : x.dot * RealOf<T>(0)};
}

/// c f(x) and its derivative
template <Activation f, class T> NB_INLINE ValueAndSlope<T> activation(T x) {
  using Real = RealOf<T>;
  if constexpr (f == Activation::silu) {
    constexpr Real c = Real(1.6790);
    const T s = sigmoid(x), y = x * s;
    return {y * c, (s + y * (Real(1) - s)) * c};
  } else if constexpr (f == Activation::tanh) {
    constexpr Real c = Real(1.5925);
    const T s = sigmoid(x * Real(2));
    return {(s * Real(2) - Real(1)) * c, s * (Real(1) - s) * (4 * c)};
  } else if constexpr (f == Activation::ssp) {
    constexpr Real c = Real(1.8756);
    return {shifted_softplus(x) * c, sigmoid(x) * c};
  } else if constexpr (f == Activation::softplus) {
    constexpr Real c = Real(1.0419);
    return {softplus(x) * c, sigmoid(x) * c};
  } else if constexpr (f == Activation::celu) {
    constexpr Real c = Real(1.4080), a = Real(0.1);
    const T below = negative_part(x), e = exponential(below * (1 / a));
    return {(x - below + (e - Real(1)) * a) * c, e * c};
  } else {
    constexpr Real c = Real(1.8462);
    const T s = sigmoid(x);
    return {s * c, s * (Real(1) - s) * c};
  }
}
template <class T> NB_INLINE ValueAndSlope<T> silu(T x) { return activation<Activation::silu>(x); }

/// tanh(x^2) and its derivative: a number between 0 and 1, flat at zero
template <class T> NB_INLINE ValueAndSlope<T> tanh_square(T x) {
  using Real = RealOf<T>;
  const T s = sigmoid(x * x * Real(2));
  return {s * Real(2) - Real(1), x * s * (Real(1) - s) * Real(8)};
}

/// From the run-time choice to the templates: do_it(constant), where `activation<constant()>(x)` is the function
template <class F> void with_activation(Activation f, F do_it) {
  using enum Activation;
  switch (f) {
    case silu: return do_it(std::integral_constant<Activation, silu>{});
    case tanh: return do_it(std::integral_constant<Activation, tanh>{});
    case ssp: return do_it(std::integral_constant<Activation, ssp>{});
    case softplus: return do_it(std::integral_constant<Activation, softplus>{});
    case celu: return do_it(std::integral_constant<Activation, celu>{});
    case sigmoid: return do_it(std::integral_constant<Activation, sigmoid>{});
  }
}

/// y = f(x) of n numbers, whole registers
template <class Lane, class Real>
void activate(Activation f, Planes<Real> x, Planes<Real> y, std::ptrdiff_t n) {
  with_activation(f, [&](auto constant) {
    for (std::ptrdiff_t k = 0; k < n; k += width<Real>) put(y, k, activation<constant()>(load<Lane>(x, k)).value);
  });
}
/// x_bar += y_bar f'(x)
template <class Lane, class Real>
void activate_adjoint(Activation f, Planes<Real> x, Planes<Real> y_bar, Planes<Real> x_bar, std::ptrdiff_t n) {
  with_activation(f, [&](auto constant) {
    for (std::ptrdiff_t k = 0; k < n; k += width<Real>) {
      Lane sum = load<Lane>(x_bar, k);
      add_product(sum, load<Lane>(y_bar, k), activation<constant()>(load<Lane>(x, k)).slope);
      put(x_bar, k, sum);
    }
  });
}

}  // namespace nbcore
