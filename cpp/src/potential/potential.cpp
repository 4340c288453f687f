#include "potential/potential.hpp"

#include <cmath>
#include <cstring>
#include <unordered_map>

#include "base/threads.hpp"
#include "potential/model_file.hpp"
#include "potential/parts.hpp"

namespace nbcore {

namespace {
constexpr int max_block = 32;  // parents of a block; systems up to twice as large are one block
}

Potential::Potential(const std::string& text) : Potential(text, nullptr) {}

Potential::Potential(const std::string& text, const ModelFile* file) : description_(text) {
  try {
    const Options d(text);
    for (const std::string& symbol : d.get<std::vector<std::string>>("species")) {
      const int z = atomic_number(symbol);
      if (!species_.empty() && z <= species_.back())
        throw InputError("species: atomic numbers must be given once each, ascending");
      species_.push_back(z);
    }
    if (species_.empty()) throw InputError("species: at least one element is needed");
    E0s_.assign(species_.size(), 0.0);
    const Options E0s = d.get<Options>("E0s", Options());
    for (const std::string& symbol : E0s.keys()) {
      const auto found = std::find(species_.begin(), species_.end(), atomic_number(symbol));
      if (found == species_.end()) throw InputError(message("E0s: ", symbol, " is not among the species"));
      E0s_[found - species_.begin()] = E0s.get<double>(symbol);
    }
    scale_ = d.get("scale", 1.0);
    r_min_ = d.get("r_min", 0.1);
    network_ = std::make_unique<Network>(d.get<Options>("program"), int(species_.size()));
    const Options offsets = d.get<Options>("offsets", Options());
    for (const Network::Output& o : network_->outputs()) {
      const Options given = offsets.get<Options>(o.name, Options());
      offsets_.emplace_back(species_.size());
      if (given.keys().empty()) continue;
      std::vector<double> values;
      for (int z : species_) values.push_back(given.get(chemical_symbol(z), 0.0));
      set_offsets(int(offsets_.size()) - 1, std::move(values));
    }
  } catch (const InputError& e) {
    throw InputError(message("description of the potential: ", e.what()));
  }
  if (!std::isfinite(scale_) || !(r_min_ > 0))
    throw InputError("description of the potential: scale must be finite, r_min positive");
  cutoff_ = network_->cutoff();
  network_->each_radial_network([&](auto&&...) { has_radial_networks_ = true; });
  if (file) read_parameters(*file);
  else parameters_.assign(network_->n_parameters(), 0.0);
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

void Potential::set_offsets(int output, std::vector<double> offsets) {
  const Network::Output& o = network_->outputs().at(output);
  if (offsets.size() != species_.size())
    throw InputError(message("offsets of ", o.name, ": one per species is needed"));
  if (network_->slots()[o.slot].parts[0].l != 0)
    throw InputError(message("offsets of ", o.name, ": it has no l = 0 part that could have any"));
  offsets_.at(output) = std::move(offsets);
}

void Potential::set_parameters(std::vector<double> parameters) {
  if (std::int64_t(parameters.size()) != network_->n_parameters())
    throw InputError(message("this potential has ", network_->n_parameters(), " parameters, got ", parameters.size()));
  const std::lock_guard lock(guard_);
  std::copy(parameters.begin(), parameters.end(), parameters_.begin());  // in place: views stay valid
  forget_packed(), seen_.clear();
}

void Potential::rescale(int slot, int part, double factor) {
  const std::lock_guard lock(guard_);
  network_->rescale(slot, part, factor);
  forget_packed();
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

/// Somebody may have written to them
void Potential::compare_parameters() const {
  if (!viewed_.exchange(false) && views_ == 0) return;
  const bool same = seen_.size() == parameters_.size() &&
                    std::memcmp(seen_.data(), parameters_.data(), seen_.size() * sizeof(double)) == 0;
  if (!same) forget_packed(), seen_ = parameters_;
}

std::shared_ptr<const std::vector<RadialSplines>> Potential::splines() const {
  if (!has_radial_networks_ || !radial_splines_) return nullptr;
  const std::lock_guard lock(guard_);
  compare_parameters();
  if (!splines_) splines_ = std::make_shared<const std::vector<RadialSplines>>(network_->splines(parameters_.data()));
  return splines_;
}

template <class Real> const Buffer<Real>& Potential::packed() const {
  const std::lock_guard lock(guard_);
  compare_parameters();
  Memory<Real>& of = memory<Real>();
  if (!of.is_packed) network_->engine<Real>().pack(parameters_.data(), of.packed), of.is_packed = true;
  return of.packed;
}
template const Buffer<double>& Potential::packed() const;
template const Buffer<float>& Potential::packed() const;

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

template <class Real> void Potential::run(const Graph& graph, int threads, Evaluation& to) const {
  std::unique_ptr<EvaluationSpace<Real>> space;
  {
    const std::lock_guard lock(guard_);
    auto& idle = memory<Real>().idle;
    if (idle.empty()) space = std::make_unique<EvaluationSpace<Real>>();
    else space = std::move(idle.back()), idle.pop_back();
  }
  const auto radial = splines();
  evaluate(*network_, graph, packed<Real>(), radial.get(), scale_, threads, *space, to);
  const std::lock_guard lock(guard_);
  memory<Real>().idle.push_back(std::move(space));
}

void Potential::forget_spaces() const {
  const std::lock_guard lock(guard_);
  double_.idle.clear(), float_.idle.clear();
}

double Potential::state_bytes(int set) const {
  double bytes = 0;
  for (const Network::Slot& slot : network_->slots())
    if (slot.persistent && slot.set == set)
      bytes += 2.0 * (precision_ == Precision::float64 ? double(Layout<double>(slot.parts).node_size()) * sizeof(double)
                                                       : double(Layout<float>(slot.parts).node_size()) * sizeof(float));
  return bytes;
}

double Potential::bytes_per_atom(const Structure& s, bool repeated) const {
  const Graph graph = build_graph(s, species_of(s.numbers), *network_, r_min_, max_block);
  double atoms = double(graph.n_atoms()), pairs = 0;
  for (const GraphBlock& b : graph.relations[neighbour_relation].blocks) pairs += double(b.n_edges());
  double states = 0;
  for (std::size_t set = 0; set < graph.sets.size(); ++set) states += state_bytes(int(set)) * graph.sets[set].n;
  const double list = pairs * bytes_per_pair, results = atoms * bytes_of_results, finding = while_searching * list;
  const double kept = double(bytes_of(graph)) + states;
  // pairs are found twice, atom by atom and in their order; where they grow is memory that the first evaluation has
  // left
  const double peak = repeated ? kept + 2 * list : std::max({finding, kept, double(bytes_of(graph)) + list});
  return (results + peak) / std::max(atoms, 1.0);
}

Result Potential::compute(const Structure& s, int threads, double max_bytes, VerletList* kept, double skin) const {
  const std::vector<int> species = species_of(s.numbers);
  if (s.numbers.size() != s.positions.size())
    throw InputError(message("positions and species must have the same length, got ", s.positions.size(), " and ",
                             s.numbers.size()));
  Result result;
  Evaluation e;
  e.forces.assign(s.positions.size(), Vec3{});
  for (int k : species) e.energies.push_back(E0s_[k]);
  e.outputs.resize(network_->outputs().size());
  threads = std::max(threads, 1);
  const auto evaluate = [&](const Graph& graph) {
    if (species.empty()) return;
    for (std::size_t k = 0; k < network_->outputs().size(); ++k) {
      const Network::Output& o = network_->outputs()[k];
      const int set = network_->slots()[o.slot].set;
      e.outputs[k].resize((set == atom_set ? species.size() : std::size_t(graph.sets[set].n)) * o.width);
    }
    precision_ == Precision::float64 ? run<double>(graph, threads, e) : run<float>(graph, threads, e);
  };
  const double cutoff = list_cutoff(*network_, r_min_);
  Parts::Fit fit = Parts::Fit::easily;
  if (max_bytes > 0 && !Parts::fits_anyway(species.size(), state_bytes(atom_set), max_bytes)) {
    Parts parts(s, species, *network_, r_min_, state_bytes(atom_set), max_bytes);
    fit = parts.whole();
    if (fit != Parts::Fit::easily) {
      if (kept) kept->forget();
      kept = nullptr;
      forget_spaces(), give_back_free_memory();
    }
    if (fit == Parts::Fit::in_parts) parts.each(evaluate);
  }
  if (fit != Parts::Fit::in_parts) {
    const int block = int(s.positions.size()) <= 2 * max_block ? 2 * max_block : max_block;
    const Graph graph = build_graph(s, species, *network_,
                                    kept ? kept->neighbours(s.positions, s.cell, s.pbc, cutoff, r_min_, skin)
                                         : neighbours(s.positions, s.cell, s.pbc, cutoff, r_min_),
                                    block);
    if (fit != Parts::Fit::easily) give_back_free_memory();
    evaluate(graph);
    if (fit != Parts::Fit::easily) forget_spaces();
  }
  result.energies = std::move(e.energies), result.forces = std::move(e.forces), result.virial = e.virial;
  std::vector<std::vector<double>> values = std::move(e.outputs);
  for (double e : result.energies) result.energy += e;
  if (!std::isfinite(result.energy))
    throw NumericsError("the energy is not finite: the parameters of the potential, or the structure, are out of hand");
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (!has_output(int(k), s)) {
      result.outputs.emplace_back();
      continue;
    }
    result.outputs.push_back(output_forward(output_context(int(k), s, species), std::move(values[k])));
    for (double y : result.outputs.back())
      if (!std::isfinite(y))
        throw NumericsError(
            message("the output ", network_->outputs()[k].name,
                    " is not finite: the parameters of the potential, or the structure, are out of hand"));
  }
  return result;
}

}  // namespace nbcore
