// Forward and adjoint of one level of a network on one block: the story that every driver tells. A structure in one
// workspace (potential/closed_sweep.hpp), large systems block by block and hosts that exchange states of ghosts
// (potential/levels.hpp), and batches (potential/batch_sweep.hpp) differ in where states and intermediate results are
// kept, and in what they read and seed in between.
#pragma once
#include <algorithm>
#include <array>

#include "base/subnormals.hpp"
#include "network/graph.hpp"
#include "network/network.hpp"

namespace nbcore {

/// A plain sweep computes values. A tangent one follows it with the same seeds over the same memory and adds tangents:
/// its values are there already (half of the work of a mix gate).
enum class Pass { plain, tangent };

/// What one thread needs to run blocks; grows to the largest block and is then never allocated again.
template <class Real> struct Workspace {
  std::vector<PlaneBuffer<Real>> x, bar;  // per slot, rows: the block's parents
  std::vector<Edges<Real>> edges;         // per relation
  std::vector<char> written;              // per slot: something stands in bar
  Scratch<Real> scratch;
  Buffer<Real> unused;           // where a tangent sweep's values of adjoints go
  std::array<int, 2> all_edges;  // of gates of nodes that run on edges: one class of them
  Block<Real> view;              // of the gate that runs
};

/// Persistent slots of a system of several blocks.
template <class Real> struct SystemStates {
  std::vector<PlaneBuffer<Real>> x, bar;                 // per slot, rows: all nodes of its set
  std::vector<std::vector<PlaneBuffer<Real>>> halo_bar;  // [block][slot], rows: the block's halo
  bool direct = false;  // no halos: blocks that run at the same time share no child, and add to bar itself
};

/// A workspace is kept for its block from the first forward to the last adjoint, or it is lent: other blocks use it in
/// between, so that each level computes its edges anew, and runs forward again before its adjoint.
enum class Workspaces { kept, lent };

template <class Real> class Sweep {
 public:
  /// Without `system` the graph must be closed: states of all sets lie in one workspace, which is kept.
  /// stand_ins: for plain sweeps that want no adjoints of weights
  Sweep(const Network& network, const Graph& graph, const Buffer<Real>& packed, Pass pass, SystemStates<Real>* system,
        Workspaces workspaces, const StandIns<Real>* stand_ins = nullptr)
      : network_(network),
        engine_(network.engine<Real>()),
        graph_(graph),
        packed_(packed),
        tangent_(pass == Pass::tangent),
        kept_(workspaces == Workspaces::kept),
        system_(system),
        stand_ins_(stand_ins) {}

  const Relation& relation(int level) const { return graph_.relations[network_.level(level).relation]; }

  /// Leaf states and their adjoints, which are zero, and room for the persistent slots of the whole system. Without
  /// `system` everything lies in the one workspace.
  void begin(Workspace<Real>* closed = nullptr) const {
    const int n = n_slots();
    if (!system_) {
      closed->x.resize(n), closed->bar.resize(n), closed->written.resize(n);
      for (int slot = 0; slot < n; ++slot)
        if (!slot_of(slot).rule) leaf(slot, closed->x[slot], closed->bar[slot]), closed->written[slot] = 1;
      return;
    }
    std::size_t blocks = 0;
    for (const Relation& r : graph_.relations) blocks = std::max(blocks, r.blocks.size());
    system_->x.resize(n), system_->bar.resize(n), system_->halo_bar.resize(system_->direct ? 0 : blocks);
    for (auto& b : system_->halo_bar) b.resize(n);
    for (int slot = 0; slot < n; ++slot)
      if (outside(slot)) {
        const std::ptrdiff_t size = engine_.layouts[slot].node_size() * graph_.sets[network_.slots()[slot].set].n;
        system_->x[slot].resize(size, tangent_);
        system_->bar[slot].resize(size, tangent_);
        clear(system_->bar[slot]);
        if (!slot_of(slot).rule) leaf(slot, system_->x[slot], system_->bar[slot]);
      }
  }

  /// Edges, where no level below has left them, and all gates of a level; its scratch slots stay in ws for the adjoint.
  /// r_dot: tangents of the edge vectors [3][stride], for tangent sweeps
  void forward(int level, int block_index, Workspace<Real>& ws, const double* r_dot = nullptr) const {
    const FlushSubnormals flush;
    const GraphBlock& block = relation(level).blocks[block_index];
    if (!kept_ || lowest(level)) edges(level, block, r_dot, ws);
    ws.x.resize(n_slots()), ws.bar.resize(n_slots());
    for (int slot = 0; slot < n_slots(); ++slot) {
      if (slot_of(slot).level != level) continue;
      const auto* chain = chain_of(slot, block_index, ws);
      if (chain && !chain->last) continue;
      if (!outside(slot)) ws.x[slot].resize(engine_.layouts[slot].node_size() * rows(slot, block), tangent_);
      Block<Real>& view = bind(slot, block_index, ws);
      if (chain) run_as_warp([&] { chain->sums->forward(view); });
      else kernels(slot).forward(tangent_, view);
    }
  }
  /// The gates of a level in reverse. `seed` is called when its adjoints have begun, to add to those of seeded slots.
  /// Where no level below adds to the adjoints of the edges, r_bar of the edges is there in the end.
  /// weights_bar: adjoint of the packed weights, or null
  template <class Seed>
  void adjoint(int level, int block_index, Want want, Real* weights_bar, Workspace<Real>& ws, Seed seed) const {
    const FlushSubnormals flush;
    if (system_) clear(level, block_index, ws);
    else if (level == network_.levels())  // levels write to each other's slots in the one workspace
      for (int k = level; k >= 1; --k) clear(k, block_index, ws);
    seed();
    Edges<Real>& edges = ws.edges[network_.level(level).relation];
    if (want.edges && (!kept_ || highest(level))) edges.clear_adjoints(tangent_);
    for (int slot = n_slots() - 1; slot >= 0; --slot) {
      if (slot_of(slot).level != level) continue;
      const auto* chain = chain_of(slot, block_index, ws);
      if (chain && !chain->last) continue;
      if (!outside(slot) && !ws.written[slot]) write_zeros(slot, ws);
      Block<Real>& view = bind(slot, block_index, ws);
      if (chain) {
        run_as_warp([&] { chain->sums->adjoint(view); });
        continue;
      }
      const std::vector<int>& inputs = slot_of(slot).inputs;
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        const int input = inputs[k];
        if (outside(input) || ws.written[input]) continue;
        view.inputs[k].fresh = kernels(slot).overwrites && std::count(inputs.begin(), inputs.end(), input) == 1;
        if (view.inputs[k].fresh) ws.written[input] = 1;
        else write_zeros(input, ws);
      }
      if (tangent_) throw_values_away(view, ws);
      view.weights_bar = weights_bar ? weights_bar + engine_.steps[slot].weights : nullptr;
      kernels(slot).adjoint(tangent_, want, view);
    }
    if (want.edges && (!kept_ || lowest(level))) tangent_ ? edges_adjoint<true>(edges) : edges_adjoint<false>(edges);
  }
  /// The state of a slot as the gates of `level` see it
  State<Real> state(int slot, int level, int block_index, Workspace<Real>& ws) const {
    const GraphBlock& block = relation(level).blocks[block_index];
    const int n = graph_.sets[network_.slots()[slot].set].n;
    State<Real> s;
    s.layout = &engine_.layouts[slot];
    if (!outside(slot)) {
      s.x = ws.x[slot].planes(), s.bar = ws.bar[slot].planes();
      s.rows = s.bar_rows = system_ || slot_of(slot).on_edges ? rows(slot, block) : n;
      return s;
    }
    s.x = system_->x[slot].planes(), s.rows = n, s.node = block.first;
    if (in_halo(slot, level))
      s.bar = system_->halo_bar[block_index][slot].planes(), s.bar_rows = int(block.halo.size());
    else s.bar = system_->bar[slot].planes(), s.bar_rows = n, s.bar_node = block.first;
    return s;
  }
  /// f(node of the block, its contribution to the energy without scale) for the readouts of a level
  template <class F> void read_energies(int level, int block_index, Workspace<Real>& ws, F f) const {
    each_readout(level, block_index, ws,
                 [&](const State<Real>& e, int i, std::ptrdiff_t at) { f(i, e.own(0).value[at]); });
  }
  /// Adjoints of these contributions += seed, in tangent sweeps their tangents += seed
  void seed_energies(int level, int block_index, Workspace<Real>& ws, double seed) const {
    seed_energies_by_node(level, block_index, ws, [&](int) { return seed; });
  }
  /// The same with seed(node of the block)
  template <class F> void seed_energies_by_node(int level, int block_index, Workspace<Real>& ws, F seed) const {
    each_readout(level, block_index, ws, [&](const State<Real>& e, int i, std::ptrdiff_t at) {
      (tangent_ ? e.own_bar(0).dot : e.own_bar(0).value)[at] += Real(seed(i));
    });
  }
  /// After the adjoint of a level on all blocks: the adjoint of child k's states, summed over the blocks that wrote to
  /// it.
  void gather(int level, int child) const {
    const Relation& r = relation(level);
    for (int slot = 0; slot < int(network_.slots().size()); ++slot) {
      if (!in_halo(slot, level) || !read_in(level, slot)) continue;
      const Layout<Real>& layout = engine_.layouts[slot];
      for (int p = 0; p < layout.size(); ++p) {
        const std::ptrdiff_t size = std::ptrdiff_t(layout[p].dim()) * layout.row(p);
        const Planes<Real> to =
            system_->bar[slot].planes() + layout.offset(p, graph_.sets[r.children].n) + child * size;
        for (std::int64_t k = r.writer_first[child]; k < r.writer_first[child + 1]; ++k) {
          const auto [b, row] = r.writers[k];
          const Planes<Real> from =
              system_->halo_bar[b][slot].planes() + layout.offset(p, int(r.blocks[b].halo.size())) + row * size;
          Real* const sum = tangent_ ? to.dot : to.value;
          const Real* const share = tangent_ ? from.dot : from.value;
          for (std::ptrdiff_t i = 0; i < size; ++i) sum[i] += share[i];
        }
      }
    }
  }

