// The cell list behind neighbours(): atoms wrapped into bins at least one cutoff wide, in fractional coordinates.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "base/vec3.hpp"

namespace nbcore::bins {

using Image = std::array<std::int32_t, 3>;

inline constexpr double margin = 1e-3;            // of the sieve, relative to the cutoff; rounding must stay below it
inline constexpr double max_images = 1e7;         // candidates that one bin may have to look at
inline constexpr double max_neighbours = 1e5;     // of one atom; matter has some 1000 within 10 Angstrom
inline constexpr double smallest_volume = 1e-10;  // of a cell, relative to the product of its edges
inline constexpr double most_cells_away = 1e9;    // an atom may be this many cells outside
inline constexpr const char* axis_name[] = {"a", "b", "c"};

inline Vec3 operator+(const Vec3& a, const Vec3& b) { return {a[0] + b[0], a[1] + b[1], a[2] + b[2]}; }
inline Vec3 operator-(const Vec3& a, const Vec3& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
inline Vec3 operator*(double s, const Vec3& a) { return {s * a[0], s * a[1], s * a[2]}; }
inline double dot(const Vec3& a, const Vec3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
inline double norm(const Vec3& a) { return std::hypot(a[0], a[1], a[2]); }
inline Vec3 cross(const Vec3& a, const Vec3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
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

  /// Calls visit(bin, image, shift) for the bins, moved to their images, that hold the children of bin b; the images
  /// of one bin come in ascending order.
  template <class Visit> void around(std::int32_t b, Visit visit) const {
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
          if (first_[bin] < first_[bin + 1]) visit(bin, image, moved + static_cast<double>(image[2]) * frame_.edge[2]);
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

}  // namespace nbcore::bins
