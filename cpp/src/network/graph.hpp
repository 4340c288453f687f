// The composition scheme of neighbourhoods: atoms, their children within the cutoff, cut into blocks.
#pragma once
#include <cstdint>
#include <vector>

#include "base/buffer.hpp"

namespace nbcore {

/// Some parents that are neighbours in memory (and in space), with all their edges. A block is the unit of work; it
/// belongs to its system and never depends on the number of threads.
struct GraphBlock {
  int first = 0, n = 0;                     // parents, in the order of the graph
  std::vector<int> species_first;           // parents of species s, relative to first
  std::vector<std::int64_t> edge_first;     // [n+1]
  std::vector<std::int32_t> child;          // [edge] in the order of the graph
  std::vector<std::int32_t> child_halo;     // [edge] row in the halo
  std::vector<std::int32_t> child_species;  // [edge]
  std::vector<double> r;                    // [3][stride] r_child - r_parent, Angstrom; padding is harmless
  std::vector<std::int32_t> halo;           // atoms whose adjoints the block writes: its parents, then other children
  std::int64_t n_edges() const { return edge_first.back(); }
  std::int64_t stride() const { return (n_edges() + 7) / 8 * 8; }
};

struct Graph {
  int n_atoms = 0, n_species = 0;
  std::vector<std::int32_t> order;  // atom k of the graph is atom order[k] of the user
  std::vector<GraphBlock> blocks;
  // who writes to atom k: (block, row in its halo), in block order
  std::vector<std::int64_t> writer_first;
  std::vector<std::pair<std::int32_t, std::int32_t>> writers;
  bool closed() const { return blocks.size() == 1; }
};

}  // namespace nbcore
