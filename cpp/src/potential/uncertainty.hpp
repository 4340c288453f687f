// How far a potential trusts itself, from the features f_i of its last layer (network/last_layer.hpp) or from the spread
// of a committee:
//
//   leverage of atom i of element z   h_i = f_i^T C_z^-1 f_i = |W_z f_i|^2     C_z: mean of f f^T over the training's
//                                                                            atoms of z, a little regularised
//   expected error of a force component on atom i   u_i = a_z sqrt(h_i), or a_z times the RMS spread of its components
//   expected error of the energy                    u = b sqrt(sum of u_i^2)
//   extrapolation grade of atom i                   h_i / largest h of z in training
//
// a_z and b are such that u_i and u have the size of the errors on the validation data.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <vector>

#include "gates/options.hpp"

namespace nbcore {

struct Uncertainty {
  double energy = 0;           // eV
  std::vector<double> forces;  // eV/Angstrom, per atom
  std::vector<double> grades;  // per atom; empty for a committee
};

struct UncertaintyScales {
  double energy = 1;           // b, Angstrom
  std::vector<double> forces;  // a_z, per species: eV/Angstrom; of a committee without unit

  /// Sizes per atom (sqrt(h_i), or spreads) -> uncertainties
  Uncertainty of(std::vector<double> sizes, std::span<const int> species) const;
};

struct LastLayerUncertainty {
  UncertaintyScales scales;
  std::vector<double> largest;    // h in training, per species
  std::vector<double> whitening;  // W_z, [species][feature][feature]

  /// features: [atom][feature]
  Uncertainty of(std::span<const double> features, std::span<const int> species) const;
};

/// {"kind": "last_layer", "energy": b, "forces": {symbol: a_z}, "largest": {symbol: h}}; InputError where it is none, or
/// is for other elements. The whitening stands in an array of the model file.
LastLayerUncertainty last_layer_uncertainty(const Options& description, std::span<const int> species,
                                            std::span<const double> whitening, int n_features);
/// {"kind": "committee", "energy": b, "forces": {symbol: a_z}}
UncertaintyScales committee_scales(const Options& description, std::span<const int> species);
nlohmann::json as_json(const LastLayerUncertainty& u, std::span<const int> species);

}  // namespace nbcore
