// Neighbour lists of atoms that move a little from call to call: pairs within cutoff + skin are kept (a Verlet list)
// and sieved anew each time, instead of searched.
#pragma once
#include "potential/neighbours.hpp"

namespace nbcore {

class VerletList {
 public:
  /// What neighbours() gives for these arguments, to the last bit, with its errors; from the kept pairs while they
  /// suffice. Pairs are kept from the second of two calls on between which atoms moved little, so that structures which
  /// have nothing to do with each other cost nothing more. skin = 0 keeps nothing.
  ///
  /// They suffice while no pair can have come closer than the cutoff. With F the map of the cell at the search onto the
  /// cell now, and u_i what atom i moved beside it, r_i = r_i(0) F + u_i,
  ///
  ///   |r_j - r_i| >= (1 - |F - 1|) |r_j(0) - r_i(0)| - 2 max |u|,
  ///
  /// which for a constant cell is the usual rule that no atom has moved more than half of the skin. Atoms that were
  /// wrapped into the cell since have other images, and have not moved.
  NeighbourList neighbours(std::span<const Vec3> positions, const Mat3& cell, std::array<bool, 3> pbc, double cutoff,
                           double r_min, double skin);

  /// Gives back the pairs.
  void forget();
  /// Of the structure it was used for last
  std::size_t n_atoms() const { return reference_.size(); }
  /// How often neighbours were searched for
  std::int64_t searches() const { return searches_; }

 private:
  using Image = std::array<std::int32_t, 3>;
  struct Pair {
    std::int32_t child;
    Image shift;
  };
  /// Have the atoms moved less than this since the search? Kept pairs get the images that belong to the atoms now.
  bool close(std::span<const Vec3> positions, const Mat3& cell, double cutoff, double reach);
  /// The kept pairs within the cutoff; false if two atoms are closer than r_min.
  bool sieve(std::span<const Vec3> positions, const Mat3& cell, double cutoff, double r_min, NeighbourList& list) const;

  std::vector<Vec3> reference_;  // positions and cell at the search
  Mat3 cell_{}, dual_{};         // zero along directions that are not periodic
  std::array<bool, 3> pbc_{};
  double reach_ = 0;  // of the kept pairs; 0: none
  std::vector<std::int64_t> first_;
  std::vector<Pair> pairs_;
  std::vector<Image> moved_;  // by cells, per atom; while images change
  std::int64_t uses_ = 0, searches_ = 0;
};

}  // namespace nbcore
