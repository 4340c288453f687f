#include "potential/verlet_list.hpp"

#include <algorithm>
#include <cmath>

#include "potential/bins.hpp"

namespace nbcore {

namespace {
using bins::operator+, bins::operator-, bins::operator*, bins::dot;

constexpr double steps_of_skin = 4;       // pairs are kept when a step is shorter than half the skin over this
constexpr std::int64_t uses_of_list = 2;  // or when the pairs before were of use as often
constexpr double most_cells = 1e6;        // that an atom may have been moved by

Mat3 periodic(const Mat3& cell, std::array<bool, 3> pbc) {
  Mat3 out{};
  for (int k = 0; k < 3; ++k)
    if (pbc[k]) out[k] = cell[k];
  return out;
}
}  // namespace

void VerletList::forget() {
  std::vector<Vec3>().swap(reference_), std::vector<std::int64_t>().swap(first_), std::vector<Pair>().swap(pairs_);
  reach_ = 0, uses_ = 0;
}

bool VerletList::close(std::span<const Vec3> positions, const Mat3& cell, double cutoff, double reach) {
  Mat3 strain{};  // F - 1
  double size = 0;
  for (int a = 0; a < 3; ++a)
    for (int c = 0; c < 3; ++c) {
      for (int k = 0; k < 3; ++k) strain[a][c] += dual_[k][a] * (cell[k][c] - cell_[k][c]);
      size += strain[a][c] * strain[a][c];
    }
  const double limit = 0.5 * ((1 - std::sqrt(size)) * reach - (1 + bins::margin) * cutoff);
  if (!(limit > 0)) return false;
  const auto moved = [&](std::size_t i) {
    const Vec3& from = reference_[i];
    Vec3 u = positions[i] - from;
    if (size > 0)
      for (int c = 0; c < 3; ++c) u[c] -= from[0] * strain[0][c] + from[1] * strain[1][c] + from[2] * strain[2][c];
    return u;
  };
  bool wrapped = false;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    Vec3 u = moved(i);
    if (dot(u, u) <= limit * limit) continue;
    if (!(std::isfinite(u[0]) && std::isfinite(u[1]) && std::isfinite(u[2]))) return false;
    Image cells{};
    for (int k = 0; k < 3; ++k) {
      const double n = std::round(dot(dual_[k], u));
      if (!(std::abs(n) <= most_cells)) return false;
      cells[k] = static_cast<std::int32_t>(n);
    }
    for (int k = 0; k < 3; ++k) u = u - static_cast<double>(cells[k]) * cell[k];
    if (!(dot(u, u) <= limit * limit)) return false;
    if (!wrapped) moved_.assign(positions.size(), Image{}), wrapped = true;
    moved_[i] = cells;
  }
  if (!wrapped) return true;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    for (int k = 0; k < 3; ++k) reference_[i] = reference_[i] + static_cast<double>(moved_[i][k]) * cell_[k];
    if (reach_ > 0)
      for (auto p = first_[i]; p < first_[i + 1]; ++p)
        for (int k = 0; k < 3; ++k) pairs_[p].shift[k] += moved_[i][k] - moved_[pairs_[p].child][k];
  }
  return true;
}

bool VerletList::sieve(std::span<const Vec3> positions, const Mat3& cell, double cutoff, double r_min,
                       NeighbourList& list) const {
  const double cutoff2 = cutoff * cutoff, least = r_min * r_min;
  const auto n_atoms = positions.size();
  list.first.resize(n_atoms + 1);
  list.allocate(pairs_.size());
  std::size_t n = 0;
  bool apart = true;
  for (std::size_t i = 0; i < n_atoms; ++i) {
    list.first[i] = static_cast<std::int64_t>(n);
    const Vec3 r = positions[i];
    for (auto p = first_[i]; p < first_[i + 1]; ++p) {
      const Pair& pair = pairs_[p];
      const Vec3& child = positions[pair.child];
      const Vec3 shift =
          translation<double>({double(pair.shift[0]), double(pair.shift[1]), double(pair.shift[2])}, cell);
      const double x = (child[0] - r[0]) + shift[0], y = (child[1] - r[1]) + shift[1], z = (child[2] - r[2]) + shift[2];
      const double r2 = x * x + y * y + z * z;
      list.child[n] = pair.child, list.shift[n] = pair.shift, list.vector[n] = {x + 0.0, y + 0.0, z + 0.0};  // no -0.0
      apart &= !(r2 < least);
      n += r2 < cutoff2;
    }
  }
  list.first[n_atoms] = static_cast<std::int64_t>(n);
  list.child = list.child.first(n), list.shift = list.shift.first(n), list.vector = list.vector.first(n);
  return apart;
}

NeighbourList VerletList::neighbours(std::span<const Vec3> positions, const Mat3& given_cell, std::array<bool, 3> pbc,
                                     double cutoff, double r_min, double skin) {
  const Mat3 cell = periodic(given_cell, pbc);
  check_cell(given_cell, pbc);  // free directions, too: what a search refuses is refused
  const bool same = positions.size() == reference_.size() && pbc == pbc_;
  if (same && reach_ > 0 && close(positions, cell, cutoff, reach_)) {
    NeighbourList list;
    ++uses_;
    if (sieve(positions, cell, cutoff, r_min, list)) return list;
  }
  // Worth it again? Kept pairs were of use; or there are none, but the last call was a short step away.
  bool keep = skin > 0 && same;
  if (keep && reach_ > 0) keep = uses_ >= uses_of_list;
  else if (keep) keep = close(positions, cell, cutoff, (1 + bins::margin) * cutoff + skin / steps_of_skin);
  reference_.clear(), reach_ = 0, uses_ = 0;  // nothing, if an error comes
  ++searches_;
  NeighbourList list;
  if (keep) {
    try {
      list = nbcore::neighbours(positions, cell, pbc, cutoff + skin, r_min);
    } catch (const Error&) {
      keep = false;  // the skin may be too much for a small cell; what is wrong without it is an error below
    }
  }
  if (!keep) list = nbcore::neighbours(positions, cell, pbc, cutoff, r_min);
  dual_ = periodic(bins::Frame(cell, pbc).dual, pbc);
  cell_ = cell, pbc_ = pbc;
  reference_.assign(positions.begin(), positions.end());
  if (!keep) return list;
  pairs_.resize(list.child.size());
  first_ = std::move(list.first);
  for (std::size_t p = 0; p < pairs_.size(); ++p) pairs_[p] = {list.child[p], list.shift[p]};
  NeighbourList within;
  sieve(positions, cell, cutoff, r_min, within);
  reach_ = cutoff + skin;  // kept from here on: nothing can fail any more
  return within;
}

}  // namespace nbcore
