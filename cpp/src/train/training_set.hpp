// Structures with labels and their graphs, and the exact gradient of a loss on energies, forces and stresses.
//
// Per structure one plain sweep gives E, F and W; the loss gives a = dL/dE, v = dL/dF, S = dL/dW; one sweep of
// tangents over its values, with edge tangents v_child - v_parent + S r (v_child - v_partner + S r for pairs) and
// readout seeds (-1, a), leaves dL/d(parameters) in the tangents of the weights' adjoints.
#pragma once
#include <memory>
#include <mutex>
#include <span>
#include <tuple>

#include "potential/batch_sweep.hpp"
#include "potential/potential.hpp"
#include "train/loss.hpp"

namespace nbcore {

class TrainingSet {
 public:
  /// max_block: parents of a block; 0: half a structure, 32 at most
  TrainingSet(std::shared_ptr<Potential> potential, std::vector<Structure> structures, std::vector<Labels> labels,
              int max_block = 0);
  /// Other structures in the place of those before, which stand after an error; what evaluations keep is kept. Not
  /// while another thread evaluates.
  void hold(std::vector<Structure> structures, std::vector<Labels> labels);

  struct BatchResult {
    double loss = 0;
    std::vector<double> energies;                           // per structure, eV, E0 included
    std::vector<std::vector<Vec3>> forces;                  // eV/Angstrom
    std::vector<Mat3> virials;                              // eV
    std::vector<double> losses;                             // per structure, weight included
    std::vector<std::vector<std::vector<double>>> outputs;  // [structure][output] as in Result
  };
  /// Loss of a batch, the mean over its structures. With a gradient (n_parameters numbers, overwritten) also
  /// dL/d(parameters). The same bits for any number of threads: how many buffers there are and what goes where depends
  /// on the batch alone, and buffers are summed pairwise. Calls at the same time have memory of their own each.
  /// In single precision states, weights and their adjoints are float; differences of positions, what belongs to edges,
  /// energies, forces, seeds and sums over structures are double.
  BatchResult evaluate(std::span<const std::int64_t> batch, const Loss& loss, Precision precision, int threads,
                       double* gradient);

  /// Root mean square of every part of every slot over the structures of a batch, [slot][part]
  std::vector<std::vector<double>> slot_rms(std::span<const std::int64_t> batch);

  std::size_t size() const { return graphs_.size(); }
  std::int64_t n_parameters() const { return potential_->network().n_parameters(); }
  /// Mean number of neighbours of an atom, over all structures
  double average_neighbours() const;

 private:
  template <class Real>
  class Group;  // structures that are evaluated at the same time, about as many as there are threads
  static constexpr int max_buffers = 16;
  /// The buffer of each structure of a batch, or -1 where blocks are to go to all of them
  std::vector<int> structures_to_buffers(std::span<const std::int64_t> batch, int buffers) const;

  std::shared_ptr<Potential> potential_;
  int max_block_;
  std::vector<Graph> graphs_;
  std::vector<Labels> labels_;
  std::vector<Structure> structures_;
  std::vector<std::vector<int>> species_;
  /// What evaluations of one precision keep for later ones
  template <class Real> struct Memory {
    std::vector<std::vector<std::unique_ptr<typename BatchSweep<Real>::Memory>>> sweeps;  // [thread]
    std::vector<GradientSum<Real>> sums;
  };
  template <class Real> using Idle = std::vector<std::unique_ptr<Memory<Real>>>;
  template <class Real>
  void run(std::span<const std::int64_t> batch, const Loss& loss, int threads, double* gradient, BatchResult& out);
  std::mutex guard_;  // of what follows
  std::tuple<Idle<double>, Idle<float>> idle_;
};

}  // namespace nbcore
