// Large systems in little memory: one part of the atoms after the other, with what surrounds it.
#pragma once
#include <functional>

#include "potential/graph_builder.hpp"

namespace nbcore {

/// Per atom of a system: positions, forces, energies on their way, bytes
inline constexpr double bytes_of_results = 8 * sizeof(Vec3) + 8 * sizeof(double);

/// To the operating system, where the C library would keep it: a bound is on what the process has.
void give_back_free_memory();

/// A system of atoms, cut into the fewest parts of equal size whose evaluations are within the bound.
///
/// A part owns atoms, whose energies it computes. With L levels of a network those depend on atoms up to L
/// neighbourhoods away: depth d of the part are the atoms that an owned one reaches in d steps, and level k runs on
/// depths up to L - k. So the last level, which costs most, is computed once per atom; the first for the parts and
/// shells around them L - 1 cutoffs thick. Energies, forces and virial of the system are sums over parts, in a fixed
/// order.
class Parts {
 public:
  /// species as for build_graph. state_bytes: per atom, states that several levels read, with their adjoints.
  /// max_bytes: of an evaluation, results included; what a thread works with comes on top.
  Parts(const Structure& s, std::span<const int> species, const Network& network, double r_min, double state_bytes,
        double max_bytes);

  /// Does the whole system fit: so well that memory may be kept for the next evaluation, by itself, or in parts only?
  enum class Fit { easily, alone, in_parts };
  Fit whole() const;
  /// A quick answer for systems that are small beside the bound, whatever their neighbours: easily?
  static bool fits_anyway(std::size_t n_atoms, double state_bytes, double max_bytes);
  /// Graphs of the parts, one after the other, each gone before the next. InputError, before the first of them, where
  /// even the smallest would take more than the bound, or the network works on sets above the atoms.
  void each(const std::function<void(const Graph&)>& evaluate);

 private:
  struct Counts {
    double nodes, parents, pairs;  // pairs: of all nodes
  };
  [[noreturn]] void refuse() const;
  double bytes(const Counts& c) const;
  double fixed_bytes() const;
  Counts expected(std::span<const std::int32_t> owned) const;
  /// Atoms no farther than `reach` from the box around some, along each direction; ascending
  std::vector<std::int32_t> around(std::span<const std::int32_t> owned, double reach) const;
  /// Cuts atoms into n parts; false if one of them does not fit.
  bool cut(std::span<std::int32_t> owned, std::size_t n);
  void visit(std::span<std::int32_t> owned, const std::function<void(const Graph&)>& evaluate);
  Graph part(std::span<const std::int32_t> owned, const std::vector<std::int32_t>& nodes, const NeighbourList& list);
  NeighbourList list_of(const std::vector<std::int32_t>& atoms) const;

  const Structure& s_;
  std::span<const int> species_;
  const Network& network_;
  double cutoff_, r_min_, state_bytes_, max_bytes_;
  std::vector<Vec3> where_;  // distances from the faces of the cell, wrapped
  Vec3 period_{};            // infinite along directions that are not periodic
  std::vector<std::int32_t> order_;
  double neighbours_ = 0;  // of an atom, on average
  double crowd_ = 0;       // where there are most
  std::vector<std::span<std::int32_t>> parts_;
  double needed_ = 0;  // bytes, by the largest of them
};

}  // namespace nbcore
