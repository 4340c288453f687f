// A network is data: species, gates with inputs and options, readouts. Here it becomes slots (states), gates, levels
// and one flat parameter vector with named slices.
//
// A level is what an atom learns from one look at its neighbours: a gate that reads states of children begins a new
// one. Slots read by a later level are persistent: they exist for the whole system, all others in a block's scratch
// only.
#pragma once
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

/// The gates of a network for one kind of number, ready to run.
template <class Real> struct Engine {
  struct Step {
    std::unique_ptr<Gate<Real>> gate;
    std::vector<int> inputs;  // slots
    int output, level;
    std::int64_t parameters;         // first of its parameters in the flat vector
    std::ptrdiff_t weights, copies;  // its place among the packed weights
  };
  std::vector<Step> steps;
  std::vector<Layout<Real>> layouts;           // per slot
  std::ptrdiff_t n_weights = 0, n_copies = 0;  // padded to whole cache lines per gate
  int l_harmonics = 0;
  std::vector<Radial> radials;

  /// Packs the flat parameters: weights [n_weights], then copies [n_copies].
  void pack(const double* parameters, Buffer<Real>& packed) const;
  /// gradient[k] += adjoint of parameter k, from the adjoint of the packed weights.
  void unpack_adjoint(const Real* weights_bar, double* gradient) const;
};

class Network {
 public:
  /// {"gates": [...], "readout": ["slot", ...], "parity": "o3" | "so3"}; InputError names the gate that does not fit.
  Network(const Options& program, int n_species);

  struct Slot {
    std::string name;
    std::vector<Part> parts;
    int level;
    bool persistent;
  };
  const std::vector<Slot>& slots() const { return slots_; }
  int levels() const { return levels_; }
  int n_species() const { return n_species_; }
  const std::vector<int>& readout() const { return readout_; }
  const std::vector<ParameterSlice>& parameters() const { return slices_; }
  std::int64_t n_parameters() const { return n_parameters_; }
  /// Largest cutoff of its radial bases, Angstrom
  double cutoff() const;
  template <class Real> const Engine<Real>& engine() const;
  /// Multiplies a part of a slot by a constant (gates with a gain).
  void rescale(int slot, int part, double factor) {
    double_.steps.at(slot).gate->rescale(part, factor);
    float_.steps.at(slot).gate->rescale(part, factor);
  }

 private:
  template <class Real> Engine<Real> make_engine(bool describe);

  Options program_;
  int n_species_, levels_ = 1;
  std::vector<Slot> slots_;
  std::vector<int> readout_;
  std::vector<ParameterSlice> slices_;
  std::int64_t n_parameters_ = 0;
  Engine<double> double_;
  Engine<float> float_;
};

}  // namespace nbcore
