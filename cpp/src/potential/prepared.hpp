// A structure with its neighbours, blocks and parts: what an evaluation needs besides weights. Potentials that look at
// the same neighbourhoods share it, a committee say.
#pragma once
#include <tuple>

#include "potential/graph_builder.hpp"

namespace nbcore {

/// What a graph depends on besides its structure
struct GraphNeeds {
  std::vector<int> elements;  // atomic numbers
  double cutoff, r_min;
  std::vector<std::tuple<std::string, int, int>> sets;        // name, children, classes
  std::vector<std::tuple<RelationKind, int, int>> relations;  // kind, parents, children
  std::vector<std::tuple<int, std::string, int>> leaves;      // slot, name, numbers of a node

  GraphNeeds(const std::vector<int>& elements, const Network& network, double r_min);
  /// The first thing in which they differ, in words; empty where one graph serves both
  std::string difference(const GraphNeeds& other) const;
};

struct PreparedStructure {
  Structure structure;
  std::vector<int> species;  // index of each atom's element
  Graph graph;
  GraphNeeds needs;
  std::size_t n_ghosts = 0;  // of the atoms, the last ones, see domain.hpp
  bool images = false;       // periods, ghosts: atoms see copies of others

  std::span<const int> owned() const { return std::span(species).first(species.size() - n_ghosts); }
};

}  // namespace nbcore
