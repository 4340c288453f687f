// From atoms to a graph: neighbour list, blocks compact in space, atoms of a block ordered by species.
#pragma once
#include <array>
#include <span>

#include "base/vec3.hpp"
#include "network/graph.hpp"

namespace nbcore {

struct Structure {
  std::vector<Vec3> positions;  // Angstrom
  std::vector<int> numbers;     // atomic numbers
  Mat3 cell{};                  // rows are cell vectors; ignored along directions that are not periodic
  std::array<bool, 3> pbc{};
};

/// species[i]: index of atom i's element in the potential. One block if there are at most max_block atoms.
Graph build_graph(const Structure& s, std::span<const int> species, int n_species, double cutoff, double r_min,
                  int max_block);

}  // namespace nbcore
