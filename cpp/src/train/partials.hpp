// How a batch is cut into partials, and which ranks have which: nbcore/train/partials.py says what they are. Every rank
// does this alike for each step, so it counts as often as there are ranks.
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace nbcore {

/// Places in a batch, partial after partial, where each partial begins; buffers and cost of each
struct Partials {
  std::vector<std::int64_t> places, starts, buffers;
  std::vector<double> cost;
};

/// The partials of structures with so many atoms and such costs, in the order of the leaves of the tree of sums
Partials cut(std::span<const std::int64_t> atoms, std::span<const double> cost);

/// [tree][rank] (first, last) of the leaves of each rank, from the costs of all leaves: such that follow each other, of
/// about the same cost, and where it makes no difference the whole of a node, which has one sum
using Ranges = std::vector<std::vector<std::pair<std::int64_t, std::int64_t>>>;
Ranges ranges(const std::vector<std::span<const double>>& trees, int ranks);

}  // namespace nbcore
