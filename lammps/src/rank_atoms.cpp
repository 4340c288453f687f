#include "rank_atoms.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "neigh_list.h"

namespace nbcore_lammps {

void RankAtoms::take(const LAMMPS_NS::NeighList& list, const int* type, const std::vector<int>& numbers, int n_local,
                     int n_all, bool ghost_rows) {
  atoms_.clear(), numbers_.clear(), owners_.clear();
  places_.assign(n_all, -1);
  for (int i = 0; i < n_all; ++i) {
    if (i == n_local) n_ = static_cast<int>(atoms_.size());
    if (numbers[type[i]] == 0) continue;
    places_[i] = static_cast<int>(atoms_.size());
    atoms_.push_back(i), numbers_.push_back(numbers[type[i]]);
  }
  if (n_all == n_local) n_ = static_cast<int>(atoms_.size());
  n_rows_ = ghost_rows ? atoms_.size() : n_;

  // LAMMPS' rows come in any order; first their lengths, then what stands in them
  const int listed = list.inum + (ghost_rows ? list.gnum : 0);
  first_.assign(n_rows_ + 1, 0);
  const auto each = [&](auto f) {  // f(place of the parent, place of a neighbour)
    for (int k = 0; k < listed; ++k) {
      const int atom = list.ilist[k], parent = places_[atom];
      if (parent < 0) continue;
      for (int e = 0; e < list.numneigh[atom]; ++e)
        if (const int child = places_[list.firstneigh[atom][e] & NEIGHMASK]; child >= 0) f(parent, child);
    }
  };
  each([&](int parent, int) { ++first_[parent + 1]; });
  for (std::int64_t k = 0; k < n_rows_; ++k) first_[k + 1] += first_[k];
  neighbours_.resize(first_[n_rows_]);
  std::vector<std::int64_t> next(first_.begin(), first_.end() - 1);
  each([&](int parent, int child) { neighbours_[next[parent]++] = child; });
}

void RankAtoms::set_owners(const std::vector<int>& owner) {
  owners_.clear();
  for (int k = n_; k < n_all(); ++k) owners_.push_back(places_[owner[atoms_[k]]]);
}

void RankAtoms::move(const double* const* x) {
  positions_.resize(3 * atoms_.size());
  for (std::size_t k = 0; k < atoms_.size(); ++k) std::copy_n(x[atoms_[k]], 3, &positions_[3 * k]);
}

nbcore_system RankAtoms::system() const {
  nbcore_system s = NBCORE_SYSTEM;
  s.n = n_, s.n_ghosts = n_all() - n_;
  s.positions = positions_.data(), s.numbers = numbers_.data();
  s.n_rows = n_rows_, s.first = first_.data(), s.neighbours = neighbours_.data();
  if (!owners_.empty()) s.owners = owners_.data();
  return s;
}

double RankAtoms::distance(int i, int j) const {
  double r2 = 0;
  for (int c = 0; c < 3; ++c) r2 += std::pow(positions_[3 * j + c] - positions_[3 * i + c], 2);
  return std::sqrt(r2);
}

RankAtoms::Contact RankAtoms::closest() const {
  Contact found{n_all(), n_all(), std::numeric_limits<double>::infinity()};
  for (int i = 0; i < n_rows_; ++i)
    for (std::int64_t e = first_[i]; e < first_[i + 1]; ++e)
      if (const double r = distance(i, neighbours_[e]); r < found.distance) found = {i, neighbours_[e], r};
  return found;
}

void RankAtoms::closeness(const std::vector<std::vector<double>>& trained, std::vector<double>& to) const {
  std::fill(to.begin(), to.end(), 0.0);
  for (int i = 0; i < n_; ++i)
    for (std::int64_t e = first_[i]; e < first_[i + 1]; ++e) {
      const int j = neighbours_[e];
      const double ratio = trained[numbers_[i]][numbers_[j]] / std::max(distance(i, j), 1e-30);
      to[atoms_[i]] = std::max(to[atoms_[i]], ratio);
    }
}

}  // namespace nbcore_lammps
