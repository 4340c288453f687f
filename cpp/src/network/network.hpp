// A network is data: sets of nodes, gates with inputs and options, readouts. Here it becomes slots (states) with the
// rules of their gates, levels, relations, and one flat parameter vector with named slices. It is read into rules once:
// what it is, what it needs of edges and how many parameters it has is known before anything of that size is made. The
// kernels for one kind of number, an Engine, are made when somebody first asks for them.
//
// A level is what a node learns from one look at its children (an atom at its neighbours): a gate that reads states of
// children begins a new one. Slots read by a later level are persistent: they exist for the whole system, all others in
// a block's scratch only.
#pragma once
#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "gates/gate.hpp"
#include "gates/mixed_sums.hpp"
#include "network/graph.hpp"

namespace nbcore {

struct ParameterSlice {
  std::string name;  // gate.parameter
  std::int64_t begin;
  std::vector<std::int64_t> shape;
  double deviation;
};

template <class Real> struct Engine;

/// What evaluations take in the place of gates: tables or splines for radial networks, and for chains of gates of a
/// first level what does their work in one
template <class Real> struct StandIns {
  struct Chain {
    std::shared_ptr<const MixedSums<Real>> sums;  // null: the gate is in no chain
    bool last = false;                            // the gate that ends the chain: its output is written
  };
  std::vector<RadialStandIns<Real>> radials;  // [relation]
  std::vector<Chain> chains;                  // [slot], or of size 0
  const Chain* chain(int slot) const { return chains.empty() || !chains[slot].sums ? nullptr : &chains[slot]; }
};

class Network {
 public:
  /// {"gates": [...], "readout": ["slot", ...], "outputs": {NAME: {"slot", "per": "structure" | "atom", "charges"}},
  /// "parity": "o3" | "so3", "sets": [{"name", "children", "classes"}, ...]}; a gate is of the set "nodes" (the atoms
  /// by default) and may take its "weights" from an earlier gate. InputError names the gate that does not fit.
  Network(const Options& program, int n_species);
  ~Network();

