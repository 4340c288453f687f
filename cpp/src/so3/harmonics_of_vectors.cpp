#include "so3/harmonics_of_vectors.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.hpp"
#include "base/lanes.hpp"
#include "base/threads.hpp"
#include "so3/harmonics.hpp"
#include "so3/transpose.hpp"

namespace nbcore::so3 {
namespace {

/// The largest component of all vectors.
template <class Real> Real check(const char* where, int l_max, std::size_t n, const Real* r) {
  if (l_max < 0 || l_max > l_supported)
    throw InputError(message(where, ": l_max must be 0 to ", l_supported, ", got ", l_max));
  Real largest = 0;
  bool finite = true;
  for (std::size_t i = 0; i < 3 * n; ++i) {
    largest = std::max(largest, std::abs(r[i]));
    finite &= std::abs(r[i]) <= std::numeric_limits<Real>::max();
  }
  for (std::size_t i = 0; !finite && i < 3 * n; ++i)
    if (!std::isfinite(r[i]))
      throw InputError(message(where, ": component ", "xyz"[i % 3], " of vector ", i / 3, " is ", r[i]));
  return largest;
}

constexpr int hessian_of[9] = {0, 1, 2, 1, 3, 4, 2, 4, 5};  // [a][b] among xx, xy, xz, yy, yz, zz

/// Calls work(point, Y, dY, ddY) with `width` vectors as three registers, and writes what it leaves in the registers Y,
/// dY and ddY. The last registers are filled up with unit vectors, so the bits of a result do not depend on its place.
template <class Real, class Work>
void by_registers(int l_max, std::size_t n, const Real* r, HarmonicsOutput<Real> out, int threads, const Work& work) {
  using Lane = Simd<Real>;
  constexpr int w = width<Real>, group = 32 * w;  // vectors in one item of work
  const int n_lm = (l_max + 1) * (l_max + 1);
  const auto do_group = [&](std::size_t item) {
    thread_local std::vector<Lane> memory;
    memory.resize(std::max<std::size_t>(memory.size(), 10 * n_lm));
    Lane *Y = memory.data(), *dY = out.gradient ? Y + n_lm : nullptr, *ddY = out.hessian ? Y + 4 * n_lm : nullptr;
    const std::size_t end = std::min(n, (item + 1) * group);
    for (std::size_t first = item * group; first < end; first += w) {
      const int filled = int(std::min<std::size_t>(w, end - first));
      Lane point[3] = {Lane{}, Lane{}, Lane{} + Real(1)};
      for (int lane = 0; lane < filled; ++lane)
        for (int a = 0; a < 3; ++a) point[a][lane] = r[3 * (first + lane) + a];

      work(point, Y, dY, ddY);

      write_transposed(Y, n_lm, filled, out.values + first * n_lm, n_lm);
      if (dY) write_transposed(dY, 3 * n_lm, filled, out.gradient + first * 3 * n_lm, 3 * n_lm);
      for (int ab = 0; ddY && ab < 9; ++ab)
        write_transposed(ddY + hessian_of[ab] * n_lm, n_lm, filled, out.hessian + (first * 9 + ab) * n_lm, 9 * n_lm);
    }
  };
  const std::size_t items = (n + group - 1) / group;
  if (items > std::size_t(std::numeric_limits<int>::max())) throw InputError("harmonics: too many vectors");
  parallel_for(int(items), threads, [&](int item, int) { do_group(item); });
}

/// The unit vectors u of r; scaled to the largest component first: squares neither overflow nor underflow.
template <class Lane> void normalise(Lane* u, Lane& scale, Lane& length) {
  scale = Lane{};
  for (int a = 0; a < 3; ++a) {
    const Lane size = u[a] < 0 ? -u[a] : u[a];
    scale = size > scale ? size : scale;
  }
  for (int a = 0; a < 3; ++a) u[a] = u[a] / scale;
  length = square_root(u[0] * u[0] + u[1] * u[1] + u[2] * u[2]);
  for (int a = 0; a < 3; ++a) u[a] = u[a] / length;
}

}  // namespace

template <class Real>
void spherical_harmonics(int l_max, std::size_t n, const Real* r, HarmonicsOutput<Real> out, int threads) {
  using Lane = Simd<Real>;
  check("spherical_harmonics", l_max, n, r);
  for (std::size_t i = 0; i < n; ++i)
    if (r[3 * i] == 0 && r[3 * i + 1] == 0 && r[3 * i + 2] == 0)
      throw InputError(message("spherical_harmonics: vector ", i, " is zero and has no direction"));

  const int n_lm = (l_max + 1) * (l_max + 1);
  by_registers(l_max, n, r, out, threads, [&](Lane* u, Lane* Y, Lane* dY, Lane* ddY) {
    Lane scale, length;
    normalise(u, scale, length);
    if (!dY) return harmonics(l_max, u[0], u[1], u[2], Y);
    if (ddY) harmonics_hessian(l_max, u[0], u[1], u[2], Y, dY, ddY);
    else harmonics_gradient(l_max, u[0], u[1], u[2], Y, dY);

    // Y(r / |r|) = S / r^l: the derivatives of r^-l come off, at r = u,
    //   Y_ab = S_ab - l (u_a S_b + u_b S_a) - l delta_ab S + l (l + 2) u_a u_b S,      Y_a = S_a - l u_a S
    const Lane inverse = Real(1) / length / scale;
    for (int l = 0; l <= l_max; ++l) {
      const Lane lu[3] = {u[0] * Real(l), u[1] * Real(l), u[2] * Real(l)};
      for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
        Lane *x = dY + lm, *y = x + n_lm, *z = y + n_lm;
        if (ddY) {
          const Lane S_a[3] = {*x, *y, *z};
          for (int a = 0, ab = 0; a < 3; ++a)
            for (int b = a; b < 3; ++b, ++ab) {
              Lane value = ddY[ab * n_lm + lm] - lu[a] * S_a[b] - lu[b] * S_a[a] + lu[a] * u[b] * Y[lm] * Real(l + 2);
              if (a == b) value -= Y[lm] * Real(l);
              ddY[ab * n_lm + lm] = value * inverse * inverse;
            }
        }
        *x = (*x - Y[lm] * lu[0]) * inverse, *y = (*y - Y[lm] * lu[1]) * inverse, *z = (*z - Y[lm] * lu[2]) * inverse;
      }
    }
  });
}

