// Second derivatives of the energy along directions: how forces and virial change while atoms move and space is
// strained. One plain sweep of a structure, then one tangent sweep per direction.
#pragma once
#include "potential/batch_sweep.hpp"
#include "potential/potential.hpp"

namespace nbcore {

class HessianProducts {
 public:
  /// InputError where the potential has no energy, and as compute(). Radial networks run themselves, without splines.
  HessianProducts(const Potential& potential, const Structure& s, int threads);

  /// d/dt of forces and virial at t = 0
  struct Derivatives {
    std::vector<Vec3> forces;  // -H v, eV/Angstrom^2 times the unit of v
    Mat3 virial{};
  };
  /// Atoms at r + t v, in a space strained by 1 + t S, the cell too
  Derivatives along(const std::vector<Vec3>& v, const Mat3& S);

 private:
  const Network& network_;
  std::shared_ptr<const Scales> scales_;
  Graph graph_;
  std::vector<std::unique_ptr<BatchSweep<double>::Memory>> memory_;
  BlockBuffers no_buffers_;
  std::shared_ptr<const Buffer<double>> weights_;
  BatchSweep<double> sweep_;
};

}  // namespace nbcore
