// Energies by level (potential/hierarchy.hpp) of the structures of a batch, for losses that look at them.
#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "network/graph.hpp"
#include "potential/hierarchy.hpp"

namespace nbcore {

class LevelEnergies {
 public:
  /// The next structure: the energies of its elements, and room for the others. Without any, none are wanted.
  void add(const Network& network, std::span<const int> species, const std::vector<double>& E0s) {
    if (levels_.empty()) levels_ = levels_of_energy(network);
    if (levels_.empty()) throw InputError("the loss asks for energies by level, and this network has none");
    energies_.emplace_back(1 + levels_.size(), std::vector<double>(species.size(), 0.0));
    for (std::size_t i = 0; i < species.size(); ++i) energies_.back()[0][i] = E0s[species[i]];
  }
  /// [n][atom] eV, in the order of the user; empty where none are wanted
  const std::vector<std::vector<double>>& of(int member) const {
    static const std::vector<std::vector<double>> none;
    return energies_.empty() ? none : energies_[member];
  }
  /// What the readout of a block's level says; Place: that of BatchSweep
  template <class Place> void read(const Place& place, const NodeSet& atoms, double scale) {
    const int n = number_of(place.level), first = place.graph_block().first;
    if (n == 0) return;
    std::vector<double>& energies = energies_[place.member][n];
    place.sweep.read_energies(place.level, place.block, place.ws,
                              [&](int i, double e) { energies[atoms.order[first + i]] = scale * e; });
  }
  /// Its adjoint += factor times the derivatives of a loss by these energies, [n - 1][atom], or none
  template <class Place> void seed(const Place& place, const NodeSet& atoms, double factor,
                                   const std::vector<std::vector<double>>& slopes) const {
    const int n = number_of(place.level), first = place.graph_block().first;
    if (n == 0 || slopes.empty()) return;
    place.sweep.seed_energies_by_node(place.level, place.block, place.ws,
                                      [&](int i) { return factor * slopes[n - 1][atoms.order[first + i]]; });
  }

 private:
  /// The n of the energy E^n of a level; 0 where it has none, or none is wanted
  int number_of(int level) const {
    const auto found = std::find(levels_.begin(), levels_.end(), level);
    return found == levels_.end() ? 0 : int(found - levels_.begin()) + 1;
  }
  std::vector<int> levels_;                                 // with a readout
  std::vector<std::vector<std::vector<double>>> energies_;  // [member][n][atom]
};

}  // namespace nbcore
