#include "train/partials.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/error.hpp"

namespace nbcore {
namespace {

using Index = std::int64_t;

// of a partial at least: a sum costs a pass or two over all parameters, about as much as an atom of a molecule
constexpr Index atoms_of_partial = 30;
constexpr Index atoms_of_buffer = 128;  // of a partial of large structures, whose blocks threads share
constexpr Index most_buffers = 8;
constexpr double loose = 0.01;  // of the work of a rank, by which shares may differ for the sake of whole nodes

/// 0, 1, 2, ... such that x of them falls, or rises; of equal ones the first stays first
std::vector<Index> sorted(const std::vector<double>& x, bool falling) {
  std::vector<Index> order(x.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return falling ? x[a] > x[b] : x[a] < x[b]; });
  return order;
}

/// The order of leaves with such loads in which neighbours, and the nodes above them, have about the same: at each
/// height the largest is the sibling of the smallest. What the leaves do not fill stands at the end.
std::vector<Index> folded(const std::vector<double>& load) {
  std::vector<Index> order(load.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::vector<double> of_node = load;  // of those that are whole, in the order under way
  for (std::size_t size = 1; size < load.size(); size *= 2) {
    std::vector<Index> by_size = sorted(of_node, true), nodes;
    const bool odd = by_size.size() % 2;
    for (std::size_t k = odd, last = by_size.size() - 1; k < last; ++k, --last)
      nodes.insert(nodes.end(), {by_size[k], by_size[last]});
    std::vector<double> above;
    for (std::size_t k = 0; k < nodes.size(); k += 2) above.push_back(of_node[nodes[k]] + of_node[nodes[k + 1]]);
    if (odd) nodes.push_back(by_size[0]);  // the largest has no sibling
    std::vector<Index> next;
    for (const Index node : nodes)
      next.insert(next.end(), order.begin() + node * size, order.begin() + (node + 1) * size);
    std::copy(next.begin(), next.end(), order.begin());
    of_node = std::move(above);
  }
  return order;
}

}  // namespace

Partials cut(std::span<const Index> atoms, std::span<const double> cost) {
  if (atoms.size() != cost.size()) throw InputError("partials: a number of atoms and a cost of each structure");
  const Index n = Index(atoms.size()), total = std::accumulate(atoms.begin(), atoms.end(), Index{0});
  if (n == 0) return {};
  const Index count =
      std::min(n, total < 2 * atoms_of_partial ? 1 : Index(std::bit_floor(std::uint64_t(total / atoms_of_partial))));
  std::vector<double> load(count, 0.0);
  std::vector<Index> chosen(n);  // of each structure its partial
  const std::vector<Index> largest = sorted({cost.begin(), cost.end()}, true);
  for (Index row = 0; row < n; row += count) {
    const std::vector<Index> least = sorted(load, false);  // the largest that is left to whoever has least
    for (Index k = 0; k < std::min(count, n - row); ++k) {
      chosen[largest[row + k]] = least[k];
      load[least[k]] += cost[largest[row + k]];
    }
  }
  const std::vector<Index> order = folded(load);
  std::vector<Index> leaf(count);
  Partials out{std::vector<Index>(n), std::vector<Index>(count, 0), std::vector<Index>(count, 0), {}};
  for (Index k = 0; k < count; ++k) leaf[order[k]] = k, out.cost.push_back(load[order[k]]);
  std::vector<Index> ends(count, 0);
  for (Index k = 0; k < n; ++k) chosen[k] = leaf[chosen[k]], ++ends[chosen[k]], out.buffers[chosen[k]] += atoms[k];
  for (Index k = 1; k < count; ++k) out.starts[k] = out.starts[k - 1] + ends[k - 1];
  ends = out.starts;
  for (Index k = 0; k < n; ++k) out.places[ends[chosen[k]]++] = k;
  for (Index& buffers : out.buffers) buffers = std::clamp(buffers / atoms_of_buffer, Index{1}, most_buffers);
  // one structure more than two threads can share equally: they share its blocks
  const double least = *std::min_element(out.cost.begin(), out.cost.end());
  Index more = 0, last = 0;
  for (Index k = 0; k < count; ++k)
    if (out.cost[k] > 1.2 * least) ++more, last = k;
  if (more % 2) out.buffers[last] = std::max(Index{2}, out.buffers[last]);
  return out;
}

Ranges ranges(const std::vector<std::span<const double>>& trees, int ranks) {
  if (ranks < 1) throw InputError(message("ranks must be at least 1, got ", ranks));
  std::vector<Index> starts{0};  // of the trees
  std::vector<double> sums{0.0}, middles;
  for (const auto& tree : trees) {
    for (const double cost : tree) {
      sums.push_back(sums.back() + cost);
      middles.push_back((sums[sums.size() - 2] + sums.back()) / 2);
    }
    starts.push_back(Index(sums.size()) - 1);
  }
  std::vector<Index> ends{0};
  for (int rank = 1; rank < ranks; ++rank) {
    const double aim = sums.back() * rank / ranks, near = loose * sums.back() / ranks;
    Index end = std::lower_bound(middles.begin(), middles.end(), aim) - middles.begin();
    Index low = std::lower_bound(sums.begin(), sums.end(), aim - near) - sums.begin();
    Index high = std::upper_bound(sums.begin(), sums.end(), aim + near) - sums.begin() - 1;
    if (low <= high) {
      const Index before = *(std::upper_bound(starts.begin() + 1, starts.end() - 1, high) - 1);  // of the tree with it
      low = std::max(low, before) - before, high -= before;
      // the number between them with most zeros at its end
      const int zeros = std::max(0, int(std::bit_width(std::uint64_t(std::max<Index>(low - 1, 0) ^ high))) - 1);
      end = before + (low == 0 ? 0 : high >> zeros << zeros);
    }
    ends.push_back(std::max(end, ends.back()));
  }
  ends.push_back(Index(sums.size()) - 1);
  Ranges of_trees;
  for (std::size_t t = 0; t < trees.size(); ++t) {
    const auto own = [&](Index end) { return std::clamp(end - starts[t], Index{0}, Index(trees[t].size())); };
    of_trees.emplace_back();
    for (int rank = 0; rank < ranks; ++rank) of_trees.back().emplace_back(own(ends[rank]), own(ends[rank + 1]));
  }
  return of_trees;
}

}  // namespace nbcore
