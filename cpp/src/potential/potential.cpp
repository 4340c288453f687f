#include "potential/potential.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>

#include "base/threads.hpp"
#include "potential/model_file.hpp"
#include "potential/sha256.hpp"

namespace nbcore {

namespace {

/// Entries of a description that are more than notes: how else they are changed
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> own_entries{{
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
    {"repulsion", "assign to repulsion"},
    {"uncertainty", "nbcore.train.add_uncertainty"},
    {"committee", "make a Committee"},
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

/// {"H-O": radius} of the pairs that have a repulsion, the symbols of a pair in the order of the alphabet
nlohmann::json by_pair(const std::vector<int>& species, const std::vector<double>& radii) {
  nlohmann::json object = nlohmann::json::object();
  for (std::size_t a = 0; a < species.size(); ++a)
    for (std::size_t b = a; b < species.size(); ++b)
      if (const double r = radii[a * species.size() + b]; r > 0) {
        const std::string one = chemical_symbol(species[a]), other = chemical_symbol(species[b]);
        object[std::min(one, other) + "-" + std::max(one, other)] = r;
      }
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
  check_radii(s.repulsion.radii(), network, species);
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
    if (d.has("committee"))
      throw InputError("this is a committee of several potentials: nbcore.Committee.load reads it");
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
    if (d.has("repulsion")) {
      const Options repulsion = d.get<Options>("repulsion");
      if (repulsion.get<std::string>("kind") != "zbl") throw InputError("repulsion: kind must be \"zbl\"");
      scales.repulsion = Repulsion(species_, radii_of(repulsion.get<Options>("radii"), species_),
                                   screening_of(repulsion.get<Options>("screening", Options())));
    }
    check(scales, *network_, species_);
  } catch (const InputError& e) {
    throw InputError(message("description of the potential: ", e.what()));
  }
  cutoff_ = network_->cutoff();
  last_layer_ = LastLayer(*network_);
  network_->each_radial_network([&](auto&&...) { has_radial_networks_ = true; });
  has_mixed_sums_ = network_->has_mixed_sums();
  if (file) read_parameters(*file);
  else parameters_.assign(network_->n_parameters(), 0.0);
  auto json = std::make_unique<Json>(Json{nlohmann::json::parse(text)});
  for (const char* entry : {"scale", "E0s", "offsets", "spreads", "repulsion", "uncertainty"}) json->value.erase(entry);
  description_ = std::move(json), scales_ = std::make_shared<const Scales>(std::move(scales));
  if (file) read_uncertainty(Options(text), *file);  // a description alone is that of other parameters
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

void Potential::read_uncertainty(const Options& d, const ModelFile& file) {
  const auto array = std::find_if(file.tensors.begin(), file.tensors.end(),
                                  [](const Tensor& t) { return t.name == "uncertainty.whitening"; });
  if (d.has("uncertainty") != (array != file.tensors.end()))
    throw InputError("uncertainty: entry and array uncertainty.whitening go together, one of them is missing");
  if (!d.has("uncertainty")) return;
  const std::int64_t n = last_layer_.size();
  if (array->shape != std::vector<std::int64_t>{std::int64_t(species_.size()), n, n})
    throw InputError(
        message("the array uncertainty.whitening must have the shape ", species_.size(), " x ", n, " x ", n));
  set_uncertainty(std::make_shared<const LastLayerUncertainty>(
      last_layer_uncertainty(d.get<Options>("uncertainty"), species_, array->data, last_layer_.size())));
}

Potential::~Potential() = default;

std::shared_ptr<const LastLayerUncertainty> Potential::uncertainty() const {
  const ShortLock lock(guard_);
  compare_parameters();
  return uncertainty_;
}

void Potential::set_uncertainty(std::shared_ptr<const LastLayerUncertainty> uncertainty) {
  const ShortLock lock(guard_);
  compare_parameters();
  seen_ = parameters_, uncertainty_ = std::move(uncertainty);
  description_version_ = version_ = next_version();
}

std::string Potential::description() const {
  const ShortLock lock(guard_);
  compare_parameters();
  nlohmann::json d = description_->value;
  if (uncertainty_) d["uncertainty"] = as_json(*uncertainty_, species_);
  if (scales_->repulsion.any()) {
    d["repulsion"] = {{"kind", "zbl"}, {"radii", by_pair(species_, scales_->repulsion.radii())}};
    if (const Screening& s = scales_->repulsion.screening(); s != Screening())
      d["repulsion"]["screening"] = {{"coulomb", s.coulomb}, {"length", s.length}, {"exponent", s.exponent},
                                     {"weights", s.weights}, {"decays", s.decays}, {"power", s.power},
                                     {"scale", s.scale}};
  }
  d["scale"] = scales_->scale, d["E0s"] = by_symbol(species_, scales_->E0s);
  for (std::size_t k = 0; k < network_->outputs().size(); ++k) {
    const std::string& name = network_->outputs()[k].name;
    if (!scales_->offsets[k].empty()) d["offsets"][name] = by_symbol(species_, scales_->offsets[k]);
    if (scales_->spreads[k] > 0) d["spreads"][name] = scales_->spreads[k];
  }
  return d.dump();
}

std::string Potential::digest() const {
  nlohmann::json d = nlohmann::json::parse(description());
  for (auto entry = d.begin(); entry != d.end();) {
    const bool own = std::any_of(own_entries.begin(), own_entries.end(),
                                 [&](const auto& known) { return known.first == entry.key(); });
    entry = own ? std::next(entry) : d.erase(entry);
  }
  Sha256 sha;
  sha.update(std::string_view(d.dump()));
  sha.update(std::span<const double>(parameters_));
  if (const auto known = uncertainty()) sha.update(std::span<const double>(known->whitening));
  return sha.hex();
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
  const ShortLock lock(guard_);
  auto description = std::make_unique<Json>(*description_);
  for (const auto& [entry, value] : notes.items())
    if (value.is_null()) description->value.erase(entry);
    else description->value[entry] = value;
  description_ = std::move(description), description_version_ = next_version();
}

std::uint64_t Potential::description_version() const {
  const ShortLock lock(guard_);
  if (uncertainty_) compare_parameters();
  return description_version_;
}

std::uint64_t Potential::version() const {
  const ShortLock lock(guard_);
  compare_parameters();
  return version_;
}

std::shared_ptr<const Scales> Potential::scales() const {
  const ShortLock lock(guard_);
  return scales_;
}

template <class Change> void Potential::change(Change f) {
  const ShortLock lock(guard_);
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
void Potential::set_repulsion(const std::vector<double>& radii) {
  check_radii(radii, *network_, species_);
  change([&](Scales& s) {
    s.repulsion = radii.empty() ? Repulsion() : Repulsion(species_, radii, s.repulsion.screening());
  });
}

void Potential::set_parameters(const std::vector<double>& parameters) {
  if (std::int64_t(parameters.size()) != network_->n_parameters())
    throw InputError(message("this potential has ", network_->n_parameters(), " parameters, got ", parameters.size()));
  const ShortLock lock(guard_);
  std::copy(parameters.begin(), parameters.end(), parameters_.begin());  // in place: views stay valid
  forget_packed();
}

void Potential::rescale(int slot, int part, double factor) {
  const int n_parts = int(network_->slots().at(slot).parts.size());
  if (part < 0 || part >= n_parts) throw InputError(message("part must be from 0 to ", n_parts - 1, ", got ", part));
  require_finite("the factor of a gain", factor);
  const ShortLock lock(guard_);
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
  const ShortLock lock(guard_);
  return defaults_;
}

void Potential::set_precision(Precision precision) {
  const ShortLock lock(guard_);
  if (defaults_.precision != precision) version_ = next_version();
  defaults_.precision = precision;
}

void Potential::set_radial_splines(bool on) {
  const ShortLock lock(guard_);
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

std::shared_ptr<Potential> Potential::from_file(const ModelFile& file) {
  return std::shared_ptr<Potential>(new Potential(file.description, &file));
}

std::shared_ptr<Potential> Potential::load(const std::string& path) {
  const ModelFile file = read_model_file(path);
  try {
    return from_file(file);
  } catch (const InputError& e) {
    throw ModelFileError(message(path, ": ", shown(e.what(), 1000)));  // names of a stranger's
  }
}

void Potential::forget_packed() const {
  double_.is_packed = float_.is_packed = false, double_.stand_ins.reset(), float_.stand_ins.reset();
  double_.mixed.reset(), float_.mixed.reset();
  if (uncertainty_) uncertainty_.reset(), description_version_ = next_version();
  version_ = next_version();
}

/// Somebody may have written to them
void Potential::compare_parameters() const {
  if (!viewed_.exchange(false) && views_ == 0) return;
  const bool same =
      seen_.size() == parameters_.size() &&
      (seen_.empty() || std::memcmp(seen_.data(), parameters_.data(), seen_.size() * sizeof(double)) == 0);
  if (same) return;
  try {
    seen_ = parameters_;
  } catch (...) {
    viewed_ = true;  // they are still to be compared
    throw;
  }
  forget_packed();
}

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

}  // namespace nbcore
