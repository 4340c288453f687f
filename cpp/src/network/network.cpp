#include "network/network.hpp"

#include <algorithm>

namespace nbcore {

std::vector<PackedRun> runs_of(const std::vector<Packed>& order) {
  std::vector<PackedRun> runs;
  for (const Packed& p : order) {
    PackedRun* run = runs.empty() ? nullptr : &runs.back();
    bool fits = run && run->scale == p.scale && (run->index < 0) == (p.index < 0);
    if (fits && p.index >= 0) {
      if (run->count == 1) run->stride = p.index - run->index;
      fits = p.index == run->index + run->count * run->stride;
    }
    if (fits) ++run->count;
    else runs.push_back({p.index, 0, 1, p.scale});
  }
  return runs;
}

template <class Real> void Engine<Real>::pack(const double* parameters, Buffer<Real>& packed) const {
  packed.resize(n_weights + n_copies);
  const auto write = [](const std::vector<PackedRun>& runs, const double* from, Real* to) {
    for (const PackedRun& run : runs) {
      if (run.index < 0) std::fill(to, to + run.count, Real(run.scale));
      else
        for (int k = 0; k < run.count; ++k) to[k] = Real(run.scale * from[run.index + k * run.stride]);
      to += run.count;
    }
  };
  for (const Step& s : steps) {
    write(s.weight_runs, parameters + s.parameters, packed.data() + s.weights);
    write(s.copy_runs, parameters + s.parameters, packed.data() + n_weights + s.copies);
  }
}

template <class Real> void Engine<Real>::unpack_adjoint(const Real* weights_bar, double* gradient) const {
  for (const Step& s : steps) {
    const Real* from = weights_bar + s.weights;
    for (const PackedRun& run : s.weight_runs) {
      if (run.index >= 0)
        for (int k = 0; k < run.count; ++k)
          gradient[s.parameters + run.index + k * run.stride] += run.scale * double(from[k]);
      from += run.count;
    }
  }
}

template struct Engine<double>;
template struct Engine<float>;

namespace {
template <class Real> bool same_parameters(const Gate<Real>& a, const Gate<Real>& b) {
  return std::equal(a.parameters.begin(), a.parameters.end(), b.parameters.begin(), b.parameters.end(),
                    [](const ParameterInfo& p, const ParameterInfo& q) { return p.shape == q.shape; });
}
}  // namespace

void Network::read_sets(int n_species) {
  sets_ = {{"atoms", 0, n_species}};
  for (const Options& spec : program_.get<std::vector<Options>>("sets", {})) {
    Set set{spec.get<std::string>("name"), 0, spec.whole("classes", 1, 1, 1000)};
    set.children = set_called(spec.get<std::string>("children", "atoms"), message("set ", set.name, ": its children"));
    for (const Set& other : sets_)
      if (other.name == set.name) throw InputError(message("two sets are called \"", set.name, "\""));
    sets_.push_back(set);
  }
}

int Network::set_called(const std::string& name, const std::string& where) const {
  for (std::size_t k = 0; k < sets_.size(); ++k)
    if (sets_[k].name == name) return int(k);
  throw InputError(message(where, " \"", name, "\" are neither the atoms nor an earlier set of the program"));
}

/// The first level from `at_least` on where a gate fits: the same nodes and, if it aggregates, the same relation.
int Network::level_of(int set, bool aggregates, int relation, int at_least) {
  for (int k = std::max(at_least, 1); k <= levels(); ++k)
    if (level(k).set == set && (!aggregates || level(k).relation == relation)) return k;
  levels_.push_back({set, relation});
  return levels();
}

bool Network::uses(int relation) const {
  return std::any_of(levels_.begin(), levels_.end(), [&](const Level& l) { return l.relation == relation; });
}

std::vector<int> Network::read_by_parents(int level) const {
  std::vector<int> slots;
  for (int k = 0; k < int(slots_.size()); ++k)
    if (level > 0 && slots_[k].level == level &&
        std::any_of(double_.steps.begin(), double_.steps.end(), [&](const auto& step) {
          return step.gate && step.gate->aggregates && std::count(step.inputs.begin(), step.inputs.end(), k) > 0;
        }))
      slots.push_back(k);
  return slots;
}

template <class Real> Engine<Real> Network::make_engine(bool describe) {
  Engine<Real> e;
  e.wanted.resize(2 * sets_.size());
  const std::string parity = program_.get<std::string>("parity", "o3");
  if (parity != "o3" && parity != "so3")
    throw InputError(message("parity must be \"o3\" or \"so3\", got \"", parity, "\""));
  levels_.clear();
  std::int64_t parameters = 0;
  std::vector<std::vector<Part>> parts;
  std::vector<std::string> names;
  std::vector<int> sets;
  const auto find = [&](const std::string& name) {
    return std::size_t(std::find(names.begin(), names.end(), name) - names.begin());
  };
  for (const Options& spec : program_.get<std::vector<Options>>("gates", {})) {
    const std::string name = spec.get<std::string>("name", "");
    if (name.empty()) throw InputError(message("a gate has no name: ", spec.text()));
    if (find(name) < names.size()) throw InputError(message("two gates are called \"", name, "\""));
    if (spec.get<std::string>("gate", "") == "leaf") {
      typename Engine<Real>::Step step;
      step.output = int(names.size()), step.level = 0, step.parameters = parameters;
      step.weights = e.n_weights, step.copies = e.n_copies;
      const int l = spec.whole("l", 0, 0, max_l_network), p = spec.whole("parity", l % 2 ? -1 : 1, -1, 1);
      if (p == 0) throw InputError(message("leaf ", name, ": parity must be -1 or 1, got 0"));
      parts.push_back({{l, parity == "o3" ? p : 0, 1, spec.whole("channels", 1, 1, 4096)}});
      names.push_back(name), sets.push_back(0);
      e.layouts.emplace_back(parts.back());
      e.steps.push_back(std::move(step));
      continue;
    }
    const int set = set_called(spec.get<std::string>("nodes", "atoms"), message("gate ", name, ": its nodes"));
    const int children = sets_[set].children;
    typename Engine<Real>::Step step;
    std::vector<std::vector<Part>> inputs;
    for (const std::string& input : spec.get<std::vector<std::string>>("inputs", {})) {
      const std::size_t found = find(input);
      if (found == names.size())
        throw InputError(message("gate ", name, ": its input \"", input, "\" is not the name of an earlier gate"));
      step.inputs.push_back(int(found));
      inputs.push_back(parts[found]);
    }
    Surroundings around;
    around.n_species = sets_[set].n_species, around.n_child_species = sets_[children].n_species;
    around.own_children = children == set;
    around.o3 = parity == "o3";
    const bool pairs = gate_type(spec).pairs;
    const int relation = 2 * set + (pairs ? 1 : 0);
    around.l_harmonics = e.wanted[relation].l_harmonics, around.radials = e.wanted[relation].radials;
    step.gate = make_gate<Real>(spec, inputs, around);
    e.wanted[relation] = {around.l_harmonics, around.radials};
    const bool aggregates = step.gate->aggregates;
    if (pairs && set == 0)
      throw InputError(message("gate ", name, ": the energy would jump where a neighbour passes the cutoff; pairs of ",
                               "children are for sets of a composition scheme"));
    step.output = int(names.size());
    int at_least = 1;
    for (int input : step.inputs) {
      if (sets[input] != (aggregates ? children : set))
        throw InputError(message("gate ", name, ": its input ", names[input], " is a state of \"",
                                 sets_[sets[input]].name, "\", expected is one of \"",
                                 sets_[aggregates ? children : set].name, "\""));
      at_least = std::max(at_least, e.steps[input].level + (aggregates ? 1 : 0));
    }
    step.level = level_of(set, aggregates, relation, at_least);
    step.parameters = parameters;
    if (const std::string other = spec.get<std::string>("weights", ""); !other.empty()) {
      const std::size_t found = find(other);
      if (found == names.size() || !e.steps[found].gate || !same_parameters(*step.gate, *e.steps[found].gate))
        throw InputError(message(
            "gate ", name, ": \"weights\" must name an earlier gate with the same parameters, got \"", other, "\""));
      step.parameters = e.steps[found].parameters;
    } else {
      for (const ParameterInfo& p : step.gate->parameters) {
        if (describe) slices_.push_back({name + "." + p.name, parameters, p.shape, p.deviation});
        parameters += p.size();
      }
    }
    step.read_runs();
    step.weights = e.n_weights, step.copies = e.n_copies;
    e.n_weights += padded<Real>(int(step.gate->packing.size()));
    e.n_copies += padded<Real>(int(step.gate->copies.size()));
    names.push_back(name), parts.push_back(step.gate->output), sets.push_back(set);
    e.layouts.emplace_back(step.gate->output);
    e.steps.push_back(std::move(step));
  }
  if (!describe) return e;

  for (std::size_t k = 0; k < e.wanted.size(); ++k)
    for (const RadialSet& set : e.wanted[k].radials) {
      const Radial& r = set.radial;
      if (k == 0 && r.envelope == Envelope::none)
        throw InputError("radial: a basis of neighbours needs an envelope, or the energy jumps at the cutoff");
      const Radial& first = e.wanted[k].radials[0].radial;
      if ((r.basis == Basis::solid) != (first.basis == Basis::solid) ||
          (r.basis == Basis::solid && r.cutoff != first.cutoff))
        throw InputError(message("the gates of \"", sets_[k / 2].name,
                                 "\" must have the basis solid all, with the same cutoff, or none of them"));
    }
  n_parameters_ = parameters;
  if (names.empty()) throw InputError("the program has no gates");
  for (std::size_t k = 0; k < names.size(); ++k) {
    slots_.push_back({names[k], parts[k], sets[k], e.steps[k].level, false});
    for (int input : e.steps[k].inputs)
      if (slots_[input].level < e.steps[k].level) slots_[input].persistent = true;
  }
  for (const std::string& name : program_.get<std::vector<std::string>>("readout", {})) {
    const std::size_t found = find(name);
    if (found == names.size() || !e.steps[found].gate)
      throw InputError(message("readout: \"", name, "\" is not the name of a gate"));
    const std::vector<Part>& p = parts[found];
    if (p.size() != 1 || p[0].l != 0 || p[0].parity < 0 || p[0].channels() != 1)
      throw InputError(message("readout: \"", name, "\" must be one scalar of even parity per node"));
    readout_.push_back(int(found));
  }
  read_outputs();
  if (readout_.empty() && outputs_.empty()) throw InputError("the program has no readout");
  return e;
}

void Network::read_outputs() {
  const Options outputs = program_.get<Options>("outputs", Options());
  for (const std::string& name : outputs.keys()) {
    const Options spec = outputs.get<Options>(name);
    const std::string from = spec.get<std::string>("slot"), per = spec.get<std::string>("per", "structure");
    const auto refuse = [&](const auto&... why) { throw InputError(message("output ", name, ": ", why...)); };
    const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.name == from; });
    if (found == slots_.end()) refuse("\"", from, "\" is not the name of a gate");
    if (per != "structure" && per != "atom") refuse("per must be \"structure\" or \"atom\", got \"", per, "\"");
    if (per == "atom" && found->set != 0) refuse("\"", from, "\" is no state of the atoms");
    int width = 0;
    for (const Part& p : found->parts) {
      if (p.channels() != 1) refuse("part l = ", p.l, " of \"", from, "\" must have one channel, has ", p.channels());
      width += p.dim();
    }
    const bool charges = spec.get("charges", false);
    if (charges && (width != 4 || found->parts[0].l != 0 || per == "atom" || found->set != 0))
      refuse("charges need one l = 0 and one l = 1 part of the atoms, and an output per structure");
    outputs_.push_back({name, int(found - slots_.begin()), per == "atom", charges, width, charges ? 3 : width});
  }
}

Network::Network(const Options& program, int n_species) : program_(program) {
  read_sets(n_species);
  double_ = make_engine<double>(true);
  float_ = make_engine<float>(false);
}

double Network::cutoff() const {
  double cutoff = 0;
  for (const RadialSet& r : double_.wanted[0].radials) cutoff = std::max(cutoff, r.radial.cutoff);
  return cutoff;
}

std::vector<RadialSplines> Network::splines(const double* parameters) const {
  std::vector<RadialSplines> all(double_.wanted.size());
  for (std::size_t k = 0; k < all.size(); ++k) all[k].resize(double_.wanted[k].radials.size());
  each_radial_network([&](const auto& step, const RadialNetwork<double>& n, int relation) {
    const Radial& radial = double_.wanted[relation].radials[n.set()].radial;
    if (radial.envelope == Envelope::none) return;  // no end to its distances
    auto spline = std::make_shared<const RadialSpline>(radial, n.matrices(parameters + step.parameters));
    if (spline->usable()) all[relation][n.set()] = std::move(spline);
  });
  return all;
}

template <> const Engine<double>& Network::engine<double>() const { return double_; }
template <> const Engine<float>& Network::engine<float>() const { return float_; }

}  // namespace nbcore
