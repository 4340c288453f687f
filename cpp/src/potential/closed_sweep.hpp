// A whole structure in one workspace: all levels after one another, forward and back, plain. Evaluation of small
// systems runs it, and calibration, which wants all states at once.
#pragma once
#include "network/last_layer.hpp"
#include "potential/edge_forces.hpp"
#include "potential/graph_builder.hpp"

namespace nbcore {

template <class Real> class ClosedSweep {
 public:
  ClosedSweep(const Network& network, const Graph& graph, const Buffer<Real>& packed, Workspace<Real>& ws,
              const StandIns<Real>* stand_ins = nullptr)
      : network_(network),
        graph_(graph),
        ws_(ws),
        sweep_(network, graph, packed, Pass::plain, nullptr, Workspaces::kept, stand_ins) {}

  void forward();
  /// The state of a slot after forward
  State<Real> state(int slot) const { return sweep_.state(slot, network_.slots()[slot].level, 0, ws_); }
  /// f(level, node, its contribution to the energy without scale)
  template <class F> void read_energies(F f) const {
    for (int level = 1; level <= network_.levels(); ++level)
      sweep_.read_energies(level, 0, ws_, [&](int i, Real e) { f(level, i, e); });
  }
  /// Derivatives of the energies of nodes by the weights of the readouts, added to [set][node][feature]
  void add_features(const LastLayer& last_layer, double factor, std::vector<std::vector<double>>& to) const;
  /// Adjoints of the edges, all readouts seeded with the same number
  void adjoint(double seed);
  /// After it: added to the forces on the atoms, in the order of the user, and to the virial
  void add_forces(std::vector<Vec3>& forces, Mat3& virial);
  /// And to the virials of atoms
  void add_virials(std::vector<Mat3>& virials) const;

 private:
  const Network& network_;
  const Graph& graph_;
  Workspace<Real>& ws_;
  Sweep<Real> sweep_;
};

}  // namespace nbcore
