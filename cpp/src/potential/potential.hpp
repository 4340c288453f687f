// The potential: E = sum over atoms of E0 + scale * readouts; forces -dE/dr; virial -dE/d(strain) = sum over edges of r
// (x) f. Covariant outputs beside the energy, or instead of it.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "potential/evaluation.hpp"
#include "potential/graph_builder.hpp"
#include "potential/outputs.hpp"
#include "potential/verlet_list.hpp"

namespace nbcore {

struct ModelFile;

struct Result {
  double energy = 0;                         // eV, E0 included
  std::vector<Vec3> forces;                  // eV/Angstrom
  std::vector<double> energies;              // eV, per atom, E0 included
  Mat3 virial{};                             // eV
  std::vector<std::vector<double>> outputs;  // [output] components, or [atom][components]; empty: it has none
};

enum class Precision { float64, float32 };

class Potential {
 public:
  /// From a description (JSON): "species" (atomic numbers or symbols ascending), "program", "E0s" {symbol: eV}, "scale"
  /// (eV).
  explicit Potential(const std::string& description);
  Potential(const Potential&) = delete;
  Potential& operator=(const Potential&) = delete;

  /// From a model file; ModelFileError if it is not one.
  static std::shared_ptr<Potential> load(const std::string& path);

  const std::string& description() const { return description_; }
  const Network& network() const { return *network_; }
  const std::vector<int>& species() const { return species_; }  // atomic numbers, ascending
  double cutoff() const { return cutoff_; }
  double r_min() const { return r_min_; }
  std::vector<double>& E0s() { return E0s_; }
  const std::vector<double>& E0s() const { return E0s_; }
  double scale() const { return scale_; }
  void set_scale(double scale) { scale_ = scale; }

  /// Without a readout there are covariant outputs alone: no energy, no forces.
  bool has_energy() const { return !network_->readout().empty(); }
  /// What every atom of a species adds to the l = 0 part of an output (to its charge), beside what the network says
  const std::vector<double>& offsets(int output) const { return offsets_.at(output); }
  void set_offsets(int output, std::vector<double> offsets);
  /// Charges times positions depend on the images of atoms that are chosen: no such output of a structure with periods.
  bool has_output(int output, const Structure& s) const {
    return !(network_->outputs()[output].charges && (s.pbc[0] || s.pbc[1] || s.pbc[2]));
  }
  OutputContext output_context(int output, const Structure& s, const std::vector<int>& species) const {
    return {network_->outputs()[output], offsets_[output], species, s.positions};
  }

  const std::vector<double>& parameters() const { return parameters_; }
  void set_parameters(std::vector<double> parameters);
  /// For a caller who writes to the parameters whenever he likes (NumPy, an optimizer): until the view ends, every
  /// evaluation compares them with what was packed last, and the first one after it.
  std::vector<double>& begin_view();
  void end_view();
  /// Multiplies a part of a slot by a constant, see Network.
  void rescale(int slot, int part, double factor);
  /// Weights as the kernels want them, up to date.
  template <class Real> const Buffer<Real>& packed() const;

  /// Of evaluations; training is double.
  Precision precision() const { return precision_; }
  void set_precision(Precision precision) { precision_ = precision; }

  /// Of radial networks in evaluations, see RadialSpline; training runs the networks themselves.
  bool radial_splines() const { return radial_splines_; }
  void set_radial_splines(bool on) { radial_splines_ = on; }
  /// They, per relation, made anew where parameters have changed; null where there is no network, or they are off
  std::shared_ptr<const std::vector<RadialSplines>> splines() const;

  /// Index of each atom's element; SpeciesError names the first that is not known.
  std::vector<int> species_of(const std::vector<int>& numbers) const;
  /// The same bits for any number of threads. Thread-safe as long as nobody writes parameters.
  ///
  /// max_bytes: what it may take, 0 for no bound: larger systems are evaluated in parts, see parts.hpp; InputError
  /// where that is not enough. kept, skin: neighbours from a list that the caller keeps from call to call; the same
  /// bits.
  Result compute(const Structure& s, int threads, double max_bytes = 0, VerletList* kept = nullptr,
                 double skin = 0) const;
  /// Bytes per atom that an evaluation takes at its peak, of a large system (from coloured_from atoms on) of which this
  /// structure is a piece: the graph with the neighbour list, or with the states that several levels read. `repeated`:
  /// of a second one, which searches for neighbours while states and the memory of the graph are kept for it.
  double bytes_per_atom(const Structure& s, bool repeated) const;

 private:
  Potential(const std::string& description, const ModelFile* file);
  void read_parameters(const ModelFile& file);
  /// What evaluations of one precision keep
  template <class Real> struct Memory {
    Buffer<Real> packed;
    bool is_packed = false;
    std::vector<std::unique_ptr<EvaluationSpace<Real>>> idle;
  };
  template <class Real> Memory<Real>& memory() const {
    if constexpr (std::is_same_v<Real, double>) return double_;
    else return float_;
  }
  void forget_packed() const { double_.is_packed = float_.is_packed = false, splines_.reset(); }
  void compare_parameters() const;
  template <class Real> void run(const Graph& graph, int threads, Evaluation& to) const;
  double state_bytes(int set) const;  // per node: states that several levels read, with their adjoints
  void forget_spaces() const;

  std::string description_;
  std::vector<int> species_;
  std::vector<double> E0s_;
  std::vector<std::vector<double>> offsets_;  // [output][species]
  double cutoff_ = 0, r_min_ = 0.1, scale_ = 1;
  std::unique_ptr<Network> network_;
  std::vector<double> parameters_;
  std::atomic<int> views_ = 0;
  mutable std::atomic<bool> viewed_ = false;  // there was a view since the parameters were compared
  mutable std::vector<double> seen_;          // the parameters when they were compared last
  Precision precision_ = Precision::float64;
  mutable std::mutex guard_;
  mutable Memory<double> double_;
  mutable Memory<float> float_;
  std::atomic<bool> radial_splines_ = true;
  bool has_radial_networks_ = false;
  mutable std::shared_ptr<const std::vector<RadialSplines>> splines_;
};

/// Atomic number of a chemical symbol, 0 if there is none; symbol of an atomic number.
int atomic_number(const std::string& symbol);
std::string chemical_symbol(int number);

}  // namespace nbcore
