#include "network/network.hpp"

#include <algorithm>

namespace nbcore {

template <class Real> void Engine<Real>::pack(const double* parameters, Buffer<Real>& packed) const {
  packed.resize(n_weights + n_copies);
  const auto write = [&](const std::vector<Packed>& order, const double* from, Real* to) {
    for (const Packed& p : order) *to++ = Real(p.index < 0 ? p.scale : p.scale * from[p.index]);
  };
  for (const Step& s : steps) {
    write(s.gate->packing, parameters + s.parameters, packed.data() + s.weights);
    write(s.gate->copies, parameters + s.parameters, packed.data() + n_weights + s.copies);
  }
}

template <class Real> void Engine<Real>::unpack_adjoint(const Real* weights_bar, double* gradient) const {
  for (const Step& s : steps) {
    const Real* from = weights_bar + s.weights;
    for (const Packed& p : s.gate->packing) {
      if (p.index >= 0) gradient[s.parameters + p.index] += p.scale * double(*from);
      ++from;
    }
  }
}

template struct Engine<double>;
template struct Engine<float>;

template <class Real> Engine<Real> Network::make_engine(bool describe) {
  Engine<Real> e;
  Surroundings around;
  around.n_species = n_species_;
  const std::string parity = program_.get<std::string>("parity", "o3");
  if (parity != "o3" && parity != "so3")
    throw InputError(message("parity must be \"o3\" or \"so3\", got \"", parity, "\""));
  around.o3 = parity == "o3";
  std::int64_t parameters = 0;
  std::vector<std::vector<Part>> parts;
  std::vector<std::string> names;
  for (const Options& spec : program_.get<std::vector<Options>>("gates", {})) {
    const std::string name = spec.get<std::string>("name", "");
    if (name.empty()) throw InputError(message("a gate has no name: ", spec.text()));
    if (std::find(names.begin(), names.end(), name) != names.end())
      throw InputError(message("two gates are called \"", name, "\""));
    typename Engine<Real>::Step step;
    std::vector<std::vector<Part>> inputs;
    for (const std::string& input : spec.get<std::vector<std::string>>("inputs", {})) {
      const auto found = std::find(names.begin(), names.end(), input);
      if (found == names.end())
        throw InputError(message("gate ", name, ": its input \"", input, "\" is not the name of an earlier gate"));
      step.inputs.push_back(int(found - names.begin()));
      inputs.push_back(parts[step.inputs.back()]);
    }
    step.gate = make_gate<Real>(spec, inputs, around);
    step.output = int(names.size());
    step.level = 1;
    for (int input : step.inputs)
      step.level = std::max(step.level, e.steps[input].level + (step.gate->aggregates ? 1 : 0));
    step.parameters = parameters;
    for (const ParameterInfo& p : step.gate->parameters) {
      if (describe) slices_.push_back({name + "." + p.name, parameters, p.shape, p.deviation});
      parameters += p.size();
    }
    step.weights = e.n_weights, step.copies = e.n_copies;
    e.n_weights += padded<Real>(int(step.gate->packing.size()));
    e.n_copies += padded<Real>(int(step.gate->copies.size()));
    names.push_back(name), parts.push_back(step.gate->output);
    e.layouts.emplace_back(step.gate->output);
    e.steps.push_back(std::move(step));
  }
  e.l_harmonics = around.l_harmonics, e.radials = around.radials;
  if (!describe) return e;

  n_parameters_ = parameters;
  if (names.empty()) throw InputError("the program has no gates");
  for (std::size_t k = 0; k < names.size(); ++k) {
    slots_.push_back({names[k], parts[k], e.steps[k].level, false});
    levels_ = std::max(levels_, e.steps[k].level);
    for (int input : e.steps[k].inputs)
      if (slots_[input].level < e.steps[k].level) slots_[input].persistent = true;
  }
  for (const std::string& name : program_.get<std::vector<std::string>>("readout", {})) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) throw InputError(message("readout: \"", name, "\" is not the name of a gate"));
    const std::vector<Part>& p = parts[found - names.begin()];
    if (p.size() != 1 || p[0].l != 0 || p[0].parity < 0 || p[0].channels() != 1)
      throw InputError(message("readout: \"", name, "\" must be one scalar of even parity per atom"));
    readout_.push_back(int(found - names.begin()));
  }
  if (readout_.empty()) throw InputError("the program has no readout");
  return e;
}

Network::Network(const Options& program, int n_species) : program_(program), n_species_(n_species) {
  double_ = make_engine<double>(true);
  float_ = make_engine<float>(false);
}

double Network::cutoff() const {
  double cutoff = 0;
  for (const Radial& r : double_.radials) cutoff = std::max(cutoff, r.cutoff);
  return cutoff;
}

template <> const Engine<double>& Network::engine<double>() const { return double_; }
template <> const Engine<float>& Network::engine<float>() const { return float_; }

}  // namespace nbcore
