#include "potential/evaluation.hpp"

#include "potential/closed_sweep.hpp"
#include "potential/levels.hpp"
#include "potential/outputs.hpp"

namespace nbcore {

namespace {

template <class Real> void evaluate_closed(const Network& network, const Graph& graph, const Buffer<Real>& packed,
                                           const StandIns<Real>* stand_ins, double scale, Workspace<Real>& ws,
                                           Evaluation& to) {
  ClosedSweep<Real> sweep(network, graph, packed, ws, stand_ins);
  sweep.forward();
  for (std::size_t k = 0; k < to.outputs.size(); ++k) {
    const Network::Output& o = network.outputs()[k];
    const NodeSet& set = graph.sets[network.slots()[o.slot].set];
    read_output(sweep.state(o.slot), o.width, set.order.data(), set.n, to.outputs[k].data());
  }
  if (network.readout().empty()) return;
  std::vector<std::vector<double>> on_nodes;
  for (const NodeSet& set : graph.sets) on_nodes.emplace_back(set.n, 0.0);
  sweep.read_energies([&](int level, int i, Real e) {
    on_nodes[network.level(level).set][i] += scale * double(e);
    if (double* of_atoms = to.of_level(level)) of_atoms[graph.sets[atom_set].order[i]] = scale * double(e);
  });
  for (std::size_t set = 0; set < graph.sets.size(); ++set)
    share_among_atoms(graph, int(set), on_nodes[set], to.energies);
  if (to.last_layer) sweep.add_features(*to.last_layer, scale, to.features);
  sweep.adjoint(-scale);
  sweep.add_forces(to.forces, to.virial);
  if (!to.virials.empty()) sweep.add_virials(to.virials);
  if (to.repulsion) to.repulsion->add(graph, to.energies, to.forces, to.virial, to.virials);
}

}  // namespace

template <class Real> void evaluate(const Network& network, const Graph& graph, const Buffer<Real>& packed,
                                    const StandIns<Real>* stand_ins, double scale, int threads,
                                    EvaluationSpace<Real>& space, Evaluation& to) {
  if (graph.closed) {
    if (space.workspaces.empty()) space.workspaces.push_back(std::make_unique<Workspace<Real>>());
    return evaluate_closed(network, graph, packed, stand_ins, scale, *space.workspaces[0], to);
  }
  Levels<Real> levels(network, graph, packed, stand_ins, scale, threads, space, to);
  levels.begin();
  const bool has_energy = !network.readout().empty();  // outputs need no way back
  for (int level = 1; level <= levels.size() - (has_energy ? 1 : 0); ++level) levels.forward(level);
  for (int level = levels.size(); has_energy && level >= 1; --level) levels.adjoint(level);
  levels.finish();
}

template void evaluate(const Network&, const Graph&, const Buffer<double>&, const StandIns<double>*, double, int,
                       EvaluationSpace<double>&, Evaluation&);
template void evaluate(const Network&, const Graph&, const Buffer<float>&, const StandIns<float>*, double, int,
                       EvaluationSpace<float>&, Evaluation&);

}  // namespace nbcore
