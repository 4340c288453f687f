// One gate by itself, on nodes and edges given as plain arrays: for the test batteries, and for people who try out a
// new gate.
//
// States are flat arrays without padding, part after part, each [node][2l+1][channel]. Nodes come ordered by species.
#pragma once
#include <span>

#include "gates/gate.hpp"
#include "network/graph.hpp"

namespace nbcore {

/// What goes in and comes out: values and, for dual sweeps, tangents (empty else).
struct PlainArray {
  std::vector<double> value, dot;
};

template <class Real> class SingleGate {
 public:
  SingleGate(const Options& spec, std::vector<std::vector<Part>> inputs, int n_species, bool o3);

  const Gate<Real>& gate() const { return *gate_; }
  const Surroundings& surroundings() const { return around_; }

  /// species [node] ascending; edges as (parent, child), or (parent, child, partner) for a gate of pairs; r [edge][3]
  void set_graph(const std::vector<int>& species, const std::vector<int>& parent, const std::vector<int>& child,
                 const std::vector<int>& partner, const PlainArray& r, bool dual);

  PlainArray forward(const std::vector<double>& parameters, const std::vector<PlainArray>& inputs, bool dual);

  struct Adjoints {
    std::vector<PlainArray> inputs;
    PlainArray r;                    // [edge][3], where edges are wanted
    std::vector<double> parameters;  // where parameters are wanted; of a dual sweep, the tangent
  };
  /// After forward with the same arguments.
  Adjoints adjoint(const PlainArray& output_bar, Want want, bool dual);

  /// The kernels alone, `times` times, on what is there after forward and adjoint: for benchmarks. Adjoints go on
  /// growing.
  void repeat_forward(bool dual, int times);
  void repeat_adjoint(Want want, bool dual, int times);

 private:
  Adjoints adjoint_sweep(Want want, bool dual);
  void fill(const Layout<Real>& layout, const PlainArray& from, PlaneBuffer<Real>& to, bool dual) const;
  PlainArray read(const Layout<Real>& layout, PlaneBuffer<Real>& from, bool dual) const;
  Block<Real> bind();

  Surroundings around_;
  bool pairs_ = false;
  std::vector<Layout<Real>> input_layouts_;
  std::unique_ptr<Gate<Real>> gate_;
  Layout<Real> output_layout_;
  GraphBlock block_;
  std::vector<std::int64_t> edge_order_;  // edge k of the block is edge edge_order_[k] of the caller
  Edges<Real> edges_;
  Scratch<Real> scratch_;
  Buffer<Real> weights_, weights_bar_, unused_;
  std::vector<PlaneBuffer<Real>> x_, bar_;
  PlaneBuffer<Real> out_, out_bar_;
};

}  // namespace nbcore
