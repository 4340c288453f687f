// How the features of the last layer change along directions: of a potential that is linear in it the design matrix of
// forces and stresses. One plain sweep of a structure, then one tangent sweep, forward only, per direction.
#pragma once
#include "potential/batch_sweep.hpp"
#include "potential/potential.hpp"

namespace nbcore {

class FeatureDerivatives {
 public:
  /// InputError where the energy is not linear in a last layer, and as compute()
  FeatureDerivatives(const Potential& potential, const Structure& s, int threads);

  /// d/dt at t = 0 of the features, summed over the atoms: those at r + t v, in a space strained by 1 + t S
  std::vector<double> along(const std::vector<Vec3>& v, const Mat3& S);

 private:
  const Network& network_;
  const LastLayer& last_layer_;
  std::shared_ptr<const Scales> scales_;
  Graph graph_;
  std::vector<std::unique_ptr<BatchSweep<double>::Memory>> memory_;
  BlockBuffers no_buffers_;
  std::shared_ptr<const Buffer<double>> weights_;
  BatchSweep<double> sweep_;
  std::vector<std::vector<double>> features_;  // [set][node][feature]
};

}  // namespace nbcore
