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

void TrainingSet::structure(std::int64_t k, double weight, const Loss& loss, Workspace<double>& ws, double* weights_bar,
                            Evaluation& out, std::size_t place) const {
  const Graph& graph = graphs_[k];
  const Network& network = potential_->network();
  const double scale = potential_->scale();

  ClosedSweep plain(network, graph, potential_->packed(), false, ws);
  plain.forward();
  const double energy = E0_[k] + scale * plain.energy();
  plain.clear();
  plain.seed_energy(-scale);
  plain.adjoint(Want{true, false}, nullptr);
  Mat3 virial{};
  std::vector<Vec3> forces = plain.forces(virial);

  const LossSeeds seeds = loss_of(loss, labels_[k], energy, forces, virial);
  out.losses[place] = seeds.loss, out.energies[place] = energy, out.virials[place] = virial;
  out.forces[place] = std::move(forces);
  if (!weights_bar || graph.n_atoms() == 0) return;

  ClosedSweep dual(network, graph, potential_->packed(), true, ws);
  dual.forward(edge_tangents(graph, seeds, weight));
  dual.clear();
  dual.seed_energy(-scale, weight * scale * seeds.a);
  dual.adjoint(Want{false, true}, weights_bar);
}

TrainingSet::Evaluation TrainingSet::evaluate(std::span<const std::int64_t> batch, const Loss& loss, int threads,
                                              double* gradient) {
  const std::size_t n = batch.size();
  Evaluation out;
  out.energies.resize(n), out.forces.resize(n), out.virials.resize(n), out.losses.resize(n);
  for (std::int64_t k : batch)
    if (k < 0 || k >= std::int64_t(graphs_.size()))
      throw InputError(message("training set: no structure ", k, " among ", graphs_.size()));
  if (n == 0) return out;
  threads = std::max(threads, 1);
  while (int(workspaces_.size()) < threads) workspaces_.push_back(std::make_unique<Workspace<double>>());
  const Engine<double>& engine = potential_->network().engine<double>();
  potential_->packed();  // packed before threads start

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
      structure(batch[place], weight, loss, *workspaces_[thread], weights_bar, out, place);
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
    ClosedSweep(network, graph, potential_->packed(), false, ws).forward();
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
