// Radial bases: B_n(r) times a smooth envelope that takes every function to zero at the cutoff.
//
//   bessel            sqrt(2/rc) sin((n+1) pi r/rc) / r, or with `frequencies` k_n sqrt(2/rc) sin(k_n pi r/rc) / r
//   chebyshev         T_n(u), u = 2 r/rc - 1, or with `decay` > 0 the map
//                     u = 1 - 2 (exp(-decay (r/rc - 1)) - 1) / (exp(decay) - 1), which resolves short distances better
//   chebyshev_unscaled  T_(n+1)(r), r in Angstrom: for transformed distances between -1 and 1
//   gaussian          exp(-(r - mu_n)^2 / (2 d_n^2)), mu_n from 0 to rc at equal distances d, or `centres` and `widths`
//   inverse_gaussian  exp(-(1/r - mu_n)^2 / (2 d_n^2)), mu_n from 1/rc to 1/r_min at equal distances, d = 1 / (2 N r_min),
//                     or `centres` and `widths`, those of 1/r
//   inverse_power     r^(first-n), first = 1: with the harmonics of the direction, terms |r|^-s r of eq. (10), s = n
//   damped_power      (rc/r)^(n+1) (1 - exp(-(r/r_min)^8)): multipoles far apart, bounded where they are close
//   cheb_pow          (1 - T_(n+1)(u)) / 2, u = 1 - 2 (1 - r/rc)^decay, zero at the cutoff, where for decay > 2 slope and
//                     curvature are, too (ACE)
//   sbessel           orthonormal combinations of sin(k pi r/rc) / r, k = 1 ... N + 1, with neither value nor slope nor
//                     curvature at the cutoff (E. Kocer, J. K. Mason, H. Erturk, AIP Adv. 10 (2020) 015021; ACE)
//   windows           (1 - cos(2 pi (r - a_n)/d))^2 / 4 within a window of the width d = (span + 1) rc/N that begins at
//                     a_n = (n - span) rc/N: smooth, and zero from the cutoff on (Allegro)
//   solid             (r/rc)^(2n), with harmonics (r/rc)^l Y_lm instead of Y_lm: moments about a centre, smooth there
//
// With `smoothness` s, function n is divided by (n+1)^s: rapidly varying functions get small weights from the start.
//
// Envelopes, with x = r/rc:
//
//   polynomial        1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2), C2
//   cosine            (1 + cos(pi x)) / 2, C1
//   smooth            (1 - x^2)^3, C2
//   tanh              tanh(1 - x)^3, C2, not one at r = 0
//   xplor             1 up to r = on, then (1 - x^2)^2 (1 + 2 x^2 - 3 a) / (1 - a)^3, a = (on/rc)^2; C1 at both ends
// All are one below `inner`; with inner_width d above 0 they fall from there to zero at inner - d, with the polynomial
// x^3 (10 - 15 x + 6 x^2): where the cores of atoms begin.
//
//   none              for the fixed children of a composition scheme; cutoff is then a unit of length
//
// Of a basis that sees elements the functions are those of a transformed distance x(r), the envelope stays that of r;
// r0 belongs to the pair of elements, R being radii of the elements (ACEpotentials, doi.org/10.1063/5.0158783; MACE):
//
//   agnesi            x = 1 / (1 + a t^q / (1 + t^(q-p))), t = r/r0, r0 = (R + R')/2: from 1 at r = 0 to 0
//   soft              x = p0 + (r - p0) (1 + tanh(s (r - m)))/2, r0 = R + R', p0 = 3/4 r0, p1 = 4/3 r0, m = (p0 + p1)/2,
//                     s = steepness/(p1 - p0): r for distances beyond bonds, p0 below
//
// A network on a basis: layers h = c silu(h_before W / sqrt(width before)), without biases, so that what is zero at the
// cutoff stays zero there; the last one plays the basis (gates/radial_network.hpp). It may be linear, h W alone: a few
// combinations of what a wide network spans; or tanh((h W)^2), which counts neighbours smoothly. A biased network has biases, and behind
// its functions stands the constant one; a normalised one has
// biases, those of its first layer by pair of elements, and norms of its layers; behind its functions stands the constant
// one. Of any network the basis may be without envelope: then the envelope multiplies what the network gives.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "base/lanes.hpp"

