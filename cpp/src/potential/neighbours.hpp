// Who is near whom: all pairs of atoms, images included, closer than a cutoff.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/vec3.hpp"

namespace nbcore {

/// The neighbours of all atoms as compressed rows: those of parent i stand at first[i] ... first[i + 1] - 1.
struct NeighbourList {
  std::vector<std::int64_t> first;               ///< n + 1 offsets
  std::span<std::int32_t> child;                 ///< index of the neighbour
  std::span<std::array<std::int32_t, 3>> shift;  ///< its image: how many cell vectors it is moved by
  std::span<Vec3> vector;                        ///< r_child + shift * cell - r_parent
  std::unique_ptr<std::byte[]> memory;           ///< of all pairs, in one piece: the next list finds it again

  /// Room for this many pairs, as it comes.
  void allocate(std::size_t n) {
    memory = std::make_unique_for_overwrite<std::byte[]>(n * (sizeof(Vec3) + sizeof shift[0] + sizeof child[0]));
    vector = {reinterpret_cast<Vec3*>(memory.get()), n};
    shift = {reinterpret_cast<std::array<std::int32_t, 3>*>(vector.data() + n), n};
    child = {reinterpret_cast<std::int32_t*>(shift.data() + n), n};
  }
};

/// S cell, in numbers or in registers of numbers. The expression of all lists: they agree to the last bit.
template <class T> std::array<T, 3> translation(const std::array<T, 3>& S, const Mat3& cell) {
  return {S[0] * cell[0][0] + S[1] * cell[1][0] + S[2] * cell[2][0],
          S[0] * cell[0][1] + S[1] * cell[1][1] + S[2] * cell[2][1],
          S[0] * cell[0][2] + S[1] * cell[1][2] + S[2] * cell[2][2]};
}

/// All (parent, child, shift) with |r_child + shift * cell - r_parent| < cutoff, strictly; both directions of a pair,
/// an atom's own images too, itself not. Sorted by parent, child and shift, the same for every run. A pair is counted
/// from both sides or from none, and its two vectors are each other's negatives to the last bit.
///
/// Any cell (triclinic, left-handed, smaller than the cutoff), any mixture of boundary conditions, atoms anywhere. The
/// cell's vectors along directions that are not periodic are ignored. Lengths in one unit of the caller's choice.
///
/// names: what errors call the atoms; empty: their own numbers.
/// Throws NonFiniteError (positions, cell), CellError (singular, zero along a periodic direction, far too small or too
/// large for the cutoff), InputError (cutoff), OverlapError (two atoms closer than r_min).
NeighbourList neighbours(std::span<const Vec3> positions, const Mat3& cell, std::array<bool, 3> pbc, double cutoff,
                         double r_min = 1e-3, std::span<const std::int32_t> names = {});

/// The errors of neighbours() about the numbers of a cell
void check_cell(const Mat3& cell, std::array<bool, 3> pbc);

/// The errors that neighbours() would throw before it has looked at any pair.
void check_neighbourhoods(std::span<const Vec3> positions, const Mat3& cell, std::array<bool, 3> pbc, double cutoff);

/// Gives back what searches of this thread keep for one another.
void forget_search_memory();

/// What a list takes per pair, bytes, and how many times as much while it is made: pairs as they are found, in a
/// growing array, and in order.
inline constexpr double bytes_per_pair = sizeof(Vec3) + 4 * sizeof(std::int32_t), while_searching = 2.5;

}  // namespace nbcore
