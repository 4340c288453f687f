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
#include <string>

#include "base/error.hpp"

namespace nbcore {
namespace {

using Image = std::array<std::int32_t, 3>;

constexpr double margin = 1e-3;            // of the sieve, relative to the cutoff; rounding must stay below it
constexpr double max_images = 1e7;         // candidates that one bin may have to look at
constexpr double max_neighbours = 1e5;     // of one atom; matter has some 1000 within 10 Angstrom
constexpr double smallest_volume = 1e-10;  // of a cell, relative to the product of its edges
constexpr double most_cells_away = 1e9;    // an atom may be this many cells outside
constexpr const char* axis_name[] = {"a", "b", "c"};

Vec3 operator+(const Vec3& a, const Vec3& b) { return {a[0] + b[0], a[1] + b[1], a[2] + b[2]}; }
Vec3 operator-(const Vec3& a, const Vec3& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
Vec3 operator*(double s, const Vec3& a) { return {s * a[0], s * a[1], s * a[2]}; }
double dot(const Vec3& a, const Vec3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
double norm(const Vec3& a) { return std::hypot(a[0], a[1], a[2]); }
Vec3 cross(const Vec3& a, const Vec3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

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

/// Three independent directions: the cell's where periodic, else unit vectors perpendicular to all others.
struct Frame {
  Mat3 edge;                     ///< rows; of the periodic directions
  Mat3 dual;                     ///< rows; dual[k] . edge[l] = delta_kl
  std::array<double, 3> height;  ///< distance of the faces, 1 / |dual[k]|
  double volume;                 ///< relative to the product of the edges

  Frame(const Mat3& cell, std::array<bool, 3> pbc) : edge(cell) {
    std::array<double, 3> length{1, 1, 1};
    Mat3 unit{};
    for (int k = 0; k < 3; ++k)
      if (pbc[k]) {
        length[k] = norm(cell[k]);
        unit[k] = (1 / length[k]) * cell[k];
      }
    const auto n_periodic = std::count(pbc.begin(), pbc.end(), true);
    if (n_periodic == 0) {
      unit = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    } else if (n_periodic == 1) {
      const int k = static_cast<int>(std::find(pbc.begin(), pbc.end(), true) - pbc.begin());
      Vec3 other{};
      int smallest = 0;
      for (int x = 1; x < 3; ++x)
        if (std::abs(unit[k][x]) < std::abs(unit[k][smallest])) smallest = x;
      other[smallest] = 1;
      unit[(k + 1) % 3] = cross(unit[k], other);
      unit[(k + 1) % 3] = (1 / norm(unit[(k + 1) % 3])) * unit[(k + 1) % 3];
      unit[(k + 2) % 3] = cross(unit[k], unit[(k + 1) % 3]);
    } else if (n_periodic == 2) {
      const int k = static_cast<int>(std::find(pbc.begin(), pbc.end(), false) - pbc.begin());
      const Vec3 normal = cross(unit[(k + 1) % 3], unit[(k + 2) % 3]);
      const double area = norm(normal);
      if (area < smallest_volume)
        throw CellError(message("cell: vectors ", axis_name[(k + 1) % 3], " and ", axis_name[(k + 2) % 3],
                                " are parallel, but both directions are periodic"));
      unit[k] = (1 / area) * normal;
    }
    const double determinant = dot(unit[0], cross(unit[1], unit[2]));
    volume = std::abs(determinant);
    if (!(volume >= smallest_volume))
      throw CellError("cell: the three vectors lie in one plane (volume zero), but all directions are periodic");
    for (int k = 0; k < 3; ++k) {
      dual[k] = (1 / (determinant * length[k])) * cross(unit[(k + 1) % 3], unit[(k + 2) % 3]);
      height[k] = 1 / norm(dual[k]);
      edge[k] = length[k] * unit[k];
      if (pbc[k]) edge[k] = cell[k];
    }
  }
};

/// The atoms by bins, and the images of bins that a bin has to look at.
class Bins {
 public:
  Bins(std::span<const Vec3> positions, const Mat3& cell, std::array<bool, 3> pbc, double cutoff)
      : n_(static_cast<std::int32_t>(positions.size())), pbc_(pbc), frame_(cell, pbc), reach_((1 + margin) * cutoff) {
    measure(positions);
    choose(positions, cutoff);
    sort(positions);
  }

  std::int32_t n_bins() const { return count_[0] * count_[1] * count_[2]; }
  /// The atoms of bin b are order[first(b)] ... order[first(b + 1) - 1], ascending.
  std::int32_t first(std::int32_t b) const { return first_[b]; }
  std::int32_t atom(std::int32_t place) const { return order_[place]; }
  const Vec3& position(std::int32_t place) const { return place_[place]; }
  const Image& wrap(std::int32_t place) const { return wrap_[place]; }

  /// Calls visit(place, image, position) for the children that atoms of bin b may have; for a given child, the images
  /// come in ascending order.
  template <class Visit> void candidates(std::int32_t b, Visit visit) const {
    const Image at{b / (count_[1] * count_[2]), b / count_[2] % count_[1], b % count_[2]};
    std::array<std::array<std::int32_t, 2>, 3> range;
    for (int k = 0; k < 3; ++k) {
      range[k] = {at[k] - span_[k], at[k] + span_[k]};
      if (!pbc_[k]) range[k] = {std::max(range[k][0], 0), std::min(range[k][1], count_[k] - 1)};
    }
    Image image;
    for (auto x = range[0][0]; x <= range[0][1]; ++x) {
      image[0] = floor_divide(x, count_[0]);
      for (auto y = range[1][0]; y <= range[1][1]; ++y) {
        image[1] = floor_divide(y, count_[1]);
        const auto row = ((x - image[0] * count_[0]) * count_[1] + y - image[1] * count_[1]) * count_[2];
        const Vec3 moved =
            static_cast<double>(image[0]) * frame_.edge[0] + static_cast<double>(image[1]) * frame_.edge[1];
        for (auto z = range[2][0]; z <= range[2][1]; ++z) {
          image[2] = floor_divide(z, count_[2]);
          const auto bin = row + z - image[2] * count_[2];
          if (first_[bin] == first_[bin + 1]) continue;
          const Vec3 shift = moved + static_cast<double>(image[2]) * frame_.edge[2];
          for (auto p = first_[bin]; p < first_[bin + 1]; ++p) visit(p, image, place_[p] + shift);
        }
      }
    }
  }

 private:
  static std::int32_t floor_divide(std::int32_t a, std::int32_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

  /// Extent of the atoms along the directions that are not periodic.
  void measure(std::span<const Vec3> positions) {
    for (int k = 0; k < 3; ++k) {
      if (pbc_[k] || n_ == 0) continue;
      double low = std::numeric_limits<double>::infinity(), high = -low;
      for (const Vec3& r : positions) {
        const double f = dot(frame_.dual[k], r);
        low = std::min(low, f);
        high = std::max(high, f);
      }
      origin_[k] = low;
      frame_.height[k] = high - low;
    }
  }

  /// Number of bins, of images, and whether all that can be done at all.
  void choose(std::span<const Vec3> positions, double cutoff) {
    for (int k = 0; k < 3; ++k) count_[k] = static_cast<std::int32_t>(std::clamp(frame_.height[k] / reach_, 1.0, 1e6));
    const double most = 16.0 * n_ + 64;
    while (static_cast<double>(count_[0]) * count_[1] * count_[2] > most)
      *std::max_element(count_.begin(), count_.end()) /= 2;

    double images = 1, size = 0, thinnest = std::numeric_limits<double>::infinity();
    double expected = 1, measure = frame_.volume;  // of one atom's images: a ball, disc or line over the cell's measure
    std::array<double, 3> span{};
    for (int k = 0; k < 3; ++k) {
      span[k] = std::ceil(reach_ / (frame_.height[k] / count_[k]));
      if (pbc_[k]) {
        const double length = norm(frame_.edge[k]);
        size += (span[k] + 1) * length;
        images *= 2 * span[k] + 1;
        thinnest = std::min(thinnest, frame_.height[k]);
        expected *= 2 * reach_;
        measure *= length;
      } else {
        span[k] = std::min(span[k], count_[k] - 1.0);
      }
    }
    if (pbc_[0] && pbc_[1] && pbc_[2]) expected *= n_;
    if (!(0.5236 * expected / measure <= max_neighbours))  // pi / 6: the ball in its cube
      throw CellError(message("cell: each atom would have some ", 0.5236 * expected / measure,
                              " neighbours within the cutoff of ", cutoff, "; are both in the same unit?"));
    if (!(images * std::max(1.0, n_ / static_cast<double>(n_bins())) <= max_images))
      throw CellError(
          message("cell: two of its faces are only ", thinnest, " apart, far too thin for the cutoff of ", cutoff));
    std::size_t farthest = 0;
    double distance = 0;
    for (std::size_t i = 0; i < positions.size(); ++i)
      for (double x : positions[i])
        if (std::abs(x) > distance) farthest = i, distance = std::abs(x);
    const double rounding = 64 * std::numeric_limits<double>::epsilon() / frame_.volume;
    if (!(rounding * size <= 0.5 * margin * cutoff))
      throw CellError(message("cell: too large for a cutoff of ", cutoff, " (lengths ", norm(frame_.edge[0]), ", ",
                              norm(frame_.edge[1]), ", ", norm(frame_.edge[2]),
                              "): rounding would exceed the distances"));
    if (!(rounding * distance <= 0.5 * margin * cutoff))
      throw InputError(message("positions: atom ", farthest, " lies ", distance,
                               " from the origin, too far for a cutoff of ", cutoff,
                               ": rounding would exceed the distances; move the structure to the origin"));
    for (int k = 0; k < 3; ++k) span_[k] = static_cast<std::int32_t>(span[k]);
  }

  /// Wraps the atoms into the cell and orders them by bin (a counting sort: stable).
  void sort(std::span<const Vec3> positions) {
    std::vector<std::int32_t> bin(n_);
    std::vector<Image> wrap(n_);
    first_.assign(n_bins() + 1, 0);
    for (std::int32_t i = 0; i < n_; ++i) {
      bin[i] = 0;
      for (int k = 0; k < 3; ++k) {
        double f = dot(frame_.dual[k], positions[i]) - origin_[k];
        wrap[i][k] = 0;
        if (pbc_[k]) {
          const double cells = std::floor(f);
          if (!(std::abs(cells) <= most_cells_away))
            throw InputError(message("positions: atom ", i, " lies ", cells, " cells away along ", axis_name[k],
                                     "; wrap the positions into the cell"));
          wrap[i][k] = static_cast<std::int32_t>(cells);
          f -= cells;
        } else {
          f = frame_.height[k] > 0 ? f / frame_.height[k] : 0;
        }
        bin[i] = bin[i] * count_[k] + std::clamp(static_cast<std::int32_t>(f * count_[k]), 0, count_[k] - 1);
      }
      ++first_[bin[i] + 1];
    }
    for (std::int32_t b = 0; b < n_bins(); ++b) first_[b + 1] += first_[b];
    order_.resize(n_);
    place_.resize(n_);
    wrap_.resize(n_);
    std::vector<std::int32_t> next(first_.begin(), first_.end() - 1);
    for (std::int32_t i = 0; i < n_; ++i) {
      const auto p = next[bin[i]]++;
      order_[p] = i;
      wrap_[p] = wrap[i];
      place_[p] = positions[i];
      for (int k = 0; k < 3; ++k)
        if (wrap[i][k] != 0) place_[p] = place_[p] - static_cast<double>(wrap[i][k]) * frame_.edge[k];
    }
  }

  std::int32_t n_;
  std::array<bool, 3> pbc_;
  Frame frame_;
  double reach_;
  Vec3 origin_{};
  Image count_{1, 1, 1}, span_{};
  std::vector<std::int32_t> first_, order_;
  std::vector<Vec3> place_;
  std::vector<Image> wrap_;
};

/// What the atoms of one bin may have as neighbours, coordinates in plain arrays for the sieve.
struct Candidates {
  std::vector<std::int32_t> place;
  std::vector<Image> image;
  std::vector<double> x, y, z, r2;
  std::vector<std::int32_t> passed;

  void collect(const Bins& bins, std::int32_t b, double reach) {
    place.clear(), image.clear(), x.clear(), y.clear(), z.clear();
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
    const double outer = std::sqrt(radius2) + reach;
    const double outer2 = outer * outer;
    bins.candidates(b, [&](std::int32_t p, const Image& s, const Vec3& r) {
      const Vec3 d = r - centre;
      if (!(dot(d, d) <= outer2)) return;
      place.push_back(p);
      image.push_back(s);
      x.push_back(r[0]);
      y.push_back(r[1]);
      z.push_back(r[2]);
    });
    r2.resize(place.size());
    passed.resize(place.size());
  }

  /// Indices of the candidates within reach of r, to rounding.
  std::span<std::int32_t> sieve(const Vec3& r, double reach) {
    const std::size_t n = place.size();
    for (std::size_t c = 0; c < n; ++c) {
      const double dx = x[c] - r[0], dy = y[c] - r[1], dz = z[c] - r[2];
      r2[c] = dx * dx + dy * dy + dz * dz;
    }
    const double reach2 = reach * reach;
    std::size_t count = 0;
    for (std::size_t c = 0; c < n; ++c) {
      passed[count] = static_cast<std::int32_t>(c);
      count += r2[c] <= reach2;
    }
    return {passed.data(), count};
  }
};

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
  const Bins bins(positions, cell, pbc, cutoff);
  const double reach = (1 + margin) * cutoff;
  const auto n = static_cast<std::int32_t>(positions.size());

  // The rows in the order of the bins.
  NeighbourList found;
  std::vector<std::int64_t> begin(n + 1), size(n);
  Candidates candidates;
  std::vector<std::uint64_t> row;
  for (std::int32_t b = 0; b < bins.n_bins(); ++b) {
    if (bins.first(b) == bins.first(b + 1)) continue;
    candidates.collect(bins, b, reach);
    for (auto p = bins.first(b); p < bins.first(b + 1); ++p) {
      const auto i = bins.atom(p);
      // The images of one child are candidates in ascending order: sorting by (child, candidate) sorts by shift too.
      row.clear();
      for (const auto c : candidates.sieve(bins.position(p), reach))
        row.push_back(static_cast<std::uint64_t>(bins.atom(candidates.place[c])) << 32 | static_cast<std::uint64_t>(c));
      std::sort(row.begin(), row.end());
      begin[i] = static_cast<std::int64_t>(found.child.size());
      for (const auto key : row) {
        const auto j = static_cast<std::int32_t>(key >> 32), c = static_cast<std::int32_t>(key & 0xffffffff);
        const Image &s = candidates.image[c], &wi = bins.wrap(p), &wj = bins.wrap(candidates.place[c]);
        const Image S{s[0] + wi[0] - wj[0], s[1] + wi[1] - wj[1], s[2] + wi[2] - wj[2]};
        if (i == j && S == Image{0, 0, 0}) continue;
        const Vec3 shift = static_cast<double>(S[0]) * cell[0] + static_cast<double>(S[1]) * cell[1] +
                           static_cast<double>(S[2]) * cell[2];
        const Vec3 v = (positions[j] - positions[i]) + shift;
        const double r2 = dot(v, v);
        if (!(r2 < cutoff * cutoff)) continue;
        if (r2 < r_min * r_min) overlap(i, j, v, r_min);
        found.child.push_back(j);
        found.shift.push_back(S);
        found.vector.push_back(v);
      }
      size[i] = static_cast<std::int64_t>(found.child.size()) - begin[i];
      if (static_cast<double>(size[i]) > max_neighbours)
        throw InputError(message("positions: atom ", i, " has more than ", max_neighbours,
                                 " neighbours within the cutoff of ", cutoff, "; are both in the same unit?"));
    }
  }

  found.first.assign(n + 1, 0);
  for (std::int32_t i = 0; i < n; ++i) found.first[i + 1] = found.first[i] + size[i];
  if (std::equal(begin.begin(), begin.end() - 1, found.first.begin())) return found;  // one bin, or sorted atoms

  NeighbourList list;
  list.first = std::move(found.first);
  list.child.resize(found.child.size());
  list.shift.resize(found.child.size());
  list.vector.resize(found.child.size());
  for (std::int32_t i = 0; i < n; ++i) {
    std::copy_n(found.child.begin() + begin[i], size[i], list.child.begin() + list.first[i]);
    std::copy_n(found.shift.begin() + begin[i], size[i], list.shift.begin() + list.first[i]);
    std::copy_n(found.vector.begin() + begin[i], size[i], list.vector.begin() + list.first[i]);
  }
  return list;
}

}  // namespace nbcore
