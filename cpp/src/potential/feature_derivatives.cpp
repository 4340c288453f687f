#include "potential/feature_derivatives.hpp"

#include "potential/edge_forces.hpp"

namespace nbcore {

namespace {
constexpr int max_block = 32;
}

FeatureDerivatives::FeatureDerivatives(const Potential& potential, const Structure& s, int threads)
    : network_(potential.network()),
      last_layer_(potential.last_layer()),
      scales_(potential.scales()),
      graph_(build_graph(s, potential.species_of(s.numbers), network_, potential.r_min(), max_block)),
      weights_(potential.packed<double>()),
      sweep_(network_, *weights_, {&graph_}, threads, memory_, std::span(&no_buffers_, 1)) {
  if (last_layer_.size() == 0) throw InputError("the energy of this potential is not linear in its last layer");
  for (std::size_t set = 0; set < graph_.sets.size(); ++set)
    features_.emplace_back(last_layer_.reads(int(set)) ? std::size_t(graph_.sets[set].n) * last_layer_.size() : 0);
  sweep_.forward(Pass::plain, network_.levels(), [](const BatchSweep<double>::Place&) {});
}

std::vector<double> FeatureDerivatives::along(const std::vector<Vec3>& v, const Mat3& S) {
  set_edge_tangents(graph_, v, S, sweep_.memory(0).r_dot);
  for (std::vector<double>& of_set : features_) std::fill(of_set.begin(), of_set.end(), 0.0);
  sweep_.forward(Pass::tangent, network_.levels(), [&](const BatchSweep<double>::Place& place) {
    last_layer_.add_features<true>(place.sweep, graph_, place.level, place.block, place.ws, scales_->scale, features_);
  });
  std::vector<double> sum(last_layer_.size(), 0.0);
  for (const std::vector<double>& of_set : features_)
    for (std::size_t k = 0; k < of_set.size(); ++k) sum[k % sum.size()] += of_set[k];
  return sum;
}

}  // namespace nbcore
