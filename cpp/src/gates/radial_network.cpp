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
    case LayerFunction::ssp:
      apply<Lane>(z, slope, n, [](Lane x) { return activation<Activation::ssp>(x); });
      return true;
    default:
      apply<Lane>(z, slope, n, [](Lane x) { return tanh_square(x); });
      return true;
  }
}

}  // namespace

std::vector<ParameterInfo> network_parameters(const Radial& radial) {
  std::vector<ParameterInfo> parameters;
  for (int k = 0, in = radial.n; k < radial.n_layers(); in = radial.layers[k++]) {
    const int out = radial.layers[k];
    const bool is_last = k + 1 == radial.n_layers();
    const auto add = [&](const char* what, std::vector<std::int64_t> shape, double deviation) {
      parameters.push_back({message("radial", k + 1, what), std::move(shape), deviation});
    };
    add("", {in, out}, 1);
    if (!radial.biased) continue;
    if (k == 0 && radial.normalised)
      add("_parent", {radial.n_species, out}, 0.1), add("_child", {radial.n_species, out}, 0.1);
    else add("_bias", {out}, 0);
    if (radial.normalised && (!is_last || radial.last == LayerFunction::silu))
      add("_gain", {out}, 0), add("_shift", {out}, 0);
  }
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
    : radial_(radial), set_(set), base_(base) {
  for (int k = 0, in = radial.n; k < radial.n_layers(); in = radial.layers[k++]) {
    const int out = radial.layers[k];
    const double scale = 1 / std::sqrt(double(in));
    packing.fill_to(padded<Real>(packing.size())), copies.fill_to(padded<Real>(copies.size()));
    Layer layer{in, out, packing.size(), copies.size()};
    const auto place = [&](Packing& to, int i, int o) {
      if (i < in && o < out) to.weight(first + std::int64_t(i) * out + o, scale);
      else to.zeros(1);
    };
    each_packed<Real>(in, layer.out_row(), [&](int i, int o) { place(packing, i, o); });
    each_packed<Real>(out, layer.in_row(), [&](int o, int i) { place(copies, i, o); });
    first += std::int64_t(in) * out;
    if (radial.biased) {
      const auto rows = [&](int n) {
        for (int i = 0; i < n; ++i, first += out) {
          for (int o = 0; o < out; ++o) packing.weight(first + o, 1);
          packing.zeros(layer.out_row() - out);
        }
      };
      packing.fill_to(padded<Real>(packing.size()));
      layer.bias = packing.size();
      rows(k == 0 && radial.normalised ? 2 * radial.n_species : 1);
      layer.norm = packing.size();
      if (radial.normalised && (k + 1 < radial.n_layers() || radial.last == LayerFunction::silu)) {
        packing.constants(1, out), packing.zeros(layer.out_row() - out);
        rows(2);
      }
    }
    layers_.push_back(layer), widest_ = std::max(widest_, layer.out_row());
  }
}

/// z += bias of every row; of the first layer that of the species at both ends
template <class Real> template <class Lane>
void RadialNetwork<Real>::add_biases(std::size_t k, std::int64_t q, int rows, Block<Real>& b, Planes<Real> z) const {
  const Layer& layer = layers_[k];
  const int row = layer.out_row();
  const auto add = [&](int e, int number) {
    const Real* bias = b.weights + layer.bias + std::ptrdiff_t(number) * row;
    for (int j = 0; j < row; j += width<Real>) registers(z.value + e * row + j)[0] += load_register(bias + j);
  };
  for (int e = 0; e < rows; ++e) {
    if (k > 0 || !radial_.normalised) add(e, 0);
    else add(e, b.edges->elements[q + e][0]), add(e, radial_.n_species + b.edges->elements[q + e][1]);
  }
}
template <class Real> template <class Lane> void RadialNetwork<Real>::add_bias_gradients(std::size_t k, std::int64_t q,
                                                                                         int rows, Block<Real>& b,
                                                                                         Planes<Real> z_bar) const {
  const Layer& layer = layers_[k];
  const int row = layer.out_row();
  const auto add = [&](int e, int number) {
    Real* bar = b.weights_bar + layer.bias + std::ptrdiff_t(number) * row;
    const Real* from = written<Lane>(z_bar) + e * row;
    for (int j = 0; j < row; j += width<Real>) registers(bar + j)[0] += load_register(from + j);
  };
  for (int e = 0; e < rows; ++e) {
    if (k > 0 || !radial_.normalised) add(e, 0);
    else add(e, b.edges->elements[q + e][0]), add(e, radial_.n_species + b.edges->elements[q + e][1]);
  }
}

/// What the gate reads, from the last layer: times the envelope, and the constant behind it
template <class Real> template <class Lane>
void RadialNetwork<Real>::finish(std::int64_t q, int rows, Edges<Real>& e, Planes<Real> h) const {
  using Scalar = ScalarOf<Lane>;
  const int row = layers_.back().out_row(), to_row = e.B_row(set_), base_row = e.B_row(base_);
  for (int i = 0; i < rows; ++i) {
    const Planes<Real> to = e.B[set_].planes() + (q + i) * to_row;
    const Scalar E =
        radial_.after ? load_scalar<Scalar>(e.B[base_].planes(), (q + i) * base_row + radial_.n) : Scalar{1};
    for (int j = 0; j < row; j += width<Real>) store(to, j, product(E, load<Lane>(h, i * row + j)));
    if (!radial_.has_constant()) continue;
    const int at = layers_.back().out;
    for_lanes(1, [&](std::ptrdiff_t) {
      if constexpr (is_dual<Lane>) to.value[at] = E.value, to.dot[at] = E.dot;
      else to.value[at] = E;
    });
  }
}
/// h_bar, and the adjoint of the envelope
template <class Real> template <class Lane>
void RadialNetwork<Real>::finish_adjoint(std::int64_t q, int rows, bool want_edges, Edges<Real>& e, Planes<Real> h,
                                         Planes<Real> h_bar) const {
  using Scalar = ScalarOf<Lane>;
  const int row = layers_.back().out_row(), from_row = e.B_row(set_), base_row = e.B_row(base_);
  for (int i = 0; i < rows; ++i) {
    const Planes<Real> from = e.B_bar[set_].planes() + (q + i) * from_row;
    const std::ptrdiff_t at = (q + i) * base_row + radial_.n;
    const Scalar E = radial_.after ? load_scalar<Scalar>(e.B[base_].planes(), at) : Scalar{1};
    const int n = layers_.back().out;
    Lane along{};
    for (int j = 0; j < row; j += width<Real>) {
      const Lane bar = load<Lane>(from, j);
      if (radial_.after) add_product(along, bar, load<Lane>(h, i * row + j));
      store(h_bar, i * row + j, product(E, bar));
    }
    // what stands behind the last number of a row is no adjoint of the layer
    fill(h_bar.value + (i * row + n), row - n, 0);
    if constexpr (is_dual<Lane>) fill(h_bar.dot + (i * row + n), row - n, 0);
    if (!radial_.after || !want_edges) continue;
    Scalar E_bar = lane_sum(along);
    if (radial_.has_constant()) E_bar = E_bar + load_scalar<Scalar>(from, n);
    add_scalar(e.B_bar[base_].planes(), at, E_bar);
  }
}

template <class Real> template <class Lane> void RadialNetwork<Real>::forward_on(Block<Real>& b) const {
  Edges<Real>& e = *b.edges;
  const Planes<Real> hidden[2] = {b.scratch->take_planes(chunk * widest_, is_dual<Lane>),
                                  b.scratch->take_planes(chunk * widest_, is_dual<Lane>)};
  for (std::int64_t q = 0; q < e.n; q += chunk) {
    const int rows = int(std::min<std::int64_t>(chunk, e.n - q));
    int x_row = e.B_row(base_);
    Planes<Real> x = e.B[base_].planes() + q * x_row;
    for (std::size_t k = 0; k < layers_.size(); ++k) {
      const Layer& layer = layers_[k];
      const bool to_the_gate = k + 1 == layers_.size() && !finishes();
      const Planes<Real> h = to_the_gate ? e.B[set_].planes() + q * layer.out_row() : hidden[k % 2];
      multiply<Lane, false>(x, x_row, b.weights + layer.W, h, layer.out_row(), rows, layer.in, layer.out_row());
      if (radial_.biased) add_biases<Lane>(k, q, rows, b, h);
      if (has_norm(k))
        for (int i = 0; i < rows; ++i)
          norm(k, b).template forward<Lane>(h + std::ptrdiff_t(i) * layer.out_row(), Planes<Real>());
      activate<Lane>(function(k), h, Planes<Real>(), rows * layer.out_row());
      x = h, x_row = layer.out_row();
    }
    if (finishes()) finish<Lane>(q, rows, e, x);
  }
}

template <class Real> template <class Lane, Want want> void RadialNetwork<Real>::adjoint_on(Block<Real>& b) const {
  constexpr bool dual = is_dual<Lane>;
  using Scalar = ScalarOf<Lane>;
  Edges<Real>& e = *b.edges;
  const int K = int(layers_.size());
  Planes<Real> h[max_radial_layers + 1], slope[max_radial_layers], normal[max_radial_layers], last_bar;
  for (int k = 0; k < K; ++k) {
    h[k + 1] = b.scratch->take_planes(chunk * layers_[k].out_row(), dual);
    slope[k] = b.scratch->take_planes(chunk * layers_[k].out_row(), dual);
    if (has_norm(k)) normal[k] = b.scratch->take_planes(chunk * layers_[k].out_row(), dual);
  }
  if (finishes()) last_bar = b.scratch->take_planes(chunk * layers_.back().out_row(), dual);
  Scalar s[max_radial_layers][chunk];  // what norms multiply with
  for (std::int64_t q = 0; q < e.n; q += chunk) {
    const int rows = int(std::min<std::int64_t>(chunk, e.n - q));
    h[0] = e.B[base_].planes() + q * e.B_row(base_);
    const auto row_of = [&](int k) { return k == 0 ? e.B_row(base_) : layers_[k - 1].out_row(); };  // of h[k]
    for (int k = 0; k < K; ++k) {
      const Layer& layer = layers_[k];
      if (function(k) == LayerFunction::linear && !finishes()) break;  // nobody asks for its values
      multiply<Lane, false>(h[k], row_of(k), b.weights + layer.W, h[k + 1], layer.out_row(), rows, layer.in,
                            layer.out_row());
      if (radial_.biased) add_biases<Lane>(k, q, rows, b, h[k + 1]);
      if (has_norm(k))
        for (int i = 0; i < rows; ++i) {
          const std::ptrdiff_t at = std::ptrdiff_t(i) * layer.out_row();
          s[k][i] = norm(k, b).template forward<Lane>(h[k + 1] + at, normal[k] + at);
        }
      activate<Lane>(function(k), h[k + 1], slope[k], rows * layer.out_row());
    }
    Planes<Real> h_bar = e.B_bar[set_].planes() + q * layers_.back().out_row();
    if (finishes()) {
      finish_adjoint<Lane>(q, rows, want.edges, e, h[K], last_bar);
      h_bar = last_bar;
    }
    for (int k = K - 1; k >= 0; --k) {
      const Layer& layer = layers_[k];
      const bool linear = function(k) == LayerFunction::linear;
      const Planes<Real> z_bar = linear ? h_bar : slope[k];  // takes the place of the slope
      if (!linear)
        for (int j = 0; j < rows * layer.out_row(); j += width<Real>)
          store(z_bar, j, product(load<Lane>(slope[k], j), load<Lane>(h_bar, j)));
      if (has_norm(k))
        for (int i = 0; i < rows; ++i) {
          const std::ptrdiff_t at = std::ptrdiff_t(i) * layer.out_row();
          norm(k, b).template adjoint<Lane>(z_bar + at, normal[k] + at, s[k][i],
                                            want.parameters ? b.weights_bar + layer.norm : nullptr);
        }
      if constexpr (want.parameters) {
        if (radial_.biased) add_bias_gradients<Lane>(k, q, rows, b, z_bar);
        Real* W_bar = b.weights_bar + layer.W;
        if constexpr (dual)
          mix_gradient<2, Real>({{h[k].dot, z_bar.value}, {h[k].value, z_bar.dot}}, row_of(k), layer.out_row(), W_bar,
                                rows, layer.in, layer.out_row());
        else mix_gradient(h[k].value, row_of(k), z_bar.value, layer.out_row(), W_bar, rows, layer.in, layer.out_row());
      }
      if (k > 0) {  // h[k] is needed no more
        multiply<Lane, false>(z_bar, layer.out_row(), b.copies + layer.W_T, h[k], layer.in_row(), rows, layer.out,
                              layer.in_row());
        h_bar = h[k];
      } else if constexpr (want.edges) {
        multiply<Lane, true>(z_bar, layer.out_row(), b.copies + layer.W_T, e.B_bar[base_].planes() + q * row_of(0),
                             row_of(0), rows, layer.out, layer.in_row());
      }
    }
  }
}

template <class Real> void RadialNetwork<Real>::forward(bool dual, Block<Real>& b) const {
  if (!b.edges->runs_network(set_)) return;
  if (dual) forward_on<Dual<Simd<Real>>>(b);
  else forward_on<Simd<Real>>(b);
}

template <class Real> void RadialNetwork<Real>::begin_adjoint(bool dual, Block<Real>& b) const {
  if (!b.edges->runs_network(set_)) return;
  PlaneBuffer<Real>& B_bar = b.edges->B_bar[set_];
  fill(B_bar.value.data(), std::ptrdiff_t(B_bar.value.size()), 0);
  if (dual) fill(B_bar.dot.data(), std::ptrdiff_t(B_bar.dot.size()), 0);
}

template <class Real> void RadialNetwork<Real>::adjoint(bool dual, Want want, Block<Real>& b) const {
  using V = Simd<Real>;
  if (!b.edges->runs_network(set_)) return;
  if (!dual && !want.parameters) adjoint_on<V, Want{true, false}>(b);
  else if (!dual) adjoint_on<V, Want{true, true}>(b);
  else if (!want.edges) adjoint_on<Dual<V>, Want{false, true}>(b);
  else adjoint_on<Dual<V>, Want{true, false}>(b);
}

template class RadialNetwork<double>;
template class RadialNetwork<float>;

}  // namespace nbcore
