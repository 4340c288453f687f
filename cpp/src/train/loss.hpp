// The loss of one structure and its derivatives by energy, forces and virial.
//
//   L_s = weight_s [ w_E rho((E - E*)/N) + w_F/(3N) sum rho(F - F*) + w_S/9 sum rho(stress - stress*)
//                    + w_y/c sum rho((y - y*)/(N sigma))  or  w_y/(c N) sum rho((y_i - y_i*)/sigma) ],  stress = -W/V
//
// for outputs y of c components, of the structure or of its atoms; sigma is the spread of their labels.
//
// The functions rho stand in one table, loss_kinds, and the terms in another, loss_terms: a new one is an entry there.
// Labels that are missing contribute nothing.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/vec3.hpp"

namespace nbcore {

/// A function of an error x, and its derivative; delta: from where on it is no longer x^2/2, for kinds that have it
struct LossKind {
  const char* name;
  double (*rho)(double x, double delta);
  double (*slope)(double x, double delta);
};
/// l2: x^2. l1: |x|. huber: x^2/2 below delta, delta (|x| - delta/2) above. log_cosh: delta^2 log cosh(x/delta), the same
/// without a corner.
std::span<const LossKind> loss_kinds();
const LossKind& loss_kind(const std::string& name);  // InputError, with the names there are

struct Loss {
  const LossKind* kind = &loss_kinds()[0];
  double delta = 0.01;
  std::vector<double> weights;  // as loss_terms
  struct OutputWeight {
    double weight = 1, spread = 1;
  };
  std::vector<OutputWeight> outputs;  // per output of the network
  double rho(double x) const { return kind->rho(x, delta); }
  double slope(double x) const { return kind->slope(x, delta); }
};

struct Labels {
  std::optional<double> energy;              // eV
  std::vector<Vec3> forces;                  // eV/Angstrom; empty if there are none
  std::optional<Mat3> stress;                // eV/Angstrom^3
  double volume = 0;                         // Angstrom^3, where there is a stress
  std::vector<std::vector<double>> outputs;  // [output] components, or [atom][components]; empty if there is no label
  double weight = 1;
};

/// Loss and its derivatives a = dL/dE, v = dL/dF, S = dL/dW (symmetrised).
struct LossSeeds {
  double loss = 0, a = 0;
  std::vector<Vec3> v;
  Mat3 S{};
};

/// What a network says of a structure
struct Predicted {
  double energy;                    // eV
  const std::vector<Vec3>& forces;  // eV/Angstrom
  const Mat3& virial;               // eV
};

/// A term of the loss: its name, the label that it compares with, and what it adds to loss and seeds, weighted by w.
struct LossTerm {
  const char* name;
  const char* label;
  void (*add)(const Loss& loss, double w, const Labels& labels, const Predicted& predicted, LossSeeds& seeds);
};
std::span<const LossTerm> loss_terms();

LossSeeds loss_of(const Loss& loss, const Labels& labels, double energy, const std::vector<Vec3>& forces,
                  const Mat3& virial);

/// What an output y of c components adds to the loss of a structure of n atoms; y_bar: its derivative by y, empty where
/// there is no label. y, labels: c numbers, or those of every atom (per_atom)
double loss_of_output(const Loss& loss, Loss::OutputWeight term, const std::vector<double>& labels,
                      const std::vector<double>& y, int c, bool per_atom, std::size_t n, std::vector<double>& y_bar);

}  // namespace nbcore
