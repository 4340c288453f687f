// The repulsion of atomic cores at distances that no data reach (J. F. Ziegler, J. P. Biersack, U. Littmark, The
// Stopping and Range of Ions in Solids, 1985), switched off smoothly at a radius of each pair of elements:
//
//   V(r) = s(r / R) k Z Z' / r  sum_n c_n exp(-d_n r / a),   a = 0.8854 a_0 / (Z^0.23 + Z'^0.23)
//   s(x) = 1 - 28 x^6 + 48 x^7 - 21 x^8
//
// s is the polynomial envelope of power p = 6. Models of other programs bring constants of their own (Screening).
//
// It stands beside the network, in eV and without parameters; half of a pair's energy belongs to each atom.
#pragma once
#include <array>

#include "base/vec3.hpp"
#include "network/graph.hpp"
#include "network/network.hpp"

namespace nbcore {

/// The constants of the formula, CODATA 2018; all in eV and Angstrom
struct Screening {
  double coulomb = 14.399645478, length = 0.8854 * 0.529177210903, exponent = 0.23;
  std::array<double, 4> weights{0.18175, 0.50986, 0.28022, 0.02817}, decays{3.19980, 0.94229, 0.40290, 0.20162};
  int power = 6;     // of the envelope
  double scale = 1;  // of the whole
  bool operator==(const Screening&) const = default;
};

class Repulsion {
 public:
  /// None
  Repulsion() = default;
  /// numbers: atomic numbers by species. radii: R [species][species], symmetric, Angstrom; 0: that pair has none
  Repulsion(const std::vector<int>& numbers, std::vector<double> radii, const Screening& screening = {});

  bool any() const { return largest_ > 0; }
  double largest() const { return largest_; }
  const std::vector<double>& radii() const { return radii_; }
  const Screening& screening() const { return screening_; }

  /// V, dV/dr and d^2V/dr^2 of species a and b; zero from R on
  struct Derivatives {
    double value = 0, first = 0, second = 0;
  };
  Derivatives at(int a, int b, double r) const;

  /// What atoms whose energies count exert on each other, in the order of the user: added to their energies, to the
  /// forces of all, to the virial, and to virials of atoms unless they are empty: those of children, as of edges
  void add(const Graph& graph, std::vector<double>& energies, std::vector<Vec3>& forces, Mat3& virial,
           std::vector<Mat3>& virials) const;
  /// d/dt of forces and virial where atoms are at r + t v in a space strained by 1 + t S; v in the order of the user
  void add_tangents(const Graph& graph, const std::vector<Vec3>& v, const Mat3& S, std::vector<Vec3>& forces,
                    Mat3& virial) const;

 private:
  /// f(parent, child, r_child - r_parent, species of both) for edges shorter than the radius of their pair
  template <class F> void each_edge(const Graph& graph, F f) const;

  Screening screening_;
  int n_species_ = 0;
  std::vector<double> radii_, charges_, inverse_a_;  // [species][species]; charges_: k Z Z'
  double largest_ = 0;
};

/// [species][species] from {"H-O": radius}; InputError for what is no pair of the species
std::vector<double> radii_of(const Options& pairs, const std::vector<int>& species);
/// From the object "screening" of a model file, what it does not name is as usual; InputError for what makes no sense
Screening screening_of(const Options& given);
/// InputError where radii are not symmetric, negative or beyond the cutoff of a network, or it has no energy to which a
/// repulsion could be added, or looks at no neighbours
void check_radii(const std::vector<double>& radii, const Network& network, const std::vector<int>& species);

}  // namespace nbcore
