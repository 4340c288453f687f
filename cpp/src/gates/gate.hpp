// The gate contract. A gate is an aggregation rule of an N-body network (or a step of one): it reads states of the
// nodes of a block, and for aggregations those of their children, and writes one state of the nodes.
//
//   forward   overwrites its output
//   adjoint   accumulates into the adjoints of inputs, edges and weights
//
// A dual sweep follows a plain one: the values of all states and of their adjoints are there already, a gate need not
// write them (`put`); what it adds to the values of an input's adjoint is thrown away.
//
// One gate, one file: a class template that derives from GateOf<Itself, Real>, fills in `output`, `parameters` and
// `packing` when constructed, and has two member templates,
//
//   template <class Lane> void forward(Block<Real>&) const
//   template <class Lane, Want want> void adjoint(Block<Real>&) const
//
// and one line at the end of the file, NB_GATE(Name, "name"). Program, Python, model file and tests find it by that
// name.
#pragma once
#include <functional>
#include <map>
#include <memory>

#include "gates/block.hpp"
#include "gates/options.hpp"
#include "gates/radial_network.hpp"

namespace nbcore {

template <class Real> class Gate {
 public:
  virtual ~Gate() = default;
  std::vector<Part> output;
  std::vector<ParameterInfo> parameters;
  std::vector<Packed> packing;                // the order in which kernels want the weights
  std::vector<Packed> copies;                 // a second order of them, for adjoints; itself without an adjoint
  bool aggregates = false;                    // reads states of children, or edges, so that a new level begins
  bool overwrites = false;                    // its adjoint can overwrite all of an input's adjoint that is fresh
  std::vector<RadialNetwork<Real>> networks;  // whose functions it reads; run before and after it, see GateOf

  /// Multiplies output part `part` by a constant, for gates that have a gain; calibration on data uses it.
  virtual void rescale(int part, double factor) {
    throw InputError(message("this gate has no gain: part ", part, ", factor ", factor));
  }
  virtual void forward(bool dual, Block<Real>& b) const = 0;
  virtual void adjoint(bool dual, Want want, Block<Real>& b) const = 0;
};

/// From the run-time choice of sweep to the templates of a gate. The sweeps that exist: plain with edges (inference),
/// plain with both (gradient of an energy), dual with parameters (training), dual with edges (Hessian products).
template <class Derived, class Real> class GateOf : public Gate<Real> {
  using V = Simd<Real>;
  const Derived& self() const { return static_cast<const Derived&>(*this); }

 public:
  static constexpr bool over_pairs = false;  // an aggregation of pairs of children says true
  void forward(bool dual, Block<Real>& b) const final {
    for (const RadialNetwork<Real>& n : this->networks) n.forward(dual, b);
    if (dual) self().template forward<Dual<V>>(b);
    else self().template forward<V>(b);
  }
  void adjoint(bool dual, Want want, Block<Real>& b) const final {
    for (const RadialNetwork<Real>& n : this->networks) n.begin_adjoint(dual, b);
    if (!dual && !want.parameters) self().template adjoint<V, Want{true, false}>(b);
    else if (!dual) self().template adjoint<V, Want{true, true}>(b);
    else if (!want.edges) self().template adjoint<Dual<V>, Want{false, true}>(b);
    else self().template adjoint<Dual<V>, Want{true, false}>(b);
    for (const RadialNetwork<Real>& n : this->networks) n.adjoint(dual, want, b);
  }

 protected:
  /// Whether the adjoint has to add to B_bar of the radial functions that the gate reads: what it asks in the place of
  /// want.edges, because the weights of a network need it, too.
  bool wants_radial(Want want) const { return want.edges || (want.parameters && !this->networks.empty()); }
};

/// A gate type by name: how it is made, and what can be said about it.
struct GateType {
  std::string name, summary;
  std::string options;  // JSON: name -> {"type", "default", "doc"}
  bool pairs;           // its edges are the pairs of children
  std::function<std::unique_ptr<Gate<double>>(const Options&, const std::vector<std::vector<Part>>&, Surroundings&)>
      make_double;
  std::function<std::unique_ptr<Gate<float>>(const Options&, const std::vector<std::vector<Part>>&, Surroundings&)>
      make_float;
};

std::map<std::string, GateType>& gate_types();
/// The type that a specification names; InputError if there is none, or if an option is unknown.
const GateType& gate_type(const Options& spec);

template <class Real> std::unique_ptr<Gate<Real>> make_gate(const Options& spec,
                                                            const std::vector<std::vector<Part>>& inputs,
                                                            Surroundings& around);

/// The radial functions of a gate from its option "radial".
Radial radial_option(const Options& spec);

#define NB_GATE(Class, gate_name, gate_summary, gate_options)                                    \
  namespace {                                                                                    \
  const bool registered = [] {                                                                   \
    gate_types()[gate_name] = {                                                                  \
        gate_name,                                                                               \
        gate_summary,                                                                            \
        gate_options,                                                                            \
        Class<double>::over_pairs,                                                               \
        [](const Options& s, const auto& in, Surroundings& a) -> std::unique_ptr<Gate<double>> { \
          return std::make_unique<Class<double>>(s, in, a);                                      \
        },                                                                                       \
        [](const Options& s, const auto& in, Surroundings& a) -> std::unique_ptr<Gate<float>> {  \
          return std::make_unique<Class<float>>(s, in, a);                                       \
        }};                                                                                      \
    return true;                                                                                 \
  }();                                                                                           \
  }

}  // namespace nbcore
