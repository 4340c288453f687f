#include "gates/radial_network.hpp"

#include <cmath>

#include "ops/activations.hpp"
#include "ops/mixing.hpp"

namespace nbcore {

namespace {

constexpr int chunk = 48;  // edges whose layers are in scratch at a time

/// X W, both planes
template <class Lane, bool accumulate, class Real>
void multiply(Planes<Real> X, int X_row, const Real* W, Planes<Real> to, int to_row, int rows, int K, int N) {
  mix<accumulate>(X.value, X_row, W, to.value, to_row, rows, K, N);
  if constexpr (is_dual<Lane>) mix<accumulate>(X.dot, X_row, W, to.dot, to_row, rows, K, N);
}

/// z becomes f(z); slope: f'(z), unless it is empty
template <class Lane, class Real, class F> void apply(Planes<Real> z, Planes<Real> slope, int n, F f) {
  for (int j = 0; j < n; j += width<Real>) {
    const ValueAndSlope<Lane> y = f(load<Lane>(z, j));
    store(z, j, y.value);
    if (slope.value) store(slope, j, y.slope);
  }
}
/// The function of a layer; false where it is linear and nothing was done
template <class Lane, class Real> bool activate(LayerFunction function, Planes<Real> z, Planes<Real> slope, int n) {
  switch (function) {
    case LayerFunction::linear:
      return false;
    case LayerFunction::silu:
      apply<Lane>(z, slope, n, [](Lane x) { return silu(x); });
      return true;
    default:
      apply<Lane>(z, slope, n, [](Lane x) { return tanh_square(x); });
      return true;
  }
}

}  // namespace

std::vector<ParameterInfo> network_parameters(const Radial& radial) {
  std::vector<ParameterInfo> parameters;
  for (int k = 0, in = radial.n; k < radial.n_layers(); in = radial.layers[k++])
    parameters.push_back({message("radial", k + 1), {in, radial.layers[k]}});
  return parameters;
}

std::vector<std::vector<double>> network_matrices(const Radial& radial, const double* parameters) {
  std::vector<std::vector<double>> all;
  for (const ParameterInfo& p : network_parameters(radial)) {
    all.emplace_back(parameters, parameters + p.size());
    for (double& w : all.back()) w /= std::sqrt(double(p.shape[0]));
    parameters += p.size();
  }
  return all;
}

template <class Real> RadialNetwork<Real>::RadialNetwork(const Radial& radial, int set, int base, std::int64_t first,
                                                         Packing& packing, Packing& copies)
    : set_(set), base_(base), last_(radial.last) {
  for (const ParameterInfo& p : network_parameters(radial)) {
    const int in = int(p.shape[0]), out = int(p.shape[1]);
    const double scale = 1 / std::sqrt(double(in));
    packing.fill_to(padded<Real>(packing.size())), copies.fill_to(padded<Real>(copies.size()));
    const Layer layer{in, out, packing.size(), copies.size()};
    const auto place = [&](Packing& to, int i, int o) {
      if (i < in && o < out) to.weight(first + std::int64_t(i) * out + o, scale);
      else to.zeros(1);
    };
    each_packed<Real>(in, layer.out_row(), [&](int i, int o) { place(packing, i, o); });
    each_packed<Real>(out, layer.in_row(), [&](int o, int i) { place(copies, i, o); });
    layers_.push_back(layer), widest_ = std::max(widest_, layer.out_row());
    first += p.size();
  }
}

template <class Real> template <class Lane> void RadialNetwork<Real>::forward_on(Block<Real>& b) const {
  Edges<Real>& e = *b.edges;
  const Planes<Real> hidden[2] = {b.scratch->take_planes(chunk * widest_, is_dual<Lane>),
                                  b.scratch->take_planes(chunk * widest_, is_dual<Lane>)};
  for (std::int64_t q = 0; q < e.n; q += chunk) {
    const int rows = int(std::min<std::int64_t>(chunk, e.n - q));
    Planes<Real> x = e.B[base_].planes() + q * e.B_row(base_);
    for (std::size_t k = 0; k < layers_.size(); ++k) {
      const Layer& layer = layers_[k];
      const Planes<Real> h = k + 1 == layers_.size() ? e.B[set_].planes() + q * layer.out_row() : hidden[k % 2];
      multiply<Lane, false>(x, layer.in_row(), b.weights + layer.W, h, layer.out_row(), rows, layer.in,
                            layer.out_row());
      activate<Lane>(function(k), h, Planes<Real>(), rows * layer.out_row());
      x = h;
    }
  }
}

template <class Real> template <class Lane, Want want> void RadialNetwork<Real>::adjoint_on(Block<Real>& b) const {
  constexpr bool dual = is_dual<Lane>;
  Edges<Real>& e = *b.edges;
  const int K = int(layers_.size());
  Planes<Real> h[max_radial_layers + 1], slope[max_radial_layers];
  for (int k = 0; k < K; ++k) {
    h[k + 1] = b.scratch->take_planes(chunk * layers_[k].out_row(), dual);
    slope[k] = b.scratch->take_planes(chunk * layers_[k].out_row(), dual);
  }
  for (std::int64_t q = 0; q < e.n; q += chunk) {
    const int rows = int(std::min<std::int64_t>(chunk, e.n - q));
    h[0] = e.B[base_].planes() + q * e.B_row(base_);
    for (int k = 0; k < K; ++k) {
      const Layer& layer = layers_[k];
      if (function(k) == LayerFunction::linear) break;  // nobody asks for its values
      multiply<Lane, false>(h[k], layer.in_row(), b.weights + layer.W, h[k + 1], layer.out_row(), rows, layer.in,
                            layer.out_row());
      activate<Lane>(function(k), h[k + 1], slope[k], rows * layer.out_row());
    }
    Planes<Real> h_bar = e.B_bar[set_].planes() + q * layers_.back().out_row();
    for (int k = K - 1; k >= 0; --k) {
      const Layer& layer = layers_[k];
      const bool linear = function(k) == LayerFunction::linear;
      const Planes<Real> z_bar = linear ? h_bar : slope[k];  // takes the place of the slope
      if (!linear)
        for (int j = 0; j < rows * layer.out_row(); j += width<Real>)
          store(z_bar, j, product(load<Lane>(slope[k], j), load<Lane>(h_bar, j)));
      if constexpr (want.parameters) {
        Real* W_bar = b.weights_bar + layer.W;
        if constexpr (dual)
          mix_gradient<2, Real>({{h[k].dot, z_bar.value}, {h[k].value, z_bar.dot}}, layer.in_row(), layer.out_row(),
                                W_bar, rows, layer.in, layer.out_row());
        else
          mix_gradient(h[k].value, layer.in_row(), z_bar.value, layer.out_row(), W_bar, rows, layer.in,
                       layer.out_row());
      }
      if (k > 0) {  // h[k] is needed no more
        multiply<Lane, false>(z_bar, layer.out_row(), b.copies + layer.W_T, h[k], layer.in_row(), rows, layer.out,
                              layer.in_row());
        h_bar = h[k];
      } else if constexpr (want.edges) {
        multiply<Lane, true>(z_bar, layer.out_row(), b.copies + layer.W_T, e.B_bar[base_].planes() + q * e.B_row(base_),
                             layer.in_row(), rows, layer.out, layer.in_row());
      }
    }
  }
}

template <class Real> void RadialNetwork<Real>::forward(bool dual, Block<Real>& b) const {
  if (b.edges->spline(set_)) return;
  if (dual) forward_on<Dual<Simd<Real>>>(b);
  else forward_on<Simd<Real>>(b);
}

template <class Real> void RadialNetwork<Real>::begin_adjoint(bool dual, Block<Real>& b) const {
  if (!b.edges->spline(set_)) b.edges->B_bar[set_].clear(dual);
}

template <class Real> void RadialNetwork<Real>::adjoint(bool dual, Want want, Block<Real>& b) const {
  using V = Simd<Real>;
  if (b.edges->spline(set_)) return;
  if (!dual && !want.parameters) adjoint_on<V, Want{true, false}>(b);
  else if (!dual) adjoint_on<V, Want{true, true}>(b);
  else if (!want.edges) adjoint_on<Dual<V>, Want{false, true}>(b);
  else adjoint_on<Dual<V>, Want{true, false}>(b);
}

template class RadialNetwork<double>;
template class RadialNetwork<float>;

}  // namespace nbcore
