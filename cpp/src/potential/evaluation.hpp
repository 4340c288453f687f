// One evaluation of a network on a graph: energies of nodes, forces, virial, states of covariant outputs; in double or
// in single precision. Differences of positions, forces and all sums over edges and nodes are double in both.
//
// A graph of one block runs from the first to the last gate in one workspace. Others run level by level over blocks:
// states of a level that others read, and their adjoints, are arrays of the whole system; everything between lives in
// the workspace of a thread, and the forward pass of a block is run again before its adjoint. The last level runs
// forward and back at once.
#pragma once
#include "potential/closed_sweep.hpp"

namespace nbcore {

/// Memory that evaluations use one after another.
template <class Real> struct EvaluationSpace {
  std::vector<std::unique_ptr<Workspace<Real>>> workspaces;  // per thread
  SystemStates<Real> system;
};

struct Evaluation {
  std::vector<std::vector<double>> energies;  // [set][node] in the order of the graph, times scale
  std::vector<Vec3> forces;                   // on atoms, order of the user
  Mat3 virial{};
  std::vector<std::vector<double>> outputs;  // [output][node][width], order of the user
};

/// Forces only where the network has an energy. The same bits for any number of threads. splines: per relation, in the
/// place of radial networks, or null
template <class Real> Evaluation evaluate(const Network& network, const Graph& graph, const Buffer<Real>& packed,
                                          const std::vector<RadialSplines>* splines, double scale, int threads,
                                          EvaluationSpace<Real>& space);

}  // namespace nbcore
