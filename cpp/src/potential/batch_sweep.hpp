// Some structures of a batch, cut into blocks, level by level: all blocks of a level, of whatever structure, are work
// for the threads. Between levels the states of a structure are in arrays of their own (SystemStates), everything else
// is in a workspace per block, kept from forward to adjoint; nothing is allocated once these have grown. A batch is run
// in groups of about as many structures as threads: what a core works on stays in its cache (all structures at once
// measured 1.3 times slower).
//
// Adjoints of weights go into buffers, each in the order of structures: which buffer a block takes depends on its
// structure alone. Neither groups nor threads change a bit.
#pragma once
#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "base/threads.hpp"
#include "network/gradient_sum.hpp"
#include "network/sweep.hpp"

namespace nbcore {

/// Where the blocks of a structure leave adjoints of the weights: in one buffer, or one after another in several.
struct BlockBuffers {
  int first = 0, count = 1, shift = 0;
  int of(int block) const { return first + (shift + block) % count; }
};

template <class Real> class BatchSweep {
 public:
  /// What a structure of a group needs; used again by the next one.
  struct Memory {
    SystemStates<Real> system;
    std::vector<std::vector<std::unique_ptr<Workspace<Real>>>> workspaces;  // [relation][block]
    std::vector<std::vector<std::vector<double>>> r_dot;                    // [relation][block] tangents of edges
  };
  /// A block of a structure at a level, for callbacks
  struct Place {
    int member, level, block;
    const Sweep<Real>& sweep;
    Workspace<Real>& ws;
    const GraphBlock& graph_block() const { return sweep.relation(level).blocks[block]; }
    State<Real> state(int slot) const { return sweep.state(slot, level, block, ws); }
  };

  /// buffers: of each structure
  BatchSweep(const Network& network, const Buffer<Real>& packed, std::vector<const Graph*> graphs, int threads,
             std::vector<std::unique_ptr<Memory>>& memory, std::span<const BlockBuffers> buffers)
      : network_(network), packed_(packed), graphs_(std::move(graphs)), threads_(threads), memory_(memory) {
    while (memory_.size() < graphs_.size()) memory_.push_back(std::make_unique<Memory>());
    for (int level = 1; level <= network_.levels(); ++level) {
      tasks_.emplace_back();
      const int relation = network_.level(level).relation;
      for (int m = 0; m < int(graphs_.size()); ++m) {
        const int n = int(graphs_[m]->relations[relation].blocks.size());
        for (int b = 0; b < n; ++b) tasks_.back().push_back({m, b, buffers[m].of(b)});
        auto& workspaces = memory_[m]->workspaces;
        workspaces.resize(graphs_[m]->relations.size());
        while (int(workspaces[relation].size()) < n)
          workspaces[relation].push_back(std::make_unique<Workspace<Real>>());
      }
    }
  }

  /// Calls f(structure) for all, spread over the threads
  template <class F> void each_member(F f) const {
    parallel_for(int(graphs_.size()), threads_, [&](int m, int) { f(m); });
  }

  /// Levels 1 .. to; `read` is called with each Place after it.
  template <class F> void forward(Pass pass, int to, F read) {
    pass_ = pass;
    each_member([&](int m) {
      memory_[m]->system.direct = graphs_[m]->closed;
      sweep(m).begin();
    });
    for (int level = 1; level <= to; ++level)
      largest_first(
          int(tasks_[level - 1].size()), [&](int k) { return parents(level, k); },
          [&](int k) { forward_block(level, k, read); });
  }

  /// All levels in reverse; `seed` is called with each Place before its adjoint. With `forward_top` the last level runs
  /// forward first. buffers: adjoints of the weights, where they are wanted.
  template <class F, class G>
  void adjoint(Want want, bool forward_top, std::span<GradientSum<Real>> buffers, F read, G seed) {
    for (int level = network_.levels(); level >= 1; --level) {
      const auto& tasks = tasks_[level - 1];
      std::vector<std::vector<int>> lists(want.parameters ? buffers.size() : tasks.size());
      for (int k = 0; k < int(tasks.size()); ++k) lists[want.parameters ? tasks[k].buffer : k].push_back(k);
      const auto work = [&](int list) {
        int sum = 0;
        for (int k : lists[list]) sum += parents(level, k);
        return sum;
      };
      largest_first(int(lists.size()), work, [&](int list) {
        for (int k : lists[list]) {
          if (forward_top && level == network_.levels()) forward_block(level, k, read);
          adjoint_block(level, k, want, want.parameters ? buffers[list].weights_bar() : nullptr, seed);
          if (want.parameters) buffers[list].added(level, parents(level, k));
        }
      });
      each_member([&](int m) {
        if (graphs_[m]->closed) return;
        const Sweep<Real> s = sweep(m);
        const int n_children = graphs_[m]->sets[s.relation(level).children].n;
        for (int child = 0; child < n_children; ++child) s.gather(level, child);
      });
    }
  }

  /// After an adjoint that wanted edges: f(relation's number, block's number, edges) for a structure, in order
  template <class F> void each_edges(int member, F f) const {
    const Graph& graph = *graphs_[member];
    for (int k = 0; k < int(graph.relations.size()); ++k)
      for (int b = 0; network_.uses(k) && b < int(graph.relations[k].blocks.size()); ++b)
        f(k, b, memory_[member]->workspaces[k][b]->edges[k]);
  }

  Memory& memory(int member) const { return *memory_[member]; }

 private:
  struct Task {
    int member, block, buffer;
  };
  int parents(int level, int k) const {
    const auto [m, b, buffer] = tasks_[level - 1][k];
    return graphs_[m]->relations[network_.level(level).relation].blocks[b].n;
  }
  /// f(0) ... f(n-1), spread over the threads so that they end at about the same time
  template <class Size, class F> void largest_first(int n, Size size, F f) const {
    std::vector<std::pair<int, int>> order;
    for (int k = 0; k < n; ++k) order.emplace_back(-size(k), k);
    if (threads_ > 1) std::sort(order.begin(), order.end());
    parallel_for(n, threads_, [&](int k, int) { f(order[k].second); });
  }
  Sweep<Real> sweep(int m) const {
    return {network_, *graphs_[m], packed_, pass_, &memory_[m]->system, Workspaces::kept};
  }
  template <class F> void forward_block(int level, int k, F read) {
    const auto [m, b, buffer] = tasks_[level - 1][k];
    const int relation = network_.level(level).relation;
    const Sweep<Real> s = sweep(m);
    Workspace<Real>& ws = *memory_[m]->workspaces[relation][b];
    s.forward(level, b, ws, pass_ == Pass::tangent ? memory_[m]->r_dot[relation][b].data() : nullptr);
    read(Place{m, level, b, s, ws});
  }
  template <class F> void adjoint_block(int level, int k, Want want, Real* weights_bar, F seed) {
    const auto [m, b, buffer] = tasks_[level - 1][k];
    const Sweep<Real> s = sweep(m);
    Workspace<Real>& ws = *memory_[m]->workspaces[network_.level(level).relation][b];
    const Place place{m, level, b, s, ws};
    s.adjoint(level, b, want, weights_bar, ws, [&] { seed(place); });
  }

  const Network& network_;
  const Buffer<Real>& packed_;
  std::vector<const Graph*> graphs_;
  int threads_;
  std::vector<std::unique_ptr<Memory>>& memory_;
  Pass pass_ = Pass::plain;
  std::vector<std::vector<Task>> tasks_;  // [level - 1]
};

}  // namespace nbcore
