#include "potential/parts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "base/error.hpp"
#include "potential/bins.hpp"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace nbcore {

void give_back_free_memory() {
  forget_search_memory();
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

namespace {

constexpr int max_block = 32, smallest_part = 64;
constexpr int n_samples = 32;            // atoms whose neighbours are counted
constexpr double in_edges = 3 * 8 + 12;  // bytes per pair in a graph
constexpr double while_growing = 3;      // of the list; the bound holds for an unlucky size as well

/// Children of a block per parent, itself included, where an atom has so many neighbours: a cube and what is within the
/// cutoff of it.
double halo(double neighbours) {
  const double ball = 4 * std::numbers::pi / 3, x = std::cbrt(max_block * ball / (neighbours + 1));
  return 1 + 6 / x + 3 * std::numbers::pi / (x * x) + ball / (x * x * x);
}

}  // namespace

Parts::Parts(const Structure& s, std::span<const int> species, const Network& network, double r_min, double state_bytes,
             double max_bytes)
    : s_(s),
      species_(species),
      network_(network),
      cutoff_(list_cutoff(network, r_min)),
      r_min_(r_min),
      state_bytes_(state_bytes),
      max_bytes_(max_bytes),
      where_(s.positions),
      order_(s.positions.size()) {
  check_neighbourhoods(s.positions, s.cell, s.pbc, cutoff_);
  const bins::Frame frame(s.cell, s.pbc);
  for (int k = 0; k < 3; ++k) {
    const double height = 1 / bins::norm(frame.dual[k]);
    period_[k] = s.pbc[k] ? height : std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < where_.size(); ++i) {
      const double f = bins::dot(frame.dual[k], s.positions[i]);
      where_[i][k] = height * (s.pbc[k] ? f - std::floor(f) : f);
    }
  }
  std::iota(order_.begin(), order_.end(), 0);
  const std::size_t n = order_.size(), samples = std::min<std::size_t>(n, n_samples);
  for (std::size_t k = 0; k < samples; ++k) {
    const auto i = std::int32_t(k * n / samples);
    const std::vector<std::int32_t> near = around({&i, 1}, cutoff_);
    const NeighbourList list = list_of(near);
    const auto at = std::lower_bound(near.begin(), near.end(), i) - near.begin();
    const double found = double(list.first[at + 1] - list.first[at]);
    neighbours_ += found / double(samples), crowd_ = std::max(crowd_, found);
  }
}

double Parts::fixed_bytes() const {
  return double(order_.size()) * (bytes_of_results + sizeof(Vec3) + sizeof(std::int32_t));
}

double Parts::bytes(const Counts& c) const {
  const double list = c.pairs * bytes_per_pair;
  const double graph =
      c.pairs / c.nodes * c.parents * in_edges + c.parents * halo(c.pairs / c.nodes) * 12 + c.nodes * 16;
  return fixed_bytes() + c.nodes * (state_bytes_ + 3 * sizeof(Vec3)) + std::max(while_growing * list, list + graph);
}

Parts::Fit Parts::whole() const {
  const double n = double(order_.size()), list = n * neighbours_ * bytes_per_pair;
  const double graph = n * (neighbours_ * in_edges + halo(neighbours_) * 12 + 16);
  // what blocks write to their halos is kept until all are through; there is one set of them but in small systems
  double states = n * state_bytes_;
  if (n > 2 * max_block && n < coloured_from) states *= 1 + 0.5 * halo(neighbours_);
  const double results = n * bytes_of_results, skin = 1.5;
  if (results + states + std::max(while_growing * skin * list, 2 * list + graph) <= max_bytes_) return Fit::easily;
  if (1.1 * (results + std::max(while_searching * list, graph + std::max(list, states))) <= max_bytes_)
    return Fit::alone;
  return Fit::in_parts;
}

bool Parts::fits_anyway(std::size_t n_atoms, double state_bytes, double max_bytes) {
  constexpr double most = 1000, halos = 10;  // neighbours of matter within 10 Angstrom
  return double(n_atoms) * (bytes_of_results + halos * state_bytes + most * 5 * bytes_per_pair) <= max_bytes;
}

std::vector<std::int32_t> Parts::around(std::span<const std::int32_t> owned, double reach) const {
  Vec3 low = where_[owned[0]], high = low;
  for (std::int32_t i : owned)
    for (int k = 0; k < 3; ++k) {
      low[k] = std::min(low[k], where_[i][k]);
      high[k] = std::max(high[k], where_[i][k]);
    }
  reach *= 1 + bins::margin;
  std::vector<std::int32_t> near;
  for (std::size_t i = 0; i < where_.size(); ++i) {
    bool in = true;
    for (int k = 0; k < 3; ++k) {
      const double x = where_[i][k], below = low[k] - x, above = x - high[k];  // outside of the box, if positive
      const double outside =
          below > 0 ? std::min(below, x + period_[k] - high[k]) : std::min(above, low[k] + period_[k] - x);
      in &= outside <= reach;
    }
    if (in) near.push_back(std::int32_t(i));
  }
  return near;
}

