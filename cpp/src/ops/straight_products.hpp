// Straight-line symmetric products, written by cpp/codegen/symmetric_products.cpp when the library is built. Each is
// one choice of parts (l = 0 .. l_harmonics, natural parity), outputs and correlation; what is not among them, and
// sweeps that have no kernel here, run from the tables of ops/symmetric_products.
//
//   forward   O = the products of A with weights w          A, O: one register of channels per component
//   adjoint   A_bar (overwritten) and, where wanted, w_bar (added to), from O_bar; pairs and sums are made once more
#pragma once
#include <vector>

#include "base/lanes.hpp"

namespace nbcore {

template <class Lane> struct StraightKernels {
  using Weights = Registers<const RealOf<Lane>>;
  using Adjoint = void (*)(Weights w, const Lane* A, const Lane* O_bar, Lane* A_bar, Registers<RealOf<Lane>> w_bar);
  void (*forward)(Weights w, const Lane* A, Lane* O);
  Adjoint adjoint, adjoint_weights;  // none: nullptr
};

struct StraightProducts {
  int l_harmonics, l_max, correlation;
  StraightKernels<Simd<double>> plain;
  StraightKernels<Dual<Simd<double>>> dual;
  StraightKernels<Simd<float>> single;
  StraightKernels<Dual<Simd<float>>> single_dual;

  template <class Lane> const StraightKernels<Lane>& kernels() const {
    if constexpr (std::is_same_v<Lane, Simd<double>>) return plain;
    else if constexpr (std::is_same_v<Lane, Dual<Simd<double>>>) return dual;
    else if constexpr (std::is_same_v<Lane, Simd<float>>) return single;
    else return single_dual;
  }
};

bool register_straight_products(const StraightProducts& products);
/// nullptr if the library has no such code
const StraightProducts* straight_products(const std::vector<int>& ls, int l_max, int correlation);

}  // namespace nbcore
