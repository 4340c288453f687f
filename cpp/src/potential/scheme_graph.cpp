// The sets of a composition scheme as node sets and relations of a graph.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.hpp"
#include "potential/graph_builder.hpp"

namespace nbcore {

namespace {

constexpr std::int64_t max_pairs = 20'000'000;

const SchemeSet& set_called(const Structure& s, const std::string& name) {
  if (s.scheme)
    for (const SchemeSet& set : s.scheme->sets)
      if (set.name == name) return set;
  throw InputError(message("this model works on a composition scheme with the set \"", name, "\"; the structure has ",
                           s.scheme ? "a scheme without it" : "no scheme"));
}

Vec3 shifted(Vec3 r, const Image& image, const Mat3& cell) {
  for (int k = 0; k < 3; ++k)
    for (int c = 0; c < 3; ++c) r[c] += image[k] * cell[k][c];
  return r;
}

/// Positions in the images that the scheme was made for.
std::vector<Vec3> in_images_of_scheme(const Structure& s) {
  std::vector<Vec3> positions = s.positions;
  if (!s.scheme || s.scheme->reference.empty() || !(s.pbc[0] || s.pbc[1] || s.pbc[2])) return positions;
  const Mat3& c = s.cell;
  const auto cross = [](const Vec3& a, const Vec3& b) {
    return Vec3{a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
  };
  const auto dot = [](const Vec3& a, const Vec3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; };
  const double volume = dot(c[0], cross(c[1], c[2]));
  if (volume == 0) return positions;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    Image image{};
    for (int k = 0; k < 3; ++k)
      if (s.pbc[k]) {
        const double place = dot(positions[i], cross(c[(k + 1) % 3], c[(k + 2) % 3])) / volume;
        image[k] = std::int32_t(std::lround(s.scheme->reference[i][k] - place));
      }
    positions[i] = shifted(positions[i], image, c);
  }
  return positions;
}

struct Placed {
  std::vector<std::int32_t> place;  // of the user's nodes in the graph
  std::vector<Vec3> r;              // by the user's numbers
};

/// A relation of all nodes of a set with their children, or with their pairs; the set's order is fixed already.
void relate(const SchemeSet& set, const Structure& s, const std::vector<int>& sizes, const NodeSet& nodes,
            const Placed& own, const Placed& below, const std::vector<std::int32_t>& child_species, bool safe_at_zero,
            bool coloured, Relation& relation) {
  std::int64_t total = 0;
  std::vector<std::int32_t> row(below.place.size(), -1);
  int first = 0;
  for (int n : sizes) {
    GraphBlock b;
    b.first = first, b.n = n, b.edge_first = {0};
    b.species_first.assign(nodes.n_species + 1, 0);
    std::vector<Vec3> r;
    for (int k = 0; k < n; ++k) {
      const int node = nodes.order[first + k];
      ++b.species_first[set.classes[node] + 1];
      std::vector<std::int64_t> children(set.child_first[node + 1] - set.child_first[node]);
      std::iota(children.begin(), children.end(), set.child_first[node]);
      std::stable_sort(children.begin(), children.end(),
                       [&](auto x, auto y) { return child_species[set.child[x]] < child_species[set.child[y]]; });
      const auto row_of = [&](int child) {
        const std::int32_t j = below.place[child];
        if (row[j] < 0) row[j] = int(b.halo.size()), b.halo.push_back(j);
        return row[j];
      };
      const auto position = [&](std::int64_t c) { return shifted(below.r[set.child[c]], set.child_image[c], s.cell); };
      const auto add = [&](std::int64_t c, const Vec3& origin) {
        const Vec3 at = position(c);
        r.push_back({at[0] - origin[0], at[1] - origin[1], at[2] - origin[2]});
        const Vec3& d = r.back();
        if (!safe_at_zero && !(d[0] * d[0] + d[1] * d[1] + d[2] * d[2] > 1e-6))
          throw NumericsError(message("composition scheme, set \"", set.name, "\", node ", node,
                                      ": two of its places coincide, child ", set.child[c], " stands on another"));
        b.child.push_back(below.place[set.child[c]]), b.child_halo.push_back(row_of(set.child[c]));
        b.child_species.push_back(child_species[set.child[c]]);
      };
      if (!relation.pairs()) {
        for (auto c : children) add(c, own.r[node]);
      } else {
        const std::int64_t m = std::int64_t(children.size());
        if ((total += m * (m - 1)) > max_pairs)
          throw InputError(message("composition scheme, set \"", set.name, "\", node ", node, " has ", m,
                                   " children: too many pairs; put a set between"));
        for (auto c : children)
          for (auto d : children)
            if (c != d) {
              add(c, position(d));
              b.partner.push_back(below.place[set.child[d]]), b.partner_halo.push_back(row_of(set.child[d]));
            }
      }
      b.edge_first.push_back(std::int64_t(b.child.size()));
    }
    std::partial_sum(b.species_first.begin(), b.species_first.end(), b.species_first.begin());
    b.r.assign(3 * b.stride(), 1.0);
    for (std::size_t e = 0; e < r.size(); ++e)
      for (int c = 0; c < 3; ++c) b.r[c * b.stride() + e] = r[e][c];
    for (std::int32_t j : b.halo) row[j] = -1;
    relation.blocks.push_back(std::move(b));
    first += n;
  }
  index_writers(relation, int(below.place.size()), coloured);
}

}  // namespace

void add_scheme(const Structure& s, const Network& network, int max_block, Graph& graph) {
  const auto& sets = network.sets();
  if (s.scheme && s.scheme->n_atoms != graph.n_atoms())
    throw InputError(
        message("the composition scheme is one of ", s.scheme->n_atoms, " atoms, the structure has ", graph.n_atoms()));
  std::vector<Placed> placed(sets.size());
  std::vector<std::vector<std::int32_t>> species(sets.size());  // by the user's numbers
  placed[atom_set].r = in_images_of_scheme(s), placed[atom_set].place.resize(graph.n_atoms()),
  species[atom_set].resize(graph.n_atoms());
  for (int k = 0; k < graph.n_atoms(); ++k) placed[atom_set].place[graph.sets[atom_set].order[k]] = k;
  for (const GraphBlock& b : graph.relations[neighbour_relation].blocks)
    for (int z = 0; z < network.n_species(); ++z)
      for (int k = b.species_first[z]; k < b.species_first[z + 1]; ++k)
        species[atom_set][graph.sets[atom_set].order[b.first + k]] = z;

  for (std::size_t k = 1; k < sets.size(); ++k) {
    const SchemeSet& set = set_called(s, sets[k].name);
    if (set.children != sets[sets[k].children].name)
      throw InputError(message("composition scheme: the children of \"", set.name, "\" are \"", set.children,
                               "\", this model expects \"", sets[sets[k].children].name, "\""));
    NodeSet& nodes = graph.sets[k];
    nodes.n = set.size(), nodes.n_species = sets[k].n_species;
    nodes.first = set.atom_first, nodes.atom = set.atom, nodes.coefficient = set.coefficient;
    nodes.order.resize(nodes.n);
    std::iota(nodes.order.begin(), nodes.order.end(), 0);
    for (int c : set.classes)
      if (c >= nodes.n_species)
        throw InputError(message("composition scheme, set \"", set.name, "\": a node has class ", c,
                                 ", this model knows ", nodes.n_species));
    std::vector<int> sizes;
    const int size = graph.closed ? std::max(nodes.n, 1) : max_block;
    for (int first = 0; first < nodes.n || sizes.empty(); first += size) {
      sizes.push_back(std::min(size, nodes.n - first));
      const auto begin = nodes.order.begin() + first;
      std::stable_sort(begin, begin + sizes.back(), [&](int a, int b) { return set.classes[a] < set.classes[b]; });
    }
    Placed& own = placed[k];
    own.place.resize(nodes.n), own.r.assign(nodes.n, Vec3{}), species[k].assign(set.classes.begin(), set.classes.end());
    for (int j = 0; j < nodes.n; ++j) own.place[nodes.order[j]] = j;
    for (int j = 0; j < nodes.n; ++j)
      for (std::int64_t a = set.atom_first[j]; a < set.atom_first[j + 1]; ++a) {
        const Vec3 r = shifted(placed[atom_set].r[set.atom[a]], set.image[a], s.cell);
        for (int c = 0; c < 3; ++c) own.r[j][c] += set.coefficient[a] * r[c];
      }
    for (std::size_t number = 0; number < graph.relations.size(); ++number) {
      Relation& relation = graph.relations[number];
      if (relation.parents != int(k) || !network.uses(int(number))) continue;
      const auto& radials = network.relations()[number].radials;
      const bool solid = radials.empty() || radials[0].radial.basis == Basis::solid;
      relate(set, s, sizes, nodes, own, placed[relation.children], species[relation.children], solid, graph.coloured,
             relation);
    }
  }
}

}  // namespace nbcore
