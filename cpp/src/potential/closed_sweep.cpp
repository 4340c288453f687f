#include "potential/closed_sweep.hpp"

namespace nbcore {

template <class Real> void ClosedSweep<Real>::forward() {
  sweep_.begin(&ws_);
  for (int level = 1; level <= network_.levels(); ++level) sweep_.forward(level, 0, ws_);
}

template <class Real> void ClosedSweep<Real>::add_features(const LastLayer& last_layer, double factor,
                                                           std::vector<std::vector<double>>& to) const {
  for (int level = 1; level <= network_.levels(); ++level)
    last_layer.add_features(sweep_, graph_, level, 0, ws_, factor, to);
}

template <class Real> void ClosedSweep<Real>::adjoint(double seed) {
  for (int level = network_.levels(); level >= 1; --level)
    sweep_.adjoint(level, 0, Want{true, false}, nullptr, ws_, [&] { sweep_.seed_energies(level, 0, ws_, seed); });
}

template <class Real> void ClosedSweep<Real>::add_forces(std::vector<Vec3>& forces, Mat3& virial) {
  std::vector<std::vector<Vec3>> on_nodes;
  for (const NodeSet& set : graph_.sets) on_nodes.emplace_back(set.n, Vec3{});
  for (int k = 0; k < int(graph_.relations.size()); ++k)
    if (const Relation& r = graph_.relations[k]; network_.uses(k))
      add_edge_forces(r, r.blocks[0], ws_.edges[k], false, on_nodes[r.children].data(), on_nodes[r.parents].data(),
                      virial);
  add_forces_on_atoms(graph_, on_nodes, forces);
}

template <class Real> void ClosedSweep<Real>::add_virials(std::vector<Mat3>& virials) const {
  std::vector<std::vector<Mat3>> on_nodes;
  for (const NodeSet& set : graph_.sets) on_nodes.emplace_back(set.n, Mat3{});
  for (int k = 0; k < int(graph_.relations.size()); ++k)
    if (const Relation& r = graph_.relations[k]; network_.uses(k))
      add_edge_virials(r.blocks[0], ws_.edges[k], false, on_nodes[r.children].data());
  add_virials_on_atoms(graph_, on_nodes, virials);
}

template class ClosedSweep<double>;
template class ClosedSweep<float>;

}  // namespace nbcore
