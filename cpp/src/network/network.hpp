// A network is data: sets of nodes, gates with inputs and options, readouts. Here it becomes slots (states), gates,
// levels and one flat parameter vector with named slices.
//
// A level is what a node learns from one look at its children (an atom at its neighbours): a gate that reads states of
// children begins a new one. Slots read by a later level are persistent: they exist for the whole system, all others in
// a block's scratch only.
//
// Set 0 are the atoms, whose children are their neighbours; the others are those of a composition scheme. Relation 2 k
// is set k with its children, relation 2 k + 1 set k with the pairs of its children.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gates/gate.hpp"

namespace nbcore {

struct ParameterSlice {
  std::string name;  // gate.parameter
  std::int64_t begin;
  std::vector<std::int64_t> shape;
  double deviation;
};

/// Packed weights in a row whose parameters lie at equal distances: packed[k] = scale * parameter[index + k stride].
struct PackedRun {
  std::int64_t index, stride;  // index -1: constants
  int count;
  double scale;
};
std::vector<PackedRun> runs_of(const std::vector<Packed>& order);

/// The gates of a network for one kind of number, ready to run.
template <class Real> struct Engine {
  struct Step {
    std::unique_ptr<Gate<Real>> gate;  // none for a leaf state
    std::vector<int> inputs;           // slots
    int output, level;
    std::int64_t parameters;                        // first of its parameters in the flat vector
    std::ptrdiff_t weights, copies;                 // its place among the packed weights
    std::vector<PackedRun> weight_runs, copy_runs;  // packing and copies of the gate
    void read_runs() { weight_runs = runs_of(gate->packing), copy_runs = runs_of(gate->copies); }
  };
  std::vector<Step> steps;
  std::vector<Layout<Real>> layouts;           // per slot
  std::ptrdiff_t n_weights = 0, n_copies = 0;  // padded to whole cache lines per gate
  /// What the gates of a relation want to know of its edges
  struct Wanted {
    int l_harmonics = 0;
    std::vector<RadialSet> radials;
  };
  std::vector<Wanted> wanted;  // per relation

  /// Packs the flat parameters: weights [n_weights], then copies [n_copies].
  void pack(const double* parameters, Buffer<Real>& packed) const;
  /// gradient[k] += adjoint of parameter k, from the adjoint of the packed weights.
  void unpack_adjoint(const Real* weights_bar, double* gradient) const;
};

class Network {
 public:
  /// {"gates": [...], "readout": ["slot", ...], "outputs": {NAME: {"slot", "per": "structure" | "atom", "charges"}},
  /// "parity": "o3" | "so3", "sets": [{"name", "children", "classes"}, ...]}; a gate is of the set "nodes" (the atoms
  /// by default) and may take its "weights" from an earlier gate. InputError names the gate that does not fit.
  Network(const Options& program, int n_species);

  struct Set {
    std::string name;
    int children = 0;   // the set of its children
    int n_species = 1;  // or classes: weights may differ between them
  };
  struct Level {
    int set, relation;
  };
  struct Slot {
    std::string name;
    std::vector<Part> parts;
    int set, level;  // level 0: a leaf state, an input
    bool persistent;
  };
  const std::vector<Set>& sets() const { return sets_; }
  /// Number k = 1, 2, ... levels()
  const Level& level(int k) const { return levels_[k - 1]; }
  bool uses(int relation) const;
  const std::vector<Slot>& slots() const { return slots_; }
  int levels() const { return int(levels_.size()); }
  int n_species() const { return sets_[0].n_species; }
  const std::vector<int>& readout() const { return readout_; }
  /// A covariant output: a slot with one channel per part, summed over its nodes unless each atom has its own. A dipole
  /// may have charges: the slot's l = 0 part, whose products with positions are added to its l = 1 part.
  struct Output {
    std::string name;
    int slot;
    bool per_atom, charges;
    int width;       // of the slot: sum of 2l+1 over the parts
    int components;  // of the output
  };
  const std::vector<Output>& outputs() const { return outputs_; }
  /// Is the slot a readout or of an output, so that its adjoint begins with a seed?
  bool seeded(int slot) const {
    return std::find(readout_.begin(), readout_.end(), slot) != readout_.end() ||
           std::any_of(outputs_.begin(), outputs_.end(), [&](const Output& o) { return o.slot == slot; });
  }
  /// Slots of a level whose states levels above read as those of children: what hosts exchange for ghosts
  std::vector<int> read_by_parents(int level) const;
  const std::vector<ParameterSlice>& parameters() const { return slices_; }
  std::int64_t n_parameters() const { return n_parameters_; }
  /// Largest cutoff of the radial bases of neighbours, Angstrom
  double cutoff() const;
  template <class Real> const Engine<Real>& engine() const;
  /// Splines in the place of radial networks, per relation; none where the bounds are out of reach
  std::vector<RadialSplines> splines(const double* parameters) const;
  /// f(gate, its radial network, number of the relation) for every network
  template <class F> void each_radial_network(F f) const {
    for (const auto& step : double_.steps)
      if (step.gate)
        for (const RadialNetwork<double>& n : step.gate->networks) f(step, n, levels_[step.level - 1].relation);
  }
  /// Multiplies a part of a slot by a constant (gates with a gain).
  void rescale(int slot, int part, double factor) {
    const auto in = [&](auto& step) {
      if (!step.gate) throw InputError("a leaf state has no gain");
      step.gate->rescale(part, factor), step.read_runs();
    };
    in(double_.steps.at(slot)), in(float_.steps.at(slot));
  }

 private:
  void read_sets(int n_species);
  int set_called(const std::string& name, const std::string& where) const;
  int level_of(int set, bool aggregates, int relation, int at_least);
  template <class Real> Engine<Real> make_engine(bool describe);
  void read_outputs();

  Options program_;
  std::vector<Set> sets_;
  std::vector<Level> levels_;
  std::vector<Slot> slots_;
  std::vector<int> readout_;
  std::vector<Output> outputs_;
  std::vector<ParameterSlice> slices_;
  std::int64_t n_parameters_ = 0;
  Engine<double> double_;
  Engine<float> float_;
};

}  // namespace nbcore
