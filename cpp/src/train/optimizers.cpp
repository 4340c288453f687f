#include "train/optimizers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"

namespace nbcore {
namespace {

void require(bool good, const char* name, const char* range, double value) {
  if (!good) throw InputError(message(name, " must be ", range, ", got ", value));
}

bool non_negative(double x) { return std::isfinite(x) && x >= 0.0; }
bool fraction(double x) { return x >= 0.0 && x < 1.0; }

}  // namespace

void check_step(std::span<const double> theta, std::span<const double> gradient, std::size_t moments) {
  if (gradient.size() != theta.size()) {
    throw InputError(message("gradient must have the length of parameters, ", theta.size(), ", got ", gradient.size()));
  }
  if (moments != 0 && moments != theta.size()) {
    throw InputError(message("parameters: this optimizer has begun with ", moments, " numbers, got ", theta.size()));
  }
  int bad = 0;  // without a branch for each
  for (double g : gradient) bad |= !(std::abs(g) <= std::numeric_limits<double>::max());
  if (bad) {
    const auto k = std::find_if_not(gradient.begin(), gradient.end(), [](double g) { return std::isfinite(g); });
    throw NumericsError(message("gradient is not finite: element ", k - gradient.begin(), " is ", *k));
  }
}

Sgd::Sgd(double lr_, double momentum_, double weight_decay_)
    : lr(lr_), momentum(momentum_), weight_decay(weight_decay_) {
  require(non_negative(lr), "lr", "a number >= 0", lr);
  require(fraction(momentum), "momentum", "in [0, 1)", momentum);
  require(non_negative(weight_decay), "weight_decay", "a number >= 0", weight_decay);
}

void Sgd::step(std::span<double> theta, std::span<const double> gradient) {
  check_step(theta, gradient, velocity.size());
  velocity.resize(theta.size());
  for (std::size_t k = 0; k < theta.size(); ++k) {
    velocity[k] = momentum * velocity[k] + (gradient[k] + weight_decay * theta[k]);
    theta[k] -= lr * velocity[k];
  }
}

Adam::Adam(double lr_, double beta1_, double beta2_, double eps_, double weight_decay_, bool amsgrad_, bool decoupled_)
    : lr(lr_),
      beta1(beta1_),
      beta2(beta2_),
      eps(eps_),
      weight_decay(weight_decay_),
      amsgrad(amsgrad_),
      decoupled(decoupled_) {
  require(non_negative(lr), "lr", "a number >= 0", lr);
  require(fraction(beta1), "betas[0]", "in [0, 1)", beta1);
  require(fraction(beta2), "betas[1]", "in [0, 1)", beta2);
  require(std::isfinite(eps) && eps > 0.0, "eps", "a number > 0", eps);
  require(non_negative(weight_decay), "weight_decay", "a number >= 0", weight_decay);
}

void Adam::step(std::span<double> theta, std::span<const double> gradient) {
  check_step(theta, gradient, first.size());
  first.resize(theta.size());
  second.resize(theta.size());
  if (amsgrad) peak.resize(theta.size());
  ++steps;
  const double t = static_cast<double>(steps);
  const double unbias1 = 1.0 / (1.0 - std::pow(beta1, t));
  const double unbias2 = 1.0 / (1.0 - std::pow(beta2, t));
  const double coupled_decay = decoupled ? 0.0 : weight_decay;
  const double shrink = decoupled ? 1.0 - lr * weight_decay : 1.0;
  // Copies of what the loop reads: the compiler then knows that no store changes them, and takes whole registers.
  const double rate = lr * unbias1, keep1 = beta1, keep2 = beta2, least = eps;
  double* const __restrict x = theta.data(), * const __restrict m = first.data(), * const __restrict v = second.data();
  const double* const __restrict slope = gradient.data();
  const auto update = [&](std::size_t k, auto largest) {
    const double g = slope[k] + coupled_decay * x[k];
    m[k] = keep1 * m[k] + (1.0 - keep1) * g;
    v[k] = keep2 * v[k] + (1.0 - keep2) * g * g;
    x[k] = shrink * x[k] - rate * m[k] / (std::sqrt(largest(k, v[k]) * unbias2) + least);
  };
  if (amsgrad) {
    double* const __restrict top = peak.data();
    for (std::size_t k = 0; k < theta.size(); ++k)
      update(k, [=](std::size_t at, double w) { return top[at] = top[at] < w ? w : top[at]; });
  } else {
    for (std::size_t k = 0; k < theta.size(); ++k) update(k, [](std::size_t, double w) { return w; });
  }
}

}  // namespace nbcore
