#include "train/training_set.hpp"

#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "base/threads.hpp"

namespace nbcore {

TrainingSet::TrainingSet(std::shared_ptr<Potential> potential, const std::vector<Structure>& structures,
                         std::vector<Labels> labels)
    : potential_(std::move(potential)), labels_(std::move(labels)) {
  if (structures.size() != labels_.size()) throw InputError("training set: one set of labels per structure is needed");
  for (std::size_t k = 0; k < structures.size(); ++k) {
    const Structure& s = structures[k];
    const std::vector<int> species = potential_->species_of(s.numbers);
    double E0 = 0;
    for (int z : species) E0 += potential_->E0s()[z];
    E0_.push_back(E0);
    labels_[k].outputs.resize(potential_->network().outputs().size());
    if (!labels_[k].outputs.empty()) structures_.push_back(s), species_.push_back(species);
    for (std::size_t o = 0; o < labels_[k].outputs.size(); ++o) {
      const Network::Output& output = potential_->network().outputs()[o];
      const std::size_t came = labels_[k].outputs[o].size(),
                        expected = output.components * (output.per_atom ? species.size() : 1);
      if (came != 0 && came != expected)
        throw InputError(message("training set: structure ", k, ", ", output.name, ": expected ", expected,
                                 " components, got ", came));
      if (came != 0 && !potential_->has_output(int(o), s))
        throw InputError(message("training set: structure ", k,
                                 " has periods, and charges times positions depend on the ",
                                 "images of atoms that are chosen: ", output.name, " cannot be learned from it"));
    }
    if (!labels_[k].forces.empty() && labels_[k].forces.size() != s.positions.size())
      throw InputError(message("training set: structure ", k, " has ", s.positions.size(), " atoms and ",
                               labels_[k].forces.size(), " forces"));
    if (labels_[k].stress && !(labels_[k].volume > 0))
      throw InputError(message("training set: structure ", k, " has a stress but no volume"));
    // one block: with all its children inside, a structure runs from first to last gate in one workspace
    graphs_.push_back(
        build_graph(s, species, potential_->network(), potential_->r_min(), std::numeric_limits<int>::max()));
  }
}

double TrainingSet::average_neighbours() const {
  double edges = 0, atoms = 0;
  for (const Graph& g : graphs_) edges += double(g.relations[0].blocks[0].n_edges()), atoms += g.n_atoms();
  return atoms > 0 ? edges / atoms : 0;
}

std::vector<std::vector<double>> TrainingSet::edge_tangents(const Graph& graph, const LossSeeds& seeds,
                                                            double weight) const {
  // along v a node moves as its atoms do, with the coefficients of its position
  std::vector<std::vector<Vec3>> v;
  for (const NodeSet& set : graph.sets) {
    v.emplace_back(set.n, Vec3{});
    for (int k = 0; k < set.n; ++k) {
      const int node = set.order[k];
      if (v.size() == 1) {
        v[0][k] = seeds.v[node];
        continue;
      }
      for (std::int64_t a = set.first[node]; a < set.first[node + 1]; ++a)
        for (int c = 0; c < 3; ++c) v.back()[k][c] += set.coefficient[a] * seeds.v[set.atom[a]][c];
    }
  }
  std::vector<std::vector<double>> r_dot(graph.relations.size());
  for (std::size_t number = 0; number < graph.relations.size(); ++number) {
    const Relation& relation = graph.relations[number];
    if (relation.blocks.empty()) continue;
    const GraphBlock& block = relation.blocks[0];
    const std::int64_t stride = block.stride();
    r_dot[number].assign(block.r.size(), 0.0);
    for (int i = 0; i < block.n; ++i)
      for (std::int64_t e = block.edge_first[i]; e < block.edge_first[i + 1]; ++e) {
        const Vec3& origin = relation.pairs ? v[relation.children][block.partner[e]] : v[relation.parents][i];
        for (int c = 0; c < 3; ++c) {
          double t = v[relation.children][block.child[e]][c] - origin[c];
          for (int d = 0; d < 3; ++d) t += seeds.S[c][d] * block.r[d * stride + e];
          r_dot[number][c * stride + e] = weight * t;
        }
      }
  }
  return r_dot;
}

double TrainingSet::outputs_loss(std::int64_t k, const ClosedSweep<double>& sweep, const Loss& loss,
                                 std::vector<std::vector<double>>& values,
                                 std::vector<std::vector<double>>& seeds) const {
  const Network& network = potential_->network();
  double total = 0;
  std::vector<double> y_bar;
  for (std::size_t o = 0; o < network.outputs().size(); ++o) {
    const Network::Output& output = network.outputs()[o];
    const NodeSet& set = graphs_[k].sets[network.slots()[output.slot].set];
    if (!potential_->has_output(int(o), structures_[k])) {
      values.emplace_back(), seeds.emplace_back();
      continue;
    }
    const OutputContext context = potential_->output_context(int(o), structures_[k], species_[k]);
    std::vector<double> nodes(std::size_t(set.n) * output.width);
    read_output(sweep.state(output.slot), output.width, set.order.data(), set.n, nodes.data());
    values.push_back(output_forward(context, std::move(nodes)));
    Loss::Term term = o < loss.outputs.size() ? loss.outputs[o] : Loss::Term();
    term.weight *= labels_[k].weight;
    total += loss_of_output(loss, term, labels_[k].outputs[o], values[o], output.components, output.per_atom,
                            species_[k].size(), y_bar);
    seeds.push_back(y_bar.empty() ? y_bar : output_adjoint(context, set.n, y_bar));
  }
  return total;
}

void TrainingSet::seed_outputs(const Graph& graph, const ClosedSweep<double>& sweep, bool dual, double weight,
                               const std::vector<std::vector<double>>& seeds) const {
  for (std::size_t o = 0; o < seeds.size(); ++o) {
    const Network::Output& output = potential_->network().outputs()[o];
    const NodeSet& set = graph.sets[potential_->network().slots()[output.slot].set];
    if (!seeds[o].empty())
      seed_output(sweep.state(output.slot), output.width, set.order.data(), set.n, dual, weight, seeds[o].data());
  }
}

void TrainingSet::structure(std::int64_t k, const Buffer<double>& packed, double weight, const Loss& loss,
                            Workspace<double>& ws, double* weights_bar, Evaluation& out, std::size_t place) const {
  const Graph& graph = graphs_[k];
  const Network& network = potential_->network();
  const double scale = potential_->scale();

  ClosedSweep<double> plain(network, graph, packed, false, ws);
  plain.forward();
  std::vector<std::vector<double>> output_seeds;
  const double of_outputs = outputs_loss(k, plain, loss, out.outputs[place], output_seeds);
  if (!potential_->has_energy()) {  // no derivative by positions in the loss: the plain sweep is enough
    out.losses[place] = of_outputs, out.energies[place] = E0_[k], out.forces[place].resize(graph.n_atoms());
    if (!weights_bar || graph.n_atoms() == 0) return;
    plain.clear();
    seed_outputs(graph, plain, false, weight, output_seeds);
    plain.adjoint(Want{true, true}, weights_bar);
    return;
  }
  const double energy = E0_[k] + scale * plain.energy();
  plain.clear();
  plain.seed_energy(-scale);
  plain.adjoint(Want{true, false}, nullptr);
  Mat3 virial{};
  std::vector<Vec3> forces = plain.forces(virial);

  const LossSeeds seeds = loss_of(loss, labels_[k], energy, forces, virial);
  out.losses[place] = seeds.loss + of_outputs, out.energies[place] = energy, out.virials[place] = virial;
  out.forces[place] = std::move(forces);
  if (!weights_bar || graph.n_atoms() == 0) return;

  ClosedSweep<double> dual(network, graph, packed, true, ws);
  dual.forward(edge_tangents(graph, seeds, weight));
  dual.clear();
  dual.seed_energy(-scale, weight * scale * seeds.a);
  seed_outputs(graph, dual, true, weight, output_seeds);
  dual.adjoint(Want{false, true}, weights_bar);
}

TrainingSet::Evaluation TrainingSet::evaluate(std::span<const std::int64_t> batch, const Loss& loss, int threads,
                                              double* gradient) {
  const std::size_t n = batch.size();
  Evaluation out;
  out.energies.resize(n), out.forces.resize(n), out.virials.resize(n), out.losses.resize(n);
  out.outputs.resize(n);
  for (std::int64_t k : batch)
    if (k < 0 || k >= std::int64_t(graphs_.size()))
      throw InputError(message("training set: no structure ", k, " among ", graphs_.size()));
  if (n == 0) return out;
  threads = std::max(threads, 1);
  while (int(workspaces_.size()) < threads) workspaces_.push_back(std::make_unique<Workspace<double>>());
  const Engine<double>& engine = potential_->network().engine<double>();
  const Buffer<double>& packed = potential_->packed<double>();

  const int G = int(std::min<std::size_t>(n, n_buffers));
  const int n_tasks = gradient ? G : int(n);
  if (gradient) {
    buffers_.resize(n_buffers);
    for (int g = 0; g < G; ++g) buffers_[g].resize(engine.n_weights);
  }
  const double weight = 1.0 / double(n);
  parallel_for(n_tasks, threads, [&](int task, int thread) {
    double* weights_bar = nullptr;
    if (gradient) buffers_[task].clear(), weights_bar = buffers_[task].data();
    for (std::size_t place = task; place < n; place += n_tasks)
      structure(batch[place], packed, weight, loss, *workspaces_[thread], weights_bar, out, place);
  });
  for (double l : out.losses) out.loss += weight * l;
  if (gradient) {
    for (int step = 1; step < G; step *= 2)
      for (int g = 0; g + step < G; g += 2 * step) {
        double *to = buffers_[g].data(), *from = buffers_[g + step].data();
        for (std::ptrdiff_t k = 0; k < engine.n_weights; ++k) to[k] += from[k];
      }
    std::fill(gradient, gradient + potential_->network().n_parameters(), 0.0);
    engine.unpack_adjoint(buffers_[0].data(), gradient);
  }
  return out;
}

std::vector<std::vector<double>> TrainingSet::slot_rms(std::span<const std::int64_t> batch) {
  const Network& network = potential_->network();
  if (workspaces_.empty()) workspaces_.push_back(std::make_unique<Workspace<double>>());
  Workspace<double>& ws = *workspaces_[0];
  std::vector<std::vector<double>> sums, counts;
  for (const auto& slot : network.slots())
    sums.emplace_back(slot.parts.size(), 0.0), counts.emplace_back(slot.parts.size(), 0.0);
  for (std::int64_t k : batch) {
    const Graph& graph = graphs_.at(k);
    ClosedSweep<double>(network, graph, potential_->packed<double>(), false, ws).forward();
    for (std::size_t s = 0; s < sums.size(); ++s) {
      const Layout<double>& layout = network.engine<double>().layouts[s];
      const int n = graph.sets[network.slots()[s].set].n;
      const double* x = ws.x[s].value.data();
      for (int p = 0; p < layout.size(); ++p) {
        const std::ptrdiff_t rows = std::ptrdiff_t(n) * layout[p].dim();
        for (std::ptrdiff_t r = 0; r < rows; ++r)
          for (int c = 0; c < layout[p].channels(); ++c) {
            const double value = x[layout.offset(p, n) + r * layout.row(p) + layout.position(p, c)];
            sums[s][p] += value * value;
          }
        counts[s][p] += double(rows) * layout[p].channels();
      }
    }
  }
  for (std::size_t s = 0; s < sums.size(); ++s)
    for (std::size_t p = 0; p < sums[s].size(); ++p)
      sums[s][p] = counts[s][p] > 0 ? std::sqrt(sums[s][p] / counts[s][p]) : 0;
  return sums;
}

}  // namespace nbcore
