// The loss of one structure and its derivatives by energy, forces and virial.
//
//   L_s = w_E rho_E((E - E*)/N) + w_F/N sum_i f_i rho_F(F_i - F_i*) + w_S rho_S(stress - stress*)
//         + w_y rho_y((y - y*)/(N sigma))  or  w_y/N sum_i rho_y((y_i - y_i*)/sigma),   stress = -W/V
//         + w_H/N sum_i r_i                                           r: potential/hierarchy.hpp
//
// for outputs y of c components, of the structure or of its atoms; sigma is the spread of their labels. Each weight w is
// that of the term times that of the structure, f_i a factor of the element of atom i. A rho of several components is the
// mean of what it is of each, or, where it is `whole`, what it is of the length of the vector that they make.
//
// The functions rho stand in one table, loss_kinds, and the terms in another, loss_terms: a new one is an entry there.
// Labels that are missing contribute nothing. The last term compares with no label and has no rho.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/vec3.hpp"

namespace nbcore {

/// A function of an error x, and its derivative; delta: from where on it is no longer x^2/2, for kinds that have it;
/// whole: of the length of a vector, not of its components
struct LossKind {
  const char* name;
  double (*rho)(double x, double delta);
  double (*slope)(double x, double delta);
  bool whole = false;
};
/// l2: x^2. l1: |x|. huber: x^2/2 below delta, delta (|x| - delta/2) above. log_cosh: delta^2 log cosh(x/delta), the same
/// without a corner. norm: the length of a vector, the same in every frame of coordinates; of a number |x|.
std::span<const LossKind> loss_kinds();
const LossKind& loss_kind(const std::string& name);  // InputError, with the names there are

/// A kind and its delta
struct Rho {
  const LossKind* kind = &loss_kinds()[0];
  double delta = 0.01;
  /// w rho(x) of an error of n components; slope[n]: its derivative
  double of(double w, const double* x, int n, double* slope) const;
};

struct Loss {
  struct Term {
    double weight;
    Rho rho;
  };
  std::vector<Term> terms;  // as loss_terms
  struct Output {
    double weight = 1, spread = 1;
    Rho rho;
  };
  std::vector<Output> outputs;   // per output of the network
  std::vector<double> elements;  // factors f by species of the potential; empty: ones
};

struct Labels {
  std::optional<double> energy;              // eV
  std::vector<Vec3> forces;                  // eV/Angstrom; empty if there are none
  std::optional<Mat3> stress;                // eV/Angstrom^3
  double volume = 0;                         // Angstrom^3, where there is a stress
  std::vector<std::vector<double>> outputs;  // [output] components, or [atom][components]; empty if there is no label
  std::vector<double> weights;               // of the structure, as loss_terms
  std::vector<double> output_weights;        // [output]
};

/// Loss and its derivatives a = dL/dE, v = dL/dF, S = dL/dW (symmetrised), and by the energies of levels.
struct LossSeeds {
  double loss = 0, a = 0;
  std::vector<Vec3> v;
  Mat3 S{};
  std::vector<std::vector<double>> levels;  // [n - 1][atom]; empty: zeros
};

/// What a network says of a structure
struct Predicted {
  double energy;                    // eV
  const std::vector<Vec3>& forces;  // eV/Angstrom
  const Mat3& virial;               // eV
  const std::vector<int>& species;  // of the atoms
  /// [n][atom] eV, n = 0 that of elements; empty where no term asks for them
  const std::vector<std::vector<double>>& levels;
};

/// A term of the loss: its name, the label that it compares with, and what it adds to loss and seeds, weighted by w.
struct LossTerm {
  const char* name;
  const char* label;  // empty: none
  void (*add)(const Loss& loss, Rho rho, double w, const Labels& labels, const Predicted& predicted, LossSeeds& seeds);
};
std::span<const LossTerm> loss_terms();
/// Does a term with a weight look at the energies of levels?
bool asks_for_levels(const Loss& loss);

LossSeeds loss_of(const Loss& loss, const Labels& labels, const Predicted& predicted);

/// What an output y of c components adds to the loss of a structure of n atoms; y_bar: its derivative by y, empty where
/// there is no label. y, labels: c numbers, or those of every atom (per_atom)
double loss_of_output(const Loss::Output& term, const std::vector<double>& labels, const std::vector<double>& y, int c,
                      bool per_atom, std::size_t n, std::vector<double>& y_bar);

}  // namespace nbcore