namespace nbcore {

enum class Basis {
  bessel,
  chebyshev,
  gaussian,
  inverse_gaussian,
  inverse_power,
  damped_power,
  solid,
  chebyshev_unscaled,
  cheb_pow,
  sbessel,
  windows
};
enum class Envelope { polynomial, cosine, smooth, none, xplor, tanh };
enum class Transform { none, agnesi, soft };
enum class LayerFunction { silu, linear, tanh_square, ssp };

/// Functions of a basis; layers of a network, and their width
inline constexpr int max_radial = 64, max_basis = max_radial + 1, max_radial_layers = 6, max_radial_width = 256;

/// Defaults and ranges: gates/radial_options.cpp
struct Radial {
  Basis basis{};
  int n = 0;
  double cutoff = 0;
  double decay = 0;                   // chebyshev
  double r_min = 0;                   // inverse_gaussian, damped_power
  int first = 0;                      // inverse_power: exponent of function 0
  int span = 0;                       // windows: how many others a window overlaps, on one side
  double inner = 0, inner_width = 0;  // functions vanish below inner - inner_width, where that is above 0
  Envelope envelope{};
  int power = 0;                                 // polynomial
  double on = 0;                                 // xplor
  int smoothness = 0;                            // function n is divided by (n+1)^smoothness: a prior for smooth sums
  std::array<int, max_radial_layers> layers{};   // widths of a network on the basis, 0 behind the last
  std::array<double, max_radial> frequencies{};  // bessel: in the place of 1, 2, ..., n; zeros: none given
  std::array<double, max_radial> centres{}, widths{};  // of gaussian and inverse_gaussian, where widths[0] is not 0

  LayerFunction last{};
  LayerFunction hidden{};   // of the layers but the last
  bool biased = false;      // the network: biases, a constant behind its functions
  bool normalised = false;  // norms besides, and the biases of the first layer by pair of elements
  int n_species = 0;        // of its biases
  bool after = false;       // the envelope multiplies the network; function n of the basis below is the envelope

  Transform transform{};
  double a = 0, q = 0, p = 0, steepness = 0;  // agnesi; soft
  std::vector<double> radii;                  // by element, where the distance is transformed

  /// Do its functions end smoothly at the cutoff by themselves?
  bool ends() const {
    return basis == Basis::sbessel || basis == Basis::windows || (basis == Basis::cheb_pow && decay > 2);
  }
  bool transformed() const { return transform != Transform::none; }
  bool sees_elements() const { return transformed() || normalised; }
  /// r0 of children of element `child` of parents of element `parent`
  double pair_length(int parent, int child) const {
    return (radii[parent] + radii[child]) * (transform == Transform::agnesi ? 0.5 : 1.0);
  }

  struct Gaussian {
    double centre, gamma;  // 1 / width^2
  };
  /// Function n: as given, else with these numbers
  Gaussian gaussian(int n, double centre, double width) const {
    return widths[0] > 0 ? Gaussian{centres[n], 1 / (widths[n] * widths[n])} : Gaussian{centre, 1 / (width * width)};
  }