template <class Real>
void solid_harmonics(int l_max, std::size_t n, const Real* r, HarmonicsOutput<Real> out, int threads) {
  using Lane = Simd<Real>;
  const double limit = std::is_same_v<Real, double> ? 300 : 37;
  const double largest = check("solid_harmonics", l_max, n, r);
  const auto too_long = [&](double length) { return l_max * std::log10(length) > limit; };
  for (std::size_t i = 0; too_long(2 * largest) && i < n; ++i)
    if (const double length = std::hypot(double(r[3 * i]), double(r[3 * i + 1]), double(r[3 * i + 2]));
        too_long(length))
      throw InputError(message("solid_harmonics: vector ", i, " of length ", length, " is too long: r^", l_max,
                               " would exceed 1e", limit));

  by_registers(l_max, n, r, out, threads, [&](Lane* u, Lane* S, Lane* dS, Lane* ddS) {
    if (ddS) harmonics_hessian(l_max, u[0], u[1], u[2], S, dS, ddS);
    else if (dS) harmonics_gradient(l_max, u[0], u[1], u[2], S, dS);
    else harmonics(l_max, u[0], u[1], u[2], S);
  });
}

template void spherical_harmonics(int, std::size_t, const float*, HarmonicsOutput<float>, int);
template void spherical_harmonics(int, std::size_t, const double*, HarmonicsOutput<double>, int);
template void solid_harmonics(int, std::size_t, const float*, HarmonicsOutput<float>, int);
template void solid_harmonics(int, std::size_t, const double*, HarmonicsOutput<double>, int);

}  // namespace nbcore::so3
