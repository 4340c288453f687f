#include "train/loss.hpp"

#include <cmath>

#include "base/error.hpp"
#include "potential/hierarchy.hpp"

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
    {"norm", [](double x, double) { return x; }, [](double, double) { return 1.0; }, true},
};

void add_energy(const Loss&, Rho rho, double w, const Labels& labels, const Predicted& predicted, LossSeeds& s) {
  if (!labels.energy) return;
  const double n = double(predicted.forces.size()), x = (predicted.energy - *labels.energy) / n;
  double slope;
  s.loss += rho.of(w, &x, 1, &slope), s.a = slope / n;
}

void add_forces(const Loss& loss, Rho rho, double w, const Labels& labels, const Predicted& predicted, LossSeeds& s) {
  if (labels.forces.empty()) return;
  w /= double(predicted.forces.size());
  for (std::size_t i = 0; i < predicted.forces.size(); ++i) {
    const double f = loss.elements.empty() ? 1 : loss.elements[predicted.species[i]];
    Vec3 x = predicted.forces[i];
    for (int c = 0; c < 3; ++c) x[c] -= labels.forces[i][c];
    if (f != 0) s.loss += rho.of(w * f, x.data(), 3, s.v[i].data());
  }
}

void add_stress(const Loss&, Rho rho, double w, const Labels& labels, const Predicted& predicted, LossSeeds& s) {
  if (!labels.stress) return;
  Mat3 x, slope;
  for (int a = 0; a < 3; ++a)
    for (int c = 0; c < 3; ++c) x[a][c] = -predicted.virial[a][c] / labels.volume - (*labels.stress)[a][c];
  s.loss += rho.of(w, x[0].data(), 9, slope[0].data());
  for (int a = 0; a < 3; ++a)
    for (int c = 0; c < 3; ++c) s.S[a][c] = -0.5 * (slope[a][c] + slope[c][a]) / labels.volume;
}

void add_hierarchicality(const Loss&, Rho, double w, const Labels&, const Predicted& predicted, LossSeeds& s) {
  w /= double(predicted.forces.size());
  for (const double r : hierarchicality(predicted.levels, &s.levels)) s.loss += w * r;
  for (std::vector<double>& level : s.levels)
    for (double& slope : level) slope *= w;
}

constexpr LossTerm terms[] = {{"energy", "energy", add_energy},
                              {"forces", "forces", add_forces},
                              {"stress", "stress", add_stress},
                              {"hierarchicality", "", add_hierarchicality}};

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

double Rho::of(double w, const double* x, int n, double* slope) const {
  if (!kind->whole) {
    w /= n;
    double sum = 0;
    for (int k = 0; k < n; ++k) sum += kind->rho(x[k], delta), slope[k] = w * kind->slope(x[k], delta);
    return w * sum;
  }
  double length = 0;
  for (int k = 0; k < n; ++k) length = std::hypot(length, x[k]);
  for (int k = 0; k < n; ++k) slope[k] = length > 0 ? w * kind->slope(length, delta) * (x[k] / length) : 0;
  return w * kind->rho(length, delta);
}

bool asks_for_levels(const Loss& loss) {
  for (std::size_t k = 0; k < loss.terms.size(); ++k)
    if (terms[k].add == add_hierarchicality && loss.terms[k].weight != 0) return true;
  return false;
}

LossSeeds loss_of(const Loss& loss, const Labels& labels, const Predicted& predicted) {
  LossSeeds s;
  s.v.assign(predicted.forces.size(), Vec3{});
  if (predicted.forces.empty()) return s;
  for (std::size_t k = 0; k < loss.terms.size(); ++k) {
    const double w = loss.terms[k].weight * labels.weights[k];
    if (w != 0) terms[k].add(loss, loss.terms[k].rho, w, labels, predicted, s);
  }
  return s;
}

double loss_of_output(const Loss::Output& term, const std::vector<double>& labels, const std::vector<double>& y, int c,
                      bool per_atom, std::size_t n, std::vector<double>& y_bar) {
  y_bar.clear();
  if (labels.empty() || term.weight == 0 || n == 0) return 0;
  const double w = term.weight / (per_atom ? double(n) : 1), unit = term.spread * (per_atom ? 1 : double(n));
  double total = 0;
  std::vector<double> x(c);
  y_bar.resize(y.size());
  for (std::size_t first = 0; first < y.size(); first += c) {
    for (int k = 0; k < c; ++k) x[k] = (y[first + k] - labels[first + k]) / unit;
    total += term.rho.of(w, x.data(), c, y_bar.data() + first);
  }
  for (double& slope : y_bar) slope /= unit;
  return total;
}

}  // namespace nbcore
