#include "so3/harmonics_of_vectors.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.hpp"
#include "base/lanes.hpp"
#include "base/threads.hpp"
#include "so3/harmonics.hpp"
#include "so3/transpose.hpp"

namespace nbcore::so3 {
namespace {

template <class Lane> NB_INLINE Lane magnitude(Lane x) { return x < 0 ? -x : x; }
template <class Lane> NB_INLINE Lane larger(Lane a, Lane b) { return a > b ? a : b; }

/// Of the components of all vectors.
template <class Real> struct Extent {
  Real largest = 0, smallest = std::numeric_limits<Real>::infinity();  // magnitudes
};

template <class Real> Extent<Real> check(const char* where, int l_max, std::size_t n, const Real* r) {
  if (l_max < 0 || l_max > l_supported)
    throw InputError(message(where, ": l_max must be 0 to ", l_supported, ", got ", l_max));
  using Lane = Vector<Real>;
  constexpr int w = vector_width<Real>;
  const Lane limit = Lane{} + std::numeric_limits<Real>::max();
  Lane largest{}, smallest = limit;
  auto finite = limit == limit;
  for (std::size_t i = 0; i < 3 * n; i += w) {
    Lane x = limit;
    if (i + w <= 3 * n) std::memcpy(&x, r + i, sizeof x);
    else x = Lane{} + r[i], std::memcpy(&x, r + i, (3 * n - i) * sizeof(Real));
    x = magnitude(x);
    finite &= x <= limit;
    largest = larger(x, largest), smallest = x < smallest ? x : smallest;
  }
  Extent<Real> extent;
  bool all = true;
  for (int lane = 0; lane < w; ++lane) {
    all &= finite[lane] != 0;
    extent = {std::max(extent.largest, largest[lane]), std::min(extent.smallest, smallest[lane])};
  }
  for (std::size_t i = 0; !all && i < 3 * n; ++i)
    if (!std::isfinite(r[i]))
      throw InputError(message(where, ": component ", "xyz"[i % 3], " of vector ", i / 3, " is ", r[i]));
  return extent;
}

constexpr int hessian_of[9] = {0, 1, 2, 1, 3, 4, 2, 4, 5};  // [a][b] among xx, xy, xz, yy, yz, zz

/// f(l_max as a constant) for small l_max, whose rows stay in registers; else f(-1).
template <class F> NB_INLINE void by_size(int l_max, F f) {
  switch (l_max) {
    case 1:
      return f(std::integral_constant<int, 1>{});
    case 2:
      return f(std::integral_constant<int, 2>{});
    case 3:
      return f(std::integral_constant<int, 3>{});
    case 4:
      return f(std::integral_constant<int, 4>{});
    case 5:
      return f(std::integral_constant<int, 5>{});
    case 6:
      return f(std::integral_constant<int, 6>{});
    default:
      return f(std::integral_constant<int, -1>{});
  }
}

template <class Real> inline constexpr Real far = sizeof(Real) == 8 ? 1e100 : 1e15;

/// The unit vectors u of r and 1 / |r|. Where squares would overflow or lose digits, vectors are brought to order one
/// first by a power of two: nothing is rounded, so all lanes get the same bits as anywhere else. `ordinary`: there are
/// no such vectors.
template <class Lane> NB_INLINE void normalise(Lane* u, Lane& inverse, bool ordinary) {
  using Real = RealOf<Lane>;
  constexpr int w = vector_width<Real>;
  int exponent[w] = {};
  for (int lane = 0; !ordinary && lane < w; ++lane) {
    const Real size = std::max({std::abs(u[0][lane]), std::abs(u[1][lane]), std::abs(u[2][lane])});
    if (size < far<Real> && size > 1 / far<Real>) continue;
    exponent[lane] = std::ilogb(size);
    for (int a = 0; a < 3; ++a) u[a][lane] = std::ldexp(u[a][lane], -exponent[lane]);
  }
  inverse = inverse_square_root(u[0] * u[0] + u[1] * u[1] + u[2] * u[2]);
  for (int a = 0; a < 3; ++a) u[a] = u[a] * inverse;
  // once more: the rounding of `inverse` would enter l times
  const Lane correction = Real(1.5) - Real(0.5) * (u[0] * u[0] + u[1] * u[1] + u[2] * u[2]);
  for (int a = 0; a < 3; ++a) u[a] = u[a] * correction;
  for (int lane = 0; !ordinary && lane < w; ++lane) inverse[lane] = std::ldexp(inverse[lane], -exponent[lane]);
}

/// Solid harmonics of a register of vectors, l_max `fixed` or else given.
template <class Lane> struct Solid {
  using Real = RealOf<Lane>;
  Lane r[3];

  Solid(const Lane* point, bool) : r{point[0], point[1], point[2]} {}
  static constexpr bool of_directions = false;
  const auto& point() const { return r; }
  Real scale() const { return 1; }
  void hessian(int l_max, Lane* S, Lane* dS, Lane* ddS) const {
    harmonics_hessian(l_max, r[0], r[1], r[2], S, dS, ddS);
  }
};

/// Spherical harmonics of their directions.
template <class Lane> struct Spherical {
  using Real = RealOf<Lane>;
  Lane u[3], inverse;

  Spherical(const Lane* point, bool ordinary) : u{point[0], point[1], point[2]} { normalise(u, inverse, ordinary); }
  static constexpr bool of_directions = true;
  const auto& point() const { return u; }
  Lane scale() const { return inverse; }
  /// Y(r / |r|) = S / r^l: the derivatives of r^-l come off, at r = u,
  ///   Y_ab = S_ab - l (u_a S_b + u_b S_a) - l delta_ab S + l (l + 2) u_a u_b S
  void hessian(int l_max, Lane* Y, Lane* dS, Lane* ddY) const {
    const int n_lm = (l_max + 1) * (l_max + 1);
    harmonics_hessian(l_max, u[0], u[1], u[2], Y, dS, ddY);
    for (int l = 0; l <= l_max; ++l) {
      const Lane lu[3] = {u[0] * Real(l), u[1] * Real(l), u[2] * Real(l)};
      for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm)
        for (int a = 0, ab = 0; a < 3; ++a)
          for (int b = a; b < 3; ++b, ++ab) {
            Lane value = ddY[ab * n_lm + lm] - lu[a] * dS[b * n_lm + lm] - lu[b] * dS[a * n_lm + lm] +
                         lu[a] * u[b] * Y[lm] * Real(l + 2);
            if (a == b) value -= Y[lm] * Real(l);
            ddY[ab * n_lm + lm] = value * inverse * inverse;
          }
    }
  }
};

/// The functions of a group's vectors, vector k + lane * registers in a lane of result k.
template <class Functions, class Real> auto directions(const Real* r, int vectors, int registers, bool ordinary) {
  using Lane = Vector<Real>;
  constexpr int w = vector_width<Real>;
  alignas(64) Real rows[3 * w * w + w];  // lane by lane, the coordinates of its vectors
  std::memcpy(rows, r, 3 * vectors * sizeof(Real));
  for (int v = vectors; v < w * registers; ++v) rows[3 * v] = rows[3 * v + 1] = 0, rows[3 * v + 2] = 1;
  Lane points[3 * w];  // [register][x, y, z]
  for (int column = 0; column < 3 * registers; column += w) {
    Lane x[w];
    for (int lane = 0; lane < w; ++lane) std::memcpy(x + lane, rows + 3 * registers * lane + column, sizeof x[lane]);
    transpose(x);
    std::copy(x, x + w, points + column);
  }
  for (int k = registers; k < w; ++k) points[3 * k] = points[3 * k + 1] = Lane{}, points[3 * k + 2] = Lane{} + Real(1);
  return [&]<std::size_t... k>(std::index_sequence<k...>) {
    return std::array<Functions, w>{Functions(points + 3 * k, ordinary)...};
  }(std::make_index_sequence<w>{});
}

/// The functions of a register of vectors, Y[lm]. This and the next are inlined to the last loop (flatten) and into no
/// caller: what does not change from number to number then stays in registers.
template <int fixed, class Functions, class Lane>
[[gnu::noinline, gnu::flatten]] void values(const Functions& f, int l_max, Lane* Y) {
  const auto& [x, y, z] = f.point();
  harmonics<fixed>(l_max, x, y, z, Y);
}

/// From Y their derivatives by `axes` of x, y, z from `first` on: d[axes][lm]. Of directions r / |r|, at r = u,
///   Y_a = S_a - l u_a S,  times 1 / |r|
template <int fixed, int first, int axes, class Functions, class Lane>
[[gnu::noinline, gnu::flatten]] void derivatives(const Functions& f, int l_max, const Lane* __restrict Y,
                                                 Lane* __restrict d) {
  using Real = RealOf<Lane>;
  const int n_lm = (l_max + 1) * (l_max + 1);
  const auto scale = f.scale();
  const Lane along[3] = {f.point()[0] * scale, f.point()[1] * scale, f.point()[2] * scale};
  for (int a = 0; a < axes; ++a) d[a * n_lm] = Lane{};
  detail::by_rows<fixed>(l_max, [&](auto l) {
    const int row = l * l + l;
    Lane along_l[3];
    for (int a = 0; a < 3; ++a) along_l[a] = along[a] * Real(l);
    const auto put = [=](int m, Lane x, Lane y, Lane z) {
      const Lane xyz[3] = {x, y, z};
      for (int a = first; a < first + axes; ++a) {
        const Lane along_r = Functions::of_directions ? along_l[a] * Y[row + m] : Lane{};
        d[(a - first) * n_lm + row + m] = xyz[a] - along_r;
      }
    };
    detail::row_gradient(l, Y + row - 2 * l, [=](Real constant) { return scale * constant; }, put);
  });
}

/// What is wanted of n vectors, `width` of them at a time as three registers. A group's vectors are dealt to registers
/// like cards: then the rows of one register lie alike on cache lines (see write_transposed). Empty lanes hold unit
/// vectors, so the bits of a result do not depend on its place. What is transposed is written before the next is
/// computed: it comes from L1.
template <class Functions, class Real>
void by_registers(int l_max, std::size_t n, const Real* r, bool ordinary, HarmonicsOutput<Real> out, int threads) {
  using Lane = Vector<Real>;
  constexpr std::size_t w = vector_width<Real>, group = w * w;  // vectors in one item of work
  const std::size_t n_lm = std::size_t(l_max + 1) * (l_max + 1);
  const auto do_group = [&](std::size_t item) {
    thread_local std::vector<Lane> memory;
    memory.resize(std::max(memory.size(), (out.hessian ? 10 : 4) * n_lm));
    Lane *Y = memory.data(), *d = Y + n_lm;
    const std::size_t begin = item * group;
    const int vectors = int(std::min(n - begin, group)), registers = (vectors + int(w) - 1) / int(w);
    const std::array<Functions, w> all = directions<Functions>(r + 3 * begin, vectors, registers, ordinary);
    /// Functions `column` to `column + some` of the `columns` that each vector of register k has
    const auto write = [&](int k, const Lane* from, Real* to, int column, int some, int columns) {
      const int filled = std::min(int(w), (vectors - k + registers - 1) / registers);
      const std::size_t first = begin + k;
      write_transposed(from, some * int(n_lm), filled, to + (first * columns + column) * n_lm,
                       registers * columns * n_lm);
    };
    for (int k = 0; k < registers; ++k) {
      if (out.hessian) {
        all[k].hessian(l_max, Y, d, d + 3 * n_lm);
        for (int ab = 0; ab < 9; ++ab) write(k, d + (3 + hessian_of[ab]) * n_lm, out.hessian, ab, 1, 9);
      }
      by_size(l_max, [&](auto fixed) {
        const Functions& f = all[k];
        values<fixed>(f, l_max, Y);
        write(k, Y, out.values, 0, 1, 1);
        if (!out.gradient) return;
        if constexpr (fixed >= 0) {  // at one go: fewer blocks that are not full
          derivatives<fixed, 0, 3>(f, l_max, Y, d);
          write(k, d, out.gradient, 0, 3, 3);
        } else {  // one after the other: large ones would leave L1
          derivatives<fixed, 0, 2>(f, l_max, Y, d);
          write(k, d, out.gradient, 0, 1, 3), write(k, d + n_lm, out.gradient, 1, 1, 3);
          derivatives<fixed, 2, 1>(f, l_max, Y, d);
          write(k, d, out.gradient, 2, 1, 3);
        }
      });
    }
  };
  const std::size_t items = (n + group - 1) / group;
  if (items > std::size_t(std::numeric_limits<int>::max())) throw InputError("harmonics: too many vectors");
  parallel_for(int(items), threads, [&](int item, int) { do_group(item); });
}

}  // namespace

