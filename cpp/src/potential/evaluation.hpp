// One evaluation of a network on a graph: energies of nodes, forces, virial, states of covariant outputs; in double or
// in single precision. Differences of positions, forces and all sums over edges and nodes are double in both.
//
// A graph of one block runs from the first to the last gate in one workspace (closed_sweep.hpp), others level by level
// over blocks (levels.hpp).
#pragma once
#include <algorithm>

#include "base/vec3.hpp"
#include "network/last_layer.hpp"
#include "potential/repulsion.hpp"

namespace nbcore {

/// Memory that evaluations use one after another.
template <class Real> struct EvaluationSpace {
  std::vector<std::unique_ptr<Workspace<Real>>> workspaces;  // per thread
  SystemStates<Real> system;
};

/// In the order of the user
struct Evaluation {
  std::vector<double> energies;  // of atoms, times scale
  std::vector<Vec3> forces;
  Mat3 virial{};
  std::vector<Mat3> virials;                   // of atoms, see add_edge_virials; empty: not wanted
  std::vector<std::vector<double>> outputs;    // [output][node][width]
  const Repulsion* repulsion = nullptr;        // null: there is none
  const LastLayer* last_layer = nullptr;       // null: no features are wanted
  std::vector<std::vector<double>> features;   // [set][node][feature], zero in the beginning
  std::vector<int> levels;                     // with a readout, whose energies are wanted by themselves
  std::vector<std::vector<double>> of_levels;  // of each [atom], times scale

  /// Where the energies of a level belong; null: not wanted
  double* of_level(int level) {
    const auto found = std::find(levels.begin(), levels.end(), level);
    return found == levels.end() ? nullptr : of_levels[found - levels.begin()].data();
  }
};

/// Adds to energies, forces and virials, and writes outputs; `to` has room for all atoms and nodes. Forces only where
/// the network has an energy. The same bits for any number of threads. stand_ins: or null
///
/// The graph may be a part of a system, coloured then: energies and outputs are those of the blocks of depth 0, forces
/// what they exert on all. With L levels, level k runs on the blocks up to depth L - k, which is what the levels above
/// want to know.
template <class Real> void evaluate(const Network& network, const Graph& graph, const Buffer<Real>& packed,
                                    const StandIns<Real>* stand_ins, double scale, int threads,
                                    EvaluationSpace<Real>& space, Evaluation& to);

}  // namespace nbcore
