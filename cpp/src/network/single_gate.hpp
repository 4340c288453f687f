// One gate by itself, on nodes and edges given as plain arrays: for the test batteries, and for people who try out a
// new gate.
//
// States are flat arrays without padding, part after part, each [node][2l+1][channel]. Nodes come ordered by species.
//
// `embedded` gives the gate what blocks of a large system give it: its nodes are some rows of larger arrays, others for
// states than for their adjoints, children's rows differ in the two, and what nobody has written to yet is not zero but
// overwritten. Rows that are not the gate's are watched. The results are the same to the last bit.
#pragma once
#include <optional>

#include "gates/gate.hpp"
#include "network/graph.hpp"

namespace nbcore {

/// What goes in and comes out: values and, for tangent sweeps, tangents (empty else).
struct PlainArray {
  std::vector<double> value, dot;
};

template <class Real> class SingleGate {
 public:
  /// InputError for states or options that do not fit, as in a program
  SingleGate(const Options& spec, std::vector<std::vector<Part>> inputs, int n_species, bool o3, bool embedded);

  const GateRule& rule() const { return *rule_; }
  int n_inputs() const { return int(inputs_.size()); }
  /// Belongs input k, or the output (-1), to edges, in the order of the caller?
  bool on_edges(int k) const { return k < 0 ? rule_->type->output_on_edges : rule_->type->inputs_on_edges >> k & 1; }

  /// species [node] ascending; edges as (parent, child), or (parent, child, partner) for a gate of pairs; r [edge][3]
  void set_graph(const std::vector<int>& species, const std::vector<int>& parent, const std::vector<int>& child,
                 const std::vector<int>& partner, const PlainArray& r, bool dual);

  PlainArray forward(const std::vector<double>& parameters, const std::vector<PlainArray>& inputs, bool dual);

  struct Adjoints {
    std::vector<PlainArray> inputs;
    PlainArray r;                    // [edge][3], where edges are wanted
    std::vector<double> parameters;  // where parameters are wanted; of a tangent sweep, the tangent
  };
  /// After forward with the same arguments. Once more: added to what is there.
  Adjoints adjoint(const PlainArray& output_bar, Want want, bool dual);

  /// The kernels alone, `times` times, on what is there after forward and adjoint: for benchmarks. Adjoints go on
  /// growing.
  void repeat_forward(bool dual, int times);
  void repeat_adjoint(Want want, bool dual, int times);

 private:
  /// Rows of the states and of their adjoints, and which of them are the gate's nodes
  struct Rows {
    int x, node, bar, bar_node;
  };
  Rows rows(int state) const;  // an input, or -1, the output
  Adjoints adjoint_sweep(Want want, bool dual);
  void fill(const char* what, int state, const PlainArray& from, int rows, int node, PlaneBuffer<Real>& to,
            bool dual) const;
  PlainArray read(const char* what, int state, PlaneBuffer<Real>& from, int rows, int node, bool dual) const;
  void begin_adjoints(bool dual);
  const Layout<Real>& layout(int state) const { return state < 0 ? output_layout_ : input_layouts_[state]; }
  int n_own(int state) const { return on_edges(state) ? int(edge_order_.size()) : block_->n; }
  std::size_t n_numbers(int state) const;
  /// f(number in the caller's array, place) for every number of a state
  template <class F> void each_number(int state, int rows, int node, F f) const;
  Block<Real> bind();
  void require(Want want, bool dual, bool after_adjoint) const;

  States states() const;

  Surroundings around_;
  bool pairs_ = false, embedded_;
  std::vector<std::vector<Part>> inputs_;
  std::unique_ptr<GateRule> rule_;
  std::unique_ptr<GateKernels<Real>> kernels_;  // made by the first forward
  std::vector<RadialPlace> places_;
  std::vector<Layout<Real>> input_layouts_;
  Layout<Real> output_layout_;
  std::optional<GraphBlock> block_;
  std::vector<std::int32_t> child_, child_bar_, partner_, partner_bar_;  // rows
  std::vector<std::int64_t> edge_order_;  // edge k of the block is edge edge_order_[k] of the caller
  Edges<Real> edges_;
  Scratch<Real> scratch_;
  Buffer<Real> weights_, weights_bar_, unused_;
  std::vector<PlaneBuffer<Real>> x_, bar_;
  PlaneBuffer<Real> out_, out_bar_;
  bool graph_dual_ = false, forward_ = false, forward_dual_ = false, adjoint_ = false, adjoint_dual_ = false;
  bool fresh_ = false;  // nothing has been written to the adjoints of inputs since forward
};

}  // namespace nbcore
