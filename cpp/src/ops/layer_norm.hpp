// Layer norm (Ba et al., arXiv:1607.06450) of the n numbers of a row, with its adjoint:
//
//   forward   y = (z - mean z) s,  s = 1 / sqrt(mean (z - mean z)^2 + epsilon),     u = (1 + gain) y + shift
//   adjoint   u_bar -> gain_bar += u_bar y,  shift_bar += u_bar,  y_bar = (1 + gain) u_bar,
//             z_bar = s (y_bar - mean y_bar - y mean (y_bar y))
//
// The gain that is stored is what is added to one, so that a gain of zero leaves y as it is. Rows are filled up to whole
// registers; what stands there is zero before and after.
#pragma once
#include "base/lanes.hpp"

namespace nbcore {

/// The packed weights of a norm, three rows: ones for numbers, zeros where the row is filled up; gain; shift
template <class Real> struct LayerNorm {
  using V = Simd<Real>;
  const Real* weights;
  int n, row;
  double epsilon = 1e-5;

  V ones(int j) const { return load_register(weights + j); }
  V gain(int j) const { return ones(j) + load_register(weights + row + j); }
  V shift(int j) const { return load_register(weights + 2 * row + j); }

  /// z becomes u; y is written, too, where there is room for it. Returns s.
  template <class Lane> ScalarOf<Lane> forward(Planes<Real> z, Planes<Real> y) const {
    constexpr int w = width<Real>;
    const Real part = Real(1) / Real(n);
    Lane sum{}, squares{};
    for (int j = 0; j < row; j += w) sum += load<Lane>(z, j);
    const Lane mean = spread<Lane>(lane_sum(sum) * part);
    for (int j = 0; j < row; j += w) {
      const Lane d = product(ones(j), load<Lane>(z, j) - mean);
      store(z, j, d);
      add_product(squares, d, d);
    }
    const ScalarOf<Lane> s = reciprocal(square_root(lane_sum(squares) * part + Real(epsilon)));
    for (int j = 0; j < row; j += w) {
      const Lane normal = product(s, load<Lane>(z, j));
      if (y.value) store(y, j, normal);
      store(z, j, product(gain(j), normal) + constant<Lane>(shift(j)));
    }
    return s;
  }

  /// u_bar becomes z_bar; weights_bar: where the adjoints of gain and shift are added, as packed, or null
  template <class Lane> void adjoint(Planes<Real> u_bar, Planes<Real> y, ScalarOf<Lane> s, Real* weights_bar) const {
    constexpr int w = width<Real>;
    const Real part = Real(1) / Real(n);
    Lane sum{}, along{};
    for (int j = 0; j < row; j += w) {
      const Lane bar = load<Lane>(u_bar, j), normal = load<Lane>(y, j);
      if (weights_bar) {
        add_gradient(registers(weights_bar + row + j)[0], bar, normal);
        add_gradient(registers(weights_bar + 2 * row + j)[0], bar, constant<Lane>(V{} + Real(1)));
      }
      const Lane y_bar = product(gain(j), bar);
      store(u_bar, j, y_bar);
      sum += y_bar;
      add_product(along, y_bar, normal);
    }
    const Lane mean = spread<Lane>(lane_sum(sum) * part), slope = spread<Lane>(lane_sum(along) * part);
    for (int j = 0; j < row; j += w) {
      const Lane rest = product(ones(j), load<Lane>(u_bar, j) - mean) - product(slope, load<Lane>(y, j));
      store(u_bar, j, product(s, rest));
    }
  }

 private:
  template <class Lane> static Lane constant(V x) {
    if constexpr (is_dual<Lane>) return {x, V{}};
    else return x;
  }
  template <class Lane> static Lane spread(ScalarOf<Lane> x) {
    if constexpr (is_dual<Lane>) return {V{} + x.value, V{} + x.dot};
    else return V{} + x;
  }
};

}  // namespace nbcore
