// A whole structure in one workspace: all levels after one another, forward and back, plain. Evaluation of small
// systems runs it, and calibration, which wants all states at once.
#pragma once
#include "network/sweep.hpp"
#include "potential/graph_builder.hpp"

namespace nbcore {

/// Sums of edge forces: f = edges.r_bar, the force on the child; its parent, or partner, feels the opposite. children,
/// parents: rows of the children's and of the parents' set; virial += r (x) f.
template <class Real> void add_edge_forces(const Relation& relation, const GraphBlock& block, const Edges<Real>& edges,
                                           bool halo, Vec3* children, Vec3* parents, Mat3& virial);

/// Forces on nodes, per set in the order of the graph, added to forces on atoms in the order of the user: the force on
/// a node goes to its atoms with the coefficients of its position.
void add_forces_on_atoms(const Graph& graph, const std::vector<std::vector<Vec3>>& on_nodes, std::vector<Vec3>& forces);

/// What nodes of a set contribute, shared among their atoms with the coefficients of their positions. atoms: order of
/// the user
void share_among_atoms(const Graph& graph, int set, const std::vector<double>& nodes, std::vector<double>& atoms);

template <class Real> class ClosedSweep {
 public:
  ClosedSweep(const Network& network, const Graph& graph, const Buffer<Real>& packed, Workspace<Real>& ws,
              const std::vector<RadialSplines>* splines = nullptr)
      : network_(network), graph_(graph), ws_(ws), sweep_(network, graph, packed, Pass::plain, nullptr, splines) {}

  void forward();
  /// The state of a slot after forward; its adjoint may be seeded after clear().
  State<Real> state(int slot) const { return sweep_.state(slot, network_.slots()[slot].level, 0, ws_); }
  /// Adjoints of the edges, all readouts seeded with the same number
  void adjoint(double seed);
  /// After it: added to the forces on the atoms, in the order of the user, and to the virial
  void add_forces(std::vector<Vec3>& forces, Mat3& virial);

 private:
  template <class F> void each_relation(F f) const {
    for (int k = 0; k < int(graph_.relations.size()); ++k)
      if (network_.uses(k)) f(k, graph_.relations[k]);
  }
  const Network& network_;
  const Graph& graph_;
  Workspace<Real>& ws_;
  Sweep<Real> sweep_;
};

}  // namespace nbcore
