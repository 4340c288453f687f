#include "network/scheme.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"

namespace nbcore {

namespace {

struct Checker {
  const CompositionScheme& scheme;

  template <class... T> [[noreturn]] void refuse(const SchemeSet& s, int node, const T&... text) const {
    throw InputError(message("composition scheme, set \"", s.name, "\", node ", node, ": ", text...));
  }

  void lists(const SchemeSet& s) const {
    const std::size_t n = s.classes.size();
    const auto ragged = [&](const char* what, const std::vector<std::int64_t>& first, std::size_t total) {
      if (first.size() != n + 1 || first.front() != 0 || first.back() != std::int64_t(total) ||
          !std::is_sorted(first.begin(), first.end()))
        throw InputError(
            message("composition scheme, set \"", s.name, "\": the list of ", what, " does not fit its ", n, " nodes"));
    };
    ragged("atoms", s.atom_first, s.atom.size()), ragged("children", s.child_first, s.child.size());
    if (s.coefficient.size() != s.atom.size() || s.image.size() != s.atom.size() ||
        s.child_image.size() != s.child.size())
      throw InputError(message("composition scheme, set \"", s.name,
                               "\": one coefficient and image per atom, one image per child are needed"));
  }

  /// Atoms of a node with their images, sorted; shifted by `shift`
  static std::vector<std::pair<std::int32_t, Image>> members(const SchemeSet& s, int node, const Image& shift) {
    std::vector<std::pair<std::int32_t, Image>> m;
    for (std::int64_t k = s.atom_first[node]; k < s.atom_first[node + 1]; ++k) {
      m.emplace_back(s.atom[k], s.image[k]);
      for (int c = 0; c < 3; ++c) m.back().second[c] += shift[c];
    }
    std::sort(m.begin(), m.end());
    return m;
  }

  void node(const SchemeSet& s, int k, const SchemeSet* below) const {
    if (s.classes[k] < 0) refuse(s, k, "its class must not be negative, got ", s.classes[k]);
    if (s.atom_first[k] == s.atom_first[k + 1]) refuse(s, k, "it has no atoms");
    if (s.child_first[k] == s.child_first[k + 1] && s.atom_first[k + 1] - s.atom_first[k] != 1)
      refuse(s, k, "it has no children; a leaf has one atom, this node has ", s.atom_first[k + 1] - s.atom_first[k]);
    double sum = 0;
    for (std::int64_t a = s.atom_first[k]; a < s.atom_first[k + 1]; ++a) {
      if (s.atom[a] < 0 || s.atom[a] >= scheme.n_atoms)
        refuse(s, k, "atom ", s.atom[a], " does not exist, there are ", scheme.n_atoms);
      sum += s.coefficient[a];
    }
    if (!(std::abs(sum - 1) < 1e-9)) refuse(s, k, "the coefficients of its position must have the sum 1, got ", sum);
    const auto own = members(s, k, Image{});
    if (std::adjacent_find(own.begin(), own.end()) != own.end()) refuse(s, k, "it has an atom twice");
    std::vector<std::pair<std::int32_t, Image>> children;
    for (std::int64_t c = s.child_first[k]; c < s.child_first[k + 1]; ++c) {
      const int child = s.child[c];
      if (child < 0 || child >= (below ? below->size() : scheme.n_atoms))
        refuse(s, k, "child ", child, " does not exist in \"", s.children, "\"");
      children.emplace_back(child, s.child_image[c]);
      const auto theirs = below ? members(*below, child, s.child_image[c])
                                : std::vector{std::pair(std::int32_t(child), s.child_image[c])};
      for (const auto& m : theirs)
        if (!std::binary_search(own.begin(), own.end(), m))
          refuse(s, k, "its child ", child, " of \"", s.children, "\" has atom ", m.first, ", which it has not itself");
    }
    std::sort(children.begin(), children.end());
    if (std::adjacent_find(children.begin(), children.end()) != children.end()) refuse(s, k, "it has a child twice");
  }

  void root() const {
    std::vector<std::vector<bool>> has_parent;
    for (const SchemeSet& s : scheme.sets) has_parent.emplace_back(s.size(), false);
    int roots = 0;
    const auto index = [&](const std::string& name) {
      return std::find_if(scheme.sets.begin(), scheme.sets.end(), [&](const auto& s) { return s.name == name; }) -
             scheme.sets.begin();
    };
    for (const SchemeSet& s : scheme.sets)
      if (s.children != "atoms")
        for (int c : s.child) has_parent[index(s.children)][c] = true;
    for (std::size_t k = 0; k < scheme.sets.size(); ++k)
      for (int node = 0; node < scheme.sets[k].size(); ++node) {
        const bool leaf = scheme.sets[k].child_first[node] == scheme.sets[k].child_first[node + 1];
        if (has_parent[k][node] || leaf) continue;  // a leaf may be left alone: an atom without neighbours
        if (++roots > 1) refuse(scheme.sets[k], node, "it is part of nothing, but there is another root already");
        std::vector<bool> there(scheme.n_atoms, false);
        const SchemeSet& s = scheme.sets[k];
        for (std::int64_t a = s.atom_first[node]; a < s.atom_first[node + 1]; ++a) there[s.atom[a]] = true;
        for (int a = 0; a < scheme.n_atoms; ++a)
          if (!there[a]) refuse(s, node, "it is the root, but atom ", a, " is no part of it");
      }
    if (roots == 0) throw InputError("composition scheme: it has no root, a node that is part of no other");
  }
};

}  // namespace

void CompositionScheme::check() const {
  const Checker checker{*this};
  for (std::size_t k = 0; k < sets.size(); ++k) {
    const SchemeSet& s = sets[k];
    const SchemeSet* below = nullptr;
    if (s.name.empty() || s.name == "atoms")
      throw InputError("composition scheme: a set needs a name, and not \"atoms\"");
    for (std::size_t j = 0; j < k; ++j) {
      if (sets[j].name == s.name) throw InputError(message("composition scheme: two sets are called \"", s.name, "\""));
      if (sets[j].name == s.children) below = &sets[j];
    }
    if (!below && s.children != "atoms")
      throw InputError(message("composition scheme, set \"", s.name, "\": its children \"", s.children,
                               "\" are not the atoms nor an earlier set"));
    checker.lists(s);
    for (int node = 0; node < s.size(); ++node) checker.node(s, node, below);
  }
  if (!reference.empty() && int(reference.size()) != n_atoms)
    throw InputError(
        message("composition scheme: reference places of ", n_atoms, " atoms are needed, got ", reference.size()));
  if (n_atoms > 0) checker.root();
}

}  // namespace nbcore
