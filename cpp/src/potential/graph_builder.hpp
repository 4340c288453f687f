// From atoms to a graph: neighbour list, blocks compact in space, nodes of a block ordered by species; and the sets of
// a composition scheme.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <span>

#include "base/vec3.hpp"
#include "network/graph.hpp"
#include "network/network.hpp"
#include "network/scheme.hpp"
#include "potential/neighbours.hpp"

namespace nbcore {

struct Structure {
  std::vector<Vec3> positions;  // Angstrom
  std::vector<int> numbers;     // atomic numbers
  Mat3 cell{};                  // rows are cell vectors; ignored along directions that are not periodic
  std::array<bool, 3> pbc{};
  std::shared_ptr<const CompositionScheme> scheme;    // checked; where the network has sets above the atoms
  std::map<std::string, std::vector<double>> leaves;  // leaf states by name, [atom][2l+1][channel]
};

/// species[i]: index of atom i's element in the potential. list: the neighbours within list_cutoff. One block per
/// relation if there are at most max_block atoms.
Graph build_graph(const Structure& s, std::span<const int> species, const Network& network, const NeighbourList& list,
                  int max_block);
/// The same, with a search for the neighbours
Graph build_graph(const Structure& s, std::span<const int> species, const Network& network, double r_min,
                  int max_block);
double list_cutoff(const Network& network, double r_min);

/// Numbers of atoms in the order of the graph, cut into blocks
struct Blocking {
  std::vector<std::int32_t> order;
  std::vector<int> sizes;   // of the blocks; atoms after the last block are children alone
  std::vector<int> depths;  // of the blocks, ascending, see GraphBlock; empty: all 0
};
/// Puts the first of the atoms along the direction of their largest extent, so many of them, before the others.
void split(std::span<std::int32_t> atoms, const std::vector<Vec3>& where, std::size_t first);
/// Halves the atoms until blocks are small: compact and the same in every run.
void bisect(std::span<std::int32_t> atoms, const std::vector<Vec3>& where, int max_block, std::vector<int>& sizes);
/// Some atoms, whose order does not matter, and all that they reach in up to `levels` steps along the list: atom after
/// atom by depth, those of depth `levels` outside of all blocks.
Blocking blocks_around(std::vector<std::int32_t> owned, const NeighbourList& list, const std::vector<Vec3>& where,
                       int levels, int max_block);
/// Atoms and neighbours alone, with no writers yet. Within a block atoms go by species.
Graph graph_of_neighbours(const NeighbourList& list, std::span<const int> species, const Network& network,
                          Blocking blocking);
/// Leaf states of the nodes, in their order
void add_leaves(const Structure& s, const Network& network, Graph& graph);

/// The sets and relations of the structure's scheme, for a graph whose atoms are there.
void add_scheme(const Structure& s, const Network& network, int max_block, Graph& graph);

/// What its arrays take, bytes
std::size_t bytes_of(const Graph& graph);

/// Who writes to which child; for a coloured graph, which blocks may write at the same time.
void index_writers(Relation& relation, int n_children, bool coloured);

/// Atoms from which on a graph is coloured; below, keeping what each block writes is as fast and keeps more threads
/// busy.
inline constexpr int coloured_from = 20000;

}  // namespace nbcore
