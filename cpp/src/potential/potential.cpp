#include "potential/potential.hpp"

#include <cmath>

#include "base/threads.hpp"
#include "potential/model_file.hpp"

namespace nbcore {

namespace {
constexpr int max_block = 32;  // parents of a block; systems up to twice as large are one block
}

Potential::Potential(const std::string& text) : description_(text) {
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
  parameters_.assign(network_->n_parameters(), 0.0);
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
  packed_from_.clear();
}

void Potential::rescale(int slot, int part, double factor) {
  const std::lock_guard lock(guard_);
  network_->rescale(slot, part, factor);
  packed_from_.clear();
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
    auto potential = std::make_shared<Potential>(file.description);
    std::vector<double> parameters;
    for (const ParameterSlice& slice : potential->network().parameters()) {
      const auto found = std::find_if(file.tensors.begin(), file.tensors.end(),
                                      [&](const Tensor& t) { return t.name == "parameters." + slice.name; });
      if (found == file.tensors.end())
        throw ModelFileError(message(path, ": the array parameters.", slice.name, " is missing"));
      if (found->shape != slice.shape)
        throw ModelFileError(
            message(path, ": the array parameters.", slice.name, " has another shape than the program says"));
      parameters.insert(parameters.end(), found->data.begin(), found->data.end());
    }
    potential->set_parameters(std::move(parameters));
    return potential;
  } catch (const InputError& e) {
    throw ModelFileError(message(path, ": ", e.what()));
  }
}