NeighbourList Parts::list_of(const std::vector<std::int32_t>& atoms) const {
  std::vector<Vec3> positions;
  positions.reserve(atoms.size());
  for (std::int32_t i : atoms) positions.push_back(s_.positions[i]);
  return neighbours(positions, s_.cell, s_.pbc, cutoff_, r_min_, atoms);
}

Parts::Counts Parts::expected(std::span<const std::int32_t> owned) const {
  const int levels = network_.levels();
  const double nodes = double(around(owned, levels * cutoff_).size());
  return {nodes, double(around(owned, (levels - 1) * cutoff_).size()), nodes * crowd_};
}

void Parts::each(const std::function<void(const Graph&)>& evaluate) {
  if (network_.sets().size() > 1)
    throw InputError(
        message("max_bytes: this model works on a composition scheme, which cannot be cut into parts; the ",
                order_.size(), " atoms need more than the ", max_bytes_ / 1e6, " MB given"));
  const std::size_t n = order_.size(), most = std::max<std::size_t>(n / smallest_part, 1);
  for (std::size_t parts = 1; !cut(order_, parts); parts = std::min(parts + 1 + parts / 5, most))
    if (parts == most) refuse();
  for (std::span<std::int32_t> owned : std::vector(parts_)) visit(owned, evaluate);
}

void Parts::refuse() const {
  // a tenth more, so that the atoms may move
  throw InputError(message("max_bytes: ", order_.size(), " atoms need at least ", std::ceil(1.1 * needed_ / 1e5) / 10,
                           " MB, in parts of some ", smallest_part, " atoms; ", max_bytes_ / 1e6, " MB were given"));
}

bool Parts::cut(std::span<std::int32_t> owned, std::size_t n) {
  if (owned.size() == order_.size()) parts_.clear(), needed_ = 0;
  if (n == 1) {
    parts_.push_back(owned);
    needed_ = std::max(needed_, bytes(expected(owned)));
  } else {
    const std::size_t first = owned.size() * (n / 2) / n;
    split(owned, where_, first);
    cut(owned.first(first), n / 2);
    cut(owned.subspan(first), n - n / 2);
  }
  return needed_ <= max_bytes_;
}

void Parts::visit(std::span<std::int32_t> owned, const std::function<void(const Graph&)>& evaluate) {
  const std::vector<std::int32_t> nodes = around(owned, network_.levels() * cutoff_);
  Graph graph;
  double needed;
  {
    const NeighbourList list = list_of(nodes);
    double pairs = 0;  // of the owned: at the rim not all are there
    for (std::int32_t i : owned) {
      const auto at = std::lower_bound(nodes.begin(), nodes.end(), i) - nodes.begin();
      pairs += double(list.first[at + 1] - list.first[at]);
    }
    crowd_ = std::max(crowd_, pairs / double(owned.size()));
    needed = bytes(expected(owned));
    if (needed <= max_bytes_) graph = part(owned, nodes, list);
  }
  give_back_free_memory();
  if (needed <= max_bytes_) return evaluate(graph);
  // more neighbours than were expected
  needed_ = needed;
  if (owned.size() < 2 * smallest_part) refuse();
  const std::size_t half = owned.size() / 2;
  split(owned, where_, half);
  visit(owned.first(half), evaluate);
  visit(owned.subspan(half), evaluate);
}

Graph Parts::part(std::span<const std::int32_t> owned, const std::vector<std::int32_t>& nodes,
                  const NeighbourList& list) {
  std::vector<Vec3> where;
  std::vector<int> species;
  for (std::int32_t i : nodes) where.push_back(where_[i]), species.push_back(species_[i]);
  std::vector<std::int32_t> own;
  for (std::int32_t i : owned)
    own.push_back(std::int32_t(std::lower_bound(nodes.begin(), nodes.end(), i) - nodes.begin()));
  Blocking blocking = blocks_around(std::move(own), list, where, network_.levels(), max_block);
  Graph graph = graph_of_neighbours(list, species, network_, std::move(blocking));
  for (std::int32_t& i : graph.sets[atom_set].order) i = nodes[i];
  graph.closed = false, graph.coloured = true;
  index_writers(graph.relations[neighbour_relation], graph.n_atoms(), true);
  add_leaves(s_, network_, graph);
  return graph;
}

}  // namespace nbcore
