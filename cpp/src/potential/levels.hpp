// A network on a graph of many blocks, level by level. States of a level that others read, and their adjoints, are
// arrays of the whole system; everything between lives in the workspace of a thread, and the forward pass of a block is
// run again before its adjoint. The last level runs forward and back at once.
//
// The atoms may be those of one domain of a larger system, with copies of atoms of other domains around them (ghosts).
// A host that has their states exchanges them between the levels, see domain_levels.hpp.
#pragma once
#include <span>

#include "potential/edge_forces.hpp"
#include "potential/evaluation.hpp"

namespace nbcore {

template <class Real> class Levels {
 public:
  /// Adds to what is in `to`, see evaluate(), which has room for all atoms, ghosts included. Everything given must
  /// outlive the levels.
  Levels(const Network& network, const Graph& graph, const Buffer<Real>& packed, const StandIns<Real>* stand_ins,
         double scale, int threads, EvaluationSpace<Real>& space, Evaluation& to);

  int size() const { return network_.levels(); }
  void begin();
  /// States of a level, on the blocks that the levels above want to know
  void forward(int level);
  /// The level's energies, and the adjoints of its edges and of the states that it reads. Levels with nothing above run
  /// forward here.
  void adjoint(int level);
  /// Forces on atoms, virial and energies of atoms
  void finish();

  /// How many numbers of an atom the levels above `level` read as states of its children
  static std::size_t row_size(const Network& network, int level);
  /// Rows [2l+1][channel] of part after part, without padding, of atoms in the order of the user; `stride` numbers from
  /// one row to the next
  void read_states(int level, std::span<const std::int32_t> atoms, Real* rows, std::size_t stride);
  void write_states(int level, std::span<const std::int32_t> atoms, const Real* rows, std::size_t stride);
  /// The adjoints of such rows, which are zero after it
  void take_adjoints(int level, std::span<const std::int32_t> atoms, Real* rows, std::size_t stride);
  void add_adjoints(int level, std::span<const std::int32_t> atoms, const Real* rows, std::size_t stride);

 private:
  int n_blocks(int level) const;
  template <class F> void each_block(int level, F f) {
    parallel_for(n_blocks(level), threads_, [&](int b, int t) { f(b, *space_.workspaces[t]); });
  }
  void forward(int level, int block, Workspace<Real>& ws);
  void adjoint(int level, int block, Workspace<Real>& ws);
  void gather_forces();
  void gather_virials();
  template <class Number, class F>
  void each_row(int level, std::span<const std::int32_t> atoms, bool adjoints, Number* rows, std::size_t stride, F f);

  const Network& network_;
  const Graph& graph_;
  double scale_;
  int threads_;
  EvaluationSpace<Real>& space_;
  Evaluation& to_;
  Sweep<Real> sweep_;
  std::vector<std::int32_t> place_;                          // of the user's atoms in the graph, when first asked for
  std::vector<std::vector<Vec3>> on_nodes_;                  // forces per set
  std::vector<std::vector<double>> energies_;                // [set][node]
  std::vector<std::vector<std::vector<Vec3>>> halo_forces_;  // [relation][block][row]
  std::vector<std::vector<Mat3>> virials_;                   // [relation][block]
  // virials of atoms, where they are wanted
  std::vector<std::vector<Mat3>> virials_on_nodes_;
  std::vector<std::vector<std::vector<Mat3>>> halo_virials_;
};

}  // namespace nbcore
