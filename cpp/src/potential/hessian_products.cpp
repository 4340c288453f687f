#include "potential/hessian_products.hpp"

#include "potential/edge_forces.hpp"

namespace nbcore {

namespace {
constexpr int max_block = 32;
constexpr Want of_edges{true, false};
const auto nothing = [](const BatchSweep<double>::Place&) {};
}  // namespace

HessianProducts::HessianProducts(const Potential& potential, const Structure& s, int threads)
    : network_(potential.network()),
      scales_(potential.scales()),
      graph_(build_graph(s, potential.species_of(s.numbers), network_, potential.r_min(), max_block)),
      weights_(potential.packed<double>()),
      sweep_(network_, *weights_, {&graph_}, threads, memory_, std::span(&no_buffers_, 1)) {
  if (!potential.has_energy()) throw InputError("this potential gives no energy, so that there is no Hessian");
  sweep_.forward(Pass::plain, network_.levels() - 1, nothing);
  const double scale = scales_->scale;
  sweep_.adjoint(of_edges, true, {}, nothing, [&](const BatchSweep<double>::Place& place) {
    place.sweep.seed_energies(place.level, place.block, place.ws, -scale);
  });
}

HessianProducts::Derivatives HessianProducts::along(const std::vector<Vec3>& v, const Mat3& S) {
  set_edge_tangents(graph_, v, S, sweep_.memory(0).r_dot);
  sweep_.forward(Pass::tangent, network_.levels() - 1, nothing);
  sweep_.adjoint(of_edges, true, {}, nothing, nothing);  // the seeds are constant: no tangents of theirs

  Derivatives d;
  std::vector<std::vector<Vec3>> on_nodes;
  for (const NodeSet& set : graph_.sets) on_nodes.emplace_back(set.n, Vec3{});
  sweep_.each_edges(0, [&](int k, int b, const Edges<double>& edges) {
    const Relation& relation = graph_.relations[k];
    const GraphBlock& block = relation.blocks[b];
    add_edge_force_tangents(relation, block, edges, on_nodes[relation.children].data(),
                            on_nodes[relation.parents].data() + block.first, d.virial);
  });
  d.forces.assign(graph_.n_atoms(), Vec3{});
  add_forces_on_atoms(graph_, on_nodes, d.forces);
  if (scales_->repulsion.any()) scales_->repulsion.add_tangents(graph_, v, S, d.forces, d.virial);
  return d;
}

}  // namespace nbcore
