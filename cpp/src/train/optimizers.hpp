// Optimizers on one flat vector of parameters: in place, element by element in order, so the same bits on every run.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace nbcore {

/// Everything that can be wrong with a step, before anything is written: InputError for a change of length (moments: how
/// many numbers the optimizer has, 0 before it has begun), NumericsError for a gradient that is not finite.
void check_step(std::span<const double> theta, std::span<const double> gradient, std::size_t moments);

/// Stochastic gradient descent with heavy-ball momentum (Polyak 1964):
///   u <- momentum u + (g + weight_decay theta),   theta <- theta - lr u.
class Sgd {
 public:
  explicit Sgd(double lr, double momentum = 0.0, double weight_decay = 0.0);

  /// One step. InputError for a change of length, NumericsError for a gradient that is not finite; then nothing is
  /// changed.
  void step(std::span<double> theta, std::span<const double> gradient);

  double lr, momentum, weight_decay;
  std::vector<double> velocity;  // u; empty before the first step
};

/// One step of Adam on n numbers, with the factors that depend on the step alone; top: the largest v, for amsgrad.
struct AdamStep {
  double rate, beta1, beta2, unbias2, eps, coupled_decay, shrink;
  void operator()(std::size_t n, double* x, const double* slope, double* m, double* v, double* top = nullptr) const;
};

/// Adam (Kingma and Ba, arXiv:1412.6980); with `amsgrad` after Reddi, Kale and Kumar (arXiv:1904.09237), with
/// `decoupled` AdamW (Loshchilov and Hutter, arXiv:1711.05101). At step t = 1, 2, ...
///   g' = g + weight_decay theta                      (decoupled: g' = g, and theta <- (1 - lr weight_decay) theta)
///   m <- beta1 m + (1 - beta1) g',   v <- beta2 v + (1 - beta2) g'^2,   w = v, or with amsgrad w <- max(w, v)
///   theta <- theta - lr [m / (1 - beta1^t)] / [sqrt(w / (1 - beta2^t)) + eps]
class Adam {
 public:
  Adam(double lr, double beta1, double beta2, double eps, double weight_decay, bool amsgrad, bool decoupled);

  /// One step; errors as Sgd::step.
  void step(std::span<double> theta, std::span<const double> gradient);

  double lr, beta1, beta2, eps, weight_decay;
  bool amsgrad, decoupled;
  std::int64_t steps = 0;                   // t
  std::vector<double> first, second, peak;  // m, v, w; empty before the first step, w without amsgrad always
};

}  // namespace nbcore
