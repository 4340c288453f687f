// Where adjoints of the packed weights are summed. Kernels add to them as Real. Sums over structures are double: in
// single precision what some blocks have left is moved into a double sum, level by level, each time they had about as
// many parents as a small crystal (moving costs a pass over the weights, so a block of a molecule alone is too small).
// When this is done depends on the blocks that came before, so their order fixes every bit.
#pragma once
#include "network/network.hpp"

namespace nbcore {

template <class Real> class GradientSum {
  static constexpr bool is_double = std::is_same_v<Real, double>;
  static constexpr int moved_after = 64;  // parents

 public:
  /// Zero, for this network
  void begin(const Network& network) {
    network_ = &network;
    of_blocks_.resize(network.engine<Real>().n_weights), of_blocks_.clear();
    if constexpr (!is_double) total_.resize(of_blocks_.size());
    levels_.assign(network.levels(), {});
  }
  /// What kernels add to
  Real* weights_bar() { return of_blocks_.data(); }
  /// After the adjoint of a level on a block with so many parents
  void added(int level, int parents) {
    if constexpr (!is_double) {
      levels_[level - 1].waiting += parents;
      if (levels_[level - 1].waiting >= moved_after) move(level);
    }
  }
  /// The sum over all blocks, in the order of the packed weights
  double* total() {
    if constexpr (is_double) {
      return of_blocks_.data();
    } else {
      for (int level = 1; level <= network_->levels(); ++level)
        if (levels_[level - 1].waiting > 0 || !levels_[level - 1].moved) move(level);
      return total_.data();
    }
  }

 private:
  struct OfLevel {
    int waiting = 0;     // parents whose adjoints are not yet in the total
    bool moved = false;  // the total holds something
  };
  void move(int level) {
    const Engine<Real>& engine = network_->engine<Real>();
    for (std::size_t k = 0; k < engine.steps.size(); ++k) {
      const Network::Slot& slot = network_->slots()[k];
      if (!slot.rule || slot.level != level) continue;
      Real* from = of_blocks_.data() + engine.steps[k].weights;
      double* to = total_.data() + engine.steps[k].weights;
      const std::ptrdiff_t n = engine.steps[k].kernels->packing.size();
      if (levels_[level - 1].moved)
        for (std::ptrdiff_t w = 0; w < n; ++w) to[w] += from[w], from[w] = 0;
      else
        for (std::ptrdiff_t w = 0; w < n; ++w) to[w] = from[w], from[w] = 0;
    }
    levels_[level - 1] = {0, true};
  }

  const Network* network_ = nullptr;
  Buffer<Real> of_blocks_;
  Buffer<double> total_;         // in single precision
  std::vector<OfLevel> levels_;  // [level - 1]
};

}  // namespace nbcore
