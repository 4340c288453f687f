#include "network/single_gate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

namespace nbcore {

namespace {
constexpr int most_species = 1000;
constexpr double stranger = 12345.0;  // in rows of adjoints and outputs that are not the gate's
}  // namespace

template <class Real> SingleGate<Real>::SingleGate(const Options& spec, std::vector<std::vector<Part>> inputs,
                                                   int n_species, bool o3, bool embedded)
    : embedded_(embedded), inputs_(std::move(inputs)) {
  if (n_species < 1 || n_species > most_species)
    throw InputError(message("n_species must be 1 to ", most_species, ", got ", n_species));
  around_ = {n_species, true, n_species, o3};
  for (std::size_t k = 0; k < inputs_.size(); ++k) try {
      check_state(inputs_[k], o3);
    } catch (const InputError& e) {
      throw InputError(message("input ", k, ": ", e.what()));
    }
  rule_ = make_rule(spec, states(), around_);
  pairs_ = rule_->type->reads == Reads::pairs;
  places_ = add_radials(*rule_, edges_.radials), edges_.l_max = rule_->l_harmonics;
  for (const auto& parts : inputs_) input_layouts_.emplace_back(parts);
  output_layout_ = Layout<Real>(rule_->output);
  x_.resize(inputs_.size()), bar_.resize(inputs_.size());
}

template <class Real> States SingleGate<Real>::states() const { return {inputs_.begin(), inputs_.end()}; }

template <class Real> typename SingleGate<Real>::Rows SingleGate<Real>::rows(int state) const {
  const int n = n_own(state);
  if (!embedded_ || on_edges(state)) return {n, 0, n, 0};
  return state < 0 ? Rows{n + 5, 1, n + 6, 4} : Rows{n + 4, 3, n + 7, 2};
}

template <class Real> void SingleGate<Real>::set_graph(const std::vector<int>& species, const std::vector<int>& parent,
                                                       const std::vector<int>& child, const std::vector<int>& partner,
                                                       const PlainArray& r, bool dual) {
  const int n = int(species.size());
  if (!std::is_sorted(species.begin(), species.end()) ||
      (n && (species.front() < 0 || species.back() >= around_.n_species)))
    throw InputError("species must be ascending, from 0 to the number of species minus one");
  if (child.size() != parent.size() || r.value.size() != 3 * parent.size() || (dual && r.dot.size() != r.value.size()))
    throw InputError("edges: parent, child and r must have the same length");
  if (partner.size() != (pairs_ ? parent.size() : 0))
    throw InputError("edges: a gate of pairs needs the other child of every edge, other gates none");
  edge_order_.resize(parent.size());
  std::iota(edge_order_.begin(), edge_order_.end(), 0);
  for (std::size_t e = 0; e < parent.size(); ++e)
    if (std::min(parent[e], child[e]) < 0 || std::max(parent[e], child[e]) >= n ||
        (pairs_ && (partner[e] < 0 || partner[e] >= n)))
      throw InputError(message("edge ", e, " leads to no node"));
  std::stable_sort(edge_order_.begin(), edge_order_.end(), [&](auto a, auto b) {
    return std::pair(parent[a], species[child[a]]) < std::pair(parent[b], species[child[b]]);
  });
  forward_ = adjoint_ = false, graph_dual_ = dual;
  block_.emplace();
  block_->n = n, block_->species_first.assign(around_.n_species + 1, 0), block_->edge_first.assign(n + 1, 0);
  for (int z : species) ++block_->species_first[z + 1];
  std::partial_sum(block_->species_first.begin(), block_->species_first.end(), block_->species_first.begin());
  for (int p : parent) ++block_->edge_first[p + 1];
  std::partial_sum(block_->edge_first.begin(), block_->edge_first.end(), block_->edge_first.begin());
  for (auto* list : {&child_, &child_bar_, &partner_, &partner_bar_}) list->clear();
  const Rows at = embedded_ ? Rows{n + 4, 3, n + 7, 2} : Rows{n, 0, n, 0};
  for (auto e : edge_order_) {
    child_.push_back(at.node + child[e]), child_bar_.push_back(at.bar_node + child[e]);
    block_->child_species.push_back(species[child[e]]);
    if (pairs_) partner_.push_back(at.node + partner[e]), partner_bar_.push_back(at.bar_node + partner[e]);
  }

  edges_.resize(std::int64_t(parent.size()), dual);
  edges_.elements.clear();
  for (auto e : edge_order_) edges_.elements.push_back({species[parent[e]], species[child[e]]});
  std::fill_n(edges_.r.value.data(), edges_.r.value.size(), 1.0);
  if (dual) edges_.r.dot.clear();
  for (std::size_t k = 0; k < edge_order_.size(); ++k)
    for (int c = 0; c < 3; ++c) {
      edges_.r.value[c * edges_.stride() + k] = r.value[3 * edge_order_[k] + c];
      if (dual) edges_.r.dot[c * edges_.stride() + k] = r.dot[3 * edge_order_[k] + c];
    }
  dual ? edges_forward<true>(edges_) : edges_forward<false>(edges_);
}

template <class Real> std::size_t SingleGate<Real>::n_numbers(int state) const {
  std::size_t n = 0;
  for (const Part& p : layout(state).parts()) n += std::size_t(n_own(state)) * p.dim() * p.channels();
  return n;
}

template <class Real> template <class F> void SingleGate<Real>::each_number(int state, int rows, int node, F f) const {
  const Layout<Real>& layout = this->layout(state);
  std::size_t first = 0;  // of a part
  for (int p = 0; p < layout.size(); ++p) {
    const int dim = layout[p].dim(), channels = layout[p].channels();
    for (int own = 0; own < n_own(state); ++own) {
      const std::size_t of_caller = on_edges(state) ? std::size_t(edge_order_[own]) : own;
      for (int m = 0; m < dim; ++m)
        for (int c = 0; c < channels; ++c)
          f(first + (of_caller * dim + m) * channels + c,
            layout.offset(p, rows) + (std::ptrdiff_t(node + own) * dim + m) * layout.row(p) + layout.position(p, c));
    }
    first += std::size_t(n_own(state)) * dim * channels;
  }
}

/// `to` gets `rows` nodes, those from `node` on `from`; all others are NaN, which nobody may read.
template <class Real> void SingleGate<Real>::fill(const char* what, int state, const PlainArray& from, int rows,
                                                  int node, PlaneBuffer<Real>& to, bool dual) const {
  const Layout<Real>& layout = this->layout(state);
  const std::size_t expected = n_numbers(state);
  if (from.value.size() != expected || (dual && from.dot.size() != expected))
    throw InputError(message(what, ": ", expected, " numbers expected, got ", from.value.size(),
                             dual ? message(" and ", from.dot.size(), " tangents") : ""));
  to.resize(layout.node_size() * rows, dual);
  const Real nan = std::numeric_limits<Real>::quiet_NaN();
  std::fill_n(to.value.data(), to.value.size(), nan);
  if (dual) std::fill_n(to.dot.data(), to.dot.size(), nan);
  for (int p = 0; p < layout.size(); ++p) {
    const std::ptrdiff_t size = std::ptrdiff_t(layout[p].dim()) * layout.row(p);
    const std::ptrdiff_t own = layout.offset(p, rows) + node * size;
    std::fill_n(to.value.data() + own, n_own(state) * size, Real(0));
    if (dual) std::fill_n(to.dot.data() + own, n_own(state) * size, Real(0));
  }
  each_number(state, rows, node, [&](std::size_t k, std::ptrdiff_t at) {
    to.value[at] = Real(from.value[k]);
    if (dual) to.dot[at] = Real(from.dot[k]);
  });
}

/// The nodes from `node` on; NumericsError where others were written to
template <class Real> PlainArray SingleGate<Real>::read(const char* what, int state, PlaneBuffer<Real>& from, int rows,
                                                        int node, bool dual) const {
  const Layout<Real>& layout = this->layout(state);
  PlainArray out;
  const auto is_stranger = [](Real x) { return x == Real(stranger); };
  for (int p = 0; p < layout.size(); ++p) {
    const std::ptrdiff_t size = std::ptrdiff_t(layout[p].dim()) * layout.row(p), first = layout.offset(p, rows),
                         own = first + node * size, behind = own + n_own(state) * size;
    for (const Buffer<Real>* plane : {&from.value, &from.dot})
      if ((plane == &from.value || dual) &&
          !(std::all_of(plane->data() + first, plane->data() + own, is_stranger) &&
            std::all_of(plane->data() + behind, plane->data() + first + rows * size, is_stranger)))
        throw NumericsError(message("the gate wrote to rows of ", what, " that are not its own"));
  }
  out.value.resize(n_numbers(state)), out.dot.resize(dual ? n_numbers(state) : 0);
  each_number(state, rows, node, [&](std::size_t k, std::ptrdiff_t at) {
    out.value[k] = double(from.value[at]);
    if (dual) out.dot[k] = double(from.dot[at]);
  });
  return out;
}

template <class Real> Block<Real> SingleGate<Real>::bind() {
  Block<Real> b;
  b.n = block_->n, b.species_first = block_->species_first.data(), b.n_species = around_.n_species;
  b.first = block_->edge_first.data(), b.child = child_.data(), b.child_bar = child_bar_.data();
  b.child_species = block_->child_species.data();
  b.partner = pairs_ ? partner_.data() : nullptr, b.partner_bar = pairs_ ? partner_bar_.data() : nullptr;
  b.edges = &edges_;
  const Rows out = rows(-1);
  for (int k = 0; k < int(x_.size()); ++k) {
    const Rows in = rows(k);
    b.inputs.push_back(
        {&input_layouts_[k], x_[k].planes(), bar_[k].planes(), in.x, in.bar, in.node, in.bar_node, fresh_});
  }
  b.output = {&output_layout_, out_.planes(), out_bar_.planes(), out.x, out.bar, out.node, out.bar_node};
  b.weights = weights_.data(), b.copies = weights_.data() + padded<Real>(kernels_->packing.size());
  b.weights_bar = weights_bar_.data();
  scratch_.reset();
  b.scratch = &scratch_;
  return b;
}

/// Adjoints of the inputs are zero, or, where the gate overwrites them and blocks would leave that to it, NaN.
template <class Real> void SingleGate<Real>::begin_adjoints(bool dual) {
  fresh_ = embedded_ && kernels_->overwrites;
  const Real own = fresh_ ? std::numeric_limits<Real>::quiet_NaN() : Real(0);
  for (int k = 0; k < int(bar_.size()); ++k) {
    const Rows at = rows(k);
    const Layout<Real>& layout = input_layouts_[k];
    bar_[k].resize(layout.node_size() * at.bar, dual);
    for (Buffer<Real>* plane : {&bar_[k].value, &bar_[k].dot}) {
      if (plane == &bar_[k].dot && !dual) continue;
      std::fill_n(plane->data(), layout.node_size() * at.bar, Real(stranger));
      for (int p = 0; p < layout.size(); ++p) {
        const std::ptrdiff_t size = std::ptrdiff_t(layout[p].dim()) * layout.row(p);
        std::fill_n(plane->data() + layout.offset(p, at.bar) + at.bar_node * size, n_own(k) * size, own);
      }
    }
  }
}

template <class Real> PlainArray SingleGate<Real>::forward(const std::vector<double>& parameters,
                                                           const std::vector<PlainArray>& inputs, bool dual) {
  if (!block_) throw InputError("the graph comes first: set_graph, then forward, then adjoint");
  if (dual && !graph_dual_) throw InputError("a tangent sweep needs a graph with tangents of r");
  if (inputs.size() != x_.size())
    throw InputError(message("this gate has ", x_.size(), " inputs, got ", inputs.size()));
  if (std::int64_t(parameters.size()) != rule_->n_parameters())
    throw InputError(message("this gate has ", rule_->n_parameters(), " parameters, got ", parameters.size()));
  forward_ = adjoint_ = false;
  if (!kernels_) kernels_ = make_kernels<Real>(*rule_, states(), places_);
  const std::ptrdiff_t copies = padded<Real>(kernels_->packing.size());
  weights_.resize(copies + kernels_->copies.size());
  kernels_->packing.pack(parameters.data(), rule_->gains, weights_.data());
  kernels_->copies.pack(parameters.data(), rule_->gains, weights_.data() + copies);
  const Rows out = rows(-1);
  for (int k = 0; k < int(x_.size()); ++k) fill("an input", k, inputs[k], rows(k).x, rows(k).node, x_[k], dual);
  begin_adjoints(dual);
  out_.resize(output_layout_.node_size() * out.x, dual);
  std::fill_n(out_.value.data(), out_.value.size(), Real(stranger));
  if (dual) std::fill_n(out_.dot.data(), out_.dot.size(), Real(stranger));
  Block<Real> b = bind();
  kernels_->forward(false, b);
  if (dual) scratch_.reset(), kernels_->forward(true, b);
  PlainArray result = read("the output", -1, out_, out.x, out.node, dual);
  forward_ = true, forward_dual_ = dual;
  return result;
}

template <class Real> void SingleGate<Real>::require(Want want, bool dual, bool after_adjoint) const {
  if (!forward_ || (dual && !forward_dual_))
    throw InputError(message("adjoint comes after a ", dual ? "dual " : "", "forward on the same graph"));
  if (after_adjoint && (!adjoint_ || (dual && !adjoint_dual_)))
    throw InputError("adjoint comes first, then it is repeated");
  if (dual && want.edges && want.parameters)
    throw InputError("a dual adjoint gives edges or parameters, not both: ask for them one after the other");
}

template <class Real>
typename SingleGate<Real>::Adjoints SingleGate<Real>::adjoint(const PlainArray& output_bar, Want want, bool dual) {
  require(want, dual, false);
  const Rows out = rows(-1);
  fill("the adjoint of the output", -1, output_bar, out.bar, out.bar_node, out_bar_, dual);
  Adjoints a = adjoint_sweep(want, false);
  if (dual) {
    const Adjoints tangent = adjoint_sweep(want, true);
    for (std::size_t k = 0; k < bar_.size(); ++k) a.inputs[k].dot = tangent.inputs[k].dot;
    a.r.dot = tangent.r.dot, a.parameters = tangent.parameters;
  }
  fresh_ = false, adjoint_ = true, adjoint_dual_ = dual;
  return a;
}

template <class Real> typename SingleGate<Real>::Adjoints SingleGate<Real>::adjoint_sweep(Want want, bool dual) {
  edges_.clear_adjoints(dual);
  weights_bar_.resize(kernels_->packing.size()), weights_bar_.clear();
  Block<Real> b = bind();
  if (dual) {  // values are there already
    for (const PlaneBuffer<Real>& bar : bar_) unused_.resize(std::max(unused_.size(), bar.value.size()));
    unused_.clear();
    for (State<Real>& input : b.inputs) input.bar.value = unused_.data();
  }
  kernels_->adjoint(dual, want, b);
  Adjoints a;
  for (int k = 0; k < int(bar_.size()); ++k)
    a.inputs.push_back(read("the adjoint of an input", k, bar_[k], rows(k).bar, rows(k).bar_node, dual));
  if (want.edges) {
    dual ? edges_adjoint<true>(edges_) : edges_adjoint<false>(edges_);
    a.r.value.resize(3 * edge_order_.size()), a.r.dot.resize(dual ? 3 * edge_order_.size() : 0);
    for (std::size_t k = 0; k < edge_order_.size(); ++k)
      for (int c = 0; c < 3; ++c) {
        a.r.value[3 * edge_order_[k] + c] = edges_.r_bar.value[c * edges_.stride() + k];
        if (dual) a.r.dot[3 * edge_order_[k] + c] = edges_.r_bar.dot[c * edges_.stride() + k];
      }
  }
  if (want.parameters) {
    a.parameters.assign(rule_->n_parameters(), 0.0);
    kernels_->packing.unpack_adjoint(weights_bar_.data(), rule_->gains, a.parameters.data());
  }
  return a;
}

template <class Real> void SingleGate<Real>::repeat_forward(bool dual, int times) {
  require(Want{true, false}, dual, false);
  for (int t = 0; t < times; ++t) {
    Block<Real> b = bind();
    kernels_->forward(dual, b);
  }
}

template <class Real> void SingleGate<Real>::repeat_adjoint(Want want, bool dual, int times) {
  require(want, dual, true);
  for (int t = 0; t < times; ++t) {
    Block<Real> b = bind();
    kernels_->adjoint(dual, want, b);
  }
}

template class SingleGate<double>;
template class SingleGate<float>;

}  // namespace nbcore
