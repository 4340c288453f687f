// A composition scheme: nodes above the atoms, subsystems of any size (section 3 of the paper). It is input, stored
// with a structure and held fixed while atoms move; positions of nodes, and with them the forces, are exact.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace nbcore {

using Image = std::array<std::int32_t, 3>;  // cell vectors to be added

/// Nodes of one kind: they run the same gates. Lists of different length lie one after the other: those of node k are
/// first[k] .. first[k+1]-1.
struct SchemeSet {
  std::string name;
  std::string children = "atoms";     // the set that its nodes are made of: the atoms, or an earlier set
  std::vector<std::int32_t> classes;  // [node] nodes of one class share weights

  // the atoms P_j, and the position r_j = sum of coefficient (r_atom + image . cell), coefficients with sum one
  std::vector<std::int64_t> atom_first = {0};
  std::vector<std::int32_t> atom;
  std::vector<double> coefficient;
  std::vector<Image> image;

  // the children of a node, each in an image of its own
  std::vector<std::int64_t> child_first = {0};
  std::vector<std::int32_t> child;
  std::vector<Image> child_image;

  int size() const { return int(classes.size()); }
};

struct CompositionScheme {
  int n_atoms = 0;
  std::vector<SchemeSet> sets;  // children before parents: no cycles
  /// Where the images of the scheme belong: per atom its place in units of the cell vectors, or empty. An atom that has
  /// been moved by cell vectors since (wrapped back into the cell, say) is taken in the image nearest to this place.
  std::vector<std::array<double, 3>> reference;

  /// InputError that names the node where something does not fit: lengths, indices, sums of coefficients, atoms of a
  /// child that its parent does not have, nodes that are no part of the root.
  void check() const;
};

}  // namespace nbcore
