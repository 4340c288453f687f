// The potential: E = sum over atoms of E0 + scale * readouts; forces -dE/dr; virial -dE/d(strain) = sum over edges of r
// (x) f. Covariant outputs beside the energy, or instead of it.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "potential/evaluation.hpp"
#include "potential/graph_builder.hpp"
#include "potential/outputs.hpp"
#include "potential/prepared.hpp"
#include "potential/uncertainty.hpp"
#include "potential/verlet_list.hpp"

namespace nbcore {

struct ModelFile;

struct Result {
  double energy = 0;                         // eV, E0 included
  std::vector<Vec3> forces;                  // eV/Angstrom
  std::vector<double> energies;              // eV, per atom, E0 included
  Mat3 virial{};                             // eV
  std::vector<Mat3> virials;                 // eV, per atom, where they were asked for; see add_edge_virials
  std::vector<std::vector<double>> outputs;  // [output] components, or [atom][components]; empty: it has none
  std::vector<double> features;              // [atom][feature] of the last layer, where they were asked for
  std::vector<double> hierarchicality;       // per atom, where it was asked for; see hierarchy.hpp
  std::optional<Uncertainty> uncertainty;    // where it was asked for
};

enum class Precision { float64, float32 };

/// How an evaluation is done. By value into each call: what others change meanwhile does not touch one that runs.
struct EvaluationOptions {
  int threads = 1;
  Precision precision = Precision::float64;
  bool radial_splines = true;    // in the place of radial networks, see RadialSpline
  double max_bytes = 0;          // that it may take; larger systems are evaluated in parts, see parts.hpp. 0: no bound
  VerletList* kept = nullptr;    // neighbours from a list that the caller keeps from call to call; the same bits
  double skin = 0;               // of this list, Angstrom
  bool virials = false;          // of atoms, too
  bool features = false;         // of the last layer, too
  bool hierarchicality = false;  // InputError where there are no energies by level
  bool uncertainty = false;      // InputError where the potential knows none
};

/// What stands beside the network. Replaced as a whole: an evaluation keeps those it began with.
struct Scales {
  double scale = 1;                          // eV
  std::vector<double> E0s;                   // eV, per species
  std::vector<std::vector<double>> offsets;  // [output][species], what every atom adds to the l = 0 part (to its
                                             // charge), beside what the network says; empty: nothing
  std::vector<double> no_offsets;            // zeros
  std::vector<double> spreads;               // per output that of its labels in training, the unit of its loss; or 0
  Repulsion repulsion;                       // of cores
};

/// A network with its parameters and scales, and the one description of it. Everything may be called from several
/// threads at once; whoever writes to the parameters through a view, or sets a gain, waits until evaluations have
/// ended.
class Potential {
 public:
  /// From a description (JSON): "species" (atomic numbers or symbols ascending), "program", "E0s" {symbol: eV}, "scale"
  /// (eV), "r_min" (Angstrom), "offsets" {output: {symbol: number}}, "spreads" {output: number}; whatever else stands
  /// in it is kept.
  explicit Potential(const std::string& description);
  ~Potential();
  Potential(const Potential&) = delete;
  Potential& operator=(const Potential&) = delete;

  /// From a model file; ModelFileError if it is not one.
  static std::shared_ptr<Potential> load(const std::string& path);
  /// From what was read; InputError
  static std::shared_ptr<Potential> from_file(const ModelFile& file);

  /// The description as it is now (JSON): a potential made from it, with the same parameters, computes the same bits.
  std::string description() const;
  /// Notes that computing does not depend on (about, training, errors, ...), from a JSON object: each entry takes the
  /// place of the one before, null removes it. InputError for entries that are the potential's own.
  void annotate(const std::string& notes);
  /// Counted up by every change of the description, and by every change of what is computed. No two states of
  /// potentials in one process have the same version.
  std::uint64_t description_version() const;
  std::uint64_t version() const;

  /// SHA-256 of all that decides what it computes: the description without notes, and the parameters. 64 digits
  std::string digest() const;

