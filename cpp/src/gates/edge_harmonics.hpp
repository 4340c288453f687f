// Weights of edges times the harmonics of their directions: what the gates edge_tensors (one state per edge) and
// environment (their sum at a node) share.
//
// The weights are a state of edges, even scalars with a group of channels for each l of the harmonics.
#pragma once
#include "gates/gate.hpp"

namespace nbcore {

/// l_max and the number of channels of such weights; InputError where a state is none
struct EdgeWeights {
  int l_max, channels;
  EdgeWeights(const States& inputs, const Surroundings& around, int l_max) : l_max(l_max) {
    if (inputs.size() != 1) throw InputError("it takes one input, weights of edges");
    const std::span<const Part> in = inputs[0];
    if (in.size() != 1 || in[0].l != 0 || in[0].parity != around.natural(0) || in[0].complex)
      throw InputError("its input must be even scalars");
    if (in[0].groups != l_max + 1)
      throw InputError(message("its input must have a group of channels for each l to l_max = ", l_max, ", ", l_max + 1,
                               " groups, has ", in[0].groups, ": see groups of mix"));
    channels = in[0].group;
  }
  /// Parts of natural parity, l = 0 to l_max
  std::vector<Part> tensors(const Surroundings& around) const {
    std::vector<Part> parts;
    for (int l = 0; l <= l_max; ++l) parts.push_back({l, around.natural(l), 1, channels});
    return parts;
  }
};

/// f(constant 2l+1) for small l, where loops are unrolled; f(constant 0) for others
template <class F> void with_dimension(int l, F f) {
  switch (l) {
    case 0:
      return f(std::integral_constant<int, 1>{});
    case 1:
      return f(std::integral_constant<int, 3>{});
    case 2:
      return f(std::integral_constant<int, 5>{});
    case 3:
      return f(std::integral_constant<int, 7>{});
    default:
      return f(std::integral_constant<int, 0>{});
  }
}

inline constexpr int most_components = 32;  // 2l+1 of the largest l, up to whole registers

/// to[k + m] += the sum over the lanes of x[m], m < n; further registers of x are zeros
template <class V, class Real> void add_sums(const V* x, int n, Planes<Real> to, std::ptrdiff_t k) {
  add_lane_sums<Real>(x, n, to.value + k);
}
template <class V, class Real> void add_sums(const Dual<V>* x, int n, Planes<Real> to, std::ptrdiff_t k) {
  V plane[most_components] = {};
  for (int m = 0; m < n; ++m) plane[m] = x[m].value;
  add_lane_sums<Real>(plane, n, to.value + k);
  for (int m = 0; m < n; ++m) plane[m] = x[m].dot;
  add_lane_sums<Real>(plane, n, to.dot + k);
}

}  // namespace nbcore
