// Muon: steps of weight matrices along their orthogonalised momentum (Jordan and others 2024; Bernstein and Newhouse,
// arXiv:2409.20325), and AMSGrad for all other parameters.
//
// For a matrix W (rows x columns) with gradient G:
//   M <- mu M + (1 - mu) G,   N = mu M + (1 - mu) G                                        (momentum, Nesterov's look-ahead)
//   W <- (1 - lr decay) W - lr s O(N),   s = 0.2 sqrt(max(rows, columns)) sqrt(max(1, rows / columns))
// O(N) is U f(S) V^T of N = U S V^T with all singular values f(S) near one, by Newton-Schulz steps
//   X <- a X + (b A + c A A) X,  A = X X^T,  (a, b, c) = (3.4445, -4.7750, 2.0315),  from X = N / |N|,
// in single precision: how near to one they come matters little. The rate of AMSGrad is rest_lr lr.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace nbcore {

class Muon {
 public:
  /// `count` matrices of `rows` x `columns`, row after row, one after the other, from parameter `first` on
  struct Matrices {
    std::int64_t first, count, rows, columns;
  };
  Muon(double lr, std::vector<Matrices> matrices, double momentum, double beta2, double eps, double weight_decay,
       double rest_lr, int newton_schulz_steps);
  ~Muon();

  /// One step, in place; errors as Sgd::step, and InputError where a matrix reaches beyond the parameters.
  void step(std::span<double> theta, std::span<const double> gradient);

  double lr, momentum, beta2, eps, weight_decay, rest_lr;
  std::vector<Matrices> matrices;
  int newton_schulz_steps;
  std::int64_t steps = 0;
  std::vector<double> first, second, peak;  // M of all parameters; v and its largest of those in no matrix

 private:
  struct Work;
  void step_matrix(const Matrices& all, std::int64_t which, std::span<double> theta, std::span<const double> gradient);
  std::vector<bool> in_matrix_;
  std::unique_ptr<Work> work_;
};

}  // namespace nbcore
