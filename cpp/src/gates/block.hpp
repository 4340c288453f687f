// What the kernels of a gate are given: states and edges of a block, memory, weights.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "ops/edges.hpp"
#include "ops/features.hpp"

namespace nbcore {

/// What an adjoint is asked for besides the adjoints of states: those of the edges, those of the weights.
struct Want {
  bool edges, parameters;
  bool operator==(const Want&) const = default;
};

/// A state as a gate sees it in a block: x and its adjoint. Children are read and written through `child` and
/// `child_bar`, nodes of the block by their own number.
template <class Real> struct State {
  const Layout<Real>* layout = nullptr;
  Planes<Real> x, bar;
  int rows = 0, bar_rows = 0;  // nodes stored in x and in bar: offsets of parts depend on it
  std::ptrdiff_t node = 0;     // row of the block's first node in x (bar has rows of its own for the block's nodes)
  std::ptrdiff_t bar_node = 0;
  bool fresh = false;  // nothing has been written to bar yet: the adjoint overwrites it (gates that can, see Gate)

  Planes<Real> part(int p) const { return x + layout->offset(p, rows); }
  Planes<Real> part_bar(int p) const { return bar + layout->offset(p, bar_rows); }
  /// part p of the block's own nodes
  Planes<Real> own(int p) const { return part(p) + node * (*layout)[p].dim() * layout->row(p); }
  Planes<Real> own_bar(int p) const { return part_bar(p) + bar_node * (*layout)[p].dim() * layout->row(p); }
  /// Zeroes what a sweep writes of x (`written`) for n of the block's own nodes
  template <class Lane> void clear(int first, int n) const {
    for (int p = 0; p < layout->size(); ++p) {
      const std::size_t size = std::size_t((*layout)[p].dim()) * layout->row(p);
      fill(written<Lane>(own(p)) + first * size, n * size, 0);
    }
  }
};

/// Memory for a gate's intermediate results; nothing is allocated once it has grown. What it held before is still there.
/// All lanes take the same, in the same order, and get the same.
template <class Real> class Scratch {
 public:
  void reset() { next_.fill(0); }
  Real* take(std::size_t n) {
    std::size_t& next = next_[lane()];
    const bool first = lanes_are_threads && *std::max_element(next_.begin(), next_.end()) == next;
    if (next == buffers_.size()) buffers_.emplace_back();
    Buffer<Real>& b = buffers_[next++];
    b.resize(n + 64 / sizeof(Real));
    // in a warp nobody may read what no lane has written
    if (first) std::fill_n(b.data(), b.size(), std::numeric_limits<Real>::quiet_NaN());
    return b.data();
  }
  Planes<Real> take_planes(std::size_t n, bool dual) { return {take(n), dual ? take(n) : nullptr}; }
  /// n registers, with their tangents, that this lane alone reads and writes
  template <class Lane> Lane* take_registers(std::size_t n) {
    constexpr std::size_t size = sizeof(Lane) / sizeof(Real);
    return reinterpret_cast<Lane*>(take(n * size * warp_size)) + n * lane();
  }

 private:
  std::vector<Buffer<Real>> buffers_;
  std::array<std::size_t, 32> next_{};  // of each lane
};

/// The unit of work: some parents, all their edges, ordered by parent and the child's species.
template <class Real> struct Block {
  int n = 0;                 // parents
  const int* species_first;  // parents of species (or class) s: species_first[s] .. species_first[s+1]-1
  int n_species;
  const std::int64_t* first;          // edges of parent i: first[i] .. first[i+1]-1
  const std::int32_t* child;          // [edge] row of the child in a state's x
  const std::int32_t* child_bar;      // [edge] row of the child in a state's bar
  const std::int32_t* child_species;  // [edge]
  const std::int32_t* partner;        // [edge] of pairs: the other child, else null
  const std::int32_t* partner_bar;
  Edges<Real>* edges;
  std::vector<State<Real>> inputs;
  State<Real> output;
  const Real* weights = nullptr;  // packed
  const Real* copies = nullptr;   // the same weights in another order
  Real* weights_bar = nullptr;    // adjoint of `weights`
  Scratch<Real>* scratch;
};

}  // namespace nbcore
