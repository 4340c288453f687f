#include "gates/gate.hpp"

#include <cmath>

namespace nbcore {

std::map<std::string, GateType>& gate_types() {
  static std::map<std::string, GateType> types;
  return types;
}

const GateType& gate_type(const Options& spec) {
  const std::string name = spec.get<std::string>("gate", "");
  const auto found = gate_types().find(name);
  if (found == gate_types().end()) {
    std::string names;
    for (const auto& [key, unused] : gate_types()) names += (names.empty() ? "" : ", ") + key;
    throw InputError(message("gate \"", name, "\" is not known; there are ", names));
  }
  const Options known(found->second.options);
  for (const std::string& key : spec.keys())
    if (key != "gate" && key != "name" && key != "inputs" && key != "nodes" && key != "weights" && !known.has(key))
      throw InputError(message("gate ", spec.get<std::string>("name", "?"), " (", name, "): no option \"", key,
                               "\"; it has ", known.text()));
  return found->second;
}

template <class Real> std::unique_ptr<Gate<Real>> make_gate(const Options& spec,
                                                            const std::vector<std::vector<Part>>& inputs,
                                                            Surroundings& around) {
  const GateType& type = gate_type(spec);
  const std::size_t before = around.radials.size();
  std::unique_ptr<Gate<Real>> gate;
  if constexpr (std::is_same_v<Real, double>) gate = type.make_double(spec, inputs, around);
  else gate = type.make_float(spec, inputs, around);
  for (std::size_t k = before; k < around.radials.size(); ++k)  // behind what the gate has by itself
    if (const RadialSet& set = around.radials[k]; set.base >= 0)
      gate->networks.emplace_back(set, int(k), gate->parameters, gate->packing, gate->copies);
  return gate;
}

template std::unique_ptr<Gate<double>> make_gate<double>(const Options&, const std::vector<std::vector<Part>>&,
                                                         Surroundings&);
template std::unique_ptr<Gate<float>> make_gate<float>(const Options&, const std::vector<std::vector<Part>>&,
                                                       Surroundings&);

Radial radial_option(const Options& spec) {
  const Options r = spec.get<Options>("radial", Options());
  Radial s;
  try {
    for (const std::string& key : r.keys()) {
      if (key == "basis") s.basis = basis_from(r.get<std::string>(key));
      else if (key == "n") s.n = r.get<int>(key);
      else if (key == "cutoff") s.cutoff = r.get<double>(key);
      else if (key == "decay") s.decay = r.get<double>(key);
      else if (key == "r_min") s.r_min = r.get<double>(key);
      else if (key == "first") s.first = r.get<int>(key);
      else if (key == "envelope") s.envelope = envelope_from(r.get<std::string>(key));
      else if (key == "smoothness") s.smoothness = r.get<int>(key);
      else if (key == "power") s.power = r.get<int>(key);
      else if (key == "layers") {
        const std::vector<double> widths = r.get<std::vector<double>>(key);
        if (widths.size() > max_radial_layers)
          throw InputError(message("layers: at most ", max_radial_layers, ", got ", widths.size()));
        for (std::size_t k = 0; k < widths.size(); ++k) {
          if (widths[k] != std::floor(widths[k]) || widths[k] < 1 || widths[k] > max_radial)
            throw InputError(message("layers: widths are whole numbers from 1 to ", max_radial, ", got ", widths[k]));
          s.layers[k] = int(widths[k]);
        }
      } else
        throw InputError(message("no option \"", key, "\"; there are basis, n, cutoff, decay, r_min, first, envelope, ",
                                 "power, smoothness, layers"));
    }
    s.check();
  } catch (const InputError& e) {
    throw InputError(message("gate ", spec.get<std::string>("name", "?"), ", radial: ", e.what()));
  }
  return s;
}

}  // namespace nbcore
