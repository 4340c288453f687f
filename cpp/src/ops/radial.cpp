#include "ops/radial.hpp"

#include "base/error.hpp"

namespace nbcore {

void Radial::check() const {
  if (basis != Basis::solid && !(r_min > 0 && r_min < cutoff))
    throw InputError(message("r_min must lie between 0 and the cutoff, ", cutoff, ", got ", r_min));
  if (basis == Basis::damped_power && n > 7)
    throw InputError(message("the basis damped_power has at most 7 functions, got n = ", n));
  if (basis == Basis::solid && envelope != Envelope::none)
    throw InputError("the basis solid goes with the envelope \"none\"");
}

}  // namespace nbcore