 private:
  /// f(state, node of the block, where its scalar is) for the readouts of a level
  template <class F> void each_readout(int level, int block_index, Workspace<Real>& ws, F f) const {
    for (int slot : network_.readout()) {
      if (network_.slots()[slot].level != level) continue;
      const State<Real> e = state(slot, level, block_index, ws);
      for (int i = 0; i < relation(level).blocks[block_index].n; ++i) f(e, i, std::ptrdiff_t(i) * e.layout->row(0));
    }
  }
  /// The chain that does the work of a gate on these edges, if one does
  const typename StandIns<Real>::Chain* chain_of(int slot, int block_index, Workspace<Real>& ws) const {
    const auto* chain = stand_ins_ ? stand_ins_->chain(slot) : nullptr;
    return chain && chain->sums->serves(bind(slot, block_index, ws)) ? chain : nullptr;
  }
  int n_slots() const { return int(network_.slots().size()); }
  const Network::Slot& slot_of(int slot) const { return network_.slots()[slot]; }
  const GateKernels<Real>& kernels(int slot) const { return *engine_.steps[slot].kernels; }
  /// Does no level below, none above, use the relation of this one?
  bool lowest(int level) const {
    for (int k = 1; k < level; ++k)
      if (network_.level(k).relation == network_.level(level).relation) return false;
    return true;
  }
  bool highest(int level) const {
    for (int k = level + 1; k <= network_.levels(); ++k)
      if (network_.level(k).relation == network_.level(level).relation) return false;
    return true;
  }
  /// Harmonics and radial functions of a block
  void edges(int level, const GraphBlock& block, const double* r_dot, Workspace<Real>& ws) const {
    const int relation = network_.level(level).relation;
    ws.edges.resize(graph_.relations.size());
    Edges<Real>& e = ws.edges[relation];
    e.l_max = network_.relations()[relation].l_harmonics, e.radials = network_.relations()[relation].radials;
    e.stand_ins = stand_ins_ ? &stand_ins_->radials[relation] : nullptr;
    e.resize(block.n_edges(), tangent_);
    std::copy(block.r.begin(), block.r.end(), e.r.value.data());
    if (e.see_elements()) {
      e.elements.resize(block.n_edges());
      for (int i = 0, species = 0; i < block.n; ++i) {
        while (i >= block.species_first[species + 1]) ++species;
        for (std::int64_t q = block.edge_first[i]; q < block.edge_first[i + 1]; ++q)
          e.elements[q] = {species, block.child_species[q]};
      }
    }
    if (tangent_ && r_dot) std::copy(r_dot, r_dot + block.r.size(), e.r.dot.data());
    tangent_ ? edges_forward<true>(e) : edges_forward<false>(e);
  }
  /// Adjoints of this level begin anew: what the caller seeds and what blocks share is zero, the rest unwritten.
  void clear(int level, int block_index, Workspace<Real>& ws) const {
    const GraphBlock& block = relation(level).blocks[block_index];
    ws.written.resize(n_slots());
    for (int slot = 0; slot < n_slots(); ++slot) {
      if (slot_of(slot).level != level) continue;
      if (!outside(slot)) {
        ws.bar[slot].resize(engine_.layouts[slot].node_size() * rows(slot, block), tangent_);
        ws.written[slot] = 0;
        if (slot_of(slot).seeded) write_zeros(slot, ws);
      }
      for (int input : slot_of(slot).inputs)
        if (in_halo(input, level)) {
          PlaneBuffer<Real>& halo = system_->halo_bar[block_index][input];
          halo.resize(engine_.layouts[input].node_size() * block.halo.size(), tangent_);
          clear(halo);
        }
    }
  }
  void leaf(int slot, PlaneBuffer<Real>& x, PlaneBuffer<Real>& bar) const {
    const Layout<Real>& layout = engine_.layouts[slot];
    const int n = graph_.n_atoms(), row = layout.row(0), channels = layout[0].channels();
    x.resize(layout.node_size() * n, tangent_), bar.resize(layout.node_size() * n, tangent_);
    x.clear(tangent_), clear(bar);
    const std::vector<double>& from = graph_.leaves[slot];
    for (std::ptrdiff_t k = 0; k < std::ptrdiff_t(n) * layout[0].dim(); ++k)
      for (int c = 0; c < channels; ++c) x.value[k * row + c] = Real(from[k * channels + c]);
  }
  void clear(PlaneBuffer<Real>& adjoint) const { tangent_ ? adjoint.dot.clear() : adjoint.value.clear(); }
  void write_zeros(int slot, Workspace<Real>& ws) const {
    clear(ws.bar[slot]);
    ws.written[slot] = 1;
  }
  /// Nodes or edges of a block
  int rows(int slot, const GraphBlock& block) const { return slot_of(slot).on_edges ? int(block.n_edges()) : block.n; }
  bool outside(int slot) const { return system_ && network_.slots()[slot].persistent; }
  /// Adjoints of children are written to the block's halo; those of its own nodes go straight to the system, unless
  /// they are children, too.
  bool in_halo(int slot, int level) const {
    const Network::Slot& s = network_.slots()[slot];
    return outside(slot) && !system_->direct && s.level < level && s.set == relation(level).children;
  }
  bool read_in(int level, int slot) const {
    return std::any_of(network_.slots().begin(), network_.slots().end(), [&](const Network::Slot& s) {
      return s.level == level && std::find(s.inputs.begin(), s.inputs.end(), slot) != s.inputs.end();
    });
  }
  Block<Real>& bind(int slot, int block_index, Workspace<Real>& ws) const {
    const int level = slot_of(slot).level;
    const Relation& r = relation(level);
    const GraphBlock& block = r.blocks[block_index];
    Block<Real>& b = ws.view;
    b.inputs.clear();
    b.n = block.n, b.species_first = block.species_first.data(), b.n_species = graph_.sets[r.parents].n_species;
    b.first = block.edge_first.data(), b.child = block.child.data(), b.child_species = block.child_species.data();
    const bool halo = system_ && !system_->direct;
    b.child_bar = halo ? block.child_halo.data() : block.child.data();
    b.partner = r.pairs() ? block.partner.data() : nullptr;
    b.partner_bar = r.pairs() && halo ? block.partner_halo.data() : b.partner;
    b.edges = &ws.edges[network_.level(level).relation];
    if (slot_of(slot).on_edges && slot_of(slot).rule->type->reads == Reads::nodes) {
      ws.all_edges = {0, int(block.n_edges())};
      b.n = ws.all_edges[1], b.species_first = ws.all_edges.data(), b.n_species = 1;
    }
    for (int input : slot_of(slot).inputs) b.inputs.push_back(state(input, level, block_index, ws));
    b.output = state(slot, level, block_index, ws);
    b.weights = packed_.data() + engine_.steps[slot].weights;
    b.copies = packed_.data() + engine_.n_weights + engine_.steps[slot].copies;
    ws.scratch.reset();
    b.scratch = &ws.scratch;
    return b;
  }
  /// One array, for the largest input, takes the values of all adjoints.
  void throw_values_away(Block<Real>& view, Workspace<Real>& ws) const {
    std::ptrdiff_t n = 0;
    for (const State<Real>& input : view.inputs) n = std::max(n, input.layout->node_size() * input.bar_rows);
    if (std::ptrdiff_t(ws.unused.size()) < n) ws.unused.resize(n), ws.unused.clear();
    for (State<Real>& input : view.inputs) input.bar.value = ws.unused.data();
  }

  const Network& network_;
  const Engine<Real>& engine_;
  const Graph& graph_;
  const Buffer<Real>& packed_;
  bool tangent_, kept_;
  SystemStates<Real>* system_;
  const StandIns<Real>* stand_ins_;
};

}  // namespace nbcore
