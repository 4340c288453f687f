#include "train/polar.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "ops/mixing.hpp"
#include "so3/transpose.hpp"

namespace nbcore {
namespace {

// Products go by strips of so many registers of columns. Narrow ones: of a symmetric matrix a strip is computed from
// its diagonal down.
constexpr int registers = 2, strip = registers * width<float>, tile_rows = register_bytes == 64 ? 12 : 6;

// a to e of each step. Singular values from 0.00185 to 1 end within a quarter of one, smaller ones are multiplied by 439.
constexpr float coefficients[][5] = {
    {14.95793f, -146.5209f, 487.6322f, -626.8204f, 272.7235f},
    {6.81586f, -16.50939f, 13.96161f, -4.587734f, 0.5114285f},
    {4.304312f, -9.13416f, 8.237573f, -3.040923f, 0.3890036f},
};

Simd<float>* registers_at(float* x) { return reinterpret_cast<Simd<float>*>(x); }

/// The sum of squares of n numbers, n a multiple of 8, in an order that no compiler changes
float squares(const float* x, std::ptrdiff_t n) {
  float sum[8] = {};
  for (std::ptrdiff_t k = 0; k < n; k += 8)
    for (int j = 0; j < 8; ++j) sum[j] += x[k + j] * x[k + j];
  return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

}  // namespace

float* PolarFactor::matrix(int rows, int columns) {
  rows_ = rows, columns_ = columns, stride_ = (columns + strip - 1) / strip * strip;
  x_.resize(rows * stride_), y_.resize(rows * stride_), packed_.resize(columns * stride_);
  for (std::ptrdiff_t i = 0; i < rows; ++i) std::fill_n(x_.data() + i * stride_ + columns, stride_ - columns, 0.0f);
  for (Buffer<float>* square : {&A_, &A2_, &P_, &Q_, &T_}) {
    square->resize(stride_ * stride_);
    std::fill_n(square->data() + columns * stride_, (stride_ - columns) * stride_, 0.0f);
  }
  return x_.data();
}

/// T by strips, as products want it
void PolarFactor::pack(const float* T) {
  float* to = packed_.data();
  for (std::ptrdiff_t n = 0; n < stride_; n += strip)
    for (int k = 0; k < columns_; ++k, to += strip) std::memcpy(to, T + k * stride_ + n, strip * sizeof(float));
}

/// The part of a symmetric matrix above the strips' diagonal blocks, from that below
void PolarFactor::mirror(float* C) const {
  constexpr int w = width<float>;
  for (std::ptrdiff_t n = strip; n < stride_; n += strip)
    for (std::ptrdiff_t j = n; j < n + strip; j += w)
      for (std::ptrdiff_t i = 0; i < n; i += w) {
        Simd<float> block[w];
        for (int k = 0; k < w; ++k) block[k] = *registers_at(C + (j + k) * stride_ + i);
        so3::transpose(block);
        for (int k = 0; k < w; ++k) *registers_at(C + (i + k) * stride_ + j) = block[k];
      }
}

void PolarFactor::product(const float* S, const float* T, float* C) {
  pack(T);
  for (std::ptrdiff_t n = 0; n < stride_; n += strip)
    detail::mixing_strip<registers, false, tile_rows>(S + n * stride_, stride_,
                                                      registers_at(packed_.data() + n * columns_), C + n * stride_ + n,
                                                      stride_, columns_ - n, columns_);
  mirror(C);
}

void PolarFactor::gram() {
  packed_.clear();
  for (std::ptrdiff_t n = 0; n < stride_; n += strip) {
    const detail::MixingFactors<float> factors[] = {{x_.data(), x_.data() + n}};
    float* sums = packed_.data() + n * columns_;
    detail::mixing_gradient_strip<registers, tile_rows>(factors, n, stride_, stride_, registers_at(sums), rows_,
                                                        columns_);
    for (std::ptrdiff_t k = n; k < columns_; ++k)
      std::memcpy(A_.data() + k * stride_ + n, sums + k * strip, strip * sizeof(float));
  }
  mirror(A_.data());
}

const float* PolarFactor::compute() {
  const std::ptrdiff_t size = std::ptrdiff_t(columns_) * stride_;
  float *A = A_.data(), *A2 = A2_.data(), *P = P_.data(), *Q = Q_.data(), *T = T_.data();
  const auto add_identity = [&](float* to, float factor) {
    for (std::ptrdiff_t i = 0; i < columns_; ++i) to[i * stride_ + i] += factor;
  };
  gram();
  product(A, A, A2);
  // The eighth root of the sum of s^8 bounds all singular values s, more closely than the root of the sum of s^2.
  const float scale = 1 / std::sqrt(std::sqrt(squares(A2, size)));
  for (std::ptrdiff_t k = 0; k < size; ++k) A[k] *= scale, A2[k] *= scale * scale;

  bool begun = false;
  for (const auto& [a, b, c, d, e] : coefficients) {
    if (begun) {
      product(P, A, T), product(T, P, A);
      product(A, A, A2);
    }
    for (std::ptrdiff_t k = 0; k < size; ++k) T[k] = d * A[k] + e * A2[k];
    add_identity(T, c);
    product(A2, T, P);
    for (std::ptrdiff_t k = 0; k < size; ++k) P[k] += b * A[k];
    add_identity(P, a);
    if (begun) {
      product(Q, P, T);
      std::swap(Q, T);
    } else std::copy_n(P, size, Q);
    begun = true;
  }
  const float root = std::sqrt(scale);
  for (std::ptrdiff_t k = 0; k < size; ++k) Q[k] *= root;
  pack(Q);
  for (std::ptrdiff_t n = 0; n < stride_; n += strip)
    detail::mixing_strip<registers, false, tile_rows>(x_.data(), stride_, registers_at(packed_.data() + n * columns_),
                                                      y_.data() + n, stride_, rows_, columns_);
  return y_.data();
}

}  // namespace nbcore
