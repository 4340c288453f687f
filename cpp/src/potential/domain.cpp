#include "potential/domain.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.hpp"

namespace nbcore {

namespace {

constexpr int max_block = 32;

void check(const Domain& d) {
  const std::size_t n = d.n_atoms();
  if (d.structure.numbers.size() != n) throw ShapeError("positions and numbers must be of as many atoms");
  for (std::size_t g = 0; g < d.owners.size(); ++g)
    if (d.owners[g] < 0 || std::size_t(d.owners[g]) >= d.n_owned())
      throw InputError(
          message("owners[", g, "] must be an owned atom, from 0 to ", d.n_owned(), " - 1, got ", d.owners[g]));
  if (!d.list) return;
  const auto& first = d.list->first;
  if (first.size() != d.n_owned() + 1 && first.size() != n + 1)
    throw ShapeError(message("the list must have a row for each of the ", d.n_owned(), " owned atoms, or of all ", n,
                             ", got ", first.size() - 1, " rows"));
  if (first[0] != 0) throw InputError(message("first[0] must be 0, got ", first[0]));
  for (std::size_t i = 0; i + 1 < first.size(); ++i)
    if (first[i + 1] < first[i])
      throw InputError(message("first must not descend, got ", first[i], " and ", first[i + 1], " for atom ", i));
  for (std::int64_t p = 0; p < first.back(); ++p)
    if (const std::int32_t j = d.list->neighbours[p]; j < 0 || std::size_t(j) >= n)
      throw InputError(message("neighbours[", p, "] must be an atom, from 0 to ", n, " - 1, got ", j));
}

/// Those of the host within the cutoff, both directions of each pair, rows of all atoms; neighbours that are images as
/// the atoms that they are images of
NeighbourList sieve(const Domain& d, double cutoff, double r_min) {
  const Structure& s = d.structure;
  const HostList& host = *d.list;
  const std::size_t n = d.n_atoms(), n_owned = d.n_owned(), rows = host.first.size() - 1;
  check_neighbourhoods(s.positions, s.cell, {false, false, false}, cutoff);
  const std::size_t parents = d.owners.empty() ? rows : std::min(rows, n_owned);
  using Image = std::array<std::int32_t, 3>;
  NeighbourList list;
  list.first.assign(n + 1, 0);
  const auto atom = [&](std::int32_t j) {
    return d.owners.empty() || std::size_t(j) < n_owned ? j : d.owners[j - n_owned];
  };
  /// f(parent, child, shift, vector) for all directions of all pairs
  const auto each = [&](auto f) {
    for (std::size_t i = 0; i < parents; ++i)
      for (std::int64_t p = host.first[i]; p < host.first[i + 1]; ++p) {
        const std::int32_t j = host.neighbours[p];
        Image S{};
        if (host.shifts) S = {host.shifts[3 * p], host.shifts[3 * p + 1], host.shifts[3 * p + 2]};
        const Vec3 &from = s.positions[i], &to = s.positions[j];
        const Vec3 t = translation<double>({double(S[0]), double(S[1]), double(S[2])}, s.cell);
        const Vec3 r = {(to[0] - from[0]) + t[0], (to[1] - from[1]) + t[1], (to[2] - from[2]) + t[2]};
        const double r2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
        if (!(r2 < cutoff * cutoff)) continue;
        if (r2 < r_min * r_min)
          throw OverlapError(message("positions: atoms ", i, " and ", j, " are ", std::sqrt(r2),
                                     " Angstrom apart; a neighbour list holds no atom as its own neighbour"));
        f(std::int32_t(i), atom(j), S, r);
        if (host.half && std::size_t(j) < n_owned && i < n_owned)
          f(j, std::int32_t(i), Image{-S[0], -S[1], -S[2]}, Vec3{0 - r[0], 0 - r[1], 0 - r[2]});
      }
  };
  each([&](std::int32_t i, auto&&...) { ++list.first[i + 1]; });
  std::partial_sum(list.first.begin(), list.first.end(), list.first.begin());
  std::vector<std::int64_t> next(list.first.begin(), list.first.end() - 1);
  list.allocate(std::size_t(list.first.back()));
  each([&](std::int32_t i, std::int32_t j, const Image& S, const Vec3& r) {
    const std::int64_t at = next[i]++;
    list.child[at] = j, list.shift[at] = S, list.vector[at] = r;
  });
  return list;
}

/// Ghosts as the atoms that they are images of
void take_owners(NeighbourList& list, const Domain& d) {
  for (std::int32_t& j : list.child)
    if (std::size_t(j) >= d.n_owned()) j = d.owners[j - d.n_owned()];
}

NeighbourList neighbours_of(const Domain& d, double cutoff, double r_min, const EvaluationOptions& options) {
  if (d.list) return sieve(d, cutoff, r_min);
  const Structure& s = d.structure;
  NeighbourList list = options.kept ? options.kept->neighbours(s.positions, s.cell, s.pbc, cutoff, r_min, options.skin)
                                    : neighbours(s.positions, s.cell, s.pbc, cutoff, r_min);
  if (!d.owners.empty()) take_owners(list, d);
  return list;
}

/// Does every atom whose states are computed have its row? A ghost that an atom has for a neighbour has that atom for
/// one, if it has a row at all.
void check_rows(const Blocking& blocking, const NeighbourList& list, std::size_t n_owned) {
  std::size_t at = 0;
  for (int size : blocking.sizes)
    for (int k = 0; k < size; ++k) {
      const std::int32_t i = blocking.order[at++];
      if (std::size_t(i) >= n_owned && list.first[i] == list.first[i + 1])
        throw InputError(message("atom ", i,
                                 " is a ghost whose state the energies depend on, but it has no neighbours: "
                                 "the list must have the rows of ghosts, too, both directions of each pair, or the "
                                 "states of ghosts be exchanged level by level"));
    }
}

}  // namespace

PreparedStructure prepare(Domain domain, const Potential& potential, int levels, Ghosts ghosts,
                          const EvaluationOptions& options) {
  const Network& network = potential.network();
  check(domain);
  if (network.sets().size() > 1)
    throw InputError(
        "this model works on a composition scheme: domains with ghosts, and lists of the caller's, are for "
        "models on atoms and their neighbours alone");
  Structure& s = domain.structure;
  const std::size_t n_owned = domain.n_owned();
  const bool own = domain.n_ghosts == 0 || !domain.owners.empty();  // nothing but what the domain owns
  std::vector<int> species = potential.species_of(
      own ? std::vector<int>(s.numbers.begin(), s.numbers.begin() + std::ptrdiff_t(n_owned)) : s.numbers);
  const NeighbourList list = neighbours_of(domain, list_cutoff(network, potential.r_min()), potential.r_min(), options);
  const bool images = domain.n_ghosts > 0 || s.pbc[0] || s.pbc[1] || s.pbc[2] || (domain.list && domain.list->shifts);
  GraphNeeds needs(potential.species(), network, potential.r_min());
  if (own) {
    for (auto& leaf : s.leaves)
      leaf.second.resize(leaf.second.size() / std::max<std::size_t>(domain.n_atoms(), 1) * n_owned);
    s.positions.resize(n_owned), s.numbers.resize(n_owned);
    Graph graph = build_graph(s, species, network, list, n_owned <= 2 * max_block ? 2 * max_block : max_block);
    return {std::move(s), std::move(species), std::move(graph), std::move(needs), 0, images};
  }
  if (domain.list && domain.list->half && ghosts == Ghosts::recomputed && levels > 1)
    throw InputError(
        "a list with each pair once does not say who the neighbours of ghosts are: give both directions "
        "of each pair, and rows of ghosts");
  std::vector<std::int32_t> owned(n_owned);
  std::iota(owned.begin(), owned.end(), 0);
  Blocking blocking;
  if (ghosts == Ghosts::recomputed) {
    blocking = blocks_around(std::move(owned), list, s.positions, levels, max_block);
    check_rows(blocking, list, n_owned);
  } else {
    blocking.order.resize(domain.n_atoms());
    std::iota(blocking.order.begin(), blocking.order.end(), 0);
    if (n_owned > 0) bisect(std::span(blocking.order).first(n_owned), s.positions, max_block, blocking.sizes);
  }
  Graph graph = graph_of_neighbours(list, species, network, std::move(blocking));
  graph.closed = false;
  graph.coloured = (ghosts == Ghosts::recomputed && levels > 1) || n_owned >= coloured_from;
  index_writers(graph.relations[neighbour_relation], graph.n_atoms(), graph.coloured);
  add_leaves(s, network, graph);
  return {std::move(s), std::move(species), std::move(graph), std::move(needs), domain.n_ghosts, images};
}

}  // namespace nbcore