template <class Real>
void spherical_harmonics(int l_max, std::size_t n, const Real* r, HarmonicsOutput<Real> out, int threads) {
  const Extent<Real> extent = check("spherical_harmonics", l_max, n, r);
  if (extent.smallest == 0)
    for (std::size_t i = 0; i < n; ++i)
      if (r[3 * i] == 0 && r[3 * i + 1] == 0 && r[3 * i + 2] == 0)
        throw InputError(message("spherical_harmonics: vector ", i, " is zero and has no direction"));
  const bool ordinary = extent.smallest > 1 / far<Real> && extent.largest < far<Real>;
  by_registers<Spherical<Vector<Real>>>(l_max, n, r, ordinary, out, threads);
}

template <class Real>
void solid_harmonics(int l_max, std::size_t n, const Real* r, HarmonicsOutput<Real> out, int threads) {
  const double limit = std::is_same_v<Real, double> ? 300 : 37;
  const double largest = check("solid_harmonics", l_max, n, r).largest;
  const auto too_long = [&](double length) { return l_max * std::log10(length) > limit; };
  for (std::size_t i = 0; too_long(2 * largest) && i < n; ++i)
    if (const double length = std::hypot(double(r[3 * i]), double(r[3 * i + 1]), double(r[3 * i + 2]));
        too_long(length))
      throw InputError(message("solid_harmonics: vector ", i, " of length ", length, " is too long: r^", l_max,
                               " would exceed 1e", limit));
  by_registers<Solid<Vector<Real>>>(l_max, n, r, true, out, threads);
}

template void spherical_harmonics(int, std::size_t, const float*, HarmonicsOutput<float>, int);
template void spherical_harmonics(int, std::size_t, const double*, HarmonicsOutput<double>, int);
template void solid_harmonics(int, std::size_t, const float*, HarmonicsOutput<float>, int);
template void solid_harmonics(int, std::size_t, const double*, HarmonicsOutput<double>, int);

}  // namespace nbcore::so3
