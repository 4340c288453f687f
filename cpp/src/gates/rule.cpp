#include "gates/rule.hpp"

#include "gates/gate.hpp"

namespace nbcore {

const GateType& gate_type(const Options& spec) {
  const std::string name = spec.get<std::string>("gate", "");
  std::string names;
  for (const GateType* type : gate_types()) {
    if (type->name == name) return *type;
    names += (names.empty() ? "" : ", ") + type->name;
  }
  throw InputError(message("gate \"", name, "\" is not known; there are ", names));
}

void check_state(std::span<const Part> parts, bool o3) {
  if (parts.empty()) throw InputError("a state needs at least one part");
  if (parts.size() > std::size_t(most_parts))
    throw InputError(message("a state has at most ", most_parts, " parts, here are ", parts.size()));
  std::int64_t numbers = 0;
  for (const Part& p : parts) {
    if (p.l < 0 || p.l > max_l_network)
      throw InputError(message("l of a part must be 0 to ", max_l_network, ", got ", p.l));
    if (o3 ? p.parity != 1 && p.parity != -1 : p.parity != 0)
      throw InputError(
          message("the parity of a part must be ", o3 ? "1 or -1" : "0, it is not tracked", ", got ", p.parity));
    if (p.groups < 1 || p.group < 1 || std::int64_t(p.groups) * p.group > most_channels)
      throw InputError(message("a part has 1 to ", most_channels, " channels, got ", p.groups, " groups of ", p.group));
    if (p.groups % p.planes()) throw InputError(message("the groups of a complex part come in pairs, got ", p.groups));
    numbers += std::int64_t(p.dim()) * p.channels();
  }
  if (numbers > most_numbers)
    throw InputError(message("a state has at most ", most_numbers, " numbers per node, here are ", numbers));
}

void GateRule::count_terms(std::int64_t n) {
  if ((terms += n) > most_terms)
    throw InputError(message("it would have more than ", most_terms, " paths or products: fewer l, parts or inputs"));
}

std::int64_t GateRule::first_of_network(int radial) const {
  std::int64_t first = n_parameters();
  for (std::size_t k = radials.size(); k-- > std::size_t(radial);)
    for (const ParameterInfo& p : network_parameters(radials[k])) first -= p.size();
  return first;
}

std::unique_ptr<GateRule> make_rule(const Options& spec, const States& inputs, const Surroundings& around) {
  const GateType& type = gate_type(spec);
  try {
    const OptionValues options(spec, type.options, {"gate", "name", "inputs", "nodes", "weights"});
    std::unique_ptr<GateRule> rule = type.rule(options, inputs, around);
    rule->type = &type;
    for (Radial& r : rule->radials) {
      if (r.transformed() && int(r.radii.size()) != around.n_child_species)
        throw InputError(message("radial: radii must be ", around.n_child_species, " numbers, one per element, got ",
                                 r.radii.size()));
      if (r.sees_elements() && !around.own_children)
        throw InputError("radial: functions that see elements are for atoms alone");
      if (r.normalised) r.n_species = around.n_child_species;
    }
    for (const Radial& r : rule->radials)
      for (ParameterInfo& p : network_parameters(r)) rule->parameters.push_back(std::move(p));
    check_state(rule->output, around.o3);
    return rule;
  } catch (const InputError& e) {
    throw InputError(message("gate ", spec.get<std::string>("name", "?"), " (", type.name, "): ", e.what()));
  }
}

std::vector<RadialPlace> add_radials(const GateRule& rule, std::vector<RadialSet>& all) {
  const auto basis = [&](const Radial& r) {
    for (std::size_t k = 0; k < all.size(); ++k)
      if (all[k].radial == r) return int(k);
    all.push_back({r});
    return int(all.size()) - 1;
  };
  std::vector<RadialPlace> places;
  for (const Radial& r : rule.radials) {
    if (r.network()) {
      const int base = basis(r.basis_alone());
      all.push_back({r, base});
      places.push_back({int(all.size()) - 1, base});
    } else {
      places.push_back({basis(r), -1});
      all[places.back().set].read = true;
    }
  }
  return places;
}

template <class Real> std::unique_ptr<GateKernels<Real>> make_kernels(const GateRule& rule, const States& inputs,
                                                                      std::span<const RadialPlace> radials) {
  std::unique_ptr<GateKernels<Real>> kernels;
  if constexpr (std::is_same_v<Real, double>) kernels = rule.type->kernels_double(rule, inputs, radials);
  else kernels = rule.type->kernels_float(rule, inputs, radials);
  for (std::size_t k = 0; k < rule.radials.size(); ++k)
    if (rule.radials[k].network())
      kernels->networks.emplace_back(rule.radials[k], radials[k].set, radials[k].base, rule.first_of_network(int(k)),
                                     kernels->packing, kernels->copies);
  return kernels;
}
template std::unique_ptr<GateKernels<double>> make_kernels(const GateRule&, const States&,
                                                           std::span<const RadialPlace>);
template std::unique_ptr<GateKernels<float>> make_kernels(const GateRule&, const States&, std::span<const RadialPlace>);

}  // namespace nbcore
