#include "ops/radial.hpp"

#include <cmath>

#include "base/error.hpp"

namespace nbcore {

void Radial::check() const {
  if (basis != Basis::solid && !(r_min > 0 && r_min < cutoff))
    throw InputError(message("r_min must lie between 0 and the cutoff, ", cutoff, ", got ", r_min));
  if (basis == Basis::damped_power && n > 7)
    throw InputError(message("the basis damped_power has at most 7 functions, got n = ", n));
  if (basis == Basis::windows && span >= n)
    throw InputError(message("span must be below the number of functions, n = ", n, ", got ", span));
  if (basis == Basis::cheb_pow && decay < 1)
    throw InputError(message("the basis cheb_pow has a decay of at least 1, got ", decay));
  if (inner_width > 0 && !(inner > inner_width && inner < cutoff))
    throw InputError(message("inner must lie between inner_width, ", inner_width, ", and the cutoff, got ", inner));
  if (inner > 0 && !(inner_width > 0)) throw InputError("inner needs inner_width beside it, above 0");
  const bool given = frequencies[0] != 0;
  for (int k = 0; k < max_radial; ++k)
    if (given && !(k < n ? frequencies[k] > 0 && frequencies[k] <= 1e4 : frequencies[k] == 0))
      throw InputError(message("frequencies must be n = ", n, " numbers, each above 0 and at most 10000"));
  if (given && basis != Basis::bessel) throw InputError("frequencies are those of the basis bessel");
  const bool gaussians = widths[0] != 0;
  if (gaussians && basis != Basis::gaussian && basis != Basis::inverse_gaussian)
    throw InputError("centres and widths are those of the bases gaussian and inverse_gaussian");
  for (int k = 0; gaussians && k < n; ++k)
    if (!(std::abs(centres[k]) <= 1e6 && widths[k] >= 1e-4 && widths[k] <= 1e6))
      throw InputError("centres must be at most 1000000, widths 0.0001 to 1000000");
  if (envelope == Envelope::xplor && !(on > 0 && on < cutoff))
    throw InputError(message("on must lie between 0 and the cutoff, ", cutoff, ", got ", on));
  if (transformed()) {
    if (basis == Basis::solid) throw InputError("the basis solid has no transform");
    for (const double r : radii)
      if (!(r > 0 && r < 1e3)) throw InputError(message("radii must be above 0, got ", r));
    if (transform == Transform::agnesi && !(p > q)) throw InputError(message("p must be above q = ", q, ", got ", p));
  }
  if (normalised && hidden != LayerFunction::silu) throw InputError("a normalised network has the function silu");
  if (basis == Basis::solid && envelope != Envelope::none)
    throw InputError("the basis solid goes with the envelope \"none\"");
}

}  // namespace nbcore
