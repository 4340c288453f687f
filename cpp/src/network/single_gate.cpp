#include "network/single_gate.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace nbcore {

template <class Real>
SingleGate<Real>::SingleGate(const Options& spec, std::vector<std::vector<Part>> inputs, int n_species, bool o3) {
  around_.n_species = around_.n_child_species = n_species, around_.o3 = o3;
  pairs_ = gate_type(spec).pairs;
  gate_ = make_gate<Real>(spec, inputs, around_);
  for (auto& parts : inputs) input_layouts_.emplace_back(std::move(parts));
  output_layout_ = Layout<Real>(gate_->output);
  x_.resize(input_layouts_.size()), bar_.resize(input_layouts_.size());
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
  block_ = GraphBlock();
  block_.n = n, block_.species_first.assign(around_.n_species + 1, 0), block_.edge_first.assign(n + 1, 0);
  for (int z : species) ++block_.species_first[z + 1];
  std::partial_sum(block_.species_first.begin(), block_.species_first.end(), block_.species_first.begin());
  for (int p : parent) ++block_.edge_first[p + 1];
  std::partial_sum(block_.edge_first.begin(), block_.edge_first.end(), block_.edge_first.begin());
  for (auto e : edge_order_) {
    block_.child.push_back(child[e]), block_.child_species.push_back(species[child[e]]);
    if (pairs_) block_.partner.push_back(partner[e]);
  }

  edges_.l_max = around_.l_harmonics, edges_.radials = around_.radials;
  edges_.resize(std::int64_t(parent.size()), dual);
  std::fill_n(edges_.r.value.data(), edges_.r.value.size(), 1.0);
  if (dual) edges_.r.dot.clear();
  for (std::size_t k = 0; k < edge_order_.size(); ++k)
    for (int c = 0; c < 3; ++c) {
      edges_.r.value[c * edges_.stride() + k] = r.value[3 * edge_order_[k] + c];
      if (dual) edges_.r.dot[c * edges_.stride() + k] = r.dot[3 * edge_order_[k] + c];
    }
  dual ? edges_forward<true>(edges_) : edges_forward<false>(edges_);
}

template <class Real> void SingleGate<Real>::fill(const Layout<Real>& layout, const PlainArray& from,
                                                  PlaneBuffer<Real>& to, bool dual) const {
  to.resize(layout.node_size() * block_.n, dual);
  to.clear(dual);
  std::size_t k = 0;
  for (int p = 0; p < layout.size(); ++p)
    for (int row = 0; row < block_.n * layout[p].dim(); ++row)
      for (int c = 0; c < layout[p].channels(); ++c, ++k) {
        const std::ptrdiff_t at =
            layout.offset(p, block_.n) + std::ptrdiff_t(row) * layout.row(p) + layout.position(p, c);
        to.value[at] = Real(from.value.at(k));
        if (dual) to.dot[at] = Real(from.dot.at(k));
      }
  if (k != from.value.size()) throw InputError(message("state: ", k, " numbers expected, got ", from.value.size()));
}

template <class Real>
PlainArray SingleGate<Real>::read(const Layout<Real>& layout, PlaneBuffer<Real>& from, bool dual) const {
  PlainArray out;
  for (int p = 0; p < layout.size(); ++p)
    for (int row = 0; row < block_.n * layout[p].dim(); ++row)
      for (int c = 0; c < layout[p].channels(); ++c) {
        const std::ptrdiff_t at =
            layout.offset(p, block_.n) + std::ptrdiff_t(row) * layout.row(p) + layout.position(p, c);
        out.value.push_back(double(from.value[at]));
        if (dual) out.dot.push_back(double(from.dot[at]));
      }
  return out;
}

template <class Real> Block<Real> SingleGate<Real>::bind() {
  Block<Real> b;
  b.n = block_.n, b.species_first = block_.species_first.data(), b.n_species = around_.n_species;
  b.first = block_.edge_first.data(), b.child = b.child_bar = block_.child.data(),
  b.child_species = block_.child_species.data();
  b.partner = b.partner_bar = pairs_ ? block_.partner.data() : nullptr;
  b.edges = &edges_;
  for (std::size_t k = 0; k < x_.size(); ++k)
    b.inputs.push_back({&input_layouts_[k], x_[k].planes(), bar_[k].planes(), b.n, b.n, 0, 0});
  b.output = {&output_layout_, out_.planes(), out_bar_.planes(), b.n, b.n, 0, 0};
  b.weights = weights_.data(), b.copies = weights_.data() + padded<Real>(int(gate_->packing.size()));
  b.weights_bar = weights_bar_.data();
  scratch_.reset();
  b.scratch = &scratch_;
  return b;
}

