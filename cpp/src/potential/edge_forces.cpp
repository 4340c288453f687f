#include "potential/edge_forces.hpp"

namespace nbcore {

template <class Real> void add_edge_forces(const Relation& relation, const GraphBlock& block, const Edges<Real>& edges,
                                           bool halo, Vec3* children, Vec3* parents, Mat3& virial) {
  const std::int64_t stride = edges.stride();
  const double *r = edges.r.value.data(), *f = edges.r_bar.value.data();
  const std::vector<std::int32_t>& child = halo ? block.child_halo : block.child;
  const std::vector<std::int32_t>& partner = halo ? block.partner_halo : block.partner;
  for (int i = 0; i < block.n; ++i)
    for (std::int64_t e = block.edge_first[i]; e < block.edge_first[i + 1]; ++e) {
      Vec3& origin = relation.pairs() ? children[partner[e]] : parents[i];
      for (int a = 0; a < 3; ++a) {
        const double f_a = f[a * stride + e];
        origin[a] -= f_a, children[child[e]][a] += f_a;
        for (int c = 0; c < 3; ++c) virial[a][c] += r[a * stride + e] * f[c * stride + e];
      }
    }
}

template <class Real>
void add_edge_virials(const GraphBlock& block, const Edges<Real>& edges, bool halo, Mat3* children) {
  const std::int64_t stride = edges.stride();
  const double *r = edges.r.value.data(), *f = edges.r_bar.value.data();
  const std::vector<std::int32_t>& child = halo ? block.child_halo : block.child;
  for (std::int64_t e = 0; e < block.n_edges(); ++e)
    for (int a = 0; a < 3; ++a)
      for (int c = 0; c < 3; ++c) children[child[e]][a][c] += r[a * stride + e] * f[c * stride + e];
}

void add_edge_force_tangents(const Relation& relation, const GraphBlock& block, const Edges<double>& edges,
                             Vec3* children, Vec3* parents, Mat3& virial) {
  const std::int64_t stride = edges.stride();
  const double *r = edges.r.value.data(), *r_dot = edges.r.dot.data();
  const double *f = edges.r_bar.value.data(), *f_dot = edges.r_bar.dot.data();
  for (int i = 0; i < block.n; ++i)
    for (std::int64_t e = block.edge_first[i]; e < block.edge_first[i + 1]; ++e) {
      Vec3& origin = relation.pairs() ? children[block.partner[e]] : parents[i];
      for (int a = 0; a < 3; ++a) {
        const double f_a = f_dot[a * stride + e];
        origin[a] -= f_a, children[block.child[e]][a] += f_a;
        for (int c = 0; c < 3; ++c)
          virial[a][c] += r_dot[a * stride + e] * f[c * stride + e] + r[a * stride + e] * f_dot[c * stride + e];
      }
    }
}

namespace {

void add(double factor, const Vec3& x, Vec3& to) {
  for (int c = 0; c < 3; ++c) to[c] += factor * x[c];
}
void add(double factor, const Mat3& x, Mat3& to) {
  for (int a = 0; a < 3; ++a) add(factor, x[a], to[a]);
}

/// From nodes, per set in the order of the graph, to atoms in the order of the user
template <class T>
void add_on_atoms(const Graph& graph, const std::vector<std::vector<T>>& on_nodes, std::vector<T>& atoms) {
  for (int k = 0; k < graph.n_atoms(); ++k) add(1, on_nodes[atom_set][k], atoms[graph.sets[atom_set].order[k]]);
  for (std::size_t s = 0; s < graph.sets.size(); ++s) {
    if (s == atom_set) continue;
    const NodeSet& set = graph.sets[s];
    for (int k = 0; k < set.n; ++k) {
      const int node = set.order[k];
      for (std::int64_t a = set.first[node]; a < set.first[node + 1]; ++a)
        add(set.coefficient[a], on_nodes[s][k], atoms[set.atom[a]]);
    }
  }
}

}  // namespace

void add_forces_on_atoms(const Graph& graph, const std::vector<std::vector<Vec3>>& on_nodes,
                         std::vector<Vec3>& forces) {
  add_on_atoms(graph, on_nodes, forces);
}

void add_virials_on_atoms(const Graph& graph, const std::vector<std::vector<Mat3>>& on_nodes,
                          std::vector<Mat3>& virials) {
  add_on_atoms(graph, on_nodes, virials);
}

void share_among_atoms(const Graph& graph, int s, const std::vector<double>& nodes, std::vector<double>& atoms) {
  const NodeSet& set = graph.sets[s];
  for (int k = 0; k < set.n; ++k) {
    const int node = set.order[k];
    if (s == atom_set) {
      atoms[node] += nodes[k];
      continue;
    }
    for (std::int64_t a = set.first[node]; a < set.first[node + 1]; ++a)
      atoms[set.atom[a]] += set.coefficient[a] * nodes[k];
  }
}

std::vector<std::vector<Vec3>> node_tangents(const Graph& graph, const std::vector<Vec3>& v) {
  std::vector<std::vector<Vec3>> on_nodes;
  for (std::size_t s = 0; s < graph.sets.size(); ++s) {
    const NodeSet& set = graph.sets[s];
    on_nodes.emplace_back(set.n, Vec3{});
    for (int k = 0; k < set.n; ++k) {
      const int node = set.order[k];
      if (s == atom_set) {
        on_nodes[s][k] = v[node];
        continue;
      }
      for (std::int64_t a = set.first[node]; a < set.first[node + 1]; ++a)
        for (int c = 0; c < 3; ++c) on_nodes[s][k][c] += set.coefficient[a] * v[set.atom[a]][c];
    }
  }
  return on_nodes;
}

void edge_tangents(const Relation& relation, const GraphBlock& block, const std::vector<std::vector<Vec3>>& v,
                   const Mat3& S, double weight, std::vector<double>& r_dot) {
  const std::int64_t stride = block.stride();
  r_dot.assign(block.r.size(), 0.0);
  for (int i = 0; i < block.n; ++i)
    for (std::int64_t e = block.edge_first[i]; e < block.edge_first[i + 1]; ++e) {
      const Vec3& origin =
          relation.pairs() ? v[relation.children][block.partner[e]] : v[relation.parents][block.first + i];
      for (int c = 0; c < 3; ++c) {
        double t = v[relation.children][block.child[e]][c] - origin[c];
        for (int d = 0; d < 3; ++d) t += S[c][d] * block.r[d * stride + e];
        r_dot[c * stride + e] = weight * t;
      }
    }
}

template void add_edge_forces(const Relation&, const GraphBlock&, const Edges<double>&, bool, Vec3*, Vec3*, Mat3&);
template void add_edge_forces(const Relation&, const GraphBlock&, const Edges<float>&, bool, Vec3*, Vec3*, Mat3&);
template void add_edge_virials(const GraphBlock&, const Edges<double>&, bool, Mat3*);
template void add_edge_virials(const GraphBlock&, const Edges<float>&, bool, Mat3*);

void set_edge_tangents(const Graph& graph, const std::vector<Vec3>& v, const Mat3& S,
                       std::vector<std::vector<std::vector<double>>>& r_dot) {
  const std::vector<std::vector<Vec3>> tangents = node_tangents(graph, v);
  r_dot.resize(graph.relations.size());
  for (std::size_t k = 0; k < graph.relations.size(); ++k) {
    const Relation& relation = graph.relations[k];
    r_dot[k].resize(relation.blocks.size());
    for (std::size_t b = 0; b < relation.blocks.size(); ++b)
      edge_tangents(relation, relation.blocks[b], tangents, S, 1.0, r_dot[k][b]);
  }
}

}  // namespace nbcore
