#include "potential/evaluation.hpp"

#include "base/threads.hpp"
#include "potential/outputs.hpp"

namespace nbcore {

namespace {

template <class Real> void evaluate_closed(const Network& network, const Graph& graph, const Buffer<Real>& packed,
                                           const std::vector<RadialSplines>* splines, double scale, Workspace<Real>& ws,
                                           Evaluation& to) {
  ClosedSweep<Real> sweep(network, graph, packed, ws, splines);
  sweep.forward();
  for (std::size_t k = 0; k < to.outputs.size(); ++k) {
    const Network::Output& o = network.outputs()[k];
    const NodeSet& set = graph.sets[network.slots()[o.slot].set];
    read_output(sweep.state(o.slot), o.width, set.order.data(), set.n, to.outputs[k].data());
  }
  if (network.readout().empty()) return;
  std::vector<std::vector<double>> on_nodes;
  for (const NodeSet& set : graph.sets) on_nodes.emplace_back(set.n, 0.0);
  for (int slot : network.readout()) {
    const State<Real> e = sweep.state(slot);
    std::vector<double>& energies = on_nodes[network.slots()[slot].set];
    for (int i = 0; i < e.rows; ++i) energies[i] += scale * double(e.x.value[i * e.layout->row(0)]);
  }
  for (std::size_t set = 0; set < graph.sets.size(); ++set)
    share_among_atoms(graph, int(set), on_nodes[set], to.energies);
  sweep.adjoint(-scale);
  sweep.add_forces(to.forces, to.virial);
}

template <class Real> class BlockEvaluation {
 public:
  BlockEvaluation(const Network& network, const Graph& graph, const Buffer<Real>& packed,
                  const std::vector<RadialSplines>* splines, double scale, int threads, EvaluationSpace<Real>& space,
                  Evaluation& to)
      : network_(network),
        graph_(graph),
        scale_(scale),
        threads_(threads),
        space_(space),
        to_(to),
        sweep_(network, graph, packed, Pass::plain, &space.system, splines) {}

  void run() {
    space_.system.direct = graph_.coloured;
    sweep_.prepare_system();
    for (const NodeSet& set : graph_.sets) on_nodes_.emplace_back(set.n, Vec3{}), energies_.emplace_back(set.n, 0.0);
    halo_forces_.resize(graph_.relations.size()), virials_.resize(graph_.relations.size());
    for (std::size_t k = 0; k < graph_.relations.size(); ++k) {
      halo_forces_[k].resize(graph_.relations[k].blocks.size());
      virials_[k].assign(graph_.relations[k].blocks.size(), Mat3{});
    }
    const int levels = network_.levels(), top = network_.readout().empty() ? 0 : levels;  // outputs need no way back
    for (int level = 1; level <= levels; ++level)
      if (level != top) each_block(level, [&](int b, Workspace<Real>& ws) { forward(level, b, ws); });
    for (int level = top; level >= 1; --level) {
      const auto both = [&](int b, Workspace<Real>& ws) { forward(level, b, ws), adjoint(level, b, ws); };
      if (!graph_.coloured) {
        each_block(level, both);
        const int n_children = graph_.sets[sweep_.relation(level).children].n;
        parallel_for((n_children + 63) / 64, threads_, [&](int k, int) {
          for (int child = 64 * k; child < std::min(64 * k + 64, n_children); ++child) sweep_.gather(level, child);
        });
      } else {
        for (const std::vector<int>& colour : sweep_.relation(level).colours) {
          const auto end = std::lower_bound(colour.begin(), colour.end(), n_blocks(level));
          parallel_for(int(end - colour.begin()), threads_,
                       [&](int k, int t) { both(colour[k], *space_.workspaces[t]); });
        }
      }
    }
    gather_forces();
    add_forces_on_atoms(graph_, on_nodes_, to_.forces);
    for (std::size_t set = 0; set < graph_.sets.size(); ++set)
      share_among_atoms(graph_, int(set), energies_[set], to_.energies);
  }

 private:
  template <class F> void each_block(int level, F f) {
    parallel_for(n_blocks(level), threads_, [&](int b, int t) { f(b, *space_.workspaces[t]); });
  }
  /// The first ones, which level k runs on
  int n_blocks(int level) const {
    const std::vector<GraphBlock>& blocks = sweep_.relation(level).blocks;
    const auto beyond = [](int depth, const GraphBlock& b) { return depth < b.depth; };
    return int(std::upper_bound(blocks.begin(), blocks.end(), network_.levels() - level, beyond) - blocks.begin());
  }

  void forward(int level, int b, Workspace<Real>& ws) {
    const GraphBlock& block = sweep_.relation(level).blocks[b];
    sweep_.edges(network_.level(level).relation, block, nullptr, ws);
    sweep_.forward(level, b, ws);
    if (block.depth > 0) return;
    for (std::size_t k = 0; k < to_.outputs.size(); ++k) {
      const Network::Output& o = network_.outputs()[k];
      const Network::Slot& slot = network_.slots()[o.slot];
      if (slot.level == level)
        read_output(sweep_.state(o.slot, level, b, ws), o.width, graph_.sets[slot.set].order.data() + block.first,
                    block.n, to_.outputs[k].data());
    }
  }

  void adjoint(int level, int b, Workspace<Real>& ws) {
    const Relation& relation = sweep_.relation(level);
    const GraphBlock& block = relation.blocks[b];
    const int number = network_.level(level).relation;
    sweep_.clear(level, b, ws);
    for (int slot : network_.readout()) {
      if (network_.slots()[slot].level != level || block.depth > 0) continue;
      const State<Real> e = sweep_.state(slot, level, b, ws);
      for (int i = 0; i < block.n; ++i) {
        energies_[relation.parents][block.first + i] += scale_ * double(e.own(0).value[i * e.layout->row(0)]);
        e.own_bar(0).value[i * e.layout->row(0)] -= Real(scale_);
      }
    }
    ws.edges[number].clear_adjoints(false);
    sweep_.adjoint(level, b, Want{true, false}, nullptr, ws);
    sweep_.edges_back(number, ws);
    Vec3* own = on_nodes_[relation.parents].data() + block.first;
    if (graph_.coloured) {
      Vec3* children = on_nodes_[relation.children].data();
      return add_edge_forces(relation, block, ws.edges[number], false, children, own, virials_[number][b]);
    }
    std::vector<Vec3>& halo = halo_forces_[number][b];
    halo.resize(block.halo.size(), Vec3{});
    // of neighbourhoods the parents are the first rows of the halo; other parents belong to this block alone
    Vec3* parents = relation.parents == relation.children ? halo.data() : own;
    add_edge_forces(relation, block, ws.edges[number], true, halo.data(), parents, virials_[number][b]);
  }

  /// Forces from the halos to the nodes, and the virial, in the order of blocks
  void gather_forces() {
    for (std::size_t k = 0; k < graph_.relations.size(); ++k) {
      const Relation& r = graph_.relations[k];
      if (r.blocks.empty()) continue;
      for (int child = 0; !graph_.coloured && child < graph_.sets[r.children].n; ++child)
        for (std::int64_t w = r.writer_first[child]; w < r.writer_first[child + 1]; ++w) {
          const std::vector<Vec3>& halo = halo_forces_[k][r.writers[w].first];
          for (int a = 0; a < 3 && !halo.empty(); ++a) on_nodes_[r.children][child][a] += halo[r.writers[w].second][a];
        }
      for (const Mat3& v : virials_[k])
        for (int a = 0; a < 3; ++a)
          for (int c = 0; c < 3; ++c) to_.virial[a][c] += v[a][c];
    }
  }

  const Network& network_;
  const Graph& graph_;
  double scale_;
  int threads_;
  EvaluationSpace<Real>& space_;
  Evaluation& to_;
  Sweep<Real> sweep_;
  std::vector<std::vector<Vec3>> on_nodes_;                  // forces per set
  std::vector<std::vector<double>> energies_;                // [set][node]
  std::vector<std::vector<std::vector<Vec3>>> halo_forces_;  // [relation][block][row]
  std::vector<std::vector<Mat3>> virials_;                   // [relation][block]
};

}  // namespace

template <class Real> void evaluate(const Network& network, const Graph& graph, const Buffer<Real>& packed,
                                    const std::vector<RadialSplines>* splines, double scale, int threads,
                                    EvaluationSpace<Real>& space, Evaluation& to) {
  while (int(space.workspaces.size()) < threads) space.workspaces.push_back(std::make_unique<Workspace<Real>>());
  if (graph.closed) evaluate_closed(network, graph, packed, splines, scale, *space.workspaces[0], to);
  else BlockEvaluation<Real>(network, graph, packed, splines, scale, threads, space, to).run();
}

template void evaluate(const Network&, const Graph&, const Buffer<double>&, const std::vector<RadialSplines>*, double,
                       int, EvaluationSpace<double>&, Evaluation&);
template void evaluate(const Network&, const Graph&, const Buffer<float>&, const std::vector<RadialSplines>*, double,
                       int, EvaluationSpace<float>&, Evaluation&);

}  // namespace nbcore
