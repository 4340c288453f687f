// The gate contract. A gate is an aggregation rule of an N-body network (or a step of one): it reads states of the
// nodes of a block, and for aggregations those of their children, and writes one state of the nodes.
//
// One gate, one file, which has
//
//   options   the table of its options (option_table.hpp)
//   Rule      what it is: derives from GateRule; its constructor (options, inputs, surroundings) fills in `output`,
//             `parameters` and what it wants of the edges, or refuses; `reads` says which edges, if any
//   Kernels   how it is computed: a class template that derives from KernelsOf<Kernels<Real>, Real>; its constructor
//             (rule, inputs, places of its radial functions) fills in `packing`; two member templates, side by side,
//
//               template <class Lane> void forward(Block<Real>&) const                  overwrites its output
//               template <class Lane, Want want> void adjoint(Block<Real>&) const       accumulates into the adjoints
//                                                                                       of inputs, edges and weights
//
// and in the end NB_GATE(name, summary), name being that of the file. CMake lists these lines, so that programs,
// Python, model files and tests find the gate by its name.
//
// The lanes of a register may be threads of their own (base/warp.hpp): what is written in registers and read number by
// number wants a sync() in between, what is written number by number is written by for_lanes, fill, copy or add_scalar.
//
// A gate may work on edges: its states may belong to the edges of a block's nodes, in the order of the block, instead of
// to the nodes (rule.hpp). Nobody but the gates of the same level and block ever sees them.
//
// A tangent sweep follows a plain one: the values of all states and of their adjoints are there already, a gate need not
// write them (`put`); what it adds to the values of an input's adjoint is thrown away.
#pragma once
#include "gates/block.hpp"
#include "gates/packing.hpp"
#include "gates/radial_network.hpp"
#include "gates/rule.hpp"

namespace nbcore {

/// Where radial functions of a rule lie among those of the edges; base: of a network the basis below it, else -1
struct RadialPlace {
  int set, base;
};

/// How a gate is computed with numbers of one kind.
template <class Real> class GateKernels {
 public:
  virtual ~GateKernels() = default;
  Packing packing;                            // the order in which kernels want the weights
  Packing copies;                             // a second order of them, for adjoints; itself without an adjoint
  bool overwrites = false;                    // its adjoint can overwrite all of an input's adjoint that is fresh
  std::vector<RadialNetwork<Real>> networks;  // whose functions it reads; run before and after it, see KernelsOf

  /// A table of its weights in the place of its radial network, which is one of these functions for each of the pairs,
  /// from packed weights; null where it reads none, or where that gains nothing
  virtual std::shared_ptr<const RadialTable<Real>> tabulate(const std::vector<NetworkFunctions>&,
                                                            const PairsOfElements&, const Real*) const {
    return nullptr;
  }

  virtual void forward(bool dual, Block<Real>& b) const = 0;
  virtual void adjoint(bool dual, Want want, Block<Real>& b) const = 0;
};

/// From the run-time choice of sweep to the templates of a gate. The sweeps that exist: plain with edges (inference),
/// plain with both (gradient of an energy), dual with parameters (training), dual with edges (Hessian products).
template <class Derived, class Real> class KernelsOf : public GateKernels<Real> {
  using V = Simd<Real>;
  const Derived& self() const { return static_cast<const Derived&>(*this); }

 public:
  void forward(bool dual, Block<Real>& b) const final {
    run_as_warp([&] {
      for (const RadialNetwork<Real>& n : this->networks) n.forward(dual, b);
      sync();
      if (dual) self().template forward<Dual<V>>(b);
      else self().template forward<V>(b);
    });
  }
  void adjoint(bool dual, Want want, Block<Real>& b) const final {
    run_as_warp([&] {
      for (const RadialNetwork<Real>& n : this->networks) n.begin_adjoint(dual, b);
      if (!dual && !want.parameters) self().template adjoint<V, Want{true, false}>(b);
      else if (!dual) self().template adjoint<V, Want{true, true}>(b);
      else if (!want.edges) self().template adjoint<Dual<V>, Want{false, true}>(b);
      else self().template adjoint<Dual<V>, Want{true, false}>(b);
      sync();
      for (const RadialNetwork<Real>& n : this->networks) n.adjoint(dual, want, b);
    });
  }

 protected:
  /// Whether the adjoint has to add to B_bar of the radial functions that the gate reads: what it asks in the place of
  /// want.edges, because the weights of a network need it, too.
  bool wants_radial(Want want) const { return want.edges || (want.parameters && !this->networks.empty()); }
};

/// A gate type by name: what can be said about it, how its rule and, from that, its kernels are made.
struct GateType {
  std::string name, summary;
  const OptionTable& options;
  Reads reads;
  bool output_on_edges;
  unsigned inputs_on_edges;
  std::unique_ptr<GateRule> (*rule)(const OptionValues&, const States&, const Surroundings&);
  template <class Real> using MakeKernels = std::unique_ptr<GateKernels<Real>> (*)(const GateRule&, const States&,
                                                                                   std::span<const RadialPlace>);
  MakeKernels<double> kernels_double;
  MakeKernels<float> kernels_float;
};

/// All types, by name; the list is written by CMake from the NB_GATE lines of this folder.
const std::vector<const GateType*>& gate_types();
/// The type that a specification names; InputError if there is none
const GateType& gate_type(const Options& spec);

/// Adds what a rule reads to the radial functions of its edges: where each of them lies there. A basis is there once,
/// whoever asks for it; a network on a basis belongs to the gate that asks.
std::vector<RadialPlace> add_radials(const GateRule& rule, std::vector<RadialSet>& all);

/// The kernels of a rule, with those of its radial networks. inputs: the same as of the rule
template <class Real> std::unique_ptr<GateKernels<Real>> make_kernels(const GateRule& rule, const States& inputs,
                                                                      std::span<const RadialPlace> radials);

template <class Real> Layout<Real> layout_of(std::span<const Part> parts) {
  return Layout<Real>(std::vector<Part>(parts.begin(), parts.end()));
}

#define NB_GATE(gate_name, gate_summary)                                                                             \
  const GateType& gate_##gate_name() {                                                                               \
    static const GateType type{                                                                                      \
        #gate_name,                                                                                                  \
        gate_summary,                                                                                                \
        options,                                                                                                     \
        Rule::reads,                                                                                                 \
        Rule::output_on_edges,                                                                                       \
        Rule::inputs_on_edges,                                                                                       \
        [](const OptionValues& o, const States& in, const Surroundings& a) {                                         \
          return std::unique_ptr<GateRule>(new Rule(o, in, a));                                                      \
        },                                                                                                           \
        [](const GateRule& r, const States& in, std::span<const RadialPlace> places) {                               \
          return std::unique_ptr<GateKernels<double>>(new Kernels<double>(static_cast<const Rule&>(r), in, places)); \
        },                                                                                                           \
        [](const GateRule& r, const States& in, std::span<const RadialPlace> places) {                               \
          return std::unique_ptr<GateKernels<float>>(new Kernels<float>(static_cast<const Rule&>(r), in, places));   \
        }};                                                                                                          \
    return type;                                                                                                     \
  }

}  // namespace nbcore
