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

  /// Structures of a batch whose share of the gradient is a summand: they are added one after another. Block b of the
  /// k-th goes into buffer (k + b) mod buffers, so that with several threads can share the blocks of a structure.
  struct Partial {
    std::vector<std::int64_t> structures;
    int buffers = 1;
  };
  /// Of the structures of all partials, one after another
  struct BatchResult {
    std::vector<double> energies;                           // eV, E0 included
    std::vector<std::vector<Vec3>> forces;                  // eV/Angstrom
    std::vector<Mat3> virials;                              // eV
    std::vector<double> losses;                             // weights of structures included
    std::vector<std::vector<std::vector<double>>> outputs;  // [structure][output] as in Result
  };
  /// weight: of a structure in the loss, one over their number in the whole batch, of which the partials may be a part.
  /// sums: null, or for each group n_sums numbers, overwritten: dL/d(packed weights) of so many partials that follow
  /// each other, added pairwise (0 + 1, 2 + 3, ..., then the sums of these). The same bits for any number of threads.
  /// Calls at the same time have memory of their own each.
  /// In single precision states, weights and their adjoints are float; differences of positions, what belongs to edges,
  /// energies, forces, seeds and sums over structures are double.
  BatchResult evaluate(std::span<const Partial> partials, std::span<const int> groups, double weight, const Loss& loss,
                       Precision precision, int threads, double* sums);
  std::int64_t n_sums(Precision precision) const;
  /// dL/d(parameters), n_parameters numbers, overwritten, from the sum over all partials of a batch
  void gradient(const double* sum, Precision precision, double* gradient) const;

  /// The states of structure k, [slot][part][node][2l+1][channel], nodes in the order of the user
  std::vector<std::vector<std::vector<double>>> states(std::int64_t k);

  std::size_t size() const { return graphs_.size(); }
  std::int64_t n_parameters() const { return potential_->network().n_parameters(); }
  /// Mean number of neighbours of an atom, over all structures
  double average_neighbours() const;

 private:
  template <class Real>
  class Group;   // structures that are evaluated at the same time, about as many as there are threads
  struct Item {  // a structure of a batch
    std::int64_t structure;
    std::size_t place;  // in the result
    BlockBuffers buffers;
  };
  /// How many structures of each partial are done by one thread alone
  std::vector<std::size_t> alone(std::span<const Partial> partials, int threads) const;

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
  template <class Real> void run(std::span<const Partial> partials, std::span<const int> groups, double weight,
                                 const Loss& loss, int threads, double* sums, BatchResult& out);
  std::mutex guard_;  // of what follows
  std::tuple<Idle<double>, Idle<float>> idle_;
};

}  // namespace nbcore
