#include "network/last_layer.hpp"

#include <map>

namespace nbcore {

LastLayer::LastLayer(const Network& network) {
  std::map<std::int64_t, int> first;  // parameter of a gate -> its first feature
  for (int number : network.readout()) {
    const Network::Slot& readout = network.slots()[number];
    const GateRule& rule = *readout.rule;
    if (rule.type->name != "mix") {
      *this = LastLayer();
      return;
    }
    const std::int64_t n_classes = rule.parameters[0].shape[0], fan_in = rule.parameters[0].shape[1];
    const auto [place, is_new] = first.emplace(readout.parameters, size_);
    if (is_new) size_ += int(n_classes * fan_in);
    const Part& to = readout.parts[0];
    int channel = 0;
    for (int slot : readout.inputs) {
      const std::vector<Part>& parts = network.slots()[slot].parts;
      for (int part = 0; part < int(parts.size()); ++part) {
        if (parts[part].l != to.l || parts[part].parity != to.parity) continue;
        inputs_.push_back({readout.level, readout.set, slot, part, parts[part].channels(), place->second + channel,
                           n_classes > 1 ? int(fan_in) : 0, &rule});
        channel += parts[part].channels();
      }
    }
  }
}

void LastLayer::share_among_atoms(const Graph& graph, std::vector<std::vector<double>>& features) const {
  for (std::size_t s = 0; s < graph.sets.size(); ++s) {
    if (s == atom_set || features[s].empty()) continue;
    const NodeSet& set = graph.sets[s];
    for (int node = 0; node < set.n; ++node)
      for (std::int64_t a = set.first[node]; a < set.first[node + 1]; ++a)
        for (int k = 0; k < size_; ++k)
          features[atom_set][std::ptrdiff_t(set.atom[a]) * size_ + k] +=
              set.coefficient[a] * features[s][std::ptrdiff_t(node) * size_ + k];
    features[s].clear();
  }
}

}  // namespace nbcore
