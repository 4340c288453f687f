#include "potential/potential.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>

#include "potential/model_file.hpp"
#include "potential/parts.hpp"

namespace nbcore {

namespace {
constexpr int max_block = 32;  // parents of a block; systems up to twice as large are one block
int block_of(const Structure& s) { return int(s.positions.size()) <= 2 * max_block ? 2 * max_block : max_block; }

/// Entries of a description that are more than notes: how else they are changed
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> own_entries{{
    {"species", "make another potential"},
    {"cutoff", "make another potential"},
    {"program", "make another potential; gains are changed by set_gain"},
    {"r_min", "make another potential"},
    {"preset", "make another potential"},
    {"options", "make another potential"},
    {"scheme", "make another potential"},
    {"E0s", "assign to E0s"},
    {"scale", "assign to scale"},
    {"offsets", "assign to offsets"},
    {"spreads", "assign to spreads"},
}};

std::uint64_t next_version() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

void require_finite(const std::string& name, double value) {
  if (!std::isfinite(value)) throw NonFiniteError(message(name, " must be a finite number, got ", value));
}

nlohmann::json by_symbol(const std::vector<int>& species, const std::vector<double>& values) {
  nlohmann::json object = nlohmann::json::object();
  for (std::size_t k = 0; k < species.size(); ++k) object[chemical_symbol(species[k])] = values[k];
  return object;
}

/// InputError where scales do not fit
void check(const Scales& s, const Network& network, const std::vector<int>& species) {
  const auto numbers = [&](const std::string& name, const std::vector<double>& values) {
    if (values.size() != species.size()) throw InputError(message(name, ": one number per species is needed"));
    for (std::size_t k = 0; k < species.size(); ++k)
      require_finite(message(name, ": ", chemical_symbol(species[k])), values[k]);
  };
  require_finite("scale", s.scale);
  numbers("E0s", s.E0s);
  const std::size_t n = network.outputs().size();
  if (s.offsets.size() != n || s.spreads.size() != n)
    throw InputError("offsets, spreads: one entry per output is needed");
  for (std::size_t k = 0; k < n; ++k) {
    const Network::Output& o = network.outputs()[k];
    if (!(s.spreads[k] >= 0 && std::isfinite(s.spreads[k])))
      throw InputError(message("the spread of ", o.name, " must be a positive number, got ", s.spreads[k]));
    if (s.offsets[k].empty()) continue;
    numbers("offsets of " + o.name, s.offsets[k]);
    if (network.slots()[o.slot].parts[0].l != 0)
      throw InputError(message("offsets of ", o.name, ": it has no l = 0 part that could have any"));
  }
}
}  // namespace

struct Potential::Json {
  nlohmann::json value;
};

Potential::Potential(const std::string& text) : Potential(text, nullptr) {}

Potential::Potential(const std::string& text, const ModelFile* file)
    : description_version_(next_version()), version_(next_version()) {
  Scales scales;
  try {
    const Options d(text);
    for (const std::string& symbol : d.get<std::vector<std::string>>("species")) {
      const int z = atomic_number(symbol);
      if (!species_.empty() && z <= species_.back())
        throw InputError("species: atomic numbers must be given once each, ascending");
      species_.push_back(z);
    }
    if (species_.empty()) throw InputError("species: at least one element is needed");
    const auto by_species = [&](const Options& given, const std::string& name) {
      std::vector<double> values(species_.size(), 0.0);
      for (const std::string& symbol : given.keys()) {
        const auto found = std::find(species_.begin(), species_.end(), atomic_number(symbol));
        if (found == species_.end()) throw InputError(message(name, ": ", symbol, " is not among the species"));
        values[found - species_.begin()] = given.get<double>(symbol);
      }
      return values;
    };
    scales.E0s = by_species(d.get<Options>("E0s", Options()), "E0s");
    scales.no_offsets.assign(species_.size(), 0.0);
    scales.scale = d.get("scale", 1.0);
    r_min_ = d.get("r_min", 0.1);
    network_ = std::make_unique<Network>(d.get<Options>("program"), int(species_.size()));
    const Options offsets = d.get<Options>("offsets", Options()), spread = d.get<Options>("spreads", Options());
    for (const Options& given : {offsets, spread})
      for (const std::string& name : given.keys())
        if (std::none_of(network_->outputs().begin(), network_->outputs().end(),
                         [&](const Network::Output& o) { return o.name == name; }))
          throw InputError(message("offsets, spreads: there is no output ", name));
    for (const Network::Output& o : network_->outputs()) {
      scales.offsets.emplace_back();
      if (offsets.has(o.name)) scales.offsets.back() = by_species(offsets.get<Options>(o.name), "offsets of " + o.name);
      scales.spreads.push_back(spread.get(o.name, 0.0));
    }
    if (!(r_min_ > 0)) throw InputError("r_min must be positive");
    check(scales, *network_, species_);
  } catch (const InputError& e) {
    throw InputError(message("description of the potential: ", e.what()));
  }
  cutoff_ = network_->cutoff();
  network_->each_radial_network([&](auto&&...) { has_radial_networks_ = true; });
  if (file) read_parameters(*file);
  else parameters_.assign(network_->n_parameters(), 0.0);
  auto json = std::make_unique<Json>(nlohmann::json::parse(text));
  for (const char* entry : {"scale", "E0s", "offsets", "spreads"}) json->value.erase(entry);
  description_ = std::move(json), scales_ = std::make_shared<const Scales>(std::move(scales));
}

/// The arrays of a file are compared with what the program says before anything is made of its size.
void Potential::read_parameters(const ModelFile& file) {
  std::unordered_map<std::string, const Tensor*> tensors;
  for (const Tensor& t : file.tensors) tensors.emplace(t.name, &t);
  std::vector<const Tensor*> arrays;
  for (const ParameterSlice& slice : network_->parameters()) {
    const std::string name = "parameters." + slice.name;
    const auto found = tensors.find(name);
    if (found == tensors.end()) throw InputError(message("the array ", name, " is missing"));
    if (found->second->shape != slice.shape)
      throw InputError(message("the array ", name, " has another shape than the program says"));
    arrays.push_back(found->second);
  }
  parameters_.reserve(network_->n_parameters());
  for (const Tensor* t : arrays) parameters_.insert(parameters_.end(), t->data.begin(), t->data.end());
}

Potential::~Potential() = default;

std::string Potential::description() const {
  const std::lock_guard lock(guard_);
  nlohmann::json d = description_->value;
  d["scale"] = scales_->scale, d["E0s"] = by_symbol(species_, scales_->E0s);
  for (std::size_t k = 0; k < network_->outputs().size(); ++k) {
    const std::string& name = network_->outputs()[k].name;
    if (!scales_->offsets[k].empty()) d["offsets"][name] = by_symbol(species_, scales_->offsets[k]);
    if (scales_->spreads[k] > 0) d["spreads"][name] = scales_->spreads[k];
  }
  return d.dump();
}

void Potential::annotate(const std::string& text) {
  nlohmann::json notes;
  try {
    notes = nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& e) {
    throw InputError(message("notes: ", e.what()));
  }
  if (!notes.is_object()) throw InputError("notes: expected an object {...}");
  for (const auto& [entry, value] : notes.items())
    for (const auto& [name, how] : own_entries)
      if (entry == name) throw InputError(message(entry, " is no note, it belongs to the potential: ", how));
  const std::lock_guard lock(guard_);
  auto description = std::make_unique<Json>(*description_);
  for (const auto& [entry, value] : notes.items())
    if (value.is_null()) description->value.erase(entry);
    else description->value[entry] = value;
  description_ = std::move(description), description_version_ = next_version();
}

std::uint64_t Potential::version() const {
  const std::lock_guard lock(guard_);
  compare_parameters();
  return version_;
}

std::shared_ptr<const Scales> Potential::scales() const {
  const std::lock_guard lock(guard_);
  return scales_;
}

template <class Change> void Potential::change(Change f) {
  const std::lock_guard lock(guard_);
  auto scales = std::make_shared<Scales>(*scales_);
  f(*scales);
  check(*scales, *network_, species_);
  scales_ = std::move(scales);
  description_version_ = version_ = next_version();
}

void Potential::set_scale(double scale) {
  change([&](Scales& s) { s.scale = scale; });
}
void Potential::set_E0s(const std::vector<double>& E0s) {
  change([&](Scales& s) { s.E0s = E0s; });
}
void Potential::set_offsets(const std::vector<std::vector<double>>& offsets) {
  change([&](Scales& s) { s.offsets = offsets; });
}
void Potential::set_spreads(const std::vector<double>& spreads) {
  change([&](Scales& s) { s.spreads = spreads; });
}

void Potential::set_parameters(const std::vector<double>& parameters) {
  if (std::int64_t(parameters.size()) != network_->n_parameters())
    throw InputError(message("this potential has ", network_->n_parameters(), " parameters, got ", parameters.size()));
  const std::lock_guard lock(guard_);
  std::copy(parameters.begin(), parameters.end(), parameters_.begin());  // in place: views stay valid
  forget_packed();
}

void Potential::rescale(int slot, int part, double factor) {
  const int n_parts = int(network_->slots().at(slot).parts.size());
  if (part < 0 || part >= n_parts) throw InputError(message("part must be from 0 to ", n_parts - 1, ", got ", part));
  require_finite("the factor of a gain", factor);
  const std::lock_guard lock(guard_);
  auto description = std::make_unique<Json>(*description_);
  nlohmann::json& gains = description->value["program"]["gates"][slot]["gain"];
  if (gains.is_null()) gains = std::vector<double>(n_parts, 1.0);
  const double gain = gains.at(part).get<double>() * factor;
  require_finite("the gain", gain);
  gains[part] = gain;
  network_->rescale(slot, part, factor);
  description_ = std::move(description), description_version_ = next_version();
  forget_packed();
}

EvaluationOptions Potential::defaults() const {
  const std::lock_guard lock(guard_);
  return defaults_;
}

void Potential::set_precision(Precision precision) {
  const std::lock_guard lock(guard_);
  if (defaults_.precision != precision) version_ = next_version();
  defaults_.precision = precision;
}

void Potential::set_radial_splines(bool on) {
  const std::lock_guard lock(guard_);
  if (defaults_.radial_splines != on) version_ = next_version();
  defaults_.radial_splines = on;
}

std::vector<double>& Potential::begin_view() {
  ++views_;
  return parameters_;
}

void Potential::end_view() {
  viewed_ = true;
  --views_;
}

std::shared_ptr<Potential> Potential::load(const std::string& path) {
  const ModelFile file = read_model_file(path);
  try {
    return std::shared_ptr<Potential>(new Potential(file.description, &file));
  } catch (const InputError& e) {
    throw ModelFileError(message(path, ": ", shown(e.what(), 1000)));  // names of a stranger's
  }
}

void Potential::forget_packed() const {
  double_.is_packed = float_.is_packed = false, splines_.reset();
  version_ = next_version();
}

/// Somebody may have written to them
void Potential::compare_parameters() const {
  if (!viewed_.exchange(false) && views_ == 0) return;
  const bool same = seen_.size() == parameters_.size() &&
                    std::memcmp(seen_.data(), parameters_.data(), seen_.size() * sizeof(double)) == 0;
  if (same) return;
  try {
    seen_ = parameters_;
  } catch (...) {
    viewed_ = true;  // they are still to be compared
    throw;
  }
  forget_packed();
}

std::shared_ptr<const std::vector<RadialSplines>> Potential::splines() const {
  if (!has_radial_networks_) return nullptr;
  const std::lock_guard lock(guard_);
  compare_parameters();
  if (!splines_) splines_ = std::make_shared<const std::vector<RadialSplines>>(network_->splines(parameters_.data()));
  return splines_;
}

template <class Real> std::shared_ptr<const Buffer<Real>> Potential::packed() const {
  const std::lock_guard lock(guard_);
  compare_parameters();
  Memory<Real>& of = memory<Real>();
  if (of.is_packed) return of.packed;
  if (!of.packed || of.packed.use_count() > 1) of.packed = std::make_shared<Buffer<Real>>();
  network_->engine<Real>().pack(parameters_.data(), *of.packed), of.is_packed = true;
  return of.packed;
}
template std::shared_ptr<const Buffer<double>> Potential::packed() const;
template std::shared_ptr<const Buffer<float>> Potential::packed() const;

std::vector<int> Potential::species_of(const std::vector<int>& numbers) const {
  std::vector<int> index(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto found = std::lower_bound(species_.begin(), species_.end(), numbers[i]);
    if (found == species_.end() || *found != numbers[i]) {
      std::string known;
      for (int z : species_) known += (known.empty() ? "" : " ") + chemical_symbol(z);
      throw SpeciesError(
          message(chemical_symbol(numbers[i]), " (atom ", i, ") is not an element of this model (", known, ")"));
    }
    index[i] = int(found - species_.begin());
  }
  return index;
}

template <class Real>
void Potential::run(const Graph& graph, const EvaluationOptions& options, double scale, Evaluation& to) const {
  std::unique_ptr<EvaluationSpace<Real>> space;
  {
    const std::lock_guard lock(guard_);
    auto& idle = memory<Real>().idle;
    if (!idle.empty()) space = std::move(idle.back()), idle.pop_back();
  }
  if (!space) space = std::make_unique<EvaluationSpace<Real>>();
  const auto radial = options.radial_splines ? splines() : nullptr;
  const auto weights = packed<Real>();
  evaluate(*network_, graph, *weights, radial.get(), scale, options.threads, *space, to);
  const std::lock_guard lock(guard_);  // after an error its memory is not used again
  memory<Real>().idle.push_back(std::move(space));
}

void Potential::forget_spaces() const {
  const std::lock_guard lock(guard_);
  double_.idle.clear(), float_.idle.clear();
}

double Potential::state_bytes(int set, Precision precision) const {
  double bytes = 0;
  for (const Network::Slot& slot : network_->slots())
    if (slot.persistent && slot.set == set)
      bytes += 2.0 * (precision == Precision::float64 ? double(Layout<double>(slot.parts).node_size()) * sizeof(double)
                                                      : double(Layout<float>(slot.parts).node_size()) * sizeof(float));
  return bytes;
}

double Potential::bytes_per_atom(const Structure& s, bool repeated, Precision precision) const {
  const Graph graph = build_graph(s, species_of(s.numbers), *network_, r_min_, max_block);
  double atoms = double(graph.n_atoms()), pairs = 0;
  for (const GraphBlock& b : graph.relations[neighbour_relation].blocks) pairs += double(b.n_edges());
  double states = 0;
  for (std::size_t set = 0; set < graph.sets.size(); ++set)
    states += state_bytes(int(set), precision) * graph.sets[set].n;
  const double list = pairs * bytes_per_pair, results = atoms * bytes_of_results, finding = while_searching * list;
  const double kept = double(bytes_of(graph)) + states;
  // pairs are found twice, atom by atom and in their order; where they grow is memory that the first evaluation has
  // left
  const double peak = repeated ? kept + 2 * list : std::max({finding, kept, double(bytes_of(graph)) + list});
  return (results + peak) / std::max(atoms, 1.0);
}

Evaluation Potential::begin(const std::vector<int>& species, const Scales& scales) const {
  Evaluation e;
  e.forces.assign(species.size(), Vec3{});
  for (int k : species) e.energies.push_back(scales.E0s[k]);
  e.outputs.resize(network_->outputs().size());
  return e;
}

void Potential::add(const Graph& graph, const EvaluationOptions& options, const Scales& scales, Evaluation& e) const {
  if (e.energies.empty()) return;
  for (std::size_t k = 0; k < network_->outputs().size(); ++k) {
    const Network::Output& o = network_->outputs()[k];
    const int set = network_->slots()[o.slot].set;
    e.outputs[k].resize((set == atom_set ? e.energies.size() : std::size_t(graph.sets[set].n)) * o.width);
  }
  if (options.precision == Precision::float64) run<double>(graph, options, scales.scale, e);
  else run<float>(graph, options, scales.scale, e);
}

Result Potential::compute(const Structure& s, const EvaluationOptions& asked) const {
  const std::vector<int> species = species_of(s.numbers);
  if (s.numbers.size() != s.positions.size())
    throw InputError(message("positions and species must have the same length, got ", s.positions.size(), " and ",
                             s.numbers.size()));
  EvaluationOptions options = asked;
  options.threads = std::max(options.threads, 1);
  VerletList* kept = options.kept;
  const std::shared_ptr<const Scales> scales = this->scales();
  Evaluation e = begin(species, *scales);
  const double cutoff = list_cutoff(*network_, r_min_);
  Parts::Fit fit = Parts::Fit::easily;
  const double of_states = state_bytes(atom_set, options.precision), max_bytes = options.max_bytes;
  if (max_bytes > 0 && !Parts::fits_anyway(species.size(), of_states, max_bytes)) {
    Parts parts(s, species, *network_, r_min_, of_states, max_bytes);
    fit = parts.whole();
    if (fit != Parts::Fit::easily) {
      if (kept) kept->forget();
      kept = nullptr;
      forget_spaces(), give_back_free_memory();
    }
    if (fit == Parts::Fit::in_parts) parts.each([&](const Graph& part) { add(part, options, *scales, e); });
  }
  if (fit != Parts::Fit::in_parts) {
    const Graph graph = build_graph(s, species, *network_,
                                    kept ? kept->neighbours(s.positions, s.cell, s.pbc, cutoff, r_min_, options.skin)
                                         : neighbours(s.positions, s.cell, s.pbc, cutoff, r_min_),
                                    block_of(s));
    if (fit != Parts::Fit::easily) give_back_free_memory();
    add(graph, options, *scales, e);
    if (fit != Parts::Fit::easily) forget_spaces();
  }
  return result(s, species, *scales, std::move(e));
}

PreparedStructure Potential::prepare(Structure s) const {
  std::vector<int> species = species_of(s.numbers);
  if (s.numbers.size() != s.positions.size())
    throw InputError(message("positions and species must have the same length, got ", s.positions.size(), " and ",
                             s.numbers.size()));
  Graph graph = build_graph(s, species, *network_, r_min_, block_of(s));
  return {std::move(s), std::move(species), std::move(graph), GraphNeeds(species_, *network_, r_min_)};
}

Result Potential::compute(const PreparedStructure& prepared, const EvaluationOptions& asked) const {
  if (const std::string what = prepared.needs.difference(GraphNeeds(species_, *network_, r_min_)); !what.empty())
    throw InputError(message("this structure was prepared for a potential that differs from this one in ", what,
                             ": prepare it with this one"));
  EvaluationOptions options = asked;
  options.threads = std::max(options.threads, 1);
  const std::shared_ptr<const Scales> scales = this->scales();
  Evaluation e = begin(prepared.species, *scales);
  add(prepared.graph, options, *scales, e);
  return result(prepared.structure, prepared.species, *scales, std::move(e));
}

Result Potential::result(const Structure& s, const std::vector<int>& species, const Scales& scales,
                         Evaluation e) const {
  Result result;
  result.energies = std::move(e.energies), result.forces = std::move(e.forces), result.virial = e.virial;
  std::vector<std::vector<double>> values = std::move(e.outputs);
  for (double e : result.energies) result.energy += e;
  if (!std::isfinite(result.energy))
    throw NumericsError("the energy is not finite: the parameters of the potential, or the structure, are out of hand");
  for (std::size_t i = 0; i < result.forces.size(); ++i)
    for (const double f : result.forces[i])
      if (!std::isfinite(f))
        throw NumericsError(message("the force on atom ", i, " is not finite: the parameters of the potential, or the ",
                                    "structure, are out of hand"));
  for (const Vec3& row : result.virial)
    for (const double w : row)
      if (!std::isfinite(w)) throw NumericsError("the virial is not finite: the structure is out of hand");
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (!has_output(int(k), s)) {
      result.outputs.emplace_back();
      continue;
    }
    result.outputs.push_back(output_forward(output_context(scales, int(k), s, species), std::move(values[k])));
    for (double y : result.outputs.back())
      if (!std::isfinite(y))
        throw NumericsError(
            message("the output ", network_->outputs()[k].name,
                    " is not finite: the parameters of the potential, or the structure, are out of hand"));
  }
  return result;
}

}  // namespace nbcore
