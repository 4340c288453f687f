// The gate contract. A gate is an aggregation rule of an N-body network (or a step of one): it reads states of the
// nodes of a block, and for aggregations those of their children, and writes one state of the nodes.
//
//   forward   overwrites its output
//   adjoint   accumulates into the adjoints of inputs, edges and weights
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
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "gates/options.hpp"
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
};

/// Memory for a gate's intermediate results; nothing is allocated once it has grown.
template <class Real> class Scratch {
 public:
  void reset() { next_ = 0; }
  Real* take(std::size_t n) {
    if (next_ == buffers_.size()) buffers_.emplace_back();
    Buffer<Real>& b = buffers_[next_++];
    b.resize(n + 64 / sizeof(Real));
    return b.data();
  }
  Planes<Real> take_planes(std::size_t n, bool dual) { return {take(n), dual ? take(n) : nullptr}; }

 private:
  std::vector<Buffer<Real>> buffers_;
  std::size_t next_ = 0;
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

/// What a gate may know of its network when it is made, and what it may ask of the edges.
struct Surroundings {
  int n_species = 1;            // of its nodes
  bool own_children = true;     // its nodes are each other's children, as atoms are
  int n_child_species = 1;      // of their children
  bool o3 = true;               // parity tracked; else SO(3) alone
  int l_harmonics = 0;          // largest l of the harmonics, raised by the gates
  std::vector<Radial> radials;  // different radial bases, added by the gates

  /// Index of a radial basis among those of the network
  int radial(const Radial& r) {
    for (std::size_t k = 0; k < radials.size(); ++k)
      if (radials[k] == r) return int(k);
    radials.push_back(r);
    return int(radials.size()) - 1;
  }
};

/// A named array of weights in the flat parameter vector. Initial values are normal with the given deviation.
struct ParameterInfo {
  std::string name;
  std::vector<std::int64_t> shape;
  double deviation = 1.0;
  std::int64_t size() const {
    std::int64_t n = 1;
    for (auto d : shape) n *= d;
    return n;
  }
};

/// Where a packed weight comes from: scale times parameter `index` of the gate; index -1 is a constant, padding mostly.
struct Packed {
  std::int64_t index = -1;
  double scale = 0;
};

template <class Real> class Gate {
 public:
  virtual ~Gate() = default;
  std::vector<Part> output;
  std::vector<ParameterInfo> parameters;
  std::vector<Packed> packing;  // the order in which kernels want the weights
  std::vector<Packed> copies;   // a second order of them, for adjoints; itself without an adjoint
  bool aggregates = false;      // reads states of children, or edges, so that a new level begins
  bool overwrites = false;      // its adjoint can overwrite all of an input's adjoint that is fresh

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
    if (dual) self().template forward<Dual<V>>(b);
    else self().template forward<V>(b);
  }
  void adjoint(bool dual, Want want, Block<Real>& b) const final {
    if (!dual && !want.parameters) self().template adjoint<V, Want{true, false}>(b);
    else if (!dual) self().template adjoint<V, Want{true, true}>(b);
    else if (!want.edges) self().template adjoint<Dual<V>, Want{false, true}>(b);
    else self().template adjoint<Dual<V>, Want{true, false}>(b);
  }
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

/// The radial basis of a gate from its option "radial".
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