  /// The distance r itself, for gates that multiply what they make of it with an envelope
  static Radial length_within(double cutoff) {
    Radial r;
    r.basis = Basis::inverse_power, r.n = 1, r.first = 1, r.cutoff = cutoff, r.r_min = 0.5 * cutoff;
    r.envelope = Envelope::none;
    return r;
  }
  bool length() const { return *this == length_within(cutoff); }
  bool network() const { return layers[0] > 0; }
  int n_layers() const {
    int count = 0;
    while (count < max_radial_layers && layers[count] > 0) ++count;
    return count;
  }
  bool has_constant() const { return biased && last == hidden; }
  int basis_width() const { return n + after; }
  /// The number of functions: of the basis, or of the network's last layer and the constant behind it
  int width() const { return network() ? layers[n_layers() - 1] + has_constant() : basis_width(); }
  Radial basis_alone() const {
    Radial r = *this;
    r.layers = {}, r.last = r.hidden = {}, r.biased = r.normalised = false, r.n_species = 0;
    return r;
  }
  bool operator==(const Radial&) const = default;
  /// InputError where numbers do not go together
  void check() const;
};

/// A function and its derivative by r.
template <class T> struct Slope {
  T f, df;
};

/// x + a, a without tangent
template <class T> NB_INLINE T plus(T x, PlainOf<T> a) {
  if constexpr (is_dual<T>) return {x.value + a, x.dot};
  else return x + a;
}

/// Zero from the cutoff on: the list of neighbours goes to the largest cutoff of a network.
template <class T> NB_INLINE Slope<T> envelope(const Radial& s, T r) {
  const double c = 1 / s.cutoff;
  const T x = r * c;
  const auto inside = [&](T f) {
    const auto in = value_of(x) < 1.0;
    if constexpr (is_dual<T>) return T{in ? f.value : f.value * 0.0, in ? f.dot : f.dot * 0.0};
    else return in ? f : f * 0.0;
  };
  switch (s.envelope) {
    case Envelope::polynomial: {
      const double p = s.power;
      T x_p1 = x;  // x^(p-1)
      for (int k = 2; k < s.power; ++k) x_p1 = x_p1 * x;
      const T x_p = x_p1 * x, one_x = 1.0 - x;
      const T f = 1.0 + x_p * (x * (p * (p + 2)) + x * x * (-p * (p + 1) / 2) + (-(p + 1) * (p + 2) / 2));
      return {inside(f), inside(x_p1 * one_x * one_x * (-p * (p + 1) * (p + 2) / 2 * c))};
    }
    case Envelope::cosine: {
      const auto [s, k] = sine_and_cosine(x * M_PI);
      return {inside(k * 0.5 + 0.5), inside(s * (-0.5 * M_PI * c))};
    }
    case Envelope::none:
      return {x * 0.0 + 1.0, x * 0.0};
    case Envelope::tanh: {
      const T q = exponential((x - 1.0) * 2.0), t = (1.0 - q) * reciprocal(q + 1.0);
      return {inside(t * t * t), inside(t * t * (1.0 - t * t) * (-3 * c))};
    }
    case Envelope::xplor: {
      const double a = s.on * s.on * c * c, scale = 1 / ((1 - a) * (1 - a) * (1 - a));
      const auto flat = value_of(x) < s.on * c;
      const auto behind = [&](T f, double before) {
        if constexpr (is_dual<T>) return T{flat ? f.value * 0.0 + before : f.value, flat ? f.dot * 0.0 : f.dot};
        else return flat ? f * 0.0 + before : f;
      };
      const T x2 = x * x, e = 1.0 - x2;
      return {inside(behind(e * e * (x2 * 2.0 + (1 - 3 * a)) * scale, 1)),
              inside(behind(x * e * (x2 - a) * (-12 * scale * c), 0))};
    }
    default: {
      const T e = 1.0 - x * x;
      return {inside(e * e * e), inside(x * e * e * (-6.0 * c))};
    }
  }
}

/// From 0 to 1 between inner - inner_width and inner
template <class T> NB_INLINE Slope<T> inner_switch(const Radial& s, T r) {
  const double d = 1 / s.inner_width;
  const T x = r * d + (1 - s.inner * d);
  const auto chosen = [&](T f, double above) {
    const auto low = value_of(x) < 0.0, high = value_of(x) > 1.0;
    if constexpr (is_dual<T>) {
      const auto zero = f.value * 0.0;
      return T{low ? zero : high ? zero + above : f.value, low ? zero : high ? zero : f.dot};
    } else {
      const T zero = f * 0.0;
      return low ? zero : high ? zero + above : f;
    }
  };
  const T x2 = x * x, e = 1.0 - x;
  return {chosen(x2 * x * (x2 * 6.0 + (x * -15.0 + 10.0)), 1), chosen(x2 * e * e * (30 * d), 0)};
}

/// x and dx/dr of a transformed distance. r0: of the pairs
template <class T> Slope<T> transformed(const Radial& s, T r, PlainOf<T> r0) {
  if (s.transform == Transform::agnesi) {
    const T log_t = logarithm(product(1.0 / r0, r)), u = exponential(log_t * s.q), v = exponential(log_t * (s.p - s.q));
    const T rest = reciprocal(v + 1.0), g = u * v * rest;  // t^q / (1 + t^(q-p))
    const T x = reciprocal(g * s.a + 1.0);
    return {x, x * x * g * (rest * (s.p - s.q) + s.q) * reciprocal(r) * -s.a};
  }
  const PlainOf<T> p0 = r0 * 0.75, p1 = r0 * (4.0 / 3), slope = s.steepness / (p1 - p0);
  const T zero = r * 0.0, shift = plus(zero, p0), y = product(slope, r - plus(zero, (p0 + p1) * 0.5)), d = r - shift;
  const T e = reciprocal(exponential(y * -2.0) + 1.0);
  return {d * e + shift, e + product(slope * 2.0, d * e * (1.0 - e))};
}

/// Functions of the basis and their derivatives, without envelope
template <class T> void basis_functions(const Radial& s, T r, T* B, T* dB) {
  const double c = 1 / s.cutoff;
  const T zero = r * 0.0;
  switch (s.basis) {
    case Basis::bessel: {
      const double norm = std::sqrt(2 * c), k = M_PI * c;
      const T inverse = reciprocal(r);
      if (s.frequencies[0] > 0) {
        for (int n = 0; n < s.n; ++n) {
          const auto [sn, cn] = sine_and_cosine(r * (k * s.frequencies[n]));
          B[n] = sn * inverse * norm;
          dB[n] = (cn * (norm * k * s.frequencies[n]) - B[n]) * inverse;
        }
        break;
      }
      const auto [s1, c1] = sine_and_cosine(r * k);
      T sn = s1, cn = c1;  // sin and cos of (n+1) k r
      for (int n = 0; n < s.n; ++n) {
        B[n] = sn * inverse * norm;
        dB[n] = (cn * (norm * k * (n + 1)) - B[n]) * inverse;
        const T next = sn * c1 + cn * s1;
        cn = cn * c1 - sn * s1, sn = next;
      }
      break;
    }
    case Basis::chebyshev: {
      T u = r * (2 * c) - 1.0, du = zero + 2 * c;
      if (s.decay > 0) {
        const double scale = 2 / std::expm1(s.decay);
        const T e = exponential((r * c - 1.0) * -s.decay);
        u = 1.0 - (e - 1.0) * scale, du = e * (scale * s.decay * c);
      }
      B[0] = zero + 1.0, dB[0] = zero;
      if (s.n > 1) B[1] = u, dB[1] = du;
      for (int n = 2; n < s.n; ++n) {
        B[n] = u * B[n - 1] * 2.0 - B[n - 2];
        dB[n] = (u * dB[n - 1] + du * B[n - 1]) * 2.0 - dB[n - 2];
      }
      break;
    }
    case Basis::cheb_pow: {
      const T y = 1.0 - r * c;  // negative beyond the cutoff, where an envelope or the gate sees to it
      const auto inside = value_of(y) > 1e-12;
      T positive = y;
      if constexpr (is_dual<T>) positive = T{inside ? y.value : y.value * 0.0 + 1e-12, inside ? y.dot : y.dot * 0.0};
      else positive = inside ? y : y * 0.0 + 1e-12;
      const T power = exponential(logarithm(positive) * s.decay), u = power * -2.0 + 1.0,
              du = power * reciprocal(positive) * (2 * s.decay * c);
      T before = zero + 1.0, d_before = zero, now = u, d_now = du;
      for (int n = 0; n < s.n; ++n) {
        B[n] = (1.0 - now) * 0.5, dB[n] = d_now * -0.5;
        const T next = u * now * 2.0 - before, d_next = (u * d_now + du * now) * 2.0 - d_before;
        before = now, d_before = d_now, now = next, d_now = d_next;
      }
      break;
    }
    case Basis::sbessel: {
      const double k = M_PI * c, scale = std::sqrt(2.0) * M_PI * c * std::sqrt(c);
      const T inverse = reciprocal(r);
      double d = 1;
      T sinc, d_sinc;
      const auto next_sinc = [&](int m) {  // sin(m k r) / (m k r)
        const auto [sn, cn] = sine_and_cosine(r * (m * k));
        sinc = sn * inverse * (1 / (m * k)), d_sinc = (cn - sinc) * inverse;
      };
      next_sinc(1);
      for (int n = 0; n < s.n; ++n) {
        const T before = sinc, d_before = d_sinc;
        next_sinc(n + 2);
        const double a = n + 1, b = n + 2, f = (n % 2 ? -scale : scale) * a * b / std::sqrt(a * a + b * b);
        B[n] = (before + sinc) * f, dB[n] = (d_before + d_sinc) * f;
        if (n > 0) {
          const double e = double(n) * n * (n + 2) * (n + 2) / (4 * std::pow(n + 1.0, 4) + 1), g = std::sqrt(e / d);
          d = 1 - e / d;
          B[n] = (B[n] + B[n - 1] * g) * (1 / std::sqrt(d)), dB[n] = (dB[n] + dB[n - 1] * g) * (1 / std::sqrt(d));
        }
      }
      break;
    }
    case Basis::windows: {
      const double k = 2 * M_PI * s.n / (s.span + 1);
      for (int n = 0; n < s.n; ++n) {
        const T x = (r * c - double(n - s.span) / s.n) * k;  // 0 to 2 pi within the window
        const auto [sn, cn] = sine_and_cosine(x);
        const T f = 1.0 - cn;
        const auto within = [&](T y) {
          const auto in = (value_of(x) > 0.0) & (value_of(x) < 2 * M_PI);
          if constexpr (is_dual<T>) return T{in ? y.value : y.value * 0.0, in ? y.dot : y.dot * 0.0};
          else return in ? y : y * 0.0;
        };
        B[n] = within(f * f * 0.25), dB[n] = within(f * sn * (0.5 * k * c));
      }
      break;
    }
    case Basis::chebyshev_unscaled: {
      T before = zero + 1.0, d_before = zero;
      B[0] = r, dB[0] = zero + 1.0;
      for (int n = 1; n < s.n; ++n) {
        B[n] = r * B[n - 1] * 2.0 - before;
        dB[n] = (r * dB[n - 1] + B[n - 1]) * 2.0 - d_before;
        before = B[n - 1], d_before = dB[n - 1];
      }
      break;
    }
    case Basis::gaussian: {
      const double d = s.cutoff / std::max(s.n - 1, 1);
      for (int n = 0; n < s.n; ++n) {
        const auto [centre, gamma] = s.gaussian(n, n * d, d);
        const T x = r - centre;
        B[n] = exponential(x * x * (-0.5 * gamma));
        dB[n] = B[n] * x * -gamma;
      }
      break;
    }
    case Basis::inverse_gaussian: {
      const T inverse = reciprocal(r);
      const double d = 1 / (2 * s.n * s.r_min), step = (1 / s.r_min - c) / std::max(s.n - 1, 1);
      for (int n = 0; n < s.n; ++n) {
        const auto [centre, gamma] = s.gaussian(n, c + n * step, d);
        const T x = inverse - centre;
        B[n] = exponential(x * x * (-0.5 * gamma));
        dB[n] = B[n] * x * inverse * inverse * gamma;
      }
      break;
    }
    case Basis::inverse_power: {
      const T inverse = reciprocal(r);
      B[0] = zero + 1.0;
      for (int k = 0; k < s.first; ++k) B[0] = B[0] * r;
      for (int k = 0; k > s.first; --k) B[0] = B[0] * inverse;
      for (int n = 1; n < s.n; ++n) B[n] = B[n - 1] * inverse;
      for (int n = 0; n < s.n; ++n) dB[n] = B[n] * inverse * double(s.first - n);
      break;
    }
    case Basis::damped_power: {
      const T inverse = reciprocal(r), x = r * (1 / s.r_min), x2 = x * x, x4 = x2 * x2, x8 = x4 * x4;
      const T e = exponential(x8 * -1.0), damping = 1.0 - e, slope = x4 * x2 * x * e * (8 / s.r_min);
      T power = zero + 1.0;
      for (int n = 0; n < s.n; ++n) {
        power = power * inverse * s.cutoff;
        B[n] = power * damping;
        dB[n] = power * slope - B[n] * inverse * (n + 1.0);
      }
      break;
    }
    case Basis::solid: {
      const T x2 = r * r * (c * c), slope = r * (2 * c * c);
      B[0] = zero + 1.0, dB[0] = zero;
      for (int n = 1; n < s.n; ++n) B[n] = B[n - 1] * x2, dB[n] = dB[n - 1] * x2 + B[n - 1] * slope;
      break;
    }
  }
}

/// B[n] and dB[n] = dB_n/dr for n < s.n, envelope included or, where it comes after a network, as function s.n. T: a
/// register of doubles, dual or not. r0: of the pairs of elements, for transformed distances
template <class T> void radial_functions(const Radial& s, T r, T* B, T* dB, PlainOf<T> r0) {
  if (s.transformed()) {
    const Slope<T> x = transformed(s, r, r0);
    basis_functions(s, x.f, B, dB);
    for (int n = 0; n < s.n; ++n) dB[n] = dB[n] * x.df;
  } else {
    basis_functions(s, r, B, dB);
  }
  Slope<T> e = envelope(s, r);
  if (s.inner_width > 0) {
    const Slope<T> from = inner_switch(s, r);
    e = {e.f * from.f, e.df * from.f + e.f * from.df};
  }
  for (int n = 0; n < s.n; ++n) {
    double prior = 1;
    for (int k = 0; k < s.smoothness; ++k) prior /= n + 1;
    dB[n] = (s.after ? dB[n] : dB[n] * e.f + B[n] * e.df) * prior;
    B[n] = (s.after ? B[n] : B[n] * e.f) * prior;
  }
  if (s.after) B[s.n] = e.f, dB[s.n] = e.df;
}

}  // namespace nbcore
