#include "ops/radial.hpp"

#include <map>

#include "base/error.hpp"

namespace nbcore {

namespace {
template <class T> T named(const char* what, const std::string& name, const std::map<std::string, T>& known) {
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  std::string names;
  for (const auto& [key, unused] : known) names += (names.empty() ? "" : ", ") + key;
  throw InputError(message(what, " \"", name, "\" is not known; there are ", names));
}
}  // namespace

Basis basis_from(const std::string& name) {
  return named<Basis>("radial basis", name,
                      {{"bessel", Basis::bessel},
                       {"chebyshev", Basis::chebyshev},
                       {"gaussian", Basis::gaussian},
                       {"inverse_gaussian", Basis::inverse_gaussian},
                       {"inverse_power", Basis::inverse_power},
                       {"damped_power", Basis::damped_power},
                       {"solid", Basis::solid}});
}

Envelope envelope_from(const std::string& name) {
  return named<Envelope>("envelope", name,
                         {{"polynomial", Envelope::polynomial},
                          {"cosine", Envelope::cosine},
                          {"smooth", Envelope::smooth},
                          {"none", Envelope::none}});
}

void Radial::check() const {
  if (!(cutoff > 0) || !std::isfinite(cutoff))
    throw InputError(message("cutoff must be a positive length in Angstrom, got ", cutoff));
  if (n < 1 || n > max_radial) throw InputError(message("n_radial must be 1 to ", max_radial, ", got ", n));
  if (!(decay >= 0 && decay < 50))
    throw InputError(message("decay of the chebyshev basis must be 0 to 50, got ", decay));
  if (basis != Basis::solid && !(r_min > 0 && r_min < cutoff))
    throw InputError(message("r_min must lie between 0 and the cutoff, got ", r_min));
  if (first < -10 || first > 10) throw InputError(message("first of inverse_power must be -10 to 10, got ", first));
  if (smoothness < 0 || smoothness > 4) throw InputError(message("smoothness must be 0 to 4, got ", smoothness));
  if (basis == Basis::damped_power && n > 7)
    throw InputError(message("the basis damped_power has at most 7 functions, got n = ", n));
  if (basis == Basis::solid && envelope != Envelope::none)
    throw InputError("the basis solid goes with the envelope \"none\"");
  if (power < 2 || power > 50)
    throw InputError(message("power of the polynomial envelope must be 2 to 50, got ", power));
}

}  // namespace nbcore
