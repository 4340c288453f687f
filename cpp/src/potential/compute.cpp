// What a potential computes: evaluations as a whole, in parts, of prepared structures, and the memory that they take.
#include <cmath>

#include "base/threads.hpp"
#include "potential/hierarchy.hpp"
#include "potential/parts.hpp"
#include "potential/potential.hpp"

namespace nbcore {

namespace {
constexpr int max_block = 32;  // parents of a block; systems up to twice as large are one block
int block_of(const Structure& s) { return int(s.positions.size()) <= 2 * max_block ? 2 * max_block : max_block; }
}  // namespace

template <class Real>
void Potential::run(const Graph& graph, const EvaluationOptions& options, double scale, Evaluation& to) const {
  std::unique_ptr<EvaluationSpace<Real>> space;
  {
    const ShortLock lock(guard_);
    auto& idle = memory<Real>().idle;
    if (!idle.empty()) space = std::move(idle.back()), idle.pop_back();
  }
  if (!space) space = std::make_unique<EvaluationSpace<Real>>();
  const std::vector<char> species = graph.species_of_parents(atom_set);
  const auto radial = options.radial_splines ? stand_ins<Real>(species, graph.n_atoms()) : nullptr;
  const auto weights = packed<Real>(species);
  evaluate(*network_, graph, *weights, radial.get(), scale, options.threads, *space, to);
  const ShortLock lock(guard_);  // after an error its memory is not used again
  memory<Real>().idle.push_back(std::move(space));
}

void Potential::forget_spaces() const {
  const ShortLock lock(guard_);
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

Evaluation Potential::begin(std::span<const int> species, std::size_t n_ghosts, const EvaluationOptions& options,
                            const Scales& scales) const {
  Evaluation e;
  const std::size_t n = species.size() + n_ghosts;
  e.forces.assign(n, Vec3{}), e.energies.assign(n, 0.0);
  for (std::size_t i = 0; i < species.size(); ++i) e.energies[i] = scales.E0s[species[i]];
  if (options.virials) e.virials.assign(n, Mat3{});
  e.outputs.resize(network_->outputs().size());
  if (scales.repulsion.any()) e.repulsion = &scales.repulsion;
  if (options.features || options.uncertainty) e.last_layer = &last_layer_, e.features.resize(network_->sets().size());
  if (options.hierarchicality) {
    e.levels = levels_of_energy(*network_), e.of_levels.assign(e.levels.size(), std::vector<double>(n, 0.0));
    if (e.levels.empty()) throw InputError("hierarchicality: this potential has no energies by level");
  }
  return e;
}

/// For outputs and features of all nodes
void Potential::make_room(const Graph& graph, Evaluation& e) const {
  for (std::size_t k = 0; k < network_->outputs().size(); ++k) {
    const Network::Output& o = network_->outputs()[k];
    const int set = network_->slots()[o.slot].set;
    e.outputs[k].resize((set == atom_set ? e.energies.size() : std::size_t(graph.sets[set].n)) * o.width);
  }
  for (int set = 0; set < int(e.features.size()); ++set)
    if (set == atom_set || last_layer_.reads(set))
      e.features[set].resize((set == atom_set ? e.energies.size() : std::size_t(graph.sets[set].n)) *
                             last_layer_.size());
}

void Potential::add(const Graph& graph, const EvaluationOptions& options, const Scales& scales, Evaluation& e) const {
  if (e.energies.empty()) return;
  make_room(graph, e);
  if (options.precision == Precision::float64) run<double>(graph, options, scales.scale, e);
  else run<float>(graph, options, scales.scale, e);
  if (e.last_layer) last_layer_.share_among_atoms(graph, e.features);
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
  Evaluation e = begin(species, 0, options, *scales);
  const double cutoff = list_cutoff(*network_, r_min_);
  Parts::Fit fit = Parts::Fit::easily;
  const double of_features = options.features || options.uncertainty ? double(last_layer_.size()) * sizeof(double) : 0,
               of_states = state_bytes(atom_set, options.precision) + of_features, max_bytes = options.max_bytes;
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
  return result(s, species, s.pbc[0] || s.pbc[1] || s.pbc[2], options, *scales, std::move(e));
}

PreparedStructure Potential::prepare(Structure s, const EvaluationOptions& options) const {
  std::vector<int> species = species_of(s.numbers);
  if (s.numbers.size() != s.positions.size())
    throw InputError(message("positions and species must have the same length, got ", s.positions.size(), " and ",
                             s.numbers.size()));
  const double cutoff = list_cutoff(*network_, r_min_);
  Graph graph =
      build_graph(s, species, *network_,
                  options.kept ? options.kept->neighbours(s.positions, s.cell, s.pbc, cutoff, r_min_, options.skin)
                               : neighbours(s.positions, s.cell, s.pbc, cutoff, r_min_),
                  block_of(s));
  const bool images = s.pbc[0] || s.pbc[1] || s.pbc[2];
  return {std::move(s), std::move(species), std::move(graph), GraphNeeds(species_, *network_, r_min_), 0, images};
}

Result Potential::compute(const PreparedStructure& prepared, const EvaluationOptions& asked) const {
  if (const std::string what = prepared.needs.difference(GraphNeeds(species_, *network_, r_min_)); !what.empty())
    throw InputError(message("this structure was prepared for a potential that differs from this one in ", what,
                             ": prepare it with this one"));
  EvaluationOptions options = asked;
  options.threads = std::max(options.threads, 1);
  const std::shared_ptr<const Scales> scales = this->scales();
  Evaluation e = begin(prepared, options, *scales);
  add(prepared.graph, options, *scales, e);
  return result(prepared, options, *scales, std::move(e));
}

Evaluation Potential::begin(const PreparedStructure& prepared, const EvaluationOptions& options,
                            const Scales& scales) const {
  Evaluation e = begin(prepared.owned(), prepared.n_ghosts, options, scales);
  make_room(prepared.graph, e);
  return e;
}

/// Of the owned atoms alone, but for forces and virials of ghosts, which others are to add
Result Potential::result(const PreparedStructure& prepared, const EvaluationOptions& options, const Scales& scales,
                         Evaluation e) const {
  const std::span<const int> owned = prepared.owned();
  e.energies.resize(owned.size());
  for (std::size_t k = 0; k < e.outputs.size(); ++k)
    if (const Network::Output& o = network_->outputs()[k]; network_->slots()[o.slot].set == atom_set)
      e.outputs[k].resize(owned.size() * o.width);
  if (!e.features.empty()) e.features[atom_set].resize(owned.size() * last_layer_.size());
  return result(prepared.structure, {owned.begin(), owned.end()}, prepared.images, options, scales, std::move(e));
}

Result Potential::result(const Structure& s, const std::vector<int>& species, bool images,
                         const EvaluationOptions& options, const Scales& scales, Evaluation e) const {
  Result result;
  result.energies = std::move(e.energies), result.forces = std::move(e.forces), result.virial = e.virial;
  result.virials = std::move(e.virials);
  if (options.uncertainty) {
    const auto known = uncertainty();
    if (!known)
      throw InputError(
          "this potential knows nothing of its errors (any more, if its parameters were changed): "
          "`nbcore uncertainty MODEL DATA` adds it");
    result.uncertainty = known->of(e.features[atom_set], species);
  }
  if (options.features) result.features = std::move(e.features[atom_set]);
  if (options.hierarchicality) {
    std::vector<std::vector<double>> levels(1);
    for (const int z : species) levels[0].push_back(scales.E0s[z]);
    for (std::vector<double>& level : e.of_levels) level.resize(species.size()), levels.push_back(std::move(level));
    result.hierarchicality = hierarchicality(levels, nullptr);
  }
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
    if (images && network_->outputs()[k].charges) {
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
