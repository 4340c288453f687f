#include "potential/levels.hpp"

#include <algorithm>
#include <utility>

#include "base/threads.hpp"
#include "potential/outputs.hpp"

namespace nbcore {

template <class Real> Levels<Real>::Levels(const Network& network, const Graph& graph, const Buffer<Real>& packed,
                                           const StandIns<Real>* stand_ins, double scale, int threads,
                                           EvaluationSpace<Real>& space, Evaluation& to)
    : network_(network),
      graph_(graph),
      scale_(scale),
      threads_(threads),
      space_(space),
      to_(to),
      sweep_(network, graph, packed, Pass::plain, &space.system, Workspaces::lent, stand_ins) {
  while (int(space.workspaces.size()) < threads) space.workspaces.push_back(std::make_unique<Workspace<Real>>());
}

template <class Real> void Levels<Real>::begin() {
  space_.system.direct = graph_.coloured;
  sweep_.begin();
  for (const NodeSet& set : graph_.sets) on_nodes_.emplace_back(set.n, Vec3{}), energies_.emplace_back(set.n, 0.0);
  if (!to_.virials.empty())
    for (const NodeSet& set : graph_.sets) virials_on_nodes_.emplace_back(set.n, Mat3{});
  halo_forces_.resize(graph_.relations.size()), virials_.resize(graph_.relations.size());
  halo_virials_.resize(graph_.relations.size());
  for (std::size_t k = 0; k < graph_.relations.size(); ++k) {
    halo_forces_[k].resize(graph_.relations[k].blocks.size());
    halo_virials_[k].resize(graph_.relations[k].blocks.size());
    virials_[k].assign(graph_.relations[k].blocks.size(), Mat3{});
  }
}

/// The first ones, which a level runs on
template <class Real> int Levels<Real>::n_blocks(int level) const {
  const std::vector<GraphBlock>& blocks = sweep_.relation(level).blocks;
  const auto beyond = [](int depth, const GraphBlock& b) { return depth < b.depth; };
  return int(std::upper_bound(blocks.begin(), blocks.end(), network_.levels() - level, beyond) - blocks.begin());
}

template <class Real> void Levels<Real>::forward(int level) {
  each_block(level, [&](int b, Workspace<Real>& ws) { forward(level, b, ws); });
}

template <class Real> void Levels<Real>::adjoint(int level) {
  const auto both = [&](int b, Workspace<Real>& ws) { forward(level, b, ws), adjoint(level, b, ws); };
  if (graph_.coloured) {
    for (const std::vector<int>& colour : sweep_.relation(level).colours) {
      const auto end = std::lower_bound(colour.begin(), colour.end(), n_blocks(level));
      parallel_for(int(end - colour.begin()), threads_, [&](int k, int t) { both(colour[k], *space_.workspaces[t]); });
    }
    return;
  }
  each_block(level, both);
  const int n_children = graph_.sets[sweep_.relation(level).children].n;
  parallel_for((n_children + 63) / 64, threads_, [&](int k, int) {
    for (int child = 64 * k; child < std::min(64 * k + 64, n_children); ++child) sweep_.gather(level, child);
  });
}

template <class Real> void Levels<Real>::finish() {
  gather_forces();
  add_forces_on_atoms(graph_, on_nodes_, to_.forces);
  if (!to_.virials.empty()) gather_virials(), add_virials_on_atoms(graph_, virials_on_nodes_, to_.virials);
  for (std::size_t set = 0; set < graph_.sets.size(); ++set)
    share_among_atoms(graph_, int(set), energies_[set], to_.energies);
  if (to_.repulsion) to_.repulsion->add(graph_, to_.energies, to_.forces, to_.virial, to_.virials);
}

template <class Real> void Levels<Real>::forward(int level, int b, Workspace<Real>& ws) {
  const GraphBlock& block = sweep_.relation(level).blocks[b];
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

template <class Real> void Levels<Real>::adjoint(int level, int b, Workspace<Real>& ws) {
  const Relation& relation = sweep_.relation(level);
  const GraphBlock& block = relation.blocks[b];
  const int number = network_.level(level).relation;
  sweep_.adjoint(level, b, Want{true, false}, nullptr, ws, [&] {
    if (block.depth > 0) return;
    double* energies = energies_[relation.parents].data() + block.first;
    double* const of_atoms = to_.of_level(level);
    sweep_.read_energies(level, b, ws, [&](int i, Real e) {
      energies[i] += scale_ * double(e);
      if (of_atoms) of_atoms[graph_.sets[atom_set].order[block.first + i]] = scale_ * double(e);
    });
    if (to_.last_layer) to_.last_layer->add_features(sweep_, graph_, level, b, ws, scale_, to_.features);
    sweep_.seed_energies(level, b, ws, -scale_);
  });
  Vec3* own = on_nodes_[relation.parents].data() + block.first;
  if (!to_.virials.empty()) {
    std::vector<Mat3>& halo = halo_virials_[number][b];
    if (!graph_.coloured) halo.resize(block.halo.size(), Mat3{});
    Mat3* children = graph_.coloured ? virials_on_nodes_[relation.children].data() : halo.data();
    add_edge_virials(block, ws.edges[number], !graph_.coloured, children);
  }
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
template <class Real> void Levels<Real>::gather_forces() {
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

/// The same of the virials of atoms
template <class Real> void Levels<Real>::gather_virials() {
  for (std::size_t k = 0; k < graph_.relations.size() && !graph_.coloured; ++k) {
    const Relation& r = graph_.relations[k];
    for (int child = 0; !r.blocks.empty() && child < graph_.sets[r.children].n; ++child)
      for (std::int64_t w = r.writer_first[child]; w < r.writer_first[child + 1]; ++w) {
        const std::vector<Mat3>& halo = halo_virials_[k][r.writers[w].first];
        for (int a = 0; a < 3 && !halo.empty(); ++a)
          for (int c = 0; c < 3; ++c) virials_on_nodes_[r.children][child][a][c] += halo[r.writers[w].second][a][c];
      }
  }
}

// ---- states of ghosts ----

template <class Real> std::size_t Levels<Real>::row_size(const Network& network, int level) {
  std::size_t size = 0;
  for (int slot : network.read_by_parents(level))
    for (const Part& p : network.slots()[slot].parts) size += std::size_t(p.dim()) * p.channels();
  return size;
}

/// f(numbers without padding, those of a state, how many, how many with padding) for group after group of channels, m
/// after m of every one of these atoms
template <class Real> template <class Number, class F>
void Levels<Real>::each_row(int level, std::span<const std::int32_t> atoms, bool adjoints, Number* rows,
                            std::size_t stride, F f) {
  if (place_.empty()) {
    const std::vector<std::int32_t>& order = graph_.sets[atom_set].order;
    place_.resize(to_.energies.size());
    for (std::size_t k = 0; k < order.size(); ++k) place_[order[k]] = std::int32_t(k);
  }
  const std::vector<int> slots = network_.read_by_parents(level);
  for (std::size_t k = 0; k < atoms.size(); ++k) {
    Number* numbers = rows + k * stride;
    for (int slot : slots) {
      const Layout<Real>& layout = network_.engine<Real>().layouts[slot];
      PlaneBuffer<Real>& all = adjoints ? space_.system.bar[slot] : space_.system.x[slot];
      for (int p = 0; p < layout.size(); ++p) {
        const int n = layout[p].group, with_padding = padded<Real>(n);
        Real* group = all.value.data() + layout.offset(p, graph_.n_atoms()) +
                      std::ptrdiff_t(place_[atoms[k]]) * layout[p].dim() * layout.row(p);
        for (int g = 0; g < layout[p].dim() * layout[p].groups; ++g, group += with_padding, numbers += n)
          f(numbers, group, n, with_padding);
      }
    }
  }
}

template <class Real>
void Levels<Real>::read_states(int level, std::span<const std::int32_t> atoms, Real* rows, std::size_t stride) {
  each_row(level, atoms, false, rows, stride, [](Real* to, const Real* x, int n, int) { std::copy_n(x, n, to); });
}
template <class Real>
void Levels<Real>::write_states(int level, std::span<const std::int32_t> atoms, const Real* rows, std::size_t stride) {
  each_row(level, atoms, false, rows, stride, [](const Real* from, Real* x, int n, int with_padding) {
    std::fill(std::copy_n(from, n, x), x + with_padding, Real(0));
  });
}
template <class Real>
void Levels<Real>::take_adjoints(int level, std::span<const std::int32_t> atoms, Real* rows, std::size_t stride) {
  each_row(level, atoms, true, rows, stride,
           [](Real* to, Real* x_bar, int n, int) { std::copy_n(x_bar, n, to), std::fill_n(x_bar, n, Real(0)); });
}
template <class Real>
void Levels<Real>::add_adjoints(int level, std::span<const std::int32_t> atoms, const Real* rows, std::size_t stride) {
  each_row(level, atoms, true, rows, stride, [](const Real* from, Real* x_bar, int n, int) {
    for (int c = 0; c < n; ++c) x_bar[c] += from[c];
  });
}

template class Levels<double>;
template class Levels<float>;

}  // namespace nbcore
