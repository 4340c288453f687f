// A cell list. Atoms are wrapped into bins at least one cutoff wide, in fractional coordinates. All parents of a bin
// share one list of candidates: children in the surrounding bins, in plain arrays, a register of them at a time. Each
// is decided on the difference of the original positions:
//
//   v = (r_j - r_i) + (S_1 a_1 + S_2 a_2 + S_3 a_3),   |v|^2 < cutoff^2
//
// Seen from j, every term of v changes its sign and nothing else: rounding is symmetric, so is the list. Hence nothing
// needs to be sorted: the neighbours of atom 0, then those of atom 1, ... each get it as their next child.
#include "potential/neighbours.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/buffer.hpp"
#include "base/error.hpp"
#include "base/lanes.hpp"
#include "base/threads.hpp"
#include "potential/bins.hpp"

namespace nbcore {

void check_cell(const Mat3& cell, std::array<bool, 3> pbc) {
  for (int k = 0; k < 3; ++k) {
    for (int x = 0; x < 3; ++x)
      if (!std::isfinite(cell[k][x]))
        throw CellError(message("cell: ", "xyz"[x], " of vector ", bins::axis_name[k], " is ", cell[k][x]));
    if (pbc[k] && cell[k] == Vec3{0, 0, 0})
      throw CellError(message("cell: vector ", bins::axis_name[k], " is zero, but this direction is periodic"));
  }
}

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
  check_cell(cell, pbc);
}

using Lane = Vector<double>;
inline constexpr std::size_t most_kept = 1 << 20;  // pairs

/// What the atoms of one bin may have as neighbours.
class Candidates {
 public:
  struct Hit {
    std::int32_t child;
    Image shift;
    Vec3 vector;
  };

  void collect(const Bins& bins, std::int32_t b, std::span<const Vec3> positions, double reach) {
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
      if (child_.size() < count_ + static_cast<std::size_t>(last - first) + vector_width<double>) grow(last - first);
      for (auto p = first; p < last; ++p) {
        const Vec3 d = bins.position(p) + (shift - centre);
        const Image& wrap = bins.wrap(p);
        child_[count_] = bins.atom(p);
        for (int k = 0; k < 3; ++k) {
          image_[k][count_] = image[k] - wrap[k];
          r_[k][count_] = positions[bins.atom(p)][k];
        }
        count_ += dot(d, d) <= outer2;
      }
    });
    for (std::size_t c = count_; c % vector_width<double> != 0; ++c)  // of the last register; too far for anybody
      for (int k = 0; k < 3; ++k) r_[k][c] = std::numeric_limits<double>::infinity(), image_[k][c] = 0;
    shifts_known_ = false;
  }

  /// add(hit) for the candidates whose distance from r, in the image `wrap`, is below the cutoff.
  template <class Add> void sieve(const Vec3& r, const Image& wrap, const Mat3& cell, double cutoff2, Add add) {
    if (!shifts_known_ || wrap != wrap_) shift_to(wrap, cell);
    const auto at = [](const Buffer<double>& a, std::size_t c) { return *reinterpret_cast<const Lane*>(a.data() + c); };
    for (std::size_t c = 0; c < count_; c += vector_width<double>) {
      const Lane x = (at(r_[0], c) - r[0]) + at(shift_[0], c), y = (at(r_[1], c) - r[1]) + at(shift_[1], c),
                 z = (at(r_[2], c) - r[2]) + at(shift_[2], c);
      *reinterpret_cast<Lane*>(r2_.data() + c) = x * x + y * y + z * z;
    }
    std::size_t n = 0;
    for (std::size_t c = 0; c < count_; ++c) {
      passed_[n] = static_cast<std::int32_t>(c);
      n += r2_[c] < cutoff2;
    }
    for (std::size_t k = 0; k < n; ++k) {
      const auto c = static_cast<std::size_t>(passed_[k]);
      Hit hit{child_[c], {}, {}};
      for (int a = 0; a < 3; ++a) {
        hit.shift[a] = static_cast<std::int32_t>(image_[a][c]) + wrap[a];
        hit.vector[a] = (r_[a][c] - r[a]) + shift_[a][c];
      }
      add(hit, r2_[c]);
    }
  }

 private:
  /// For parents that were wrapped by `wrap`: mostly all of a bin.
  void shift_to(const Image& wrap, const Mat3& cell) {
    for (std::size_t c = 0; c < count_; c += vector_width<double>) {
      std::array<Lane, 3> S;
      for (int k = 0; k < 3; ++k) S[k] = *reinterpret_cast<const Lane*>(image_[k].data() + c) + double(wrap[k]);
      const std::array<Lane, 3> shift = translation(S, cell);
      for (int k = 0; k < 3; ++k) *reinterpret_cast<Lane*>(shift_[k].data() + c) = shift[k];
    }
    wrap_ = wrap, shifts_known_ = true;
  }

  void grow(std::int32_t more) {
    const std::size_t size = 2 * (count_ + static_cast<std::size_t>(more)) + 256;
    for (auto* arrays : {&r_, &image_, &shift_})
      for (auto& a : *arrays) enlarge(a, size);
    enlarge(r2_, size);
    child_.resize(size), passed_.resize(size);
  }
  void enlarge(Buffer<double>& a, std::size_t size) const {
    Buffer<double> larger(size);
    std::copy_n(a.data(), count_, larger.data());
    a = std::move(larger);
  }

  std::size_t count_ = 0;
  std::array<Buffer<double>, 3> r_, image_, shift_;  // shift = (image + wrap) cell; whole numbers as double
  Buffer<double> r2_;
  std::vector<std::int32_t> child_, passed_;
  Image wrap_{};
  bool shifts_known_ = false;
};

