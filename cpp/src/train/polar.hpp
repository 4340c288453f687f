// The orthogonal factor U V^T of a matrix X = U S V^T, about: U f(S) V^T with f near one, in single precision.
//
// No decomposition is made. A rational function of the small Gram matrix A = X^T X acts on singular values alone,
//   U f(S) V^T = X Q,   Q = c + sum_j b_j (A + a_j)^-1,   f(s) = s (c + sum_j b_j / (s^2 + a_j)),
// and of all such functions f is the one nearest to one on an interval (Zolotarev).
#pragma once
#include "base/buffer.hpp"

namespace nbcore {

class PolarFactor {
 public:
  /// Room for a matrix of `rows` x `columns`, rows >= columns: row i begins at i * stride(). To be filled by the caller
  /// with numbers of at most one, one of them at least of that size. Allocates where there was no room for such a one.
  float* matrix(int rows, int columns);
  std::ptrdiff_t stride() const { return stride_; }
  /// U f(S) V^T in the same layout; it stays until the next call
  const float* compute();

 private:
  float* at(Buffer<float>& M, std::ptrdiff_t row, std::ptrdiff_t column) const;
  void gram();
  void invert(float least);
  void mirror(Buffer<float>& M) const;

  int rows_ = 0, columns_ = 0;
  std::ptrdiff_t stride_ = 0, height_ = 0;  // columns in whole strips, in whole registers
  Buffer<float> x_, y_;
  Buffer<float> A_, T_, Q_;  // symmetric: by strips of columns, each from its diagonal down
  Buffer<float> panel_;      // a block of rows
};

}  // namespace nbcore