template <class Real> PlainArray SingleGate<Real>::forward(const std::vector<double>& parameters,
                                                           const std::vector<PlainArray>& inputs, bool dual) {
  if (inputs.size() != x_.size())
    throw InputError(message("this gate has ", x_.size(), " inputs, got ", inputs.size()));
  std::int64_t n_parameters = 0;
  for (const ParameterInfo& p : gate_->parameters) n_parameters += p.size();
  if (std::int64_t(parameters.size()) != n_parameters)
    throw InputError(message("this gate has ", n_parameters, " parameters, got ", parameters.size()));
  const int copies = padded<Real>(int(gate_->packing.size()));
  weights_.resize(copies + gate_->copies.size());
  const auto pack = [&](const std::vector<Packed>& order, Real* to) {
    for (const Packed& p : order) *to++ = Real(p.index < 0 ? p.scale : p.scale * parameters[p.index]);
  };
  pack(gate_->packing, weights_.data()), pack(gate_->copies, weights_.data() + copies);
  for (std::size_t k = 0; k < x_.size(); ++k) {
    fill(input_layouts_[k], inputs[k], x_[k], dual);
    bar_[k].resize(input_layouts_[k].node_size() * block_.n, dual), bar_[k].clear(dual);
  }
  out_.resize(output_layout_.node_size() * block_.n, dual);
  Block<Real> b = bind();
  gate_->forward(false, b);
  if (dual) scratch_.reset(), gate_->forward(true, b);
  return read(output_layout_, out_, dual);
}

template <class Real>
typename SingleGate<Real>::Adjoints SingleGate<Real>::adjoint(const PlainArray& output_bar, Want want, bool dual) {
  fill(output_layout_, output_bar, out_bar_, dual);
  Adjoints a = adjoint_sweep(want, false);
  if (!dual) return a;
  const Adjoints tangent = adjoint_sweep(want, true);
  for (std::size_t k = 0; k < bar_.size(); ++k) a.inputs[k].dot = tangent.inputs[k].dot;
  a.r.dot = tangent.r.dot, a.parameters = tangent.parameters;
  return a;
}

template <class Real> typename SingleGate<Real>::Adjoints SingleGate<Real>::adjoint_sweep(Want want, bool dual) {
  edges_.clear_adjoints(dual);
  weights_bar_.resize(gate_->packing.size()), weights_bar_.clear();
  Block<Real> b = bind();
  if (dual) {  // values are there already
    for (const PlaneBuffer<Real>& bar : bar_) unused_.resize(std::max(unused_.size(), bar.value.size()));
    unused_.clear();
    for (State<Real>& input : b.inputs) input.bar.value = unused_.data();
  }
  gate_->adjoint(dual, want, b);
  Adjoints a;
  for (std::size_t k = 0; k < bar_.size(); ++k) a.inputs.push_back(read(input_layouts_[k], bar_[k], dual));
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
    std::int64_t n = 0;
    for (const ParameterInfo& p : gate_->parameters) n += p.size();
    a.parameters.assign(n, 0.0);
    for (std::size_t k = 0; k < gate_->packing.size(); ++k)
      if (const Packed& p = gate_->packing[k]; p.index >= 0) a.parameters[p.index] += p.scale * double(weights_bar_[k]);
  }
  return a;
}

template <class Real> void SingleGate<Real>::repeat_forward(bool dual, int times) {
  for (int t = 0; t < times; ++t) {
    Block<Real> b = bind();
    gate_->forward(dual, b);
  }
}

template <class Real> void SingleGate<Real>::repeat_adjoint(Want want, bool dual, int times) {
  for (int t = 0; t < times; ++t) {
    Block<Real> b = bind();
    gate_->adjoint(dual, want, b);
  }
}

template class SingleGate<double>;
template class SingleGate<float>;

}  // namespace nbcore
