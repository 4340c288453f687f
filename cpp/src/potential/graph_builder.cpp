#include "potential/graph_builder.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/threads.hpp"

namespace nbcore {

namespace {

/// Positions moved into the cell, in lengths along its vectors, for blocks only.
std::vector<Vec3> wrapped(const Structure& s) {
  std::vector<Vec3> where = s.positions;
  if (!(s.pbc[0] || s.pbc[1] || s.pbc[2])) return where;
  const Mat3& c = s.cell;
  const auto cross = [](const Vec3& a, const Vec3& b) {
    return Vec3{a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
  };
  const auto dot = [](const Vec3& a, const Vec3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; };
  const double volume = dot(c[0], cross(c[1], c[2]));
  if (volume == 0) return where;  // a cell with free directions: unwrapped positions serve
  for (Vec3& r : where) {
    const Vec3 x = r;
    for (int k = 0; k < 3; ++k) {
      double f = dot(x, cross(c[(k + 1) % 3], c[(k + 2) % 3])) / volume;
      if (s.pbc[k]) f -= std::floor(f);
      r[k] = f * std::sqrt(dot(c[k], c[k]));
    }
  }
  return where;
}

/// Numbers 0, 1, ... of some children, those of one species after those of another.
void by_species(std::span<const std::int32_t> child, std::span<const int> species, int n_species,
                std::vector<std::int32_t>& order) {
  thread_local std::vector<std::int32_t> next;
  next.assign(n_species + 1, 0);
  for (std::int32_t j : child) ++next[species[j] + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  order.resize(child.size());
  for (std::size_t e = 0; e < child.size(); ++e) order[next[species[child[e]]]++] = std::int32_t(e);
}

}  // namespace

void split(std::span<std::int32_t> atoms, const std::vector<Vec3>& where, std::size_t first) {
  int axis = 0;
  double largest = -1;
  for (int c = 0; c < 3; ++c) {
    const auto [low, high] =
        std::minmax_element(atoms.begin(), atoms.end(), [&](int a, int b) { return where[a][c] < where[b][c]; });
    if (where[*high][c] - where[*low][c] > largest) largest = where[*high][c] - where[*low][c], axis = c;
  }
  std::nth_element(atoms.begin(), atoms.begin() + first, atoms.end(),
                   [&](int a, int b) { return std::pair(where[a][axis], a) < std::pair(where[b][axis], b); });
}

void bisect(std::span<std::int32_t> atoms, const std::vector<Vec3>& where, int max_block, std::vector<int>& sizes) {
  if (int(atoms.size()) <= max_block) {
    sizes.push_back(int(atoms.size()));
    return;
  }
  const std::size_t half = atoms.size() / 2;
  split(atoms, where, half);
  bisect(atoms.first(half), where, max_block, sizes);
  bisect(atoms.subspan(half), where, max_block, sizes);
}

double list_cutoff(const Network& network, double r_min) {
  return network.cutoff() > 0 ? network.cutoff() : 2 * r_min;  // parts alone: nobody looks at neighbours
}

Graph build_graph(const Structure& s, std::span<const int> species, const Network& network, double r_min,
                  int max_block) {
  return build_graph(s, species, network, neighbours(s.positions, s.cell, s.pbc, list_cutoff(network, r_min), r_min),
                     max_block);
}

Graph build_graph(const Structure& s, std::span<const int> species, const Network& network, const NeighbourList& list,
                  int max_block) {
  const int n_atoms = int(s.positions.size());
  Blocking blocking;
  blocking.order.resize(n_atoms);
  std::iota(blocking.order.begin(), blocking.order.end(), 0);
  if (n_atoms <= max_block) blocking.sizes = {n_atoms};
  else bisect(blocking.order, wrapped(s), max_block, blocking.sizes);
  Graph graph = graph_of_neighbours(list, species, network, std::move(blocking));
  graph.closed = graph.relations[neighbour_relation].blocks.size() == 1;
  graph.coloured = !graph.closed && n_atoms >= coloured_from;
  index_writers(graph.relations[neighbour_relation], n_atoms, graph.coloured);
  add_leaves(s, network, graph);
  if (graph.sets.size() > 1) add_scheme(s, network, max_block, graph);
  return graph;
}

Blocking blocks_around(std::vector<std::int32_t> owned, const NeighbourList& list, const std::vector<Vec3>& where,
                       int levels, int max_block) {
  Blocking blocking;
  std::vector<std::int32_t>& order = blocking.order = std::move(owned);
  std::vector<char> reached(where.size(), 0);
  for (std::int32_t i : order) reached[i] = 1;
  std::size_t first = 0;
  for (int depth = 0; depth <= levels; ++depth) {
    const std::size_t end = order.size();
    std::sort(order.begin() + std::ptrdiff_t(first), order.end());
    if (depth == levels) break;
    for (std::size_t k = first; k < end; ++k)
      for (auto e = list.first[order[k]]; e < list.first[order[k] + 1]; ++e)
        if (!reached[list.child[e]]) reached[list.child[e]] = 1, order.push_back(list.child[e]);
    if (end > first) bisect(std::span(order).subspan(first, end - first), where, max_block, blocking.sizes);
    blocking.depths.resize(blocking.sizes.size(), depth);
    first = end;
  }
  return blocking;
}

Graph graph_of_neighbours(const NeighbourList& list, std::span<const int> species, const Network& network,
                          Blocking blocking) {
  const int n_atoms = int(blocking.order.size()), n_species = network.n_species();
  Graph graph;
  graph.sets.resize(network.sets().size()), graph.relations.resize(network.relations().size());
  for (std::size_t k = 0; k < graph.relations.size(); ++k) {
    const Network::Relation& r = network.relations()[k];
    graph.relations[k].kind = r.kind, graph.relations[k].parents = r.parents, graph.relations[k].children = r.children;
  }
  NodeSet& atoms = graph.sets[atom_set];
  Relation& g = graph.relations[neighbour_relation];
  atoms.n = n_atoms, atoms.n_species = n_species;
  atoms.order = std::move(blocking.order);
  std::vector<std::int32_t> place(species.size());  // of the user's atoms in the graph
  for (int k = 0; k < n_atoms; ++k) place[atoms.order[k]] = k;
  int first = 0;
  for (std::size_t k_block = 0; k_block < blocking.sizes.size(); ++k_block) {
    const int n = blocking.sizes[k_block];
    const auto begin = atoms.order.begin() + first;
    std::sort(begin, begin + n, [&](int a, int b) { return std::pair(species[a], a) < std::pair(species[b], b); });
    GraphBlock b;
    b.first = first, b.n = n, b.depth = blocking.depths.empty() ? 0 : blocking.depths[k_block];
    b.species_first.assign(n_species + 1, 0);
    for (int k = 0; k < n; ++k) {
      place[begin[k]] = first + k;
      ++b.species_first[species[begin[k]] + 1];
    }
    std::partial_sum(b.species_first.begin(), b.species_first.end(), b.species_first.begin());
    g.blocks.push_back(std::move(b));
    first += n;
  }

  std::vector<std::int32_t> row(n_atoms, -1);  // of atoms in the halo of the block at hand
  std::vector<std::int32_t> edges;
  for (GraphBlock& b : g.blocks) {
    check_interrupt();
    b.edge_first = {0};
    for (int k = 0; k < b.n; ++k)
      b.edge_first.push_back(b.edge_first.back() + list.first[atoms.order[b.first + k] + 1] -
                             list.first[atoms.order[b.first + k]]);
    b.r.assign(3 * b.stride(), 1.0);
    for (auto* ends : {&b.child, &b.child_halo, &b.child_species}) ends->reserve(b.n_edges());
    for (int k = 0; k < b.n; ++k) b.halo.push_back(b.first + k), row[b.first + k] = k;
    for (int k = 0; k < b.n; ++k) {
      const int i = atoms.order[b.first + k];
      by_species(list.child.subspan(list.first[i], list.first[i + 1] - list.first[i]), species, n_species, edges);
      for (std::int32_t edge : edges) {
        const std::int64_t e = list.first[i] + edge;
        const std::int32_t j = place[list.child[e]];
        if (row[j] < 0) row[j] = int(b.halo.size()), b.halo.push_back(j);
        const std::int64_t k_edge = std::int64_t(b.child.size());
        for (int c = 0; c < 3; ++c) b.r[c * b.stride() + k_edge] = list.vector[e][c];
        b.child.push_back(j), b.child_halo.push_back(row[j]), b.child_species.push_back(species[list.child[e]]);
      }
    }
    for (std::int32_t j : b.halo) row[j] = -1;
    b.halo.shrink_to_fit();
  }
  return graph;
}

void add_leaves(const Structure& s, const Network& network, Graph& graph) {
  const std::size_t n_atoms = s.positions.size();
  graph.leaves.resize(network.slots().size());
  for (std::size_t k = 0; k < network.slots().size(); ++k) {
    const Network::Slot& slot = network.slots()[k];
    if (slot.level != 0) continue;
    const auto found = s.leaves.find(slot.name);
    const std::size_t size = std::size_t(slot.parts[0].dim()) * slot.parts[0].channels();
    if (found == s.leaves.end() || found->second.size() != n_atoms * size)
      throw InputError(message("this model reads the leaf state \"", slot.name, "\" of the atoms, ", size,
                               " numbers each (", slot.parts[0].dim(), " x ", slot.parts[0].channels(),
                               "); the structure has ", found == s.leaves.end() ? 0 : found->second.size(), " for ",
                               n_atoms, " atoms"));
    for (double x : found->second)
      if (!std::isfinite(x)) throw InputError(message("leaf state \"", slot.name, "\": a number is not finite"));
    for (std::int32_t i : graph.sets[atom_set].order)
      graph.leaves[k].insert(graph.leaves[k].end(), found->second.begin() + i * size,
                             found->second.begin() + (i + 1) * size);
  }
}

void index_writers(Relation& g, int n_children, bool coloured) {
  g.writer_first.assign(n_children + 1, 0);
  for (const GraphBlock& b : g.blocks)
    for (std::int32_t j : b.halo) ++g.writer_first[j + 1];
  std::partial_sum(g.writer_first.begin(), g.writer_first.end(), g.writer_first.begin());
  g.writers.resize(g.writer_first.back());
  std::vector<std::int64_t> next(g.writer_first.begin(), g.writer_first.end() - 1);
  for (int b = 0; b < int(g.blocks.size()); ++b)
    for (int k = 0; k < int(g.blocks[b].halo.size()); ++k) g.writers[next[g.blocks[b].halo[k]]++] = {b, k};
  if (!coloured) return;
  std::vector<int> colour_of(g.blocks.size(), -1), taken;  // taken[colour]: the last block that may not have it
  for (int b = 0; b < int(g.blocks.size()); ++b) {
    for (std::int32_t child : g.blocks[b].halo)
      for (std::int64_t k = g.writer_first[child]; k < g.writer_first[child + 1]; ++k)
        if (const int colour = colour_of[g.writers[k].first]; colour >= 0) taken[colour] = b;
    int colour = 0;
    while (colour < int(taken.size()) && taken[colour] == b) ++colour;
    if (colour == int(taken.size())) taken.push_back(-1), g.colours.emplace_back();
    colour_of[b] = colour, g.colours[colour].push_back(b);
  }
}

std::size_t bytes_of(const Graph& graph) {
  std::size_t bytes = 0;
  const auto add = [&](const auto&... arrays) { ((bytes += arrays.size() * sizeof(arrays[0])), ...); };
  for (const NodeSet& set : graph.sets) add(set.order, set.first, set.atom, set.coefficient);
  for (const Relation& r : graph.relations) {
    add(r.writer_first, r.writers);
    for (const GraphBlock& b : r.blocks)
      add(b.species_first, b.edge_first, b.child, b.child_halo, b.child_species, b.partner, b.partner_halo, b.r,
          b.halo);
  }
  for (const std::vector<double>& leaf : graph.leaves) add(leaf);
  return bytes;
}

}  // namespace nbcore
