// Lanes: what kernels are templates on.
//
//   Simd<Real>           one native register of channels (or of edges), a GCC/Clang vector; in the set `warp` one of the
//                        32 numbers of a register, that of the lane which asks (base/warp.hpp)
//   Dual<Simd<Real>>     such a register with its tangent
//
// In memory, value and tangent lie in separate planes (Planes); a dual kernel touches both, a plain one only the first.
// The scalars that multiply a lane (harmonics, radial functions) are Real or Dual<Real>; parameters never have a
// tangent. Written with load, store, product and add_product, a kernel has one text for the plain and for the dual
// sweep, and what has no tangent costs nothing: the types know it. Why duals: the gradient of a force loss is a tangent
// of the gradient of an energy (train/training_set.hpp).
#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/warp.hpp"

namespace nbcore {

/// f(0) ... f(n-1), unrolled; n = 0 stands for a number known at run time only.
template <int n, class F> NB_INLINE void repeat(int n_run, F f) {
  if constexpr (n > 0) {
  NB_UNROLL for (int k = 0; k < n; ++k) f(k);
  } else {
    for (int k = 0; k < n_run; ++k) f(k);
  }
}

// The core is compiled once per kernel set, the bindings once for all: to them registers are incomplete types, so that
// nothing that depends on their width can get into the bindings.
template <class Real> struct Register;

/// The smallest multiple of the register width that holds n numbers. Rows of channels are padded to 64 bytes, or warps.
template <class Real, class Integer> constexpr Integer padded(Integer n);

#ifdef NBCORE_KERNEL_SET
#if defined(__AVX512F__)
inline constexpr int register_bytes = 64;
#elif defined(__AVX__)
inline constexpr int register_bytes = 32;
#else
inline constexpr int register_bytes = 16;
#endif

template <class Real> struct VectorRegister {
  typedef Real type __attribute__((vector_size(register_bytes)));
};
#ifdef NBCORE_WARP
template <class Real> struct Register {
  using type = Real;
};
#else
template <class Real> struct Register : VectorRegister<Real> {};
#endif

/// A register of the processor, for what is no text of a gate and runs on processors alone
template <class Real> using Vector = typename VectorRegister<Real>::type;
template <class Real> inline constexpr int vector_width = int(sizeof(Vector<Real>) / sizeof(Real));

template <class Real, class Integer> constexpr Integer padded(Integer n) {
  constexpr Integer unit = lanes_are_threads ? warp_size : 64 / sizeof(Real);
  return (n + unit - 1) / unit * unit;
}
#endif

template <class Real> using Simd = typename Register<Real>::type;
template <class Real> inline constexpr int width = warp_size * int(sizeof(Simd<Real>) / sizeof(Real));

template <class T> struct Dual {
  T value, dot;
};

template <class T> inline constexpr bool is_dual = false;
template <class T> inline constexpr bool is_dual<Dual<T>> = true;

template <class T>
concept Number = std::is_arithmetic_v<T>;

template <class T> struct LaneTraits {
  using Real = std::remove_cvref_t<decltype(std::declval<T&>()[0])>;
  using Plain = T;
  using Scalar = Real;
};
template <Number T> struct LaneTraits<T> {
  using Real = T;
  using Plain = T;
  using Scalar = T;
};
template <class T> struct LaneTraits<Dual<T>> : LaneTraits<T> {
  using Scalar = Dual<typename LaneTraits<T>::Real>;
};
template <class Lane> using RealOf = typename LaneTraits<Lane>::Real;
template <class Lane> using PlainOf = typename LaneTraits<Lane>::Plain;
template <class Lane> using ScalarOf = typename LaneTraits<Lane>::Scalar;

// ---- bilinear arithmetic: each of the products of a dual pair is one fused multiply-add of its own ----

template <class T> NB_INLINE T value_of(T x) { return x; }
template <class T> NB_INLINE T value_of(Dual<T> x) { return x.value; }

/// sum += a b
template <class S, class A, class B> NB_INLINE void add_product(S& sum, A a, B b) {
  if constexpr (is_dual<S>) {
    sum.value += value_of(a) * value_of(b);
    if constexpr (is_dual<A>) sum.dot += a.dot * value_of(b);
    if constexpr (is_dual<B>) sum.dot += value_of(a) * b.dot;
  } else {
    sum += a * b;
  }
}

/// sum -= a b
template <class S, class A, class B> NB_INLINE void subtract_product(S& sum, A a, B b) {
  if constexpr (is_dual<S>) {
    sum.value -= value_of(a) * value_of(b);
    if constexpr (is_dual<A>) sum.dot -= a.dot * value_of(b);
    if constexpr (is_dual<B>) sum.dot -= value_of(a) * b.dot;
  } else {
    sum -= a * b;
  }
}

/// a b; dual if one of them is
template <class A, class B> NB_INLINE auto product(A a, B b) {
  if constexpr (is_dual<A> && is_dual<B>) {
    auto dot = a.dot * b.value;
    dot += a.value * b.dot;
    return Dual<decltype(dot)>{a.value * b.value, dot};
  } else if constexpr (is_dual<A>) {
    return Dual<decltype(a.dot * b)>{a.value * b, a.dot * b};
  } else if constexpr (is_dual<B>) {
    return Dual<decltype(a * b.dot)>{a * b.value, a * b.dot};
  } else {
    return a * b;
  }
}

/// What a pair contributes to the adjoint of a parameter. Plain: sum += a b. Dual: its tangent alone,
/// sum += a_dot b + a b_dot, which is the share in the loss gradient; nobody wants the value plane.
template <class S, class A, class B> NB_INLINE void add_gradient(S& sum, A a, B b) {
  if constexpr (is_dual<A>) {
    sum += a.dot * b.value;
    sum += a.value * b.dot;
  } else {
    sum += a * b;
  }
}

// ---- the other arithmetic of duals, for geometry: sums, differences, quotients, functions ----

template <class T> NB_INLINE Dual<T> operator+(Dual<T> a, Dual<T> b) { return {a.value + b.value, a.dot + b.dot}; }
template <class T> NB_INLINE Dual<T> operator-(Dual<T> a, Dual<T> b) { return {a.value - b.value, a.dot - b.dot}; }
template <class T> NB_INLINE Dual<T> operator-(Dual<T> a) { return {-a.value, -a.dot}; }
template <class T> NB_INLINE Dual<T> operator*(Dual<T> a, Dual<T> b) { return product(a, b); }
template <class T, Number S> NB_INLINE Dual<T> operator*(Dual<T> a, S c) { return {a.value * c, a.dot * c}; }
template <class T, Number S> NB_INLINE Dual<T> operator*(S c, Dual<T> a) { return a * c; }
template <class T, Number S> NB_INLINE Dual<T> operator+(Dual<T> a, S c) { return {a.value + c, a.dot}; }
template <class T, Number S> NB_INLINE Dual<T> operator+(S c, Dual<T> a) { return a + c; }
template <class T, Number S> NB_INLINE Dual<T> operator-(Dual<T> a, S c) { return {a.value - c, a.dot}; }
template <class T, Number S> NB_INLINE Dual<T> operator-(S c, Dual<T> a) { return {c - a.value, -a.dot}; }
template <class T> NB_INLINE Dual<T>& operator+=(Dual<T>& a, Dual<T> b) {
  a.value += b.value, a.dot += b.dot;
  return a;
}

/// f applied to every number of a register (or to a plain number)
template <class T, class F> NB_INLINE T each(T x, F f) {
  if constexpr (std::is_arithmetic_v<T>) {
    return f(x);
  } else {
    T y;
    for (int k = 0; k < int(sizeof(T) / sizeof(x[0])); ++k) y[k] = f(x[k]);
    return y;
  }
}

template <class T> NB_INLINE T reciprocal(T x) { return RealOf<T>(1) / x; }
template <class T> NB_INLINE Dual<T> reciprocal(Dual<T> x) {
  const T y = reciprocal(x.value);
  return {y, -(y * y) * x.dot};
}
template <class T> NB_INLINE T square_root(T x) {
  return each(x, [](auto a) { return std::sqrt(a); });
}
template <class T> NB_INLINE Dual<T> square_root(Dual<T> x) {
  const T y = square_root(x.value);
  return {y, x.dot * (RealOf<T>(0.5) / y)};
}
/// 1 / sqrt x: where the processor estimates it to 14 bits, by Newton's steps, a third of the time of root and
/// division.
template <class T> NB_INLINE T inverse_square_root(T x) {
  using Real = RealOf<T>;
#if defined(__AVX512F__) && !defined(NBCORE_WARP)
  constexpr bool wide = sizeof(Real) == 8;
  const T half = x * Real(0.5);
  T y;
  if constexpr (wide) y = __builtin_ia32_rsqrt14pd512_mask(x, x, 0xff);
  else y = __builtin_ia32_rsqrt14ps512_mask(x, x, 0xffff);
  NB_UNROLL for (int step = 0; step < (wide ? 2 : 1); ++step) y = y + y * (Real(0.5) - half * y * y);
  return y;
#else
  return Real(1) / square_root(x);
#endif
}
template <class T> NB_INLINE Dual<T> inverse_square_root(Dual<T> x) {
  const T y = inverse_square_root(x.value);
  return {y, y * (y * (y * x.dot)) * RealOf<T>(-0.5)};  // y^3 may overflow where x.dot is zero
}
/// exp x to 2 units in the last place, x = k ln 2 + y: Taylor's series in y, times 2^k. Arithmetic alone, as with sines.
/// Infinite from 709 on (88 in single precision), zero below -708 (-87).
template <class T> NB_INLINE T exponential(T x) {
  if constexpr (std::is_arithmetic_v<T>) {
    return std::exp(x);
  } else {
    using Real = RealOf<T>;
    using Whole = decltype(x < x);
    constexpr bool wide = sizeof(Real) == 8;
    constexpr Real rounding = wide ? 6755399441055744.0 : 12582912.0, most = wide ? 709 : 88, least = wide ? -708 : -87,
                   high = wide ? 6.93147180369123816490e-01 : 0.693359375,
                   low = wide ? 1.90821492927058770002e-10 : -2.12194440e-4;
    const T zero = {};
    T inside = x > most ? zero + most : x;
    inside = inside < least ? zero + least : inside;
    const T shifted = inside * Real(1.4426950408889634074) + rounding, k = shifted - rounding;
    const T y = (inside - k * high) - k * low;
    T series = zero + Real(1);
    NB_UNROLL for (int n = wide ? 13 : 7; n >= 1; --n) series = series * y * Real(1.0 / n) + Real(1);
    const Whole power = ((Whole)shifted + (wide ? 1023 : 127)) << (wide ? 52 : 23);
    T result = series * (T)power;
    result = x < least ? zero : result;
    return x > most ? zero + std::numeric_limits<Real>::infinity() : result;
  }
}
template <class T> NB_INLINE Dual<T> exponential(Dual<T> x) {
  const T y = exponential(x.value);
  return {y, y * x.dot};
}
/// ln x of normal positive numbers: x = 2^k m, m from sqrt(1/2) to sqrt(2), ln m = 2 artanh((m - 1) / (m + 1))
template <class T> NB_INLINE T logarithm(T x) {
  if constexpr (std::is_arithmetic_v<T>) {
    return std::log(x);
  } else {
    using Real = RealOf<T>;
    using Whole = decltype(x < x);
    constexpr bool wide = sizeof(Real) == 8;
    constexpr int bits = wide ? 52 : 23, bias = wide ? 1023 : 127;
    const auto mantissa = (decltype(Whole{}[0] + 0))((1ll << bits) - 1);
    const Whole raw = (Whole)x;
    Whole k = (raw >> bits) - bias;
    T m = (T)((raw & mantissa) | ((Whole{} + bias) << bits));
    const auto large = m > Real(1.4142135623730951);
    m = large ? m * Real(0.5) : m;
    k = large ? k + 1 : k;
    const T z = (m - Real(1)) / (m + Real(1)), z2 = z * z;
    T series = z * Real(0);
  NB_UNROLL for (int n = wide ? 11 : 5; n >= 0; --n) series = series * z2 + Real(1.0 / (2 * n + 1));
    return z * series * Real(2) + __builtin_convertvector(k, T) * Real(0.69314718055994530942);
  }
}
template <class T> NB_INLINE Dual<T> logarithm(Dual<T> x) { return {logarithm(x.value), x.dot * reciprocal(x.value)}; }
template <class T> struct SineCosine {
  T sine, cosine;
};
namespace detail {
inline constexpr auto inverse_factorial = [] {
  std::array<double, 22> all{1};
  for (int n = 1; n < 22; ++n) all[n] = all[n - 1] / n;
  return all;
}();
}  // namespace detail
/// sin x and cos x of doubles to an absolute 2e-16, |x| up to some thousands: x = k pi + y, |y| <= pi/2, and Taylor's
/// series in y to y^21 and y^20. Arithmetic alone, so that it is done for all numbers of a register at once.
template <class T> NB_INLINE SineCosine<T> sine_and_cosine(T x) {
  constexpr double rounding = 6755399441055744.0;  // 1.5 2^52: whole numbers alone are left
  constexpr double pi_high = 3.141592653589793116, pi_low = 1.2246467991473532072e-16;
  const T k = (x * (1 / pi_high) + rounding) - rounding, half = k * 0.5, odd = half - ((half + rounding) - rounding);
  const T y = (x - k * pi_high) - k * pi_low, z = y * y, sign = 1.0 - odd * odd * 8.0;
  T s = z * 0.0, c = z * 0.0;
  NB_UNROLL for (int n = 10; n >= 1; --n) {
    s = s * z + (n % 2 ? -1 : 1) * detail::inverse_factorial[2 * n + 1];
    c = c * z + (n % 2 ? -1 : 1) * detail::inverse_factorial[2 * n];
  }
  return {(y + y * (s * z)) * sign, (c * z + 1.0) * sign};
}
template <class T> NB_INLINE SineCosine<Dual<T>> sine_and_cosine(Dual<T> x) {
  const auto [s, c] = sine_and_cosine(x.value);
  return {{s, c * x.dot}, {c, -s * x.dot}};
}

// ---- memory ----

/// Where an array lies: its value plane and, for dual kernels, its tangent plane.
template <class T> struct Planes {
  T* value = nullptr;
  T* dot = nullptr;
  Planes operator+(std::ptrdiff_t k) const { return {value + k, dot ? dot + k : nullptr}; }
};

#ifdef NBCORE_WARP
/// Registers one behind the other in memory, counted from x
template <class Real> struct Registers {
  Real* first;  // number of this lane in register 0
  NB_INLINE Real& operator[](std::ptrdiff_t k) const { return first[k * warp_size]; }
  NB_INLINE Registers operator+(std::ptrdiff_t k) const { return {first + k * warp_size}; }
};
template <class Real> NB_INLINE Registers<Real> registers(Real* x) { return {x + lane()}; }
#define NB_RESTRICT
#else
template <class Real> using Registers =
    std::conditional_t<std::is_const_v<Real>, const Simd<std::remove_const_t<Real>>, Simd<std::remove_const_t<Real>>>*;
template <class Real> NB_INLINE Registers<Real> registers(Real* x) { return reinterpret_cast<Registers<Real>>(x); }
#define NB_RESTRICT __restrict
#endif
template <class Real> NB_INLINE Simd<Real> load_register(const Real* x) { return registers(x)[0]; }
template <class Real> NB_INLINE void store_register(Real* x, Simd<Real> a) { registers(x)[0] = a; }

/// One register of channels at element k of an array of numbers; k keeps to the alignment of rows.
template <class Lane, class Real> NB_INLINE Lane load(Planes<Real> x, std::ptrdiff_t k) {
  if constexpr (is_dual<Lane>) return {load_register(x.value + k), load_register(x.dot + k)};
  else return load_register(x.value + k);
}
template <class Real> NB_INLINE void store(Planes<Real> x, std::ptrdiff_t k, Simd<Real> a) {
  store_register(x.value + k, a);
}
template <class Real> NB_INLINE void store(Planes<Real> x, std::ptrdiff_t k, Dual<Simd<Real>> a) {
  store_register(x.value + k, a.value);
  store_register(x.dot + k, a.dot);
}

/// The plane that a sweep leaves in states and adjoints: a plain one values; a dual one, which follows it, tangents
/// alone. What is computed for a value that nobody stores is left out by the compiler.
template <class Lane, class Real> NB_INLINE Real* written(Planes<Real> x) { return is_dual<Lane> ? x.dot : x.value; }
template <class Real> NB_INLINE void put(Planes<Real> x, std::ptrdiff_t k, Simd<Real> a) {
  store_register(x.value + k, a);
}
template <class Real> NB_INLINE void put(Planes<Real> x, std::ptrdiff_t k, Dual<Simd<Real>> a) {
  store_register(x.dot + k, a.dot);
}
template <class T> NB_INLINE void put(T& x, T y) { x = y; }
template <class T> NB_INLINE void put(Dual<T>& x, Dual<T> y) { x.dot = y.dot; }

/// One scalar that multiplies lanes: Real or Dual<Real>.
template <class Scalar, class Real> NB_INLINE Scalar load_scalar(Planes<Real> x, std::ptrdiff_t k) {
  if constexpr (is_dual<Scalar>)
    return {x.value[k], x.dot[k]};
  else
    return x.value[k];
}
/// x[k] += a, once, whatever the number of lanes that call it
template <class Scalar, class Real> NB_INLINE void add_scalar(Planes<Real> x, std::ptrdiff_t k, Scalar a) {
  once([&] {
    if constexpr (is_dual<Scalar>) x.value[k] += a.value, x.dot[k] += a.dot;
    else x.value[k] += a;
  });
}

/// The register whose lane k is f(k)
template <class Real, class F> NB_INLINE Simd<Real> of_each_lane(F f) {
  if constexpr (lanes_are_threads) {
    return f(lane());
  } else {
    Simd<Real> x;
    for (int k = 0; k < width<Real>; ++k) x[k] = f(k);
    return x;
  }
}

// ---- sums over the lanes of registers ----

#ifdef NBCORE_WARP
/// All lanes call it, and each gets the sum.
template <Number Real> NB_INLINE Real lane_sum(Real x) { return sum_of_lanes(x); }
#endif
template <class V> NB_INLINE RealOf<V> lane_sum(V x) {
  RealOf<V> sum = 0;
  for (int k = 0; k < int(sizeof(V) / sizeof(x[0])); ++k) sum += x[k];
  return sum;
}
template <class V> NB_INLINE Dual<RealOf<V>> lane_sum(Dual<V> x) { return {lane_sum(x.value), lane_sum(x.dot)}; }

namespace detail {
/// Lanes k and k^step of a are added into the lanes whose bit `step` is clear, those of b into the others.
template <int step, class V, int... k> NB_INLINE V fold(V a, V b, std::integer_sequence<int, k...>) {
  constexpr int n = sizeof...(k);
  return __builtin_shufflevector(a, b, (k & step ? n + k : k)...) +
         __builtin_shufflevector(a, b, (k & step ? n + (k ^ step) : (k ^ step))...);
}
template <int step, int w, class V> NB_INLINE void fold_all(V* x) {
  constexpr auto lanes = std::make_integer_sequence<int, w>{};
  if constexpr (step < w) {
    NB_UNROLL for (int i = 0; i < w / step / 2; ++i) x[i] = fold<step>(x[2 * i], x[2 * i + 1], lanes);
    fold_all<2 * step, w>(x);
  }
}
}  // namespace detail

/// The register whose lane i is the sum over the lanes of x[i], i = 0 .. width-1: a transposed reduction. Overwrites x.
template <class V> NB_INLINE V transposed_sum(V* x) {
  constexpr int w = sizeof(V) / sizeof(x[0][0]);
  detail::fold_all<1, w>(x);
  return x[0];
}

/// sums[i] += sum over the lanes of x[i], i < n. Registers up to the next multiple of the width must exist (as zeros).
template <class Real> NB_INLINE void add_lane_sums(const Simd<Real>* x, int n, Real* sums) {
  if constexpr (lanes_are_threads) {
    for (int i = 0; i < n; ++i) {
      const Real total = lane_sum(x[i]);
      once([&] { sums[i] += total; });
    }
  } else {
    constexpr int w = width<Real>;
    for (int i = 0; i < n; i += w) {
      Simd<Real> group[w];
      NB_UNROLL for (int k = 0; k < w; ++k) group[k] = x[i + k];
      const Simd<Real> total = transposed_sum(group);
      for (int k = 0; k < w && i + k < n; ++k) sums[i + k] += total[k];
    }
  }
}

}  // namespace nbcore