const Buffer<double>& Potential::packed() const {
  const std::lock_guard lock(guard_);
  const bool maybe_changed = views_ > 0 || viewed_.exchange(false);
  if (packed_from_.size() != parameters_.size() || (maybe_changed && packed_from_ != parameters_)) {
    network_->engine<double>().pack(parameters_.data(), packed_);
    packed_from_ = parameters_;
  }
  return packed_;
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

void Potential::evaluate_closed(const Graph& graph, Workspace<double>& ws, Result& result, NodeValues& values) const {
  ClosedSweep sweep(*network_, graph, packed(), false, ws);
  sweep.forward();
  for (std::size_t k = 0; k < values.size(); ++k) {
    const Network::Output& o = network_->outputs()[k];
    const NodeSet& set = graph.sets[network_->slots()[o.slot].set];
    values[k].resize(std::size_t(set.n) * o.width);
    read_output(sweep.state(o.slot), o.width, set.order.data(), set.n, values[k].data());
  }
  if (!has_energy()) return;
  for (std::size_t set = 0; set < graph.sets.size(); ++set) {
    std::vector<double> energies(graph.sets[set].n, 0.0);
    for (int slot : network_->readout()) {
      if (network_->slots()[slot].set != int(set)) continue;
      const State<double> e = sweep.state(slot);
      for (int i = 0; i < e.rows; ++i) energies[i] += e.x.value[i * e.layout->row(0)];
    }
    for (double& e : energies) e *= scale_;
    share_among_atoms(graph, int(set), energies, result.energies);
  }
  sweep.clear();
  sweep.seed_energy(-scale_);
  sweep.adjoint(Want{true, false}, nullptr);
  result.forces = sweep.forces(result.virial);
}

void Potential::evaluate_blocks(const Graph& graph, int threads, Result& result, NodeValues& values) const {
  const int levels = network_->levels();
  SystemStates<double> system;
  const Sweep<double> sweep(*network_, graph, packed(), false, &system);
  sweep.prepare_system();
  std::vector<std::unique_ptr<Workspace<double>>> ws;
  for (int t = 0; t < threads; ++t) ws.push_back(borrow());
  std::vector<std::vector<double>> energies;  // per set
  std::vector<std::vector<Vec3>> on_nodes;    // forces per set
  for (const NodeSet& set : graph.sets) energies.emplace_back(set.n, 0.0), on_nodes.emplace_back(set.n, Vec3{});
  std::vector<std::vector<std::vector<Vec3>>> halo_forces(graph.relations.size());  // [relation][block][row]
  std::vector<std::vector<Mat3>> virials(graph.relations.size());
  for (std::size_t k = 0; k < graph.relations.size(); ++k) {
    halo_forces[k].resize(graph.relations[k].blocks.size());
    virials[k].assign(graph.relations[k].blocks.size(), Mat3{});
  }

  const auto forward = [&](int level, int b, Workspace<double>& w) {
    sweep.edges(network_->level(level).relation, sweep.relation(level).blocks[b], nullptr, w);
    sweep.forward(level, b, w);
    for (std::size_t k = 0; k < values.size(); ++k) {
      const Network::Output& o = network_->outputs()[k];
      const Network::Slot& slot = network_->slots()[o.slot];
      if (slot.level != level) continue;
      const GraphBlock& block = sweep.relation(level).blocks[b];
      read_output(sweep.state(o.slot, level, b, w), o.width, graph.sets[slot.set].order.data() + block.first, block.n,
                  values[k].data());
    }
  };
  const auto adjoint = [&](int level, int b, Workspace<double>& w) {
    const Relation& relation = sweep.relation(level);
    const GraphBlock& block = relation.blocks[b];
    const int number = network_->level(level).relation;
    sweep.clear(level, b, w);
    for (int slot : network_->readout()) {
      if (network_->slots()[slot].level != level) continue;
      const State<double> e = sweep.state(slot, level, b, w);
      for (int i = 0; i < block.n; ++i) {
        energies[relation.parents][block.first + i] += e.own(0).value[i * e.layout->row(0)];
        e.own_bar(0).value[i * e.layout->row(0)] += -scale_;
      }
    }
    w.edges[number].clear_adjoints(false);
    sweep.adjoint(level, b, Want{true, false}, nullptr, w);
    sweep.edges_back(number, w);
    std::vector<Vec3>& halo = halo_forces[number][b];
    halo.resize(block.halo.size(), Vec3{});
    // of neighbourhoods the parents are the first rows of the halo; other parents belong to this block alone
    Vec3* parents =
        relation.parents == relation.children ? halo.data() : on_nodes[relation.parents].data() + block.first;
    add_edge_forces(relation, block, w.edges[number], true, halo.data(), parents, virials[number][b]);
  };
  for (std::size_t k = 0; k < values.size(); ++k) {
    const Network::Output& o = network_->outputs()[k];
    values[k].resize(std::size_t(graph.sets[network_->slots()[o.slot].set].n) * o.width);
  }
  const int top = has_energy() ? levels : 0;  // covariant outputs need no way back
  for (int level = 1; level <= levels; ++level)
    if (level != top)
      parallel_for(int(sweep.relation(level).blocks.size()), threads, [&](int b, int t) { forward(level, b, *ws[t]); });
  for (int level = top; level >= 1; --level) {
    const Relation& relation = sweep.relation(level);
    const int n_children = graph.sets[relation.children].n;
    parallel_for(int(relation.blocks.size()), threads,
                 [&](int b, int t) { forward(level, b, *ws[t]), adjoint(level, b, *ws[t]); });
    parallel_for((n_children + 63) / 64, threads, [&](int k, int) {
      for (int child = 64 * k; child < std::min(64 * k + 64, n_children); ++child) sweep.gather(level, child);
    });
  }
  for (std::size_t k = 0; k < graph.relations.size(); ++k) {
    const Relation& r = graph.relations[k];
    if (r.blocks.empty()) continue;
    for (int child = 0; child < graph.sets[r.children].n; ++child)
      for (std::int64_t w = r.writer_first[child]; w < r.writer_first[child + 1]; ++w)
        for (int a = 0; a < 3; ++a) {
          const std::vector<Vec3>& halo = halo_forces[k][r.writers[w].first];
          if (!halo.empty()) on_nodes[r.children][child][a] += halo[r.writers[w].second][a];
        }
    for (const Mat3& v : virials[k])
      for (int a = 0; a < 3; ++a)
        for (int c = 0; c < 3; ++c) result.virial[a][c] += v[a][c];
  }
  result.forces = forces_on_atoms(graph, on_nodes);
  for (std::size_t set = 0; set < graph.sets.size(); ++set) {
    for (double& e : energies[set]) e *= scale_;
    share_among_atoms(graph, int(set), energies[set], result.energies);
  }
  for (auto& w : ws) give_back(std::move(w));
}

Result Potential::compute(const Structure& s, int threads) const {
  const std::vector<int> species = species_of(s.numbers);
  if (s.numbers.size() != s.positions.size())
    throw InputError(message("positions and species must have the same length, got ", s.positions.size(), " and ",
                             s.numbers.size()));
  Result result;
  result.forces.assign(s.positions.size(), Vec3{});
  result.energies.resize(s.positions.size());
  for (std::size_t i = 0; i < species.size(); ++i) result.energies[i] = E0s_[species[i]];
  NodeValues values(network_->outputs().size());
  const bool one_block = int(s.positions.size()) <= 2 * max_block;
  const Graph graph = build_graph(s, species, *network_, r_min_, one_block ? 2 * max_block : max_block);
  if (graph.n_atoms() > 0) {
    if (graph.closed) {
      auto ws = borrow();
      evaluate_closed(graph, *ws, result, values);
      give_back(std::move(ws));
    } else {
      evaluate_blocks(graph, std::max(threads, 1), result, values);
    }
  }
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

std::unique_ptr<Workspace<double>> Potential::borrow() const {
  const std::lock_guard lock(guard_);
  if (idle_.empty()) return std::make_unique<Workspace<double>>();
  auto ws = std::move(idle_.back());
  idle_.pop_back();
  return ws;
}

void Potential::give_back(std::unique_ptr<Workspace<double>> ws) const {
  const std::lock_guard lock(guard_);
  idle_.push_back(std::move(ws));
}

}  // namespace nbcore
