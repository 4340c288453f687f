// A cell list. Atoms are wrapped into bins at least one cutoff wide, in fractional coordinates. All parents of a bin
// share one list of candidates (children in the surrounding bins, shifted to their image), which a loop over plain
// arrays sieves with a small margin. What passes is decided exactly, on differences of the original positions:
//
//   v = (r_j - r_i) + S_1 a_1 + S_2 a_2 + S_3 a_3,   |v|^2 < cutoff^2
//
// Seen from j, every term of v changes its sign and nothing else: rounding is symmetric, so is the list.
#include "potential/neighbours.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "potential/bins.hpp"

namespace nbcore {
namespace {

using namespace bins;

void check(std::span<const Vec3> positions, const Mat3& cell, std::array<bool, 3> pbc, double cutoff) {
  if (!(std::isfinite(cutoff) && cutoff > 0))
    throw InputError(message("cutoff must be a positive number, got ", cutoff));
  if (positions.size() > std::numeric_limits<std::int32_t>::max())
    throw InputError(message("at most 2147483647 atoms are supported, got ", positions.size()));
  for (std::size_t i = 0; i < positions.size(); ++i)
    for (int k = 0; k < 3; ++k)
      if (!std::isfinite(positions[i][k]))
        throw NonFiniteError(message("positions: ", "xyz"[k], " of atom ", i, " is ", positions[i][k]));
  for (int k = 0; k < 3; ++k) {
    for (int x = 0; x < 3; ++x)
      if (!std::isfinite(cell[k][x]))
        throw CellError(message("cell: ", "xyz"[x], " of vector ", axis_name[k], " is ", cell[k][x]));
    if (pbc[k] && cell[k] == Vec3{0, 0, 0})
      throw CellError(message("cell: vector ", axis_name[k], " is zero, but this direction is periodic"));
  }
}

/// What the atoms of one bin may have as neighbours, coordinates in plain arrays for the sieve.
class Candidates {
 public:
  void collect(const Bins& bins, std::int32_t b, double reach) {
    // The ball around the bin's atoms.
    const auto begin = bins.first(b), end = bins.first(b + 1);
    Vec3 low = bins.position(begin), high = low;
    for (auto p = begin; p < end; ++p)
      for (int k = 0; k < 3; ++k) {
        low[k] = std::min(low[k], bins.position(p)[k]);
        high[k] = std::max(high[k], bins.position(p)[k]);
      }
    const Vec3 centre = 0.5 * (low + high);
    double radius2 = 0;
    for (auto p = begin; p < end; ++p) {
      const Vec3 d = bins.position(p) - centre;
      radius2 = std::max(radius2, dot(d, d));
    }
    const double outer = std::sqrt(radius2) + reach, outer2 = outer * outer;
    count_ = 0;
    bins.around(b, [&](std::int32_t bin, const Image& image, const Vec3& shift) {
      const auto first = bins.first(bin), last = bins.first(bin + 1);
      if (place_.size() < count_ + static_cast<std::size_t>(last - first)) grow(last - first);
      for (auto p = first; p < last; ++p) {
        const Vec3 r = bins.position(p) + shift, d = r - centre;
        place_[count_] = p;
        image_[count_] = image;
        x_[count_] = r[0];
        y_[count_] = r[1];
        z_[count_] = r[2];
        count_ += dot(d, d) <= outer2;
      }
    });
  }

  /// Indices of the candidates within reach of r, to rounding.
  std::span<const std::int32_t> sieve(const Vec3& r, double reach) {
    for (std::size_t c = 0; c < count_; ++c) {
      const double dx = x_[c] - r[0], dy = y_[c] - r[1], dz = z_[c] - r[2];
      r2_[c] = dx * dx + dy * dy + dz * dz;
    }
    const double reach2 = reach * reach;
    std::size_t n = 0;
    for (std::size_t c = 0; c < count_; ++c) {
      passed_[n] = static_cast<std::int32_t>(c);
      n += r2_[c] <= reach2;
    }
    return {passed_.data(), n};
  }

  std::int32_t place(std::int32_t c) const { return place_[c]; }
  const Image& image(std::int32_t c) const { return image_[c]; }

 private:
  void grow(std::int32_t more) {
    const std::size_t size = 2 * (count_ + static_cast<std::size_t>(more)) + 256;
    for (auto* array : {&x_, &y_, &z_, &r2_}) array->resize(size);
    place_.resize(size);
    passed_.resize(size);
    image_.resize(size);
  }

