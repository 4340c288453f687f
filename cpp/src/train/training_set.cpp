#include "train/training_set.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <exception>
#include <limits>

#include "base/error.hpp"
#include "base/threads.hpp"
#include "potential/closed_sweep.hpp"
#include "train/level_energies.hpp"
#include "train/pairwise.hpp"

namespace nbcore {

TrainingSet::TrainingSet(std::shared_ptr<Potential> potential, std::vector<Structure> structures,
                         std::vector<Labels> labels, int max_block)
    : potential_(std::move(potential)), max_block_(max_block) {
  hold(std::move(structures), std::move(labels));
}

void TrainingSet::hold(std::vector<Structure> structures, std::vector<Labels> labels) {
  if (structures.size() != labels.size()) throw InputError("training set: one set of labels per structure is needed");
  std::vector<Graph> graphs;
  std::vector<std::vector<int>> all_species;
  for (std::size_t k = 0; k < structures.size(); ++k) {
    check_interrupt();
    const Structure& s = structures[k];
    const std::vector<int> species = potential_->species_of(s.numbers);
    labels[k].outputs.resize(potential_->network().outputs().size());
    labels[k].weights.resize(loss_terms().size(), 1.0);
    labels[k].output_weights.resize(labels[k].outputs.size(), 1.0);
    for (std::size_t o = 0; o < labels[k].outputs.size(); ++o) {
      const Network::Output& output = potential_->network().outputs()[o];
      const std::size_t came = labels[k].outputs[o].size(),
                        expected = output.components * (output.per_atom ? species.size() : 1);
      if (came != 0 && came != expected)
        throw InputError(message("training set: structure ", k, ", ", output.name, ": expected ", expected,
                                 " components, got ", came));
      if (came != 0 && !potential_->has_output(int(o), s))
        throw InputError(message("training set: structure ", k,
                                 " has periods, and charges times positions depend on the ",
                                 "images of atoms that are chosen: ", output.name, " cannot be learned from it"));
    }
    if (!labels[k].forces.empty() && labels[k].forces.size() != s.positions.size())
      throw InputError(message("training set: structure ", k, " has ", s.positions.size(), " atoms and ",
                               labels[k].forces.size(), " forces"));
    if (labels[k].stress && !(labels[k].volume > 0))
      throw InputError(message("training set: structure ", k, " has a stress but no volume"));
    // two blocks at least: that a batch of a few molecules is work for a few threads
    const int n = int(s.positions.size()), size = n < 12 ? n : std::min(32, (n + 1) / 2);
    graphs.push_back(
        build_graph(s, species, potential_->network(), potential_->r_min(), max_block_ > 0 ? max_block_ : size));
    all_species.push_back(species);
  }
  structures_ = std::move(structures), labels_ = std::move(labels);
  species_ = std::move(all_species), graphs_ = std::move(graphs);
}

double TrainingSet::average_neighbours() const {
  double edges = 0, atoms = 0;
  for (const Graph& g : graphs_) {
    for (const GraphBlock& b : g.relations[neighbour_relation].blocks) edges += double(b.n_edges());
    atoms += g.n_atoms();
  }
  return atoms > 0 ? edges / atoms : 0;
}

template <class Real> class TrainingSet::Group {
  using Place = typename BatchSweep<Real>::Place;

 public:
  Group(TrainingSet& set, const Scales& scales, std::span<const Item> members, const Buffer<Real>& packed, int threads,
        std::vector<std::unique_ptr<typename BatchSweep<Real>::Memory>>& memory)
      : set_(set),
        scales_(scales),
        network_(set.potential_->network()),
        members_(members),
        sweep_(network_, packed, graphs(), threads, memory, buffers()),
        energies_(members.size()),
        values_(members.size()),
        seeds_(members.size()),
        output_seeds_(members.size()) {
    for (std::size_t m = 0; m < members.size(); ++m) {
      energies_[m].resize(network_.levels());
      for (int level = 1; level <= network_.levels(); ++level)
        energies_[m][level - 1].assign(graph(int(m)).relations[network_.level(level).relation].blocks.size(), 0.0);
      for (const Network::Output& o : network_.outputs())
        values_[m].emplace_back(std::size_t(graph(int(m)).sets[network_.slots()[o.slot].set].n) * o.width);
    }
  }
  /// weight: of a structure in the loss; sums: of the gradient
  void run(const Loss& loss, double weight, std::span<GradientSum<Real>> sums, BatchResult& out) {
    const double scale = scales_.scale;
    for (const Item& item : members_)
      if (asks_for_levels(loss)) levels_.add(network_, set_.species_[item.structure], scales_.E0s);
    const bool has_energy = set_.potential_->has_energy();
    const auto nothing = [](const Place&) {};
    const auto read = [&](const Place& place) { read_block(place); };
    sweep_.forward(Pass::plain, network_.levels() - (has_energy ? 1 : 0), read);
    if (has_energy)
      sweep_.adjoint(Want{true, false}, true, {}, read, [&](const auto& place) { seed_energy(place, -scale); });
    sweep_.each_member([&](int m) { losses(m, loss, weight, out); });
    if (sums.empty()) return;
    if (!has_energy) {  // no derivative by positions in the loss: the plain sweep is enough
      sweep_.adjoint(Want{true, true}, false, sums, nothing,
                     [&](const auto& place) { seed_outputs(place, false, weight); });
      return;
    }
    sweep_.forward(Pass::tangent, network_.levels() - 1, nothing);
    sweep_.adjoint(Want{false, true}, true, sums, nothing, [&](const auto& place) {
      seed_energy(place, weight * scale * seeds_[place.member].a), seed_outputs(place, true, weight);
      levels_.seed(place, graph(place.member).sets[atom_set], weight * scale, seeds_[place.member].levels);
    });
  }

 private:
  std::vector<const Graph*> graphs() const {
    std::vector<const Graph*> all;
    for (const Item& item : members_) all.push_back(&set_.graphs_[item.structure]);
    return all;
  }
  std::vector<BlockBuffers> buffers() const {
    std::vector<BlockBuffers> all;
    for (const Item& item : members_) all.push_back(item.buffers);
    return all;
  }
  const Graph& graph(int m) const { return set_.graphs_[members_[m].structure]; }

  /// Energy and outputs of a block after the forward pass of a level
  void read_block(const Place& place) {
    const GraphBlock& block = place.graph_block();
    double energy = 0;
    place.sweep.read_energies(place.level, place.block, place.ws, [&](int, double e) { energy += e; });
    energies_[place.member][place.level - 1][place.block] = energy;
    levels_.read(place, graph(place.member).sets[atom_set], scales_.scale);
    for (std::size_t o = 0; o < network_.outputs().size(); ++o) {
      const Network::Output& output = network_.outputs()[o];
      const Network::Slot& slot = network_.slots()[output.slot];
      if (slot.level == place.level)
        read_output(place.state(output.slot), output.width,
                    graph(place.member).sets[slot.set].order.data() + block.first, block.n,
                    values_[place.member][o].data());
    }
  }
  static void seed_energy(const Place& place, double seed) {
    place.sweep.seed_energies(place.level, place.block, place.ws, seed);
  }
  void seed_outputs(const Place& place, bool dual, double weight) const {
    const GraphBlock& block = place.graph_block();
    const auto& seeds = output_seeds_[place.member];
    for (std::size_t o = 0; o < seeds.size(); ++o) {
      const Network::Output& output = network_.outputs()[o];
      const Network::Slot& slot = network_.slots()[output.slot];
      if (slot.level == place.level && !seeds[o].empty())
        seed_output(place.state(output.slot), output.width,
                    graph(place.member).sets[slot.set].order.data() + block.first, block.n, dual, weight,
                    seeds[o].data());
    }
  }

  /// Energy, forces, outputs and loss of a structure after the plain sweep; the seeds of the second one
  void losses(int m, const Loss& loss, double weight, BatchResult& out) {
    const std::int64_t k = members_[m].structure;
    const std::size_t place = members_[m].place;
    const double of_outputs = outputs_loss(m, loss, out.outputs[place]);
    out.energies[place] = 0;
    for (int z : set_.species_[k]) out.energies[place] += scales_.E0s[z];
    if (!set_.potential_->has_energy()) {
      out.losses[place] = of_outputs, out.forces[place].resize(graph(m).n_atoms());
      return;
    }
    for (const auto& level : energies_[m])
      for (double e : level) out.energies[place] += scales_.scale * e;
    out.forces[place] = forces(m, out.virials[place]);
    if (scales_.repulsion.any()) {
      std::vector<double> energies(graph(m).n_atoms(), 0.0);
      std::vector<Mat3> no_virials;
      scales_.repulsion.add(graph(m), energies, out.forces[place], out.virials[place], no_virials);
      for (const double e : energies) out.energies[place] += e;
    }
    seeds_[m] = loss_of(loss, set_.labels_[k],
                        {out.energies[place], out.forces[place], out.virials[place], set_.species_[k], levels_.of(m)});
    out.losses[place] = seeds_[m].loss + of_outputs;
    edge_tangents(m, weight);
  }
  std::vector<Vec3> forces(int m, Mat3& virial) const {
    const Graph& g = graph(m);
    std::vector<std::vector<Vec3>> on_nodes;
    for (const NodeSet& set : g.sets) on_nodes.emplace_back(set.n, Vec3{});
    sweep_.each_edges(m, [&](int k, int b, const Edges<Real>& edges) {
      const Relation& relation = g.relations[k];
      const GraphBlock& block = relation.blocks[b];
      add_edge_forces(relation, block, edges, false, on_nodes[relation.children].data(),
                      on_nodes[relation.parents].data() + block.first, virial);
    });
    std::vector<Vec3> on_atoms(g.n_atoms(), Vec3{});
    add_forces_on_atoms(g, on_nodes, on_atoms);
    return on_atoms;
  }

  /// Its share of the loss from outputs; their derivatives by the states of the nodes
  double outputs_loss(int m, const Loss& loss, std::vector<std::vector<double>>& values) {
    const std::int64_t k = members_[m].structure;
    double total = 0;
    std::vector<double> y_bar;
    for (std::size_t o = 0; o < network_.outputs().size(); ++o) {
      const Network::Output& output = network_.outputs()[o];
      if (!set_.potential_->has_output(int(o), set_.structures_[k])) {
        values.emplace_back(), output_seeds_[m].emplace_back();
        continue;
      }
      const OutputContext context =
          set_.potential_->output_context(scales_, int(o), set_.structures_[k], set_.species_[k]);
      values.push_back(output_forward(context, std::move(values_[m][o])));
      Loss::Output term = o < loss.outputs.size() ? loss.outputs[o] : Loss::Output();
      term.weight *= set_.labels_[k].output_weights[o];
      total += loss_of_output(term, set_.labels_[k].outputs[o], values[o], output.components, output.per_atom,
                              set_.species_[k].size(), y_bar);
      const int n = graph(m).sets[network_.slots()[output.slot].set].n;
      output_seeds_[m].push_back(y_bar.empty() ? y_bar : output_adjoint(context, n, y_bar));
    }
    return total;
  }

  /// Tangents of edge vectors along v = dL/dF and the strain S = dL/dW
  void edge_tangents(int m, double weight) {
    const Graph& g = graph(m);
    const std::vector<std::vector<Vec3>> v = node_tangents(g, seeds_[m].v);
    auto& r_dot = sweep_.memory(m).r_dot;
    r_dot.resize(g.relations.size());
    for (std::size_t k = 0; k < g.relations.size(); ++k) {
      const Relation& relation = g.relations[k];
      r_dot[k].resize(std::max(r_dot[k].size(), relation.blocks.size()));
      for (std::size_t b = 0; b < relation.blocks.size(); ++b)
        nbcore::edge_tangents(relation, relation.blocks[b], v, seeds_[m].S, weight, r_dot[k][b]);
    }
  }

  TrainingSet& set_;
  const Scales& scales_;
  const Network& network_;
  std::span<const Item> members_;
  BatchSweep<Real> sweep_;
  std::vector<std::vector<std::vector<double>>> energies_;  // [member][level - 1][block], without scale
  LevelEnergies levels_;
  std::vector<std::vector<std::vector<double>>> values_;        // [member][output][node][width]
  std::vector<LossSeeds> seeds_;                                // [member]
  std::vector<std::vector<std::vector<double>>> output_seeds_;  // [member][output][node][width]
};

std::vector<std::size_t> TrainingSet::alone(std::span<const Partial> partials, int threads) const {
  std::vector<std::size_t> first(partials.size(), 0);
  std::vector<double> totals;  // atoms
  const auto atoms = [&](std::int64_t k) { return double(graphs_[k].n_atoms()); };
  double sum = 0;
  for (const Partial& partial : partials) {
    totals.push_back(0);
    for (std::int64_t k : partial.structures) totals.back() += atoms(k), sum += atoms(k);
  }
  const double most = totals.empty() ? 0 : *std::max_element(totals.begin(), totals.end());
  const double n = double(partials.size());
  // unequal partials matter little where there are many for each thread
  if (threads == 1 || (partials.size() >= std::size_t(4 * threads) && most * n <= (1 + 0.05 * n) * sum)) {
    for (std::size_t p = 0; p < partials.size(); ++p) first[p] = partials[p].structures.size();
    return first;
  }
  // a partial for each thread, or as many for each: of each partial about as much as the smallest has
  const std::size_t taken = partials.size() / threads * threads;
  if (taken == 0) return first;
  const double least = *std::min_element(totals.begin(), totals.begin() + std::ptrdiff_t(taken));
  double fewest = least;
  for (std::size_t p = 0; p < taken; ++p) {
    double total = 0;
    for (std::int64_t k : partials[p].structures) {
      if (total + atoms(k) > 1.05 * least) break;
      total += atoms(k), ++first[p];
    }
    fewest = std::min(fewest, total);
  }
  if (fewest < 0.9 * least) std::fill(first.begin(), first.end(), 0);
  return first;
}

std::int64_t TrainingSet::n_sums(Precision precision) const {
  const Network& network = potential_->network();
  return precision == Precision::float64 ? network.engine<double>().n_weights : network.engine<float>().n_weights;
}

void TrainingSet::gradient(const double* sum, Precision precision, double* gradient) const {
  const Network& network = potential_->network();
  std::fill(gradient, gradient + network.n_parameters(), 0.0);
  if (precision == Precision::float64) network.engine<double>().unpack_adjoint(sum, gradient);
  else network.engine<float>().unpack_adjoint(sum, gradient);
}

TrainingSet::BatchResult TrainingSet::evaluate(std::span<const Partial> partials, std::span<const int> groups,
                                               double weight, const Loss& loss, Precision precision, int threads,
                                               double* sums) {
  std::size_t n = 0, grouped = 0;
  for (const Partial& partial : partials) {
    n += partial.structures.size();
    if (partial.buffers < 1) throw InputError("training set: a partial needs a buffer");
    for (std::int64_t k : partial.structures)
      if (k < 0 || k >= std::int64_t(graphs_.size()))
        throw InputError(message("training set: no structure ", k, " among ", graphs_.size()));
  }
  for (const int group : groups) grouped += std::size_t(std::max(group, 0));
  if (sums && grouped != partials.size()) throw InputError("training set: the groups are not those of the partials");
  BatchResult out;
  out.energies.resize(n), out.forces.resize(n), out.virials.resize(n), out.losses.resize(n), out.outputs.resize(n);
  threads = std::max(threads, 1);
  if (precision == Precision::float64) run<double>(partials, groups, weight, loss, threads, sums, out);
  else run<float>(partials, groups, weight, loss, threads, sums, out);
  return out;
}

template <class Real> void TrainingSet::run(std::span<const Partial> partials, std::span<const int> groups,
                                            double weight, const Loss& loss, int threads, double* sums,
                                            BatchResult& out) {
  const auto scales = potential_->scales();
  if (!loss.elements.empty() && loss.elements.size() != scales->E0s.size())
    throw InputError("the loss wants one factor for each element of the potential");
  Idle<Real>& idle = std::get<Idle<Real>>(idle_);
  std::unique_ptr<Memory<Real>> memory;
  {
    const ShortLock lock(guard_);
    if (!idle.empty()) memory = std::move(idle.back()), idle.pop_back();
  }
  if (!memory) memory = std::make_unique<Memory<Real>>();
  memory->sweeps.resize(std::max<std::size_t>(memory->sweeps.size(), threads));
  const Network& network = potential_->network();
  const std::ptrdiff_t n_weights = network.engine<Real>().n_weights;
  const auto packed = potential_->packed<Real>();

  std::size_t place = 0;
  std::span<GradientSum<Real>> buffers;
  const auto evaluate_group = [&](std::span<const Item> items, int group_threads, int thread) {
    Group<Real>(*this, *scales, items, *packed, group_threads, memory->sweeps[thread]).run(loss, weight, buffers, out);
  };
  const auto evaluate_partials = [&](std::span<const Partial> some, const std::vector<std::size_t>& first) {
    std::vector<std::vector<Item>> items;
    int buffer = 0;
    for (const Partial& partial : some) {
      items.emplace_back();
      for (std::size_t k = 0; k < partial.structures.size(); ++k)
        items.back().push_back({partial.structures[k], place++, {buffer, partial.buffers, int(k)}});
      buffer += partial.buffers;
    }
    parallel_for(int(some.size()), threads, [&](int p, int thread) {
      for (std::size_t k = 0; k < first[p]; ++k) evaluate_group(std::span(items[p]).subspan(k, 1), 1, thread);
    });
    std::vector<Item> rest;
    for (std::size_t p = 0; p < some.size(); ++p)
      rest.insert(rest.end(), items[p].begin() + std::ptrdiff_t(first[p]), items[p].end());
    // no group smaller than the threads: 5 structures on 2 threads are 2 + 3, not 2 + 2 + 1
    const std::size_t n = rest.size(), n_groups = n > 0 ? std::max<std::size_t>(n / threads, 1) : 0;
    for (std::size_t g = 0; g < n_groups; ++g)
      evaluate_group(std::span(rest).subspan(n * g / n_groups, n * (g + 1) / n_groups - n * g / n_groups), threads, 0);
  };

  if (sums) {
    struct Piece {  // of a group
      std::size_t first, count, group;
      bool begins, ends;
    };
    const std::size_t round = std::bit_ceil(std::size_t(std::max(threads, 16)));  // so many have buffers at a time
    std::vector<Piece> pieces;
    for (std::size_t g = 0, first = 0; g < groups.size(); first += std::size_t(groups[g++])) {
      const std::size_t n = std::size_t(groups[g]);
      if (n == 0) std::fill_n(sums + std::ptrdiff_t(g) * n_weights, n_weights, 0.0);
      for (std::size_t k = 0; k < n; k += round)
        pieces.push_back({first + k, std::min(round, n - k), g, k == 0, k + round >= n});
    }
    Pairwise of_long(n_weights);  // of a group of several pieces
    for (std::size_t piece = 0, next = 0; piece < pieces.size(); piece = next) {
      std::size_t n = 0, n_buffers = 0;
      while (next < pieces.size() && n + pieces[next].count <= round) n += pieces[next++].count;
      const auto some = partials.subspan(pieces[piece].first, n);
      for (const Partial& partial : some) n_buffers += std::size_t(partial.buffers);
      if (memory->sums.size() < n_buffers) memory->sums.resize(n_buffers);
      buffers = std::span(memory->sums).first(n_buffers);
      parallel_for(int(n_buffers), threads, [&](int b, int) { buffers[b].begin(network); });
      evaluate_partials(some, alone(some, threads));

      std::vector<std::vector<double*>> totals(n);  // [partial][buffer]
      for (std::size_t p = 0, b = 0; p < n; ++p)
        while (totals[p].size() < std::size_t(some[p].buffers)) totals[p].push_back(buffers[b++].total());
      std::vector<std::pair<std::vector<double*>, double*>> heads;  // of each piece: its partials, where their sum goes
      for (std::size_t k = piece, p = 0; k < next; p += pieces[k++].count) {
        const bool whole = pieces[k].begins && pieces[k].ends;
        heads.emplace_back(0, whole ? sums + std::ptrdiff_t(pieces[k].group) * n_weights : of_long.next());
        for (std::size_t j = 0; j < pieces[k].count; ++j) heads.back().first.push_back(totals[p + j][0]);
      }
      constexpr std::ptrdiff_t slice = 4096;  // numbers that stay in the cache
      parallel_for(int((n_weights + slice - 1) / slice), threads, [&](int s, int) {
        const std::ptrdiff_t from = s * slice, to = std::min(from + slice, n_weights);
        for (const auto& partial : totals) add_pairwise(partial, from, to);
        for (const auto& [of_piece, sum] : heads) {
          add_pairwise(of_piece, from, to);
          std::copy(of_piece[0] + from, of_piece[0] + to, sum + from);
        }
      });
      for (std::size_t k = piece; k < next; ++k)
        if (!(pieces[k].begins && pieces[k].ends)) {
          of_long.added();
          if (pieces[k].ends) of_long.total(sums + std::ptrdiff_t(pieces[k].group) * n_weights);
        }
    }
  } else {  // structure by structure
    std::vector<Partial> each;
    for (const Partial& partial : partials)
      for (std::int64_t k : partial.structures) each.push_back({{k}, 1});
    const bool many = each.size() >= std::size_t(4 * threads);
    evaluate_partials(each, many ? std::vector<std::size_t>(each.size(), 1) : alone(each, threads));
  }
  const ShortLock lock(guard_);  // after an error its memory is not used again
  idle.push_back(std::move(memory));
}

std::vector<std::vector<std::vector<double>>> TrainingSet::states(std::int64_t k) {
  const Network& network = potential_->network();
  Workspace<double> ws;
  // in one block, so that all states are there in the end
  const Graph graph =
      build_graph(structures_.at(k), species_[k], network, potential_->r_min(), std::numeric_limits<int>::max());
  ClosedSweep<double>(network, graph, *potential_->packed<double>(), ws).forward();
  std::vector<std::vector<std::vector<double>>> states;
  for (std::size_t slot = 0; slot < network.slots().size(); ++slot) {
    const Layout<double>& layout = network.engine<double>().layouts[slot];
    const Network::Slot& of = network.slots()[slot];
    const NodeSet& nodes = graph.sets[of.set];
    const int n = of.on_edges ? int(graph.relations[network.level(of.level).relation].blocks[0].n_edges()) : nodes.n;
    states.emplace_back();
    for (int p = 0; p < layout.size(); ++p) {
      const int d = layout[p].dim(), channels = layout[p].channels();
      std::vector<double>& part = states.back().emplace_back(std::size_t(n) * d * channels);
      const double* x = ws.x[slot].value.data() + layout.offset(p, n);
      for (std::ptrdiff_t i = 0; i < n; ++i)
        for (std::ptrdiff_t m = 0; m < d; ++m)
          for (int c = 0; c < channels; ++c)
            part[((of.on_edges ? i : nodes.order[i]) * d + m) * channels + c] =
                x[(i * d + m) * layout.row(p) + layout.position(p, c)];
    }
  }
  return states;
}

}  // namespace nbcore
