// The equivariant linear layer is one tall matrix product per part,
//
//   forward   C[row][n] (+)= sum_k A[row][k] W[k][n]
//   adjoint   A_bar[row][k] += sum_n C_bar[row][n] W[k][n]        the same product, with the packed transpose
//             W_bar[k][n]   += sum_row A[row][k] C_bar[row][n]
//
// rows = nodes x (2l+1), k and n = channels in and out.
//
// Micro-kernel: 6 rows x 4 registers of columns (2 where there are only 16 registers), k in order, one FMA per term:
// the bits of a row depend on that row alone, never on how many rows stand beside it. W is packed in strips,
// [strip][K][registers].
#pragma once
#include "base/lanes.hpp"

namespace nbcore {

inline constexpr int mixing_rows = 6, mixing_registers = register_bytes == 64 ? 4 : 2;

namespace detail {

/// What W[k] is: a register of gates, or one of the processor where it does what is no gate (train/polar.cpp)
template <class Weights> using RegisterOf = std::remove_cvref_t<decltype(std::declval<Weights>()[0])>;
template <class V, class Real> inline constexpr int numbers_of =
    std::is_arithmetic_v<V> ? width<Real> : int(sizeof(V) / sizeof(Real));
template <class V, class Real> NB_INLINE V load_as(const Real* x) {
  if constexpr (std::is_arithmetic_v<V>) return load_register(x);
  else return *reinterpret_cast<const V*>(x);
}
template <class V, class Real> NB_INLINE void store_as(Real* x, V a) {
  if constexpr (std::is_arithmetic_v<V>) store_register(x, a);
  else *reinterpret_cast<V*>(x) = a;
}

/// Asks for a register that is wanted soon
template <class T> NB_INLINE void prefetch(T registers) {
  if constexpr (std::is_pointer_v<T>) __builtin_prefetch(registers);
}

template <int rows, int registers, bool accumulate, class Real, class Weights>
NB_INLINE void mixing_tile(const Real* A, std::ptrdiff_t lda, Weights W, Real* C, std::ptrdiff_t ldc, int K) {
  using V = RegisterOf<Weights>;
  V sum[rows][registers] = {};
  if constexpr (accumulate) {
  NB_UNROLL for (int i = 0; i < rows; ++i)
      NB_UNROLL for (int j = 0; j < registers; ++j) sum[i][j] = load_as<V>(C + i * ldc + j * numbers_of<V, Real>);
  }
  for (int k = 0; k < K; ++k) {
    // of large matrices a strip lies in L2 only
    NB_UNROLL for (int j = 0; j < registers; ++j) prefetch(W + ((k + 6) * registers + j));
    NB_UNROLL for (int i = 0; i < rows; ++i)
      NB_UNROLL for (int j = 0; j < registers; ++j) sum[i][j] += A[i * lda + k] * W[k * registers + j];
  }
  NB_UNROLL for (int i = 0; i < rows; ++i)
    NB_UNROLL for (int j = 0; j < registers; ++j) store_as<V>(C + i * ldc + j * numbers_of<V, Real>, sum[i][j]);
}

template <int registers, bool accumulate, int rows, class Real, class Weights>
[[gnu::noinline]] void mixing_strip(const Real* A, std::ptrdiff_t lda, Weights W, Real* C, std::ptrdiff_t ldc, std::ptrdiff_t n_rows, int K) {
  std::ptrdiff_t i = 0;
  for (; i + rows <= n_rows; i += rows) mixing_tile<rows, registers, accumulate>(A + i * lda, lda, W, C + i * ldc, ldc, K);
  if constexpr (rows > 1)
    if (i < n_rows) mixing_strip<registers, accumulate, rows - 1>(A + i * lda, lda, W, C + i * ldc, ldc, n_rows - i, K);
}

/// A pair of factors of a gradient: rows of A and of C_bar
template <class Real> struct MixingFactors {
  const Real *A, *C_bar;
};

/// W_bar[k .. k+depth-1][registers of the strip] += sum over factors and rows of A[row][k ..] C_bar[row][..]
template <int depth, int registers, std::size_t n, class Real, class Weights>
NB_INLINE void mixing_gradient_tile(const MixingFactors<Real> (&factors)[n], std::ptrdiff_t k, std::ptrdiff_t lda, std::ptrdiff_t ldc, Weights W_bar, std::ptrdiff_t n_rows) {
  using V = RegisterOf<Weights>;
  V sum[depth][registers];
  NB_UNROLL for (int i = 0; i < depth; ++i)
    NB_UNROLL for (int j = 0; j < registers; ++j) sum[i][j] = W_bar[i * registers + j];
  for (const auto& [A, C_bar] : factors)
    for (std::ptrdiff_t row = 0; row < n_rows; ++row) {
      NB_UNROLL for (int j = 0; j < registers; ++j) {
        const V c = load_as<V>(C_bar + row * ldc + j * numbers_of<V, Real>);
        NB_UNROLL for (int i = 0; i < depth; ++i) sum[i][j] += A[row * lda + k + i] * c;
      }
    }
  NB_UNROLL for (int i = 0; i < depth; ++i)
    NB_UNROLL for (int j = 0; j < registers; ++j) W_bar[i * registers + j] = sum[i][j];
}

template <int registers, int depth, std::size_t n, class Real, class Weights>
[[gnu::noinline]] void mixing_gradient_strip(const MixingFactors<Real> (&factors)[n], std::ptrdiff_t k, std::ptrdiff_t lda, std::ptrdiff_t ldc, Weights W_bar, std::ptrdiff_t n_rows, int K) {
  for (; k + depth <= K; k += depth) mixing_gradient_tile<depth, registers>(factors, k, lda, ldc, W_bar + k * registers, n_rows);
  if constexpr (depth > 1)
    if (k < K) mixing_gradient_strip<registers, depth - 1>(factors, k, lda, ldc, W_bar, n_rows, K);
}

/// f(first column, number of registers as a constant) for every strip of N columns
template <class Real, class F> NB_INLINE void each_strip(int N, F f) {
  constexpr int w = width<Real>;
  int n = 0;
  for (; n + mixing_registers * w <= N; n += mixing_registers * w) f(n, std::integral_constant<int, mixing_registers>{});
  for (; n < N; n += w) f(n, std::integral_constant<int, 1>{});
}

}  // namespace detail

/// f(k, n) for every W[k][n] in the order in which they are packed
template <class Real, class F> void each_packed(int K, int N, F f) {
  detail::each_strip<Real>(N, [&](int first, auto registers) {
    for (int k = 0; k < K; ++k)
      for (int n = first; n < first + registers * width<Real>; ++n) f(k, n);
  });
}

/// C (+)= A W. A [n_rows][lda >= K], W packed, C [n_rows][ldc >= N], N a multiple of the register width.
template <bool accumulate, class Real>
void mix(const Real* A, std::ptrdiff_t lda, const Real* W, Real* C, std::ptrdiff_t ldc, std::ptrdiff_t n_rows, int K, int N) {
  sync();  // A may be what other lanes wrote, and is read number by number
  detail::each_strip<Real>(N, [&](int n, auto registers) {
    const auto strip = nbcore::registers(W + std::ptrdiff_t(n) * K);
    // one register: twice the rows, or too few sums are under way
    detail::mixing_strip<registers, accumulate, registers == 1 ? 2 * mixing_rows : mixing_rows>(A, lda, strip, C + n, ldc, n_rows, K);
  });
  sync();
}

/// W_bar += sum over factors of A^T C_bar, W_bar packed like W: loaded and stored once.
template <std::size_t n, class Real>
void mix_gradient(const detail::MixingFactors<Real> (&factors)[n], std::ptrdiff_t lda, std::ptrdiff_t ldc, Real* W_bar, std::ptrdiff_t n_rows, int K, int N) {
  sync();
  detail::each_strip<Real>(N, [&](int column, auto registers) {
    detail::MixingFactors<Real> strip[n];
    for (std::size_t f = 0; f < n; ++f) strip[f] = {factors[f].A, factors[f].C_bar + column};
    const auto W_strip = nbcore::registers(W_bar + std::ptrdiff_t(column) * K);
    detail::mixing_gradient_strip<registers, mixing_rows>(strip, 0, lda, ldc, W_strip, n_rows, K);
  });
  sync();
}
template <class Real>
void mix_gradient(const Real* A, std::ptrdiff_t lda, const Real* C_bar, std::ptrdiff_t ldc, Real* W_bar, std::ptrdiff_t n_rows, int K, int N) {
  mix_gradient<1, Real>({{A, C_bar}}, lda, ldc, W_bar, n_rows, K, N);
}

}  // namespace nbcore