[[noreturn]] void overlap(std::int32_t i, std::int32_t j, const Vec3& v, double r_min,
                          std::span<const std::int32_t> names) {
  if (!names.empty()) i = names[i], j = names[j];
  const auto what = i == j ? message("atom ", i, " and its own image are ")
                           : message("atoms ", std::min(i, j), " and ", std::max(i, j), " are ");
  throw OverlapError(message(what, norm(v), " apart, below the least distance of ", r_min));
}

thread_local std::vector<Candidates::Hit> hits;  // kept: fresh memory would cost more than all the rest

Mat3 periodic(Mat3 cell, std::array<bool, 3> pbc) {
  for (int k = 0; k < 3; ++k)
    if (!pbc[k]) cell[k] = {0, 0, 0};
  return cell;
}

}  // namespace

void forget_search_memory() { std::vector<Candidates::Hit>().swap(hits); }  // = {} would keep it

void check_neighbourhoods(std::span<const Vec3> positions, const Mat3& cell, std::array<bool, 3> pbc, double cutoff) {
  check(positions, cell, pbc, cutoff);
  Bins(positions, periodic(cell, pbc), pbc, cutoff);
}

NeighbourList neighbours(std::span<const Vec3> positions, const Mat3& given_cell, std::array<bool, 3> pbc,
                         double cutoff, double r_min, std::span<const std::int32_t> names) {
  check(positions, given_cell, pbc, cutoff);
  const Mat3 cell = periodic(given_cell, pbc);
  const Bins atoms(positions, cell, pbc, cutoff);
  const double reach = (1 + margin) * cutoff;
  const auto n = static_cast<std::int32_t>(positions.size());

  // The neighbours of each atom, bin by bin.
  hits.clear();
  std::vector<std::int64_t> begin(n);
  NeighbourList list;
  list.first.assign(n + 1, 0);
  Candidates candidates;
  for (std::int32_t b = 0; b < atoms.n_bins(); ++b) {
    if (atoms.first(b) == atoms.first(b + 1)) continue;
    check_interrupt();
    candidates.collect(atoms, b, positions, reach);
    for (auto p = atoms.first(b); p < atoms.first(b + 1); ++p) {
      const auto i = atoms.atom(p);
      begin[i] = static_cast<std::int64_t>(hits.size());
      candidates.sieve(positions[i], atoms.wrap(p), cell, cutoff * cutoff, [&](const Candidates::Hit& hit, double r2) {
        if (hit.child == i && hit.shift == Image{0, 0, 0}) return;
        if (r2 < r_min * r_min) overlap(i, hit.child, hit.vector, r_min, names);
        hits.push_back(hit);
      });
      const auto size = static_cast<std::int64_t>(hits.size()) - begin[i];
      if (static_cast<double>(size) > max_neighbours)
        throw InputError(message("positions: atom ", i, " has more than ", max_neighbours,
                                 " neighbours within the cutoff of ", cutoff, "; are both in the same unit?"));
      list.first[i + 1] = size;
    }
  }

  // Each as the child of its neighbours. Images of one pair were found in ascending order of the shift: seen from the
  // other side that is the descending one.
  std::vector<std::int64_t> size(list.first.begin() + 1, list.first.end());
  std::partial_sum(list.first.begin(), list.first.end(), list.first.begin());
  std::vector<std::int64_t> next(list.first.begin(), list.first.end() - 1);
  list.allocate(hits.size());
  for (std::int32_t j = 0; j < n; ++j)
    for (auto k = begin[j] + size[j]; k-- > begin[j];) {
      const Candidates::Hit& hit = hits[k];
      const auto at = next[hit.child]++;
      list.child[at] = j;
      list.shift[at] = {-hit.shift[0], -hit.shift[1], -hit.shift[2]};
      list.vector[at] = {0 - hit.vector[0], 0 - hit.vector[1], 0 - hit.vector[2]};  // no -0.0
    }
  if (hits.capacity() > most_kept) forget_search_memory();
  return list;
}

}  // namespace nbcore
