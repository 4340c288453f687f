// Energies by level, as HIP-NN has them: E_i = E_i^0 + E_i^1 + ... + E_i^N of atom i, E_i^0 that of its element, E_i^n that of
// the n-th readout. They are hierarchical where later ones are small corrections to those before:
//
//   r_i = sum over n = 1 ... N of  (E_i^n)^2 / ((E_i^n)^2 + (E_i^(n-1))^2),    0/0 = 0
//
// N. Lubbers, J. S. Smith, K. Barros, J. Chem. Phys. 148, 241715 (2018).
#pragma once
#include <vector>

#include "network/network.hpp"

namespace nbcore {

/// The levels of a network with a readout, ascending. Empty where there are not two readouts or more, each of the atoms,
/// each of a level of its own.
std::vector<int> levels_of_energy(const Network& network);

/// r of each atom from energies [n][atom], n = 0 ... N. slopes: null, or its derivatives by E^1 ... E^N, [n - 1][atom],
/// overwritten
std::vector<double> hierarchicality(const std::vector<std::vector<double>>& energies,
                                    std::vector<std::vector<double>>* slopes);

}  // namespace nbcore
