// Covariant outputs: from the states of nodes to tensors of a structure or of its atoms, and back.
//
//   y = sum over nodes of the slot, components m = -l..l of part after part;
//       each atom of species z adds offset_z to the first, l = 0
//   y = sum over atoms of  mu_i + (q_i - mean q) r_i,  with charges: q_i the l = 0 part plus offset_z,
//       mu_i the l = 1 part
//
// Everything is linear in the slot, so a way back needs nothing but the positions.
#pragma once
#include "base/vec3.hpp"
#include "network/network.hpp"

namespace nbcore {

/// What an output needs to know of a structure, in the order of the user
struct OutputContext {
  const Network::Output& output;
  const std::vector<double>& offsets;  // per species
  const std::vector<int>& species;     // [atom]
  const std::vector<Vec3>& positions;  // [atom]
};

/// to[order[i]][width] = state of node i of a block
template <class Real>
void read_output(const State<Real>& state, int width, const std::int32_t* order, int n, double* to);
/// Adjoint, in a tangent sweep its tangent, += weight seeds[order[i]][width]
template <class Real> void seed_output(const State<Real>& state, int width, const std::int32_t* order, int n, bool dual,
                                       double weight, const double* seeds);

/// States of all nodes [node][width] -> components of the structure, or [atom][components]
std::vector<double> output_forward(const OutputContext& context, std::vector<double> nodes);
/// Adjoint of the output -> adjoint of the states of its n nodes [node][width]
std::vector<double> output_adjoint(const OutputContext& context, int n, const std::vector<double>& y_bar);

}  // namespace nbcore
