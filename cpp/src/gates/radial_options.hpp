// Radial functions as programs give them, "radial": {"basis": ..., "n": ...}.
#pragma once
#include "gates/option_table.hpp"
#include "ops/radial.hpp"

namespace nbcore {

extern const OptionTable radial_options;

/// InputError names the option that does not fit
Radial radial_from(const Options& given);
/// The option "radial" of a gate
Radial radial_of(const OptionValues& options);

}  // namespace nbcore
