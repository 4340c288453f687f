#include "gates/gate.hpp"

namespace nbcore {

std::map<std::string, GateType>& gate_types() {
  static std::map<std::string, GateType> types;
  return types;
}

template <class Real> std::unique_ptr<Gate<Real>> make_gate(const Json& spec,
                                                            const std::vector<std::vector<Part>>& inputs,
                                                            Surroundings& around) {
  const std::string name = option<std::string>(spec, "gate", "");
  const auto found = gate_types().find(name);
  if (found == gate_types().end()) {
    std::string names;
    for (const auto& [key, unused] : gate_types()) names += (names.empty() ? "" : ", ") + key;
    throw InputError(message("gate \"", name, "\" is not known; there are ", names));
  }
  for (const auto& [key, unused] : spec.items())
    if (key != "gate" && key != "name" && key != "inputs" && !found->second.options.contains(key))
      throw InputError(message("gate ", spec.value("name", "?"), " (", name, "): no option \"", key, "\"; it has ",
                               found->second.options.dump()));
  if constexpr (std::is_same_v<Real, double>) return found->second.make_double(spec, inputs, around);
  else return found->second.make_float(spec, inputs, around);
}

template std::unique_ptr<Gate<double>> make_gate<double>(const Json&, const std::vector<std::vector<Part>>&,
                                                         Surroundings&);
template std::unique_ptr<Gate<float>> make_gate<float>(const Json&, const std::vector<std::vector<Part>>&,
                                                       Surroundings&);

Radial radial_option(const Json& spec) {
  const Json r = option<Json>(spec, "radial", Json::object());
  Radial s;
  try {
    for (const auto& [key, value] : r.items()) {
      if (key == "basis") s.basis = basis_from(value.get<std::string>());
      else if (key == "n") s.n = value.get<int>();
      else if (key == "cutoff") s.cutoff = value.get<double>();
      else if (key == "decay") s.decay = value.get<double>();
      else if (key == "r_min") s.r_min = value.get<double>();
      else if (key == "envelope") s.envelope = envelope_from(value.get<std::string>());
      else if (key == "smoothness") s.smoothness = value.get<int>();
      else if (key == "power") s.power = value.get<int>();
      else
        throw InputError(message("radial basis: no option \"", key,
                                 "\"; there are basis, n, cutoff, decay, r_min, envelope, power, smoothness"));
    }
  } catch (const Json::exception& e) {
    throw InputError(message("radial basis: ", e.what()));
  }
  s.check();
  return s;
}

}  // namespace nbcore
