#include "gates/radial_options.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace nbcore {

namespace {
// in the order of the enumerations
const std::vector<std::string> bases = {"bessel",        "chebyshev",    "gaussian", "inverse_gaussian",
                                        "inverse_power", "damped_power", "solid",    "chebyshev_unscaled",
                                        "cheb_pow",      "sbessel",      "windows"},
                               envelopes = {"polynomial", "cosine", "smooth", "none", "xplor", "tanh"},
                               transforms = {"none", "agnesi", "soft"}, last_layers = {"silu", "linear", "tanh_square"},
                               networks = {"plain", "biased", "normalised"}, places = {"basis", "network"};

template <class T> T named(const std::vector<std::string>& names, const std::string& name) {
  return T(std::find(names.begin(), names.end(), name) - names.begin());
}
}  // namespace

const OptionTable radial_options = {
    choice("basis", bases, "the set of functions"),
    whole("n", 8, 1, max_radial, "number of functions, n_radial of presets"),
    real("cutoff", 5.0, 0, 1e6, "where they end, Angstrom", true),
    real("decay", 0.0, 0, 50, "of chebyshev: how much better short distances are resolved; the power of cheb_pow"),
    real("r_min", 0.8, 0, 1e6, "of inverse_gaussian and damped_power: the shortest distance, Angstrom", true),
    whole("first", 1, -10, 10, "of inverse_power: exponent of the first function"),
    whole("span", 0, 0, max_radial, "of windows: how many others each overlaps on one side"),
    real("inner", 0.0, 0, 1e6, "functions are as they are from here on, Angstrom"),
    real("inner_width", 0.0, 0, 1e6, "above 0: below `inner` they fall to zero over this length, Angstrom"),
    choice("envelope", envelopes, "what takes them to zero at the cutoff"),
    whole("power", 6, 2, 50, "of the polynomial envelope"),
    real("on", 4.5, 0, 1e6, "of the envelope xplor: where it begins to fall, Angstrom", true),
    reals("frequencies", "of bessel: what stands in the place of 1, 2, ..., n, where they are others"),
    reals("centres", "of gaussian, Angstrom, and of inverse_gaussian, 1/Angstrom, where they are not equally spaced"),
    reals("widths", "of the same functions, their standard deviations, one beside each centre"),
    whole("smoothness", 0, 0, 4, "function n is divided by (n+1) to this power"),
    wholes("layers", 1, max_radial_width, max_radial_layers, "widths of the layers of a network on the functions"),
    choice("last_layer", last_layers,
           "of the network; silu: as the others; linear: combinations of the layer before; "
           "tanh_square: a count"),
    choice("network", networks, "biased: with biases; normalised: the first by pair of elements, and with layer norms"),
    choice("function", {"silu", "ssp"}, "of the layers of a network: silu, or the shifted softplus"),
    choice("envelope_of", places, "what the envelope multiplies, where there is a network"),
    choice("transform", transforms,
           "of the distance that the basis sees, by pair of elements; the "
           "envelope sees r"),
    reals("radii",
          "of the elements, in order, Angstrom, where the distance is "
          "transformed"),
    real("a", 1.0805, 0, 1e3, "of the transform agnesi"),
    real("q", 0.9183, 0, 20, "of the transform agnesi", true),
    real("p", 4.5791, 0, 20, "of the transform agnesi, above q", true),
    real("steepness", 4.0, 0, 1e3, "of the transform soft", true),
};

Radial radial_from(const Options& given) {
  const OptionValues o(given, radial_options);
  Radial r;
  r.basis = named<Basis>(bases, o.text("basis")), r.envelope = named<Envelope>(envelopes, o.text("envelope"));
  r.n = o.whole("n"), r.cutoff = o.real("cutoff"), r.decay = o.real("decay"), r.r_min = o.real("r_min");
  if (r.basis == Basis::windows) r.span = o.whole("span");
  r.inner = o.real("inner"), r.inner_width = o.real("inner_width");
  r.first = o.whole("first"), r.power = o.whole("power"), r.smoothness = o.whole("smoothness");
  if (r.envelope == Envelope::xplor) r.on = o.real("on");
  const std::vector<double>& frequencies = o.numbers("frequencies");
  if (!frequencies.empty() && int(frequencies.size()) != r.n)
    throw InputError(message("frequencies must be n = ", r.n, " numbers, got ", frequencies.size()));
  std::copy(frequencies.begin(), frequencies.end(), r.frequencies.begin());
  if (!frequencies.empty() && frequencies[0] == 0) throw InputError("frequencies must be above 0");
  const std::vector<double>&centres = o.numbers("centres"), &widths = o.numbers("widths");
  if (centres.size() != widths.size() || (!widths.empty() && int(widths.size()) != r.n))
    throw InputError(
        message("centres and widths must be n = ", r.n, " numbers each, got ", centres.size(), " and ", widths.size()));
  std::copy(centres.begin(), centres.end(), r.centres.begin()),
      std::copy(widths.begin(), widths.end(), r.widths.begin());
  if (!widths.empty() && widths[0] == 0) throw InputError("widths must be above 0");
  const std::vector<double>& layers = o.numbers("layers");
  for (std::size_t k = 0; k < layers.size(); ++k) r.layers[k] = int(layers[k]);
  if (r.network()) {
    r.hidden = o.is("function", "ssp") ? LayerFunction::ssp : LayerFunction::silu;
    r.last = o.is("last_layer", "silu") ? r.hidden : named<LayerFunction>(last_layers, o.text("last_layer"));
    r.normalised = o.is("network", "normalised"), r.biased = !o.is("network", "plain"),
    r.after = o.is("envelope_of", "network");
  }
  r.transform = named<Transform>(transforms, o.text("transform"));
  if (r.transformed()) {
    r.radii = o.numbers("radii");
    if (r.transform == Transform::agnesi) r.a = o.real("a"), r.q = o.real("q"), r.p = o.real("p");
    else r.steepness = o.real("steepness");
  }
  r.check();
  return r;
}

Radial radial_of(const OptionValues& options) {
  try {
    return radial_from(options.object("radial"));
  } catch (const InputError& e) {
    throw InputError(message("radial: ", e.what()));
  }
}

}  // namespace nbcore
