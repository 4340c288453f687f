#include "train/optimizers.hpp"

#include <algorithm>
#include <bit>
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
  constexpr auto infinite = std::bit_cast<std::uint64_t>(std::numeric_limits<double>::infinity());
  std::uint64_t bad = 0;  // without a branch for each: infinities and NaN have all bits of the exponent
  for (double g : gradient) bad |= (std::bit_cast<std::uint64_t>(g) & infinite) == infinite;
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

void AdamStep::operator()(std::size_t n, double* x_, const double* slope_, double* m_, double* v_, double* top_) const {
  // A copy of what the loop reads: the compiler then knows that no store changes it, and takes whole registers.
  const AdamStep step = *this;
  double* const __restrict x = x_, * const __restrict m = m_, * const __restrict v = v_;
  const double* const __restrict slope = slope_;
  const auto update = [=](std::size_t k, auto largest) {
    const double g = slope[k] + step.coupled_decay * x[k];
    m[k] = step.beta1 * m[k] + (1.0 - step.beta1) * g;
    v[k] = step.beta2 * v[k] + (1.0 - step.beta2) * g * g;
    x[k] = step.shrink * x[k] - step.rate * m[k] / (std::sqrt(largest(k, v[k]) * step.unbias2) + step.eps);
  };
  if (double* const __restrict top = top_) {
    for (std::size_t k = 0; k < n; ++k)
      update(k, [=](std::size_t at, double w) { return top[at] = top[at] < w ? w : top[at]; });
  } else {
    for (std::size_t k = 0; k < n; ++k) update(k, [](std::size_t, double w) { return w; });
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
  const AdamStep step{lr / (1.0 - std::pow(beta1, t)),          beta1, beta2,
                      1.0 / (1.0 - std::pow(beta2, t)),         eps,   decoupled ? 0.0 : weight_decay,
                      decoupled ? 1.0 - lr * weight_decay : 1.0};
  step(theta.size(), theta.data(), gradient.data(), first.data(), second.data(), amsgrad ? peak.data() : nullptr);
}

}  // namespace nbcore
