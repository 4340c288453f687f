#include "train/polar.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/mixing.hpp"
#include "so3/transpose.hpp"

namespace nbcore {
namespace {

using Lane = Vector<float>;

// Symmetric matrices lie by strips of so many registers of columns, [strip][row][registers], as products want them.
// Narrow ones: of a strip all from its diagonal down is computed.
constexpr int per_strip = 2, w = vector_width<float>, strip = per_strip * w, tile_rows = register_bytes == 64 ? 12 : 6;

// c, and a_j, b_j. Singular values from 0.0014 to 1 end within 0.18 of one, smaller ones are multiplied by at most 690.
constexpr float constant = 1.005027f;
constexpr struct {
  float shift, weight;
} terms[] = {{1.085906e-5f, 7.196784e-3f}, {6.898375e-3f, 0.1675466f}};

Lane& lane_at(float* x) { return *reinterpret_cast<Lane*>(x); }

/// The sum of squares of n numbers, n a multiple of 8, in an order that no compiler changes
float squares(const float* x, std::ptrdiff_t n) {
  float sum[8] = {};
  for (std::ptrdiff_t k = 0; k < n; k += 8)
    for (int j = 0; j < 8; ++j) sum[j] += x[k + j] * x[k + j];
  return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

/// Y <- L^-1 Y for a register of columns, D = L L^T symmetric and positive, by rows of L^T and the inverses of its
/// diagonal
struct Cholesky {
  alignas(Lane) float rows[w][w];
  float inverse[w];

  /// Eigenvalues of D are at least `least`: rounding alone could bring a pivot below that.
  Cholesky(Lane (&D)[w], float least) {
    for (int p = 0; p < w; ++p) {
      lane_at(rows[p]) = D[p];
      inverse[p] = 1 / std::sqrt(std::max(rows[p][p], least));
      const Lane row = lane_at(rows[p]) = D[p] * inverse[p];
      for (int i = p + 1; i < w; ++i) D[i] -= rows[p][i] * row;
    }
  }
  void solve(Lane (&Y)[w]) const {
    NB_UNROLL for (int p = 0; p < w; ++p) {
      Y[p] *= inverse[p];
      NB_UNROLL for (int i = p + 1; i < w; ++i) Y[i] -= rows[p][i] * Y[p];
    }
  }
};

}  // namespace

float* PolarFactor::at(Buffer<float>& M, std::ptrdiff_t row, std::ptrdiff_t column) const {
  return M.data() + (column - column % strip) * stride_ + row * strip + column % strip;
}

float* PolarFactor::matrix(int rows, int columns) {
  rows_ = rows, columns_ = columns;
  stride_ = (columns + strip - 1) / strip * strip, height_ = (columns + w - 1) / w * w;
  x_.resize(rows * stride_), y_.resize(rows * stride_);
  panel_.resize(w * stride_);
  for (std::ptrdiff_t i = 0; i < rows; ++i) std::fill_n(x_.data() + i * stride_ + columns, stride_ - columns, 0.0f);
  for (Buffer<float>* square : {&A_, &T_, &Q_}) square->resize(stride_ * stride_);
  panel_.clear();
  return x_.data();
}

/// A = X^T X
void PolarFactor::gram() {
  A_.clear();
  for (std::ptrdiff_t n = 0; n < stride_; n += strip) {
    const detail::MixingFactors<float> factors[] = {{x_.data(), x_.data() + n}};
    auto* to = reinterpret_cast<Lane*>(at(A_, 0, n));
    detail::mixing_gradient_strip<per_strip, tile_rows>(factors, n, stride_, stride_, to, rows_, columns_);
  }
}

/// T = -S becomes S^-1, S symmetric with eigenvalues of at least `least`, by sweeps over all blocks k of a register's
/// width (Gauss-Jordan, for which T stays symmetric). With S_kk = L L^T, Y_j = L^-1 T_kj, Y_k = L^-1, and T_kj = T_jk = 0,
///   T_ij += Y_i^T Y_j    for all i, j.
void PolarFactor::invert(float least) {
  for (std::ptrdiff_t k = 0; k < height_; k += w) {
    Lane Y[w];
    const auto take = [&](std::ptrdiff_t row, std::ptrdiff_t column) {  // T is zero there from now on
      NB_UNROLL for (int i = 0; i < w; ++i) {
        Lane& from = lane_at(at(T_, row + i, column));
        Y[i] = from, from = Lane{};
      }
    };
    take(k, k);
    NB_UNROLL for (int i = 0; i < w; ++i) Y[i] = -Y[i];
    const Cholesky cholesky(Y, least);
    for (std::ptrdiff_t j = 0; j < height_; j += w) {
      if (j < k) take(k, j);
      else if (j > k) take(j, k), so3::transpose(Y);
      else NB_UNROLL for (int i = 0; i < w; ++i) Y[i] = Lane{}, Y[i][i] = 1;
      cholesky.solve(Y);
      NB_UNROLL for (int i = 0; i < w; ++i) lane_at(panel_.data() + i * stride_ + j) = Y[i];
    }
    for (std::ptrdiff_t n = 0; n < height_; n += strip) {
      const detail::MixingFactors<float> factors[] = {{panel_.data(), panel_.data() + n}};
      auto* to = reinterpret_cast<Lane*>(at(T_, 0, n));
      detail::mixing_gradient_strip<per_strip, tile_rows>(factors, n, stride_, stride_, to, w, int(height_));
    }
  }
}

/// What stands above the strips' diagonal blocks, from that below
void PolarFactor::mirror(Buffer<float>& M) const {
  for (std::ptrdiff_t column = w; column < height_; column += w)
    for (std::ptrdiff_t row = 0; row < column; row += w) {
      Lane part[w];
      NB_UNROLL for (int k = 0; k < w; ++k) part[k] = lane_at(at(M, column + k, row));
      so3::transpose(part);
      NB_UNROLL for (int k = 0; k < w; ++k) lane_at(at(M, row + k, column)) = part[k];
    }
}

const float* PolarFactor::compute() {
  gram();
  // The fourth root of the sum of s^4 bounds all singular values s, more closely than the root of the sum of s^2.
  float sum = 0;
  for (std::ptrdiff_t n = 0; n < stride_; n += strip) {
    const std::ptrdiff_t below = std::min(n + strip, height_);
    sum += squares(at(A_, n, n), (below - n) * strip) + 2 * squares(at(A_, below, n), (height_ - below) * strip);
  }
  const float scale = 1 / std::sqrt(sum);
  const auto each = [&](auto f) {  // pairs of places of the two buffers' lower parts
    for (std::ptrdiff_t n = 0; n < stride_; n += strip) f(n * stride_ + n * strip, (height_ - n) * strip);
  };
  Q_.clear();
  for (const auto& [shift, weight] : terms) {
    const float *A = A_.data();
    float *T = T_.data(), *Q = Q_.data();
    each([&](std::ptrdiff_t k, std::ptrdiff_t n) {
      for (const std::ptrdiff_t end = k + std::max<std::ptrdiff_t>(n, 0); k < end; ++k) T[k] = -scale * A[k];
    });
    for (std::ptrdiff_t i = 0; i < height_; ++i) *at(T_, i, i) -= shift;
    invert(shift);
    each([&, weight = weight](std::ptrdiff_t k, std::ptrdiff_t n) {  // clang captures no structured binding
      for (const std::ptrdiff_t end = k + std::max<std::ptrdiff_t>(n, 0); k < end; ++k) Q[k] += weight * T[k];
    });
  }
  const float root = std::sqrt(scale);
  for (std::ptrdiff_t i = 0; i < height_; ++i) *at(Q_, i, i) += constant;
  for (std::ptrdiff_t k = 0; k < stride_ * stride_; ++k) Q_.data()[k] *= root;
  mirror(Q_);
  for (std::ptrdiff_t n = 0; n < stride_; n += strip)
    detail::mixing_strip<per_strip, false, tile_rows>(x_.data(), stride_, reinterpret_cast<const Lane*>(at(Q_, 0, n)),
                                                      y_.data() + n, stride_, rows_, columns_);
  return y_.data();
}

}  // namespace nbcore
