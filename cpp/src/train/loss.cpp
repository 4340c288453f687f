#include "train/loss.hpp"

#include <cmath>

#include "base/error.hpp"

namespace nbcore {

namespace {

double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

constexpr LossKind kinds[] = {
    {"l2", [](double x, double) { return x * x; }, [](double x, double) { return 2 * x; }},
    {"l1", [](double x, double) { return std::abs(x); }, [](double x, double) { return sign(x); }},
    {"huber",
     [](double x, double delta) { return std::abs(x) <= delta ? 0.5 * x * x : delta * (std::abs(x) - 0.5 * delta); },
     [](double x, double delta) { return std::abs(x) <= delta ? x : delta * sign(x); }},
    {"log_cosh",
     [](double x, double delta) {  // log cosh y without overflow
       const double y = std::abs(x) / delta;
       return delta * delta * (y + std::log1p(std::exp(-2 * y)) - std::log(2.0));
     },
     [](double x, double delta) { return delta * std::tanh(x / delta); }},
};

void add_energy(const Loss& loss, double weight, const Labels& labels, const Predicted& predicted, LossSeeds& s) {
  if (!labels.energy) return;
  const double n = double(predicted.forces.size());
  const double x = (predicted.energy - *labels.energy) / n, w = labels.weight * weight;
  s.loss += w * loss.rho(x), s.a = w * loss.slope(x) / n;
}

void add_forces(const Loss& loss, double weight, const Labels& labels, const Predicted& predicted, LossSeeds& s) {
  const std::vector<Vec3>& forces = predicted.forces;
  if (labels.forces.empty()) return;
  const double w = labels.weight * weight / (3 * double(forces.size()));
  for (std::size_t i = 0; i < forces.size(); ++i)
    for (int c = 0; c < 3; ++c) {
      const double x = forces[i][c] - labels.forces[i][c];
      s.loss += w * loss.rho(x), s.v[i][c] = w * loss.slope(x);
    }
}

void add_stress(const Loss& loss, double weight, const Labels& labels, const Predicted& predicted, LossSeeds& s) {
  if (!labels.stress) return;
  const double w = labels.weight * weight / 9;
  for (int a = 0; a < 3; ++a)
    for (int c = 0; c < 3; ++c) {
      const double x = -predicted.virial[a][c] / labels.volume - (*labels.stress)[a][c];
      const double slope = -w * loss.slope(x) / labels.volume;
      s.loss += w * loss.rho(x), s.S[a][c] += 0.5 * slope, s.S[c][a] += 0.5 * slope;
    }
}

constexpr LossTerm terms[] = {
    {"energy", "energy", add_energy}, {"forces", "forces", add_forces}, {"stress", "stress", add_stress}};

}  // namespace

std::span<const LossKind> loss_kinds() { return kinds; }
std::span<const LossTerm> loss_terms() { return terms; }

const LossKind& loss_kind(const std::string& name) {
  std::string known;
  for (const LossKind& kind : kinds) {
    if (name == kind.name) return kind;
    known += std::string(known.empty() ? "" : ", ") + kind.name;
  }
  throw InputError(message("loss kind must be one of ", known, ", got \"", name, "\""));
}

LossSeeds loss_of(const Loss& loss, const Labels& labels, double energy, const std::vector<Vec3>& forces,
                  const Mat3& virial) {
  LossSeeds s;
  s.v.assign(forces.size(), Vec3{});
  if (forces.empty()) return s;
  for (std::size_t k = 0; k < loss.weights.size(); ++k)
    if (loss.weights[k] != 0) terms[k].add(loss, loss.weights[k], labels, {energy, forces, virial}, s);
  return s;
}

double loss_of_output(const Loss& loss, Loss::OutputWeight term, const std::vector<double>& labels,
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
