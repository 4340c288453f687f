#include "potential/uncertainty.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "potential/potential.hpp"

namespace nbcore {

namespace {

std::vector<double> by_element(const Options& u, const std::string& key, std::span<const int> species) {
  const Options given = u.get<Options>(key);
  std::vector<double> values;
  for (int z : species) {
    const double value = given.get<double>(chemical_symbol(z));
    if (!(value > 0 && std::isfinite(value)))
      throw InputError(message("uncertainty: ", key, " of ", chemical_symbol(z), " must be positive, got ", value));
    values.push_back(value);
  }
  if (given.keys().size() != species.size())
    throw InputError(message("uncertainty: ", key, " holds other elements than the potential"));
  return values;
}

UncertaintyScales scales_of(const Options& u, const std::string& kind, std::span<const int> species) {
  if (const std::string found = u.get<std::string>("kind"); found != kind)
    throw InputError(message("uncertainty: kind must be \"", kind, "\" here, got \"", found, "\""));
  const double energy = u.get<double>("energy");
  if (!(energy > 0 && std::isfinite(energy)))
    throw InputError(message("uncertainty: energy must be positive, got ", energy));
  return {energy, by_element(u, "forces", species)};
}

}  // namespace

Uncertainty UncertaintyScales::of(std::vector<double> sizes, std::span<const int> species) const {
  Uncertainty u;
  double sum = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    sizes[i] *= forces[species[i]];
    sum += sizes[i] * sizes[i];
  }
  u.energy = energy * std::sqrt(sum), u.forces = std::move(sizes);
  if (!std::isfinite(u.energy)) throw NumericsError("the uncertainty is not finite: the structure is out of hand");
  return u;
}

Uncertainty LastLayerUncertainty::of(std::span<const double> features, std::span<const int> species) const {
  std::vector<double> sizes(species.size()), grades(species.size());
  const std::size_t n = species.empty() ? 0 : features.size() / species.size();
  for (std::size_t i = 0; i < species.size(); ++i) {
    const double *f = features.data() + i * n, *W = whitening.data() + species[i] * n * n;
    double h = 0;
    for (std::size_t k = 0; k < n; ++k, W += n) {
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j) sum += W[j] * f[j];
      h += sum * sum;
    }
    sizes[i] = std::sqrt(h), grades[i] = h / largest[species[i]];
  }
  Uncertainty u = scales.of(std::move(sizes), species);
  u.grades = std::move(grades);
  return u;
}

LastLayerUncertainty last_layer_uncertainty(const Options& u, std::span<const int> species,
                                            std::span<const double> whitening, int n_features) {
  const UncertaintyScales scales = scales_of(u, "last_layer", species);
  if (n_features == 0) throw InputError("uncertainty: the energy of this potential is not linear in its last layer");
  const std::size_t size = species.size() * std::size_t(n_features) * std::size_t(n_features);
  if (whitening.size() != size)
    throw InputError(message("uncertainty: the whitening must have ", size, " numbers, [", species.size(), "][",
                             n_features, "][", n_features, "], got ", whitening.size()));
  for (double w : whitening)
    if (!std::isfinite(w)) throw NonFiniteError("uncertainty: a number of the whitening is not finite");
  return {scales, by_element(u, "largest", species), {whitening.begin(), whitening.end()}};
}

UncertaintyScales committee_scales(const Options& u, std::span<const int> species) {
  return scales_of(u, "committee", species);
}

nlohmann::json as_json(const LastLayerUncertainty& u, std::span<const int> species) {
  nlohmann::json json{{"kind", "last_layer"}, {"energy", u.scales.energy}};
  for (std::size_t k = 0; k < species.size(); ++k) {
    const std::string symbol = chemical_symbol(species[k]);
    json["forces"][symbol] = u.scales.forces[k], json["largest"][symbol] = u.largest[k];
  }
  return json;
}

}  // namespace nbcore
