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
    graphs_.push_back(build_graph(s, species, int(potential_->species().size()), potential_->cutoff(),
                                  potential_->r_min(), std::numeric_limits<int>::max()));
  }
}

double TrainingSet::average_neighbours() const {
  double edges = 0, atoms = 0;
  for (const Graph& g : graphs_) edges += double(g.blocks[0].n_edges()), atoms += g.n_atoms;
  return atoms > 0 ? edges / atoms : 0;
}

void TrainingSet::structure(std::int64_t k, double weight, const Loss& loss, Workspace<double>& ws, double* weights_bar,
                            Evaluation& out, std::size_t place) const {
  const Graph& graph = graphs_[k];
  const GraphBlock& block = graph.blocks[0];
  const Network& network = potential_->network();
  const int levels = network.levels();
  const double scale = potential_->scale();
  const auto sweep_of = [&](bool dual) { return Sweep<double>(network, graph, potential_->packed(), dual, nullptr); };
  const auto run = [&](const Sweep<double>& sweep, const double* r_dot, bool dual, double seed_dot, Want want,
                       double* weights_bar) {
    sweep.edges(block, r_dot, ws);
    for (int level = 1; level <= levels; ++level) sweep.forward(level, 0, ws);
    for (int level = 1; level <= levels; ++level) sweep.clear(level, 0, ws);
    double energy = 0;
    for (int slot : network.readout()) {
      const State<double> e = sweep.state(slot, levels, 0, ws);
      const int row = e.layout->row(0);
      for (int i = 0; i < block.n; ++i) {
        energy += e.x.value[i * row];
        e.bar.value[i * row] = -scale;
        if (dual) e.bar.dot[i * row] = seed_dot;
      }
    }
    if (want.edges) ws.edges.clear_adjoints(dual);
    for (int level = levels; level >= 1; --level) sweep.adjoint(level, 0, want, weights_bar, ws);
    return energy;
  };

  // plain: energy, forces, virial
  const Sweep<double> plain = sweep_of(false);
  const double energy = E0_[k] + scale * run(plain, nullptr, false, 0, Want{true, false}, nullptr);
  plain.edges_back(ws);
  std::vector<Vec3> in_graph(block.n, Vec3{}), forces(block.n);
  Mat3 virial{};
  add_edge_forces(block, ws.edges, block.child, in_graph.data(), virial);
  for (int i = 0; i < block.n; ++i) forces[graph.order[i]] = in_graph[i];

  LossSeeds seeds = loss_of(loss, labels_[k], energy, forces, virial);
  out.losses[place] = seeds.loss, out.energies[place] = energy, out.virials[place] = virial;
  out.forces[place] = std::move(forces);
  if (!weights_bar || block.n == 0) return;

  // dual: edge vectors move along v_child - v_parent + S r
  std::vector<double> r_dot(block.r.size(), 0.0);
  const std::int64_t stride = block.stride();
  for (int i = 0; i < block.n; ++i)
    for (std::int64_t e = block.edge_first[i]; e < block.edge_first[i + 1]; ++e)
      for (int c = 0; c < 3; ++c) {
        double t = seeds.v[graph.order[block.child[e]]][c] - seeds.v[graph.order[i]][c];
        for (int d = 0; d < 3; ++d) t += seeds.S[c][d] * block.r[d * stride + e];
        r_dot[c * stride + e] = weight * t;
      }
  run(sweep_of(true), r_dot.data(), true, weight * scale * seeds.a, Want{false, true}, weights_bar);
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
    const Sweep<double> sweep(network, graph, potential_->packed(), false, nullptr);
    sweep.edges(graph.blocks[0], nullptr, ws);
    for (int level = 1; level <= network.levels(); ++level) sweep.forward(level, 0, ws);
    for (std::size_t s = 0; s < sums.size(); ++s) {
      const Layout<double>& layout = network.engine<double>().layouts[s];
      const double* x = ws.x[s].value.data();
      for (int p = 0; p < layout.size(); ++p) {
        const std::ptrdiff_t rows = std::ptrdiff_t(graph.n_atoms) * layout[p].dim();
        for (std::ptrdiff_t r = 0; r < rows; ++r)
          for (int c = 0; c < layout[p].channels(); ++c) {
            const double value = x[layout.offset(p, graph.n_atoms) + r * layout.row(p) + layout.position(p, c)];
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
