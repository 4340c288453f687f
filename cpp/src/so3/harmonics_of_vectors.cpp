#include "so3/harmonics_of_vectors.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.hpp"
#include "base/lanes.hpp"
#include "so3/harmonics.hpp"

namespace nbcore::so3 {
namespace {

using Lane = Simd<double>;
constexpr int W = width<double>;

void check(const char* where, int l_max, std::size_t n, const double* r) {
  if (l_max < 0 || l_max > l_supported)
    throw InputError(message(where, ": l_max must be 0 to ", l_supported, ", got ", l_max));
  for (std::size_t i = 0; i < 3 * n; ++i)
    if (!std::isfinite(r[i]))
      throw InputError(message(where, ": component ", "xyz"[i % 3], " of vector ", i / 3, " is ", r[i]));
}

/// Calls work(point, Y, dY) with `width` vectors as three registers, and writes what it leaves in the registers Y and
/// dY. The last registers are filled up with unit vectors, so the bits of a result do not depend on its place.
template <class Work>
void by_registers(int l_max, std::size_t n, const double* r, double* Y, double* dY, const Work& work) {
  const int n_lm = (l_max + 1) * (l_max + 1);
  std::vector<Lane> Y_lanes(n_lm), dY_lanes(dY ? 3 * n_lm : 0);
  for (std::size_t first = 0; first < n; first += W) {
    const int filled = int(std::min<std::size_t>(W, n - first));
    Lane point[3] = {Lane{}, Lane{}, Lane{} + 1.0};
    for (int lane = 0; lane < filled; ++lane)
      for (int a = 0; a < 3; ++a) point[a][lane] = r[3 * (first + lane) + a];

    work(point, Y_lanes.data(), dY_lanes.data());

    for (int lane = 0; lane < filled; ++lane) {
      for (int lm = 0; lm < n_lm; ++lm) Y[(first + lane) * n_lm + lm] = Y_lanes[lm][lane];
      for (int k = 0; dY && k < 3 * n_lm; ++k) dY[(first + lane) * 3 * n_lm + k] = dY_lanes[k][lane];
    }
  }
}

}  // namespace

void spherical_harmonics(int l_max, std::size_t n, const double* r, double* Y, double* dY) {
  check("spherical_harmonics", l_max, n, r);
  for (std::size_t i = 0; i < n; ++i)
    if (r[3 * i] == 0 && r[3 * i + 1] == 0 && r[3 * i + 2] == 0)
      throw InputError(message("spherical_harmonics: vector ", i, " is zero and has no direction"));

  const int n_lm = (l_max + 1) * (l_max + 1);
  by_registers(l_max, n, r, Y, dY, [&](Lane* u, Lane* Y, Lane* dY) {
    // Scaled to the largest component first: squares neither overflow nor underflow.
    Lane scale = Lane{}, length;
    for (int lane = 0; lane < W; ++lane)
      scale[lane] = std::max({std::abs(u[0][lane]), std::abs(u[1][lane]), std::abs(u[2][lane])});
    for (int a = 0; a < 3; ++a) u[a] = u[a] / scale;
    length = square_root(u[0] * u[0] + u[1] * u[1] + u[2] * u[2]);
    for (int a = 0; a < 3; ++a) u[a] = u[a] / length;

    if (!dY) return harmonics(l_max, u[0], u[1], u[2], Y);
    harmonics_gradient(l_max, u[0], u[1], u[2], Y, dY);
    // The solid harmonic grows along u as l Y; its direction does not.
    for (int l = 0; l <= l_max; ++l)
      for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm)
        for (int a = 0; a < 3; ++a) dY[a * n_lm + lm] = (dY[a * n_lm + lm] - Y[lm] * u[a] * double(l)) / length / scale;
  });
}

void solid_harmonics(int l_max, std::size_t n, const double* r, double* S, double* dS) {
  check("solid_harmonics", l_max, n, r);
  for (std::size_t i = 0; i < n; ++i)
    if (const double length = std::hypot(r[3 * i], r[3 * i + 1], r[3 * i + 2]); l_max * std::log10(length) > 300)
      throw InputError(message("solid_harmonics: vector ", i, " of length ", length, " is too long: r^", l_max,
                               " would exceed 1e300"));

  by_registers(l_max, n, r, S, dS, [&](Lane* u, Lane* S, Lane* dS) {
    if (dS) harmonics_gradient(l_max, u[0], u[1], u[2], S, dS);
    else harmonics(l_max, u[0], u[1], u[2], S);
  });
}

}  // namespace nbcore::so3