  struct Set {
    std::string name;
    int children = 0;   // the set of its children
    int n_species = 1;  // or classes: weights may differ between them
  };
  /// Parents and their children, or pairs of them, and what gates want to know of these edges.
  struct Relation {
    RelationKind kind;
    int parents, children;  // sets
    int l_harmonics = 0;
    std::vector<RadialSet> radials;
  };
  struct Level {
    int set, relation;
  };
  struct Slot {
    std::string name;
    std::vector<Part> parts;
    int set, level;                    // level 0: a leaf state, an input
    std::unique_ptr<GateRule> rule;    // none for a leaf state
    std::vector<int> inputs;           // slots
    std::vector<RadialPlace> radials;  // of the rule's functions among those of its relation
    std::int64_t parameters = 0;       // first of its parameters in the flat vector
    bool persistent = false;           // read by a later level
    bool on_edges = false;             // a state of the edges of its set's nodes, known within its level alone
    bool seeded = false;               // a readout or of an output, so that its adjoint begins with a seed
  };
  const std::vector<Set>& sets() const { return sets_; }
  const std::vector<Relation>& relations() const { return relations_; }
  /// Number of the relation of a kind whose parents are this set
  int relation(RelationKind kind, int parents) const;
  /// Number k = 1, 2, ... levels()
  const Level& level(int k) const { return levels_[k - 1]; }
  bool uses(int relation) const;
  const std::vector<Slot>& slots() const { return slots_; }
  int levels() const { return int(levels_.size()); }
  int n_species() const { return sets_[atom_set].n_species; }
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
  /// Slots of a level whose states levels above read as those of children: what hosts exchange for ghosts
  std::vector<int> read_by_parents(int level) const;
  const std::vector<ParameterSlice>& parameters() const { return slices_; }
  std::int64_t n_parameters() const { return n_parameters_; }
  /// Largest cutoff of the radial bases of neighbours, Angstrom
  double cutoff() const;
  /// The parts of the states that a slot's gate reads
  States inputs_of(const Slot& slot) const;
  /// Made by the first who asks; others wait
  template <class Real> const Engine<Real>& engine() const;
  /// Tables and splines in the place of radial networks; none where the bounds are out of reach. packed:
  /// the weights, from the same parameters. species: whether atoms of it are there; empty: all
  template <class Real> StandIns<Real> stand_ins(const double* parameters, const Buffer<Real>& packed,
                                                 const std::vector<char>& species) const;
  /// Are there sums over children of known species with mixes behind them, which MixedSums can do in one?
  bool has_mixed_sums() const;
  /// Adds these for atoms of some species, MixedSums::most_species at most
  template <class Real>
  void mix_sums(const double* parameters, const std::vector<char>& species, StandIns<Real>& to) const;
  /// Do radial networks see elements, so that stand-ins depend on the species?
  bool radials_see_elements() const {
    return std::any_of(relations_.begin(), relations_.end(), [](const Relation& r) {
      return std::any_of(r.radials.begin(), r.radials.end(),
                         [](const RadialSet& s) { return s.radial.network() && s.radial.transformed(); });
    });
  }
  /// f(slot, number of its radial functions, their place among those of the relation) for every radial network
  template <class F> void each_radial_network(F f) const {
    for (const Slot& slot : slots_)
      for (std::size_t k = 0; k < slot.radials.size(); ++k)
        if (slot.rule->radials[k].network()) f(slot, int(k), slot.radials[k]);
  }
  /// Has it states of edges, of which there are many?
  bool works_on_edges() const {
    return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.on_edges; });
  }
  /// Multiplies a part of a slot by a constant (gates with a gain).
  void rescale(int slot, int part, double factor);

 private:
  void read_sets(const Options& program, int n_species);
  void read_gate(const Options& spec, bool o3);
  void read_leaf(const Options& spec, const std::string& name, bool o3);
  void read_readout(const Options& program);
  void read_outputs(const Options& program);
  void check_relations() const;
  int set_called(const std::string& name, const std::string& where) const;
  int slot_called(const std::string& name) const;
  int level_of(int set, int relation, int at_least);
  /// The slots of sums of a first level, and of the mixes that alone read one another; empty where there are none
  std::vector<int> chain_from(int slot) const;
  void add(Slot slot);

  std::vector<Set> sets_;
  std::unordered_map<std::string, int> set_numbers_, slot_numbers_;
  std::vector<Relation> relations_;
  std::vector<Level> levels_;
  std::vector<Slot> slots_;
  std::vector<int> readout_;
  std::vector<Output> outputs_;
  std::vector<ParameterSlice> slices_;
  std::int64_t n_parameters_ = 0, n_terms_ = 0, n_parts_ = 0;

  template <class Real> struct Made {
    std::once_flag once;
    std::unique_ptr<const Engine<Real>> engine;
  };
  mutable Made<double> double_;
  mutable Made<float> float_;
};

/// The gates of a network for one kind of number, ready to run.
template <class Real> struct Engine {
  struct Step {
    std::unique_ptr<GateKernels<Real>> kernels;  // none for a leaf state
    std::ptrdiff_t weights = 0, copies = 0;      // its place among the packed weights
  };
  explicit Engine(const Network& network);

  std::vector<Step> steps;                     // per slot
  std::vector<Layout<Real>> layouts;           // per slot
  std::ptrdiff_t n_weights = 0, n_copies = 0;  // padded to whole cache lines per gate

  /// Packs the flat parameters: weights [n_weights], then copies [n_copies]. of_atoms: of the weights that belong to
  /// elements of atoms those that are wanted; where others would be, memory is not touched. Without the common ones:
  /// more of them into what is there
  void pack(const double* parameters, Buffer<Real>& packed, const PackedClasses& of_atoms = {}) const;
  /// gradient[k] += adjoint of parameter k, from the adjoint of the packed weights, summed in double.
  void unpack_adjoint(const double* weights_bar, double* gradient) const;

 private:
  const Network& network_;
};

}  // namespace nbcore