  const Network& network() const { return *network_; }
  const std::vector<int>& species() const { return species_; }  // atomic numbers, ascending
  /// The linear readouts of the energy; of size 0 where there are none, or others
  const LastLayer& last_layer() const { return last_layer_; }
  double cutoff() const { return cutoff_; }
  double r_min() const { return r_min_; }

  std::shared_ptr<const Scales> scales() const;
  void set_scale(double scale);
  void set_E0s(const std::vector<double>& E0s);
  void set_offsets(const std::vector<std::vector<double>>& offsets);
  void set_spreads(const std::vector<double>& spreads);
  /// radii: [species][species] Angstrom, 0 for pairs without, see Repulsion; empty: none. InputError where they are
  /// not symmetric, negative or beyond the cutoff, or the network has no energy, or looks at no neighbours.
  void set_repulsion(const std::vector<double>& radii);

  /// Without a readout there are covariant outputs alone: no energy, no forces.
  bool has_energy() const { return !network_->readout().empty(); }
  /// Charges times positions depend on the images of atoms that are chosen: no such output of a structure with periods.
  bool has_output(int output, const Structure& s) const {
    return !(network_->outputs()[output].charges && (s.pbc[0] || s.pbc[1] || s.pbc[2]));
  }
  OutputContext output_context(const Scales& scales, int output, const Structure& s,
                               const std::vector<int>& species) const {
    const std::vector<double>& offsets = scales.offsets[output];
    return {network_->outputs()[output], offsets.empty() ? scales.no_offsets : offsets, species, s.positions};
  }

  /// What it knows of its errors, or null. It belongs to the parameters as they are: where they change it is gone.
  std::shared_ptr<const LastLayerUncertainty> uncertainty() const;
  /// InputError where it does not fit; null removes it
  void set_uncertainty(std::shared_ptr<const LastLayerUncertainty> uncertainty);

  const std::vector<double>& parameters() const { return parameters_; }
  void set_parameters(const std::vector<double>& parameters);
  /// For a caller who writes to the parameters whenever he likes (NumPy, an optimizer): until the view ends, every
  /// evaluation compares them with what was packed last, and the first one after it.
  std::vector<double>& begin_view();
  void end_view();
  /// Multiplies a part of a slot by a constant, which the program keeps as the gain of its gate.
  void rescale(int slot, int part, double factor);
  /// Weights as the kernels want them, up to date; they stay as they are while somebody has them.
  /// species: whether atoms of it are there, those that others belong to are not packed; empty: all
  template <class Real> std::shared_ptr<const Buffer<Real>> packed(const std::vector<char>& species = {}) const;

  /// What evaluations take unless told otherwise; a training has a precision of its own, and never runs splines.
  EvaluationOptions defaults() const;
  void set_precision(Precision precision);
  void set_radial_splines(bool on);
  /// What evaluations take in the place of radial networks, and for n_atoms or more of few elements in the place of first
  /// levels; made anew where parameters have changed; null where there is no network
  template <class Real>
  std::shared_ptr<const StandIns<Real>> stand_ins(const std::vector<char>& species, int n_atoms) const;

  /// Index of each atom's element; SpeciesError names the first that is not known.
  std::vector<int> species_of(const std::vector<int>& numbers) const;
  /// The same bits for any number of threads. NumericsError where the energy, a force or an output is not finite.
  Result compute(const Structure& s, const EvaluationOptions& options) const;
  /// Neighbours, blocks and parts of a structure, for this potential and all that look at the same neighbourhoods
  PreparedStructure prepare(Structure s) const { return prepare(std::move(s), EvaluationOptions()); }
  PreparedStructure prepare(Structure s, const EvaluationOptions& options) const;  // with its kept list
  /// The bits of the other compute(); max_bytes and kept lists do not apply. InputError says in what the potential for
  /// which it was prepared differs.
  Result compute(const PreparedStructure& prepared, const EvaluationOptions& options) const;
  /// For those who run the levels themselves: what an evaluation of a prepared structure begins with, and what it gives
  Evaluation begin(const PreparedStructure& prepared, const EvaluationOptions& options, const Scales& scales) const;
  Result result(const PreparedStructure& prepared, const EvaluationOptions& options, const Scales& scales,
                Evaluation e) const;
  /// Bytes per atom that an evaluation takes at its peak, of a large system (from coloured_from atoms on) of which this
  /// structure is a piece: the graph with the neighbour list, or with the states that several levels read. `repeated`:
  /// of a second one, which searches for neighbours while states and the memory of the graph are kept for it.
  double bytes_per_atom(const Structure& s, bool repeated, Precision precision) const;

