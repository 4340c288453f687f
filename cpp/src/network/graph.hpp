// What a network runs on: sets of nodes (the atoms, and those of a composition scheme above them), and the relations
// between parents and children, cut into blocks.
#pragma once
#include <cstdint>
#include <vector>

#include "base/buffer.hpp"

namespace nbcore {

/// Some parents that are neighbours in memory (and in space), with all their edges. A block is the unit of work; it
/// belongs to its system and never depends on the number of threads.
struct GraphBlock {
  int first = 0, n = 0;                     // parents, in the order of their set
  int depth = 0;                            // of a part of a system: steps from the atoms whose energies count
  std::vector<int> species_first;           // parents of species (or class) s, relative to first
  std::vector<std::int64_t> edge_first;     // [n+1]
  std::vector<std::int32_t> child;          // [edge] in the order of the children's set
  std::vector<std::int32_t> child_halo;     // [edge] row in the halo
  std::vector<std::int32_t> child_species;  // [edge]
  std::vector<std::int32_t> partner;        // [edge] of a relation of pairs: the other child; else empty
  std::vector<std::int32_t> partner_halo;
  std::vector<double> r;           // [3][stride] r_child - r_parent, or r_child - r_partner, Angstrom; padding harmless
  std::vector<std::int32_t> halo;  // children whose adjoints the block writes; of neighbourhoods its parents first
  std::int64_t n_edges() const { return edge_first.back(); }
  std::int64_t stride() const { return (n_edges() + 7) / 8 * 8; }
};

/// Nodes of one kind. Those above the atoms are at r = sum of coefficient r_atom, plus what images of the cell add.
struct NodeSet {
  int n = 0, n_species = 1;
  std::vector<std::int32_t> order;  // node k is node order[k] of the user; in a part of a system some are not there
  std::vector<std::int64_t> first = {0};
  std::vector<std::int32_t> atom;  // in the user's order
  std::vector<double> coefficient;
};

/// What parents are related to: atoms to their neighbours; nodes of a scheme to their children, or to all pairs of
/// different children. Edges and triplets of atoms, as parents of their own, would be further kinds.
enum class RelationKind { neighbours, children, pairs };

inline constexpr int atom_set = 0;            // where the atoms are among the sets of every network and graph
inline constexpr int neighbour_relation = 0;  // and their neighbours among the relations
/// The relation of a set's nodes that a gate without pairs runs over
constexpr RelationKind edges_of(int set) { return set == atom_set ? RelationKind::neighbours : RelationKind::children; }

struct Relation {
  RelationKind kind = RelationKind::neighbours;
  int parents = atom_set, children = atom_set;  // sets
  bool pairs() const { return kind == RelationKind::pairs; }
  std::vector<GraphBlock> blocks;
  // who writes to child k: (block, row in its halo), in block order
  std::vector<std::int64_t> writer_first;
  std::vector<std::pair<std::int32_t, std::int32_t>> writers;
  std::vector<std::vector<int>> colours;  // of a coloured graph: blocks of one colour share no child
};

struct Graph {
  std::vector<NodeSet> sets;
  std::vector<Relation> relations;          // as numbered by the network; those that it does not use are empty
  std::vector<std::vector<double>> leaves;  // per slot of the network: leaf states [atom][2l+1][channel], else empty
  int n_atoms() const { return sets[atom_set].n; }
  /// Per species (or class) of a set whether there are nodes of it among those that are computed
  std::vector<char> species_of_parents(int set) const {
    std::vector<char> there(sets[set].n_species, 0);
    for (const Relation& r : relations)
      for (const GraphBlock& b : r.blocks)
        for (std::size_t s = 0; r.parents == set && s < there.size(); ++s)
          there[s] |= b.species_first[s + 1] > b.species_first[s];
    return there;
  }
  /// One block per relation, so that everything stays in one workspace
  bool closed = true;
  /// Large: adjoints of children are added where they belong, one colour of blocks after another, and not kept per
  /// block
  bool coloured = false;
};

}  // namespace nbcore
