#include "network/network.hpp"

#include <cctype>

#include "base/threads.hpp"

namespace nbcore {

namespace {

// What a program may have at most. Rules are small, and so is the file that asks for many of them.
constexpr std::size_t most_gates = 10'000, most_sets = 1'000;
constexpr std::int64_t most_terms_in_all = 4 * most_terms, most_parts_in_all = 1 << 17,
                       most_parameters = std::int64_t(1) << 31;

const OptionTable leaf_options = {
    whole("l", 0, 0, max_l_network, "angular momentum of the leaf state"),
    whole_if_given("parity", -1, 1, "1 or -1; (-1)^l where it is not given"),
    whole("channels", 1, 1, 4096, "channels of the leaf state"),
};
const OptionTable set_options = {
    whole("classes", 1, 1, 1000, "classes of nodes, between which weights may differ"),
};

/// A name of a gate or set: it stands in files and messages
std::string name_in(const Options& spec, const char* what) {
  const std::string name = spec.get<std::string>("name", "");
  if (name.empty()) throw InputError(message(what, " has no name"));
  if (name.size() > 200 || std::any_of(name.begin(), name.end(), [](unsigned char c) { return std::iscntrl(c); }))
    throw InputError(message("the name of ", what, " must be at most 200 letters, none of them a control character"));
  return name;
}

bool same_parameters(const GateRule& a, const GateRule& b) {
  return std::equal(a.parameters.begin(), a.parameters.end(), b.parameters.begin(), b.parameters.end(),
                    [](const ParameterInfo& p, const ParameterInfo& q) { return p.shape == q.shape; });
}

}  // namespace

Network::Network(const Options& program, int n_species) {
  for (const std::string& key : program.keys())
    if (key != "gates" && key != "readout" && key != "outputs" && key != "parity" && key != "sets")
      throw InputError(
          message("the program has no entry \"", key, "\"; there are gates, readout, outputs, parity and sets"));
  const std::string parity = program.get<std::string>("parity", "o3");
  if (parity != "o3" && parity != "so3")
    throw InputError(message("parity must be \"o3\" or \"so3\", got \"", parity, "\""));
  read_sets(program, n_species);
  const std::vector<Options> gates = program.get<std::vector<Options>>("gates", {});
  if (gates.empty()) throw InputError("the program has no gates");
  if (gates.size() > most_gates)
    throw InputError(message("a program has at most ", most_gates, " gates, this one has ", gates.size()));
  slots_.reserve(gates.size());
  for (const Options& spec : gates) read_gate(spec, parity == "o3");
  check_relations();
  for (std::size_t k = 0; k < slots_.size(); ++k)
    for (int input : slots_[k].inputs)
      if (slots_[input].level < slots_[k].level) slots_[input].persistent = true;
  read_readout(program), read_outputs(program);
  if (readout_.empty() && outputs_.empty()) throw InputError("the program has no readout");
}

Network::~Network() = default;

void Network::read_sets(const Options& program, int n_species) {
  const std::vector<Options> specs = program.get<std::vector<Options>>("sets", {});
  if (specs.size() > most_sets) throw InputError(message("a program has at most ", most_sets, " sets"));
  sets_ = {{"atoms", atom_set, n_species}};
  relations_ = {{RelationKind::neighbours, atom_set, atom_set, 0, {}}};
  set_numbers_ = {{"atoms", atom_set}};
  for (const Options& spec : specs) {
    const std::string name = name_in(spec, "a set");
    try {
      const int classes = OptionValues(spec, set_options, {"name", "children"}).whole("classes");
      const int children = set_called(spec.get<std::string>("children", "atoms"), "its children");
      if (!set_numbers_.emplace(name, int(sets_.size())).second)
        throw InputError(message("two sets are called \"", name, "\""));
      relations_.push_back({RelationKind::children, int(sets_.size()), children, 0, {}});
      relations_.push_back({RelationKind::pairs, int(sets_.size()), children, 0, {}});
      sets_.push_back({name, children, classes});
    } catch (const InputError& e) {
      throw InputError(message("set ", name, ": ", e.what()));
    }
  }
}

int Network::relation(RelationKind kind, int parents) const {
  for (std::size_t k = 0; k < relations_.size(); ++k)
    if (relations_[k].kind == kind && relations_[k].parents == parents) return int(k);
  return -1;
}

int Network::set_called(const std::string& name, const std::string& where) const {
  const auto found = set_numbers_.find(name);
  if (found != set_numbers_.end()) return found->second;
  throw InputError(message(where, " \"", name, "\" are neither the atoms nor an earlier set of the program"));
}

/// -1 where there is none
int Network::slot_called(const std::string& name) const {
  const auto found = slot_numbers_.find(name);
  return found == slot_numbers_.end() ? -1 : found->second;
}

/// The first level from `at_least` on where a gate fits: the same nodes and, if it reads edges, the same relation (-1:
/// it reads none).
int Network::level_of(int set, int relation, int at_least) {
  for (int k = std::max(at_least, 1); k <= levels(); ++k)
    if (level(k).set == set && (relation < 0 || level(k).relation == relation)) return k;
  levels_.push_back({set, relation >= 0 ? relation : this->relation(edges_of(set), set)});
  return levels();
}

bool Network::uses(int relation) const {
  return std::any_of(levels_.begin(), levels_.end(), [&](const Level& l) { return l.relation == relation; });
}

std::vector<int> Network::read_by_parents(int level) const {
  std::vector<int> found;
  for (int k = 0; k < int(slots_.size()); ++k)
    if (level > 0 && slots_[k].level == level && std::any_of(slots_.begin(), slots_.end(), [&](const Slot& s) {
          const bool of_children =
              s.rule && (s.rule->type->reads == Reads::children || s.rule->type->reads == Reads::pairs);
          return of_children && std::count(s.inputs.begin(), s.inputs.end(), k) > 0;
        }))
      found.push_back(k);
  return found;
}

void Network::add(Slot slot) {
  if ((n_parts_ += std::int64_t(slot.parts.size())) > most_parts_in_all)
    throw InputError(message("the states of a program have at most ", most_parts_in_all, " parts in all"));
  slot_numbers_.emplace(slot.name, int(slots_.size()));
  slots_.push_back(std::move(slot));
}

void Network::read_leaf(const Options& spec, const std::string& name, bool o3) {
  try {
    const OptionValues o(spec, leaf_options, {"gate", "name"});
    const int l = o.whole("l"), parity = o.has("parity") ? o.whole("parity") : l % 2 ? -1 : 1;
    if (parity == 0) throw InputError("parity must be -1 or 1, got 0");
    Slot slot;
    slot.name = name, slot.set = atom_set, slot.level = 0, slot.parameters = n_parameters_;
    slot.parts = {{l, o3 ? parity : 0, 1, o.whole("channels")}};
    add(std::move(slot));
  } catch (const InputError& e) {
    throw InputError(message("leaf ", name, ": ", e.what()));
  }
}

States Network::inputs_of(const Slot& slot) const {
  States inputs;
  for (int input : slot.inputs) inputs.push_back(slots_[input].parts);
  return inputs;
}

void Network::read_gate(const Options& spec, bool o3) {
  const std::string name = name_in(spec, "a gate");
  if (slot_called(name) >= 0) throw InputError(message("two gates are called \"", name, "\""));
  if (spec.get<std::string>("gate", "") == "leaf") return read_leaf(spec, name, o3);
  const auto refuse = [&](const auto&... why) { throw InputError(message("gate ", name, ": ", why...)); };

  Slot slot;
  slot.name = name;
  slot.set = set_called(spec.get<std::string>("nodes", "atoms"), message("gate ", name, ": its nodes"));
  for (const std::string& input : spec.get<std::vector<std::string>>("inputs", {})) {
    slot.inputs.push_back(slot_called(input));
    if (slot.inputs.back() < 0) refuse("its input \"", input, "\" is not the name of an earlier gate");
  }
  const int children = sets_[slot.set].children;
  const GateType& type = gate_type(spec);
  const Reads reads = type.reads;
  slot.on_edges =
      type.output_on_edges || (reads == Reads::nodes && !slot.inputs.empty() && slots_[slot.inputs[0]].on_edges);
  const bool on_edges = slot.on_edges && reads == Reads::nodes;  // all edges are alike
  const Surroundings around{on_edges ? 1 : sets_[slot.set].n_species, children == slot.set, sets_[children].n_species,
                            o3};
  slot.rule = make_rule(spec, inputs_of(slot), around);
  if (reads == Reads::pairs && slot.set == atom_set)
    refuse("the energy would jump where a neighbour passes the cutoff; pairs of children are for sets of a ",
           "composition scheme");
  if ((n_terms_ += slot.rule->terms) > most_terms_in_all)
    refuse("the gates of the program have more than ", most_terms_in_all, " paths or products in all");
  int at_least = 1;
  for (std::size_t k = 0; k < slot.inputs.size(); ++k) {
    const int input = slot.inputs[k];
    const bool own = reads == Reads::nodes || reads == Reads::edges;
    const bool of_edges = reads == Reads::edges ? type.inputs_on_edges >> k & 1 : on_edges;
    if (slots_[input].on_edges != of_edges)
      refuse("its input ", slots_[input].name, " is a state of ", slots_[input].on_edges ? "edges" : "nodes",
             ", expected is one of ", of_edges ? "edges" : "nodes");
    const int expected = own ? slot.set : children;
    if (slots_[input].set != expected)
      refuse("its input ", slots_[input].name, " is a state of \"", sets_[slots_[input].set].name,
             "\", expected is one of \"", sets_[expected].name, "\"");
    at_least = std::max(at_least, slots_[input].level + (own ? 0 : 1));
  }
  const int number = reads == Reads::nodes && !on_edges ? -1
                     : reads == Reads::pairs            ? relation(RelationKind::pairs, slot.set)
                                                        : relation(edges_of(slot.set), slot.set);
  slot.level = level_of(slot.set, number, at_least);
  for (int input : slot.inputs)
    if (slots_[input].on_edges && slots_[input].level != slot.level)
      refuse("its input ", slots_[input].name, " is a state of edges of an earlier level, which is not kept");
  if (number >= 0) {
    relations_[number].l_harmonics = std::max(relations_[number].l_harmonics, slot.rule->l_harmonics);
    slot.radials = add_radials(*slot.rule, relations_[number].radials);
  }
  slot.parts = slot.rule->output;
  slot.parameters = n_parameters_;
  if (const std::string other = spec.get<std::string>("weights", ""); !other.empty()) {
    const int found = slot_called(other);
    if (found < 0 || !slots_[found].rule || !same_parameters(*slot.rule, *slots_[found].rule))
      refuse("\"weights\" must name an earlier gate with the same parameters, got \"", other, "\"");
    slot.parameters = slots_[found].parameters;
  } else {
    for (const ParameterInfo& p : slot.rule->parameters) {
      slices_.push_back({name + "." + p.name, n_parameters_, p.shape, p.deviation});
      n_parameters_ += p.size();
    }
    if (n_parameters_ > most_parameters)
      refuse("with its parameters the network has ", n_parameters_, ", at most ", most_parameters, " are supported");
  }
  add(std::move(slot));
}

void Network::check_relations() const {
  for (const Relation& relation : relations_)
    for (const RadialSet& set : relation.radials) {
      const Radial &r = set.radial, &first = relation.radials[0].radial;
      if (relation.kind == RelationKind::neighbours && r.envelope == Envelope::none && !r.length() && !r.ends())
        throw InputError("radial: a basis of neighbours needs an envelope, or the energy jumps at the cutoff");
      if ((r.basis == Basis::solid) != (first.basis == Basis::solid) ||
          (r.basis == Basis::solid && r.cutoff != first.cutoff))
        throw InputError(message("the gates of \"", sets_[relation.parents].name,
                                 "\" must have the basis solid all, with the same cutoff, or none of them"));
    }
}

void Network::read_readout(const Options& program) {
  for (const std::string& name : program.get<std::vector<std::string>>("readout", {})) {
    const int found = slot_called(name);
    if (found < 0 || !slots_[found].rule)
      throw InputError(message("readout: \"", name, "\" is not the name of a gate"));
    const std::vector<Part>& p = slots_[found].parts;
    if (slots_[found].on_edges) throw InputError(message("readout: \"", name, "\" is a state of edges, not of nodes"));
    if (p.size() != 1 || p[0].l != 0 || p[0].parity < 0 || p[0].channels() != 1)
      throw InputError(message("readout: \"", name, "\" must be one scalar of even parity per node"));
    readout_.push_back(found), slots_[found].seeded = true;
  }
}

void Network::read_outputs(const Options& program) {
  const Options outputs = program.get<Options>("outputs", Options());
  for (const std::string& name : outputs.keys()) {
    const Options spec = outputs.get<Options>(name);
    const std::string from = spec.get<std::string>("slot"), per = spec.get<std::string>("per", "structure");
    const auto refuse = [&](const auto&... why) { throw InputError(message("output ", name, ": ", why...)); };
    const int found = slot_called(from);
    if (found < 0) refuse("\"", from, "\" is not the name of a gate");
    Slot& slot = slots_[found];
    if (per != "structure" && per != "atom") refuse("per must be \"structure\" or \"atom\", got \"", per, "\"");
    if (slot.on_edges) refuse("\"", from, "\" is a state of edges, not of nodes");
    if (per == "atom" && slot.set != atom_set) refuse("\"", from, "\" is no state of the atoms");
    int width = 0;
    for (const Part& p : slot.parts) {
      if (p.channels() != 1) refuse("part l = ", p.l, " of \"", from, "\" must have one channel, has ", p.channels());
      width += p.dim();
    }
    const bool charges = spec.get("charges", false);
    if (charges && (width != 4 || slot.parts[0].l != 0 || per == "atom" || slot.set != atom_set))
      refuse("charges need one l = 0 and one l = 1 part of the atoms, and an output per structure");
    outputs_.push_back({name, found, per == "atom", charges, width, charges ? 3 : width});
    slot.seeded = true;
  }
}

double Network::cutoff() const {
  double cutoff = 0;
  for (const RadialSet& r : relations_[neighbour_relation].radials) cutoff = std::max(cutoff, r.radial.cutoff);
  return cutoff;
}

template <> const Engine<double>& Network::engine<double>() const {
  const NoFork no_fork;
  std::call_once(double_.once, [&] { double_.engine = std::make_unique<const Engine<double>>(*this); });
  return *double_.engine;
}
template <> const Engine<float>& Network::engine<float>() const {
  const NoFork no_fork;
  std::call_once(float_.once, [&] { float_.engine = std::make_unique<const Engine<float>>(*this); });
  return *float_.engine;
}

template <class Real> StandIns<Real> Network::stand_ins(const double* parameters, const Buffer<Real>& packed,
                                                        const std::vector<char>& species) const {
  StandIns<Real> result;
  auto& all = result.radials;
  all.resize(relations_.size());
  for (std::size_t k = 0; k < all.size(); ++k) all[k].resize(relations_[k].radials.size());
  each_radial_network([&](const Slot& slot, int k, const RadialPlace& place) {
    const Radial& radial = slot.rule->radials[k];
    if (radial.envelope == Envelope::none) return;  // no end to its distances
    // layers that read elements, and those that tables do not know
    if (radial.biased || radial.hidden != LayerFunction::silu) return;
    RadialStandIn<Real>& of = all[level(slot.level).relation][place.set];
    const auto matrices = network_matrices(radial, parameters + slot.parameters + slot.rule->first_of_network(k));
    std::vector<NetworkFunctions> functions;
    PairsOfElements pairs;
    if (radial.transformed()) {
      const int n = pairs.n_species = int(species.size());
      pairs.number.assign(std::size_t(n) * n, -1);
      for (int a = 0; a < n; ++a)
        for (int b = a; b < n; ++b)
          if (species[a] && species[b]) {
            pairs.number[a * n + b] = pairs.number[b * n + a] = int(functions.size());
            functions.emplace_back(radial, matrices, radial.pair_length(a, b));
          }
      if (functions.empty()) return;
    } else {
      functions.emplace_back(radial, matrices);
    }
    const auto& step = engine<Real>().steps[&slot - slots_.data()];
    of.table = step.kernels->tabulate(functions, pairs, packed.data() + step.weights);
    if (of.table || radial.transformed()) return;
    auto spline =
        std::make_shared<const RadialSpline>(std::make_shared<const NetworkFunctions>(std::move(functions[0])));
    if (spline->usable()) of.spline = std::move(spline);
  });
  return result;
}
template StandIns<double> Network::stand_ins(const double*, const Buffer<double>&, const std::vector<char>&) const;
template StandIns<float> Network::stand_ins(const double*, const Buffer<float>&, const std::vector<char>&) const;

std::vector<int> Network::chain_from(int slot) const {
  const auto sums = slots_[slot].rule ? slots_[slot].rule->species_sums() : std::nullopt;
  if (!sums || slots_[slot].set != atom_set) return {};
  const auto continued = [&](int last) {  // the only reader of a slot, if it is a mix of the same level
    int reader = -1;
    for (std::size_t k = 0; k < slots_.size(); ++k)
      for (int input : slots_[k].inputs)
        if (input == last) reader = reader < 0 ? int(k) : int(slots_.size());
    const bool alone = reader >= 0 && reader < int(slots_.size()) && !slots_[last].seeded && !slots_[last].persistent;
    return alone && slots_[reader].level == slots_[last].level && slots_[reader].rule->linear_map() ? reader : -1;
  };
  std::vector<int> chain{slot};
  for (int next = continued(slot); next >= 0; next = continued(next)) {
    const LinearMap map = *slots_[next].rule->linear_map();
    bool fits = !map.parts.empty() && map.parts.size() <= sums->parts.size();
    for (std::size_t p = 0; fits && p < map.parts.size(); ++p) fits = map.parts[p].parity == sums->parts[p].parity;
    if (!fits) break;
    chain.push_back(next);
  }
  return chain.size() > 1 ? chain : std::vector<int>();
}

bool Network::has_mixed_sums() const {
  for (std::size_t slot = 0; slot < slots_.size(); ++slot)
    if (!chain_from(int(slot)).empty()) return true;
  return false;
}

template <class Real>
void Network::mix_sums(const double* parameters, const std::vector<char>& species, StandIns<Real>& to) const {
  to.chains.assign(slots_.size(), {});
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    const std::vector<int> chain = chain_from(int(slot));
    if (chain.empty()) continue;
    const int set = slots_[slot].radials[0].set;
    const auto& table = to.radials[level(slots_[slot].level).relation][set].table;
    if (!table) continue;
    MixedSumsChain numbers{*slots_[slot].rule->species_sums(), parameters + slots_[slot].parameters, {}};
    for (std::size_t k = 1; k < chain.size(); ++k) {
      const Slot& mix = slots_[chain[k]];
      numbers.mixes.push_back({*mix.rule->linear_map(), parameters + mix.parameters, &mix.rule->gains});
    }
    const auto sums = std::make_shared<const MixedSums<Real>>(numbers, table, set, species);
    for (int k : chain) to.chains[k] = {sums, k == chain.back()};
  }
}
template void Network::mix_sums(const double*, const std::vector<char>&, StandIns<double>&) const;
template void Network::mix_sums(const double*, const std::vector<char>&, StandIns<float>&) const;

void Network::rescale(int slot, int part, double factor) {
  Slot& s = slots_.at(slot);
  if (!s.rule) throw InputError(message("the leaf state ", s.name, " has no gain"));
  if (part < 0 || part >= int(s.rule->gains.size()))
    throw InputError(message("gate ", s.name, " has no gain of part ", part));
  s.rule->gains[part] *= factor;
}

}  // namespace nbcore