 private:
  Potential(const std::string& description, const ModelFile* file);
  void read_parameters(const ModelFile& file);
  void read_uncertainty(const Options& description, const ModelFile& file);
  /// What evaluations of one precision keep
  template <class Real> struct Memory {
    std::shared_ptr<Buffer<Real>> packed;
    bool is_packed = false;
    std::vector<char> packed_species;  // whose weights are there
    std::shared_ptr<const StandIns<Real>> stand_ins;
    std::vector<char> stand_in_species;           // for which they were made, where that matters
    std::shared_ptr<const StandIns<Real>> mixed;  // the same with MixedSums for atoms of mixed_species
    std::vector<char> mixed_species;
    std::vector<std::unique_ptr<EvaluationSpace<Real>>> idle;
  };
  template <class Real> Memory<Real>& memory() const {
    if constexpr (std::is_same_v<Real, double>) return double_;
    else return float_;
  }
  struct Json;  // the JSON library stays behind this page
  /// Changes a copy of the scales, checks it, puts it in place: an exception leaves everything as it was.
  template <class Change> void change(Change f);
  void forget_packed() const;
  void compare_parameters() const;
  template <class Real> std::shared_ptr<const Buffer<Real>> pack(const std::vector<char>& species) const;
  /// energies and forces: also of `n_ghosts` atoms after those of the species
  Evaluation begin(std::span<const int> species, std::size_t n_ghosts, const EvaluationOptions& options,
                   const Scales& scales) const;
  void make_room(const Graph& graph, Evaluation& e) const;
  void add(const Graph& graph, const EvaluationOptions& options, const Scales& scales, Evaluation& to) const;
  /// images: the structure has them, so that charges times positions say nothing
  Result result(const Structure& s, const std::vector<int>& species, bool images, const EvaluationOptions& options,
                const Scales& scales, Evaluation e) const;
  template <class Real>
  void run(const Graph& graph, const EvaluationOptions& options, double scale, Evaluation& to) const;
  double state_bytes(int set, Precision precision) const;  // per node: states that several levels read, with adjoints
  void forget_spaces() const;

  std::vector<int> species_;
  double cutoff_ = 0, r_min_ = 0.1;
  std::unique_ptr<Network> network_;
  LastLayer last_layer_;
  std::vector<double> parameters_;
  std::atomic<int> views_ = 0;
  bool has_radial_networks_ = false, has_mixed_sums_ = false;

  mutable std::mutex guard_;                 // of all that follows, and of what pack() and compare_parameters() do
  std::unique_ptr<const Json> description_;  // without the scales
  std::shared_ptr<const Scales> scales_;
  mutable std::shared_ptr<const LastLayerUncertainty> uncertainty_;
  EvaluationOptions defaults_;
  mutable std::atomic<std::uint64_t> description_version_;
  mutable std::uint64_t version_;
  mutable std::atomic<bool> viewed_ = false;  // there was a view since the parameters were compared
  mutable std::vector<double> seen_;          // the parameters when they were compared last
  mutable Memory<double> double_;
  mutable Memory<float> float_;
};

/// Atomic number of a chemical symbol, 0 if there is none; symbol of an atomic number.
int atomic_number(const std::string& symbol);
std::string chemical_symbol(int number);

}  // namespace nbcore
