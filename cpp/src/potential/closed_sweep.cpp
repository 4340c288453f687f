#include "potential/closed_sweep.hpp"

namespace nbcore {

template <class Real> void add_edge_forces(const Relation& relation, const GraphBlock& block, const Edges<Real>& edges,
                                           bool halo, Vec3* children, Vec3* parents, Mat3& virial) {
  const std::int64_t stride = edges.stride();
  const double *r = edges.r.value.data(), *f = edges.r_bar.value.data();
  const std::vector<std::int32_t>& child = halo ? block.child_halo : block.child;
  const std::vector<std::int32_t>& partner = halo ? block.partner_halo : block.partner;
  for (int i = 0; i < block.n; ++i)
    for (std::int64_t e = block.edge_first[i]; e < block.edge_first[i + 1]; ++e) {
      Vec3& origin = relation.pairs ? children[partner[e]] : parents[i];
      for (int a = 0; a < 3; ++a) {
        const double f_a = f[a * stride + e];
        origin[a] -= f_a, children[child[e]][a] += f_a;
        for (int c = 0; c < 3; ++c) virial[a][c] += r[a * stride + e] * f[c * stride + e];
      }
    }
}

void add_forces_on_atoms(const Graph& graph, const std::vector<std::vector<Vec3>>& on_nodes,
                         std::vector<Vec3>& forces) {
  for (int k = 0; k < graph.n_atoms(); ++k)
    for (int c = 0; c < 3; ++c) forces[graph.sets[0].order[k]][c] += on_nodes[0][k][c];
  for (std::size_t s = 1; s < graph.sets.size(); ++s) {
    const NodeSet& set = graph.sets[s];
    for (int k = 0; k < set.n; ++k) {
      const int node = set.order[k];
      for (std::int64_t a = set.first[node]; a < set.first[node + 1]; ++a)
        for (int c = 0; c < 3; ++c) forces[set.atom[a]][c] += set.coefficient[a] * on_nodes[s][k][c];
    }
  }
}

void share_among_atoms(const Graph& graph, int s, const std::vector<double>& nodes, std::vector<double>& atoms) {
  const NodeSet& set = graph.sets[s];
  for (int k = 0; k < set.n; ++k) {
    const int node = set.order[k];
    if (s == 0) {
      atoms[node] += nodes[k];
      continue;
    }
    for (std::int64_t a = set.first[node]; a < set.first[node + 1]; ++a)
      atoms[set.atom[a]] += set.coefficient[a] * nodes[k];
  }
}

template <class Real> void ClosedSweep<Real>::forward() {
  each_relation([&](int k, const Relation& r) { sweep_.edges(k, r.blocks[0], nullptr, ws_); });
  sweep_.leaves(ws_);
  for (int level = 1; level <= network_.levels(); ++level) sweep_.forward(level, 0, ws_);
}

template <class Real> void ClosedSweep<Real>::adjoint(double seed) {
  for (int level = 1; level <= network_.levels(); ++level) sweep_.clear(level, 0, ws_);
  for (int slot : network_.readout()) {
    const State<Real> e = state(slot);
    for (int i = 0; i < e.rows; ++i) e.bar.value[i * e.layout->row(0)] += Real(seed);
  }
  each_relation([&](int k, const Relation&) { ws_.edges[k].clear_adjoints(false); });
  for (int level = network_.levels(); level >= 1; --level) sweep_.adjoint(level, 0, Want{true, false}, nullptr, ws_);
}

template <class Real> void ClosedSweep<Real>::add_forces(std::vector<Vec3>& forces, Mat3& virial) {
  std::vector<std::vector<Vec3>> on_nodes;
  for (const NodeSet& set : graph_.sets) on_nodes.emplace_back(set.n, Vec3{});
  each_relation([&](int k, const Relation& r) {
    sweep_.edges_back(k, ws_);
    add_edge_forces(r, r.blocks[0], ws_.edges[k], false, on_nodes[r.children].data(), on_nodes[r.parents].data(),
                    virial);
  });
  add_forces_on_atoms(graph_, on_nodes, forces);
}

template void add_edge_forces(const Relation&, const GraphBlock&, const Edges<double>&, bool, Vec3*, Vec3*, Mat3&);
template void add_edge_forces(const Relation&, const GraphBlock&, const Edges<float>&, bool, Vec3*, Vec3*, Mat3&);
template class ClosedSweep<double>;
template class ClosedSweep<float>;

}  // namespace nbcore
