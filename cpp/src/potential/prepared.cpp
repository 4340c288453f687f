#include "potential/prepared.hpp"

namespace nbcore {

GraphNeeds::GraphNeeds(const std::vector<int>& elements, const Network& network, double r_min)
    : elements(elements), cutoff(list_cutoff(network, r_min)), r_min(r_min) {
  for (const Network::Set& set : network.sets()) sets.emplace_back(set.name, set.children, set.n_species);
  for (const Network::Relation& r : network.relations()) relations.emplace_back(r.kind, r.parents, r.children);
  for (std::size_t k = 0; k < network.slots().size(); ++k)
    if (const Network::Slot& slot = network.slots()[k]; slot.level == 0)
      leaves.emplace_back(int(k), slot.name, slot.parts[0].dim() * slot.parts[0].channels());
}

std::string GraphNeeds::difference(const GraphNeeds& other) const {
  if (elements != other.elements) return "the elements";
  if (cutoff != other.cutoff) return message("the cutoff (", cutoff, " and ", other.cutoff, " Angstrom)");
  if (r_min != other.r_min) return message("the shortest distance, r_min (", r_min, " and ", other.r_min, " Angstrom)");
  if (sets != other.sets || relations != other.relations) return "the parts of structures on which they work";
  if (leaves != other.leaves) return "the leaf states that they read";
  return "";
}

}  // namespace nbcore
