// The loss of one structure and its derivatives by energy, forces and virial.
//
//   L_s = weight_s [ w_E rho((E - E*)/N) + w_F/(3N) sum rho(F - F*) + w_S/9 sum rho(stress - stress*)
//                    + w_y/c sum rho((y - y*)/(N sigma))  or  w_y/(c N) sum rho((y_i - y_i*)/sigma) ],  stress = -W/V
//
// for outputs y of c components, of the structure or of its atoms; sigma is the spread of their labels.
//
// rho(x) = x^2 (l2), |x| (l1), or huber: x^2/2 below delta, delta (|x| - delta/2) above. Labels that are missing
// contribute nothing.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/vec3.hpp"

namespace nbcore {

struct Loss {
  enum class Kind { l2, l1, huber } kind = Kind::l2;
  double huber_delta = 0.01, energy_weight = 1, forces_weight = 100, stress_weight = 1;
  struct Term {
    double weight = 1, spread = 1;
  };
  std::vector<Term> outputs;  // per output of the network
  static Kind kind_from(const std::string& name);
  double rho(double x) const;
  double slope(double x) const;  // d rho / dx
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

LossSeeds loss_of(const Loss& loss, const Labels& labels, double energy, const std::vector<Vec3>& forces,
                  const Mat3& virial);

/// What an output y of c components adds to the loss of a structure of n atoms; y_bar: its derivative by y, empty where
/// there is no label. y, labels: c numbers, or those of every atom (per_atom)
double loss_of_output(const Loss& loss, Loss::Term term, const std::vector<double>& labels,
                      const std::vector<double>& y, int c, bool per_atom, std::size_t n, std::vector<double>& y_bar);

}  // namespace nbcore