  std::size_t count_ = 0;
  std::vector<double> x_, y_, z_, r2_;
  std::vector<std::int32_t> place_, passed_;
  std::vector<Image> image_;
};

/// r_j + S cell - r_i. One function, so that deciding and reporting round alike.
[[gnu::noinline]] Vec3 difference(const Vec3& ri, const Vec3& rj, const Image& S, const Mat3& cell) {
  const Vec3 shift =
      static_cast<double>(S[0]) * cell[0] + static_cast<double>(S[1]) * cell[1] + static_cast<double>(S[2]) * cell[2];
  return (rj - ri) + shift;
}

[[noreturn]] void overlap(std::int32_t i, std::int32_t j, const Vec3& v, double r_min) {
  const auto what = i == j ? message("atom ", i, " and its own image are ")
                           : message("atoms ", std::min(i, j), " and ", std::max(i, j), " are ");
  throw OverlapError(message(what, norm(v), " apart, below the least distance of ", r_min));
}

}  // namespace

NeighbourList neighbours(std::span<const Vec3> positions, const Mat3& given_cell, std::array<bool, 3> pbc,
                         double cutoff, double r_min) {
  check(positions, given_cell, pbc, cutoff);
  Mat3 cell = given_cell;
  for (int k = 0; k < 3; ++k)
    if (!pbc[k]) cell[k] = {0, 0, 0};
  const Bins atoms(positions, cell, pbc, cutoff);
  const double reach = (1 + margin) * cutoff;
  const auto n = static_cast<std::int32_t>(positions.size());

  // The rows in the order of the atoms.
  struct Pair {
    std::int32_t child;
    Image shift;
  };
  std::vector<Pair> pairs;
  std::vector<std::int64_t> begin(n), size(n);
  Candidates candidates;
  std::vector<std::uint64_t> row;
  for (std::int32_t b = 0; b < atoms.n_bins(); ++b) {
    if (atoms.first(b) == atoms.first(b + 1)) continue;
    candidates.collect(atoms, b, reach);
    for (auto p = atoms.first(b); p < atoms.first(b + 1); ++p) {
      const auto i = atoms.atom(p);
      // The images of one child are candidates in ascending order: sorting by (child, candidate) sorts by shift too.
      row.clear();
      for (const auto c : candidates.sieve(atoms.position(p), reach))
        row.push_back(static_cast<std::uint64_t>(atoms.atom(candidates.place(c))) << 32 |
                      static_cast<std::uint64_t>(c));
      std::sort(row.begin(), row.end());
      begin[i] = static_cast<std::int64_t>(pairs.size());
      for (const auto key : row) {
        const auto j = static_cast<std::int32_t>(key >> 32), c = static_cast<std::int32_t>(key & 0xffffffff);
        const Image &s = candidates.image(c), &wi = atoms.wrap(p), &wj = atoms.wrap(candidates.place(c));
        const Image S{s[0] + wi[0] - wj[0], s[1] + wi[1] - wj[1], s[2] + wi[2] - wj[2]};
        if (i == j && S == Image{0, 0, 0}) continue;
        const Vec3 v = difference(positions[i], positions[j], S, cell);
        const double r2 = dot(v, v);
        if (!(r2 < cutoff * cutoff)) continue;
        if (r2 < r_min * r_min) overlap(i, j, v, r_min);
        pairs.push_back({j, S});
      }
      size[i] = static_cast<std::int64_t>(pairs.size()) - begin[i];
      if (static_cast<double>(size[i]) > max_neighbours)
        throw InputError(message("positions: atom ", i, " has more than ", max_neighbours,
                                 " neighbours within the cutoff of ", cutoff, "; are both in the same unit?"));
    }
  }

  NeighbourList list;
  list.first.assign(n + 1, 0);
  for (std::int32_t i = 0; i < n; ++i) list.first[i + 1] = list.first[i] + size[i];
  list.child.resize(pairs.size());
  list.shift.resize(pairs.size());
  list.vector.resize(pairs.size());
  for (std::int32_t i = 0; i < n; ++i)
    for (std::int64_t e = 0; e < size[i]; ++e) {
      const Pair& pair = pairs[begin[i] + e];
      const std::int64_t at = list.first[i] + e;
      list.child[at] = pair.child;
      list.shift[at] = pair.shift;
      list.vector[at] = difference(positions[i], positions[pair.child], pair.shift, cell);
    }
  return list;
}

}  // namespace nbcore
