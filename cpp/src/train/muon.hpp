// Muon: steps of weight matrices along their orthogonalised momentum (Jordan and others 2024; Bernstein and Newhouse,
// arXiv:2409.20325), and AMSGrad for all other parameters.
//
// For a matrix W (rows x columns) with gradient G:
//   M <- mu M + (1 - mu) G,   N = mu M + (1 - mu) G                                        (momentum, Nesterov's look-ahead)
//   W <- (1 - lr decay) W - lr s O(N),   s = 0.2 sqrt(max(rows, columns)) sqrt(max(1, rows / columns))
// O(N) is U f(S) V^T of N = U S V^T with singular values f(S) near one, in single precision (polar.hpp): how near to one
// they come matters little. The rate of AMSGrad is rest_lr lr.
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "train/polar.hpp"

namespace nbcore {

class Muon {
 public:
  /// `count` matrices of `rows` x `columns`, row after row, one after the other, from parameter `first` on
  struct Matrices {
    std::int64_t first, count, rows, columns;
  };
  Muon(double lr, std::vector<Matrices> matrices, double momentum, double beta2, double eps, double weight_decay,
       double rest_lr, int threads);

  /// One step, in place; errors as Sgd::step, and InputError where a matrix reaches beyond the parameters or into
  /// another one. The same bits for any number of threads.
  void step(std::span<double> theta, std::span<const double> gradient);

  int threads() const { return threads_; }
  void set_threads(int threads);
  /// From now on a step orthogonalises and moves the matrices of one part alone, 0 <= part < parts; those of the others
  /// it leaves to whoever has their part. Moments, and parameters in no matrix, are everybody's.
  void take_part(int part, int parts);
  /// (first, count) of the parameters of the matrices of a part, among n
  std::vector<std::pair<std::int64_t, std::int64_t>> matrices_of(int part, std::int64_t n);

  double lr, momentum, beta2, eps, weight_decay, rest_lr;
  std::vector<Matrices> matrices;
  std::int64_t steps = 0;
  std::vector<double> first, second, peak;  // M of all parameters; v and its largest of those in no matrix

 private:
  /// A matrix, or a range of parameters in no matrix (columns = 0)
  struct Piece {
    std::int64_t first, rows, columns;
    int part = 0;
  };
  void divide(std::int64_t n);
  void step_matrix(const Piece& piece, PolarFactor& polar, double* theta, const double* gradient);

  int threads_, part_ = 0, parts_ = 1;
  std::int64_t divided_ = -1;  // so many parameters, into
  std::vector<Piece> pieces_;
  std::vector<PolarFactor> polar_;  // of each thread
};

}  // namespace nbcore
