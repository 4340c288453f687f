// The last layer: the linear readouts of the energy, and their features, the derivatives of the energies of nodes by the
// readouts' weights:
//
//   E = sum over nodes i of  scale sum over k of f_ik w_k          f_i: what the readouts of node i read, with gain and
//                                                                 1/sqrt(fan in); zero for the weights of other classes
//
// Weights that readouts share are one k.
#pragma once
#include <cmath>

#include "network/sweep.hpp"

namespace nbcore {

class LastLayer {
 public:
  LastLayer() = default;
  explicit LastLayer(const Network& network);

  /// Number of weights; 0 where there is no energy, or a readout is more than a mixing
  int size() const { return size_; }
  /// Is a readout among the nodes of this set?
  bool reads(int set) const {
    return std::any_of(inputs_.begin(), inputs_.end(), [&](const Input& input) { return input.set == set; });
  }
  /// After a level's forward on a block: to[node][size] += factor * features, or their tangents, nodes in the order of
  /// the user
  template <bool tangents = false, class Real>
  void add_features(const Sweep<Real>& sweep, const Graph& graph, int level, int block_index, Workspace<Real>& ws,
                    double factor, std::vector<std::vector<double>>& to) const {
    for (const Input& input : inputs_) {
      if (input.level != level) continue;
      const GraphBlock& block = sweep.relation(level).blocks[block_index];
      const std::int32_t* order = graph.sets[input.set].order.data() + block.first;
      const State<Real> state = sweep.state(input.slot, level, block_index, ws);
      const Layout<Real>& layout = *state.layout;
      const Planes<Real> own = state.own(input.part);
      const Real* x = tangents ? own.dot : own.value;
      const double weight = factor * input.rule->gains[0] / std::sqrt(double(input.rule->parameters[0].shape[1]));
      int of_class = 0;
      for (int i = 0; i < block.n; ++i, x += layout.row(input.part)) {
        while (i >= block.species_first[of_class + 1]) ++of_class;
        double* row = to[input.set].data() + std::ptrdiff_t(order[i]) * size_ + input.first + of_class * input.stride;
        for (int c = 0; c < input.channels; ++c) row[c] += weight * double(x[layout.position(input.part, c)]);
      }
    }
  }

  /// The features of nodes above the atoms, added to those of their atoms, as their energies are
  void share_among_atoms(const Graph& graph, std::vector<std::vector<double>>& features) const;

 private:
  /// A part of a state that a readout reads
  struct Input {
    int level, set, slot, part, channels;
    int first, stride;  // of its features: the first class', and from class to class
    const GateRule* rule;
  };
  int size_ = 0;
  std::vector<Input> inputs_;
};

}  // namespace nbcore
