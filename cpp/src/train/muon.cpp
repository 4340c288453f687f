#include "train/muon.hpp"

#define EIGEN_DONT_PARALLELIZE  // the same bits whatever the number of threads
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "train/optimizers.hpp"

namespace nbcore {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Muon::Work {
  Matrix x, gram, polynomial, product;
};

Muon::Muon(double lr_, std::vector<Matrices> matrices_, double momentum_, double beta2_, double eps_,
           double weight_decay_, double rest_lr_, int newton_schulz_steps_)
    : lr(lr_),
      momentum(momentum_),
      beta2(beta2_),
      eps(eps_),
      weight_decay(weight_decay_),
      rest_lr(rest_lr_),
      matrices(std::move(matrices_)),
      newton_schulz_steps(newton_schulz_steps_),
      work_(std::make_unique<Work>()) {
  const auto require = [](bool good, const char* name, const char* range, double value) {
    if (!good) throw InputError(message(name, " must be ", range, ", got ", value));
  };
  require(std::isfinite(lr) && lr >= 0, "lr", "a number >= 0", lr);
  require(momentum >= 0 && momentum < 1, "momentum", "in [0, 1)", momentum);
  require(beta2 >= 0 && beta2 < 1, "beta2", "in [0, 1)", beta2);
  require(std::isfinite(eps) && eps > 0, "eps", "a number > 0", eps);
  require(std::isfinite(weight_decay) && weight_decay >= 0, "weight_decay", "a number >= 0", weight_decay);
  require(std::isfinite(rest_lr) && rest_lr >= 0, "rest_lr", "a number >= 0", rest_lr);
  require(newton_schulz_steps >= 1 && newton_schulz_steps <= 50, "newton_schulz_steps", "from 1 to 50",
          newton_schulz_steps);
  for (const Matrices& m : matrices)
    if (m.first < 0 || m.count < 1 || m.rows < 1 || m.columns < 1)
      throw InputError("matrices: first must be >= 0, count, rows and columns >= 1");
}

Muon::~Muon() = default;

void Muon::step(std::span<double> theta, std::span<const double> gradient) {
  check_step(theta, gradient, first.size());
  const std::size_t n = theta.size();
  if (in_matrix_.size() != n) {
    std::vector<bool> inside(n, false);
    for (const Matrices& m : matrices) {
      const std::int64_t room = std::int64_t(n) - m.first;  // products of what is asked for may overflow
      if (m.rows > room || m.columns > room / m.rows || m.count > room / (m.rows * m.columns))
        throw InputError(message("matrices: one of them reaches beyond the ", n, " parameters"));
      std::fill_n(inside.begin() + m.first, m.count * m.rows * m.columns, true);
    }
    in_matrix_ = std::move(inside);
    first.resize(n), second.resize(n), peak.resize(n);
  }
  ++steps;
  const double unbias1 = 1 / (1 - std::pow(momentum, double(steps))),
               unbias2 = 1 / (1 - std::pow(beta2, double(steps)));
  const double shrink = 1 - lr * weight_decay;
  for (std::size_t k = 0; k < n; ++k) {
    const double g = gradient[k];
    first[k] = momentum * first[k] + (1 - momentum) * g;
    theta[k] *= shrink;
    if (in_matrix_[k]) continue;
    second[k] = beta2 * second[k] + (1 - beta2) * g * g;
    peak[k] = std::max(peak[k], second[k]);
    theta[k] -= rest_lr * lr * unbias1 * first[k] / (std::sqrt(peak[k] * unbias2) + eps);
  }
  for (const Matrices& m : matrices)
    for (std::int64_t which = 0; which < m.count; ++which) step_matrix(m, which, theta, gradient);
}

void Muon::step_matrix(const Matrices& all, std::int64_t which, std::span<double> theta,
                       std::span<const double> gradient) {
  const Eigen::Index rows = all.rows, columns = all.columns;
  const std::int64_t at = all.first + which * rows * columns;
  using Map = Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
  const Map moment(first.data() + at, rows, columns), slope(gradient.data() + at, rows, columns);
  auto& [x, gram, polynomial, product] = *work_;
  const bool tall = rows > columns;  // the Gram matrix of the short side
  double norm = 0;                   // summed in order, in double
  for (std::int64_t k = at; k < at + rows * columns; ++k) {
    const double look_ahead = momentum * first[k] + (1 - momentum) * gradient[k];
    norm += look_ahead * look_ahead;
  }
  if (!(norm > 0)) return;  // a matrix that nothing depends on stays as it is
  const double scale = 1 / std::sqrt(norm);
  if (tall) x = ((scale * (momentum * moment + (1 - momentum) * slope)).transpose()).cast<float>();
  else x = (scale * (momentum * moment + (1 - momentum) * slope)).cast<float>();
  constexpr float a = 3.4445f, b = -4.7750f, c = 2.0315f;
  for (int step = 0; step < newton_schulz_steps; ++step) {
    gram.noalias() = x * x.transpose();
    polynomial.noalias() = c * gram * gram;
    polynomial += b * gram;
    product.noalias() = polynomial * x;
    x = a * x + product;
  }
  const double length =
      lr * 0.2 * std::sqrt(double(std::max(rows, columns))) * std::sqrt(std::max(1.0, double(rows) / double(columns)));
  for (Eigen::Index i = 0; i < rows; ++i)
    for (Eigen::Index j = 0; j < columns; ++j) theta[at + i * columns + j] -= length * double(tall ? x(j, i) : x(i, j));
}

}  // namespace nbcore
