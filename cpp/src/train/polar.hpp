// The orthogonal factor U V^T of a matrix X = U S V^T, about: U f(S) V^T with f near one, in single precision.
//
// No decomposition is made. Polynomials of the small Gram matrix A = X^T X act on singular values alone: one step is
//   X <- X P,   P = a + b A + c A^2 + d A^3 + e A^4,
// whose odd polynomial of degree nine, s p(s^2), is the one nearest to one on the interval where the steps before have
// brought the singular values. Steps are taken on A <- P A P and on the product of all P; X is multiplied once.
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
  void product(const float* S, const float* T, float* C);  // of symmetric matrices that commute
  void mirror(float* C) const;
  void pack(const float* T);
  void gram();

  int rows_ = 0, columns_ = 0;
  std::ptrdiff_t stride_ = 0;
  Buffer<float> x_, y_, packed_, A_, A2_, P_, Q_, T_;
};

}  // namespace nbcore
