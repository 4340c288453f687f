#include "train/loss.hpp"

#include <cmath>

#include "base/error.hpp"

namespace nbcore {

Loss::Kind Loss::kind_from(const std::string& name) {
  if (name == "l2") return Kind::l2;
  if (name == "l1") return Kind::l1;
  if (name == "huber") return Kind::huber;
  throw InputError(message("loss kind must be \"l2\", \"l1\" or \"huber\", got \"", name, "\""));
}

double Loss::rho(double x) const {
  if (kind == Kind::l2) return x * x;
  if (kind == Kind::l1) return std::abs(x);
  return std::abs(x) <= huber_delta ? 0.5 * x * x : huber_delta * (std::abs(x) - 0.5 * huber_delta);
}

double Loss::slope(double x) const {
  if (kind == Kind::l2) return 2 * x;
  const double sign = x > 0 ? 1 : x < 0 ? -1 : 0;
  if (kind == Kind::l1) return sign;
  return std::abs(x) <= huber_delta ? x : huber_delta * sign;
}

LossSeeds loss_of(const Loss& loss, const Labels& labels, double energy, const std::vector<Vec3>& forces,
                  const Mat3& virial) {
  LossSeeds s;
  const double n = double(forces.size());
  s.v.assign(forces.size(), Vec3{});
  if (n == 0) return s;
  if (labels.energy && loss.energy_weight != 0) {
    const double x = (energy - *labels.energy) / n, w = labels.weight * loss.energy_weight;
    s.loss += w * loss.rho(x), s.a = w * loss.slope(x) / n;
  }
  if (!labels.forces.empty() && loss.forces_weight != 0) {
    const double w = labels.weight * loss.forces_weight / (3 * n);
    for (std::size_t i = 0; i < forces.size(); ++i)
      for (int c = 0; c < 3; ++c) {
        const double x = forces[i][c] - labels.forces[i][c];
        s.loss += w * loss.rho(x), s.v[i][c] = w * loss.slope(x);
      }
  }
  if (labels.stress && loss.stress_weight != 0) {
    const double w = labels.weight * loss.stress_weight / 9;
    for (int a = 0; a < 3; ++a)
      for (int c = 0; c < 3; ++c) {
        const double x = -virial[a][c] / labels.volume - (*labels.stress)[a][c];
        const double slope = -w * loss.slope(x) / labels.volume;
        s.loss += w * loss.rho(x), s.S[a][c] += 0.5 * slope, s.S[c][a] += 0.5 * slope;
      }
  }
  return s;
}

double loss_of_output(const Loss& loss, Loss::Term term, const std::vector<double>& labels,
                      const std::vector<double>& y, int c, bool per_atom, std::size_t n, std::vector<double>& y_bar) {
  y_bar.clear();
  if (labels.empty() || term.weight == 0 || n == 0) return 0;
  const double w = term.weight / c / (per_atom ? double(n) : 1), unit = term.spread * (per_atom ? 1 : double(n));
  double total = 0;
  for (std::size_t k = 0; k < y.size(); ++k) {
    const double x = (y[k] - labels[k]) / unit;
    total += w * loss.rho(x), y_bar.push_back(w * loss.slope(x) / unit);
  }
  return total;
}

}  // namespace nbcore
