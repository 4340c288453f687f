#include "ops/network_functions.hpp"

#include <algorithm>
#include <cmath>

#include "ops/activations.hpp"
#include "ops/mixing.hpp"

namespace nbcore {

namespace {
using V = Vector<double>;
constexpr int w = vector_width<double>, chunk = 48;  // distances at a time
}  // namespace

NetworkFunctions::NetworkFunctions(const Radial& radial, const std::vector<std::vector<double>>& matrices, double r0)
    : radial_(radial), row_(padded<double>(radial.width())), r0_(r0) {
  int in = radial.n;
  for (std::size_t k = 0; k < matrices.size(); ++k) {
    Layer layer{in, radial.layers[k], {}};
    const int N = padded<double>(layer.out);
    layer.W.resize(std::size_t(in) * N);
    double* to = layer.W.data();
    each_packed<double>(
        in, N, [&](int i, int o) { *to++ = o < layer.out ? matrices[k][std::size_t(i) * layer.out + o] : 0.0; });
    in = layer.out;
    layers_.push_back(std::move(layer));
  }
}

void NetworkFunctions::operator()(const double* r, int count, double* f, double* df, double* ddf) const {
  int widest = padded<double>(radial_.basis_width());
  for (const Layer& layer : layers_) widest = std::max(widest, padded<double>(layer.out));
  Buffer<double> buffers[2];
  for (auto& b : buffers) b.resize(3 * std::size_t(chunk) * widest);
  const std::ptrdiff_t plane = std::ptrdiff_t(chunk) * widest;
  for (int first = 0; first < count; first += chunk) {
    const int rows = std::min(chunk, count - first);
    double E[3][chunk];  // the envelope behind the network, and its derivatives
    const int basis_row = padded<double>(radial_.basis_width());
    double *x = buffers[0].data(), *next = buffers[1].data();
    for (int q = 0; q < rows; q += w) {
      Dual<V> at{V{} + radial_.cutoff, V{} + 1.0}, B[max_basis], dB[max_basis];
      for (int e = 0; e < std::min(w, rows - q); ++e) at.value[e] = r[first + q + e];
      radial_functions(radial_, at, B, dB, V{} + r0_);
      for (int n = 0; n < radial_.basis_width(); ++n)
        for (int e = 0; e < std::min(w, rows - q); ++e) {
          double* to = x + std::ptrdiff_t(q + e) * basis_row + n;
          to[0] = B[n].value[e], to[plane] = dB[n].value[e], to[2 * plane] = dB[n].dot[e];
          if (n == radial_.n)
            for (int d = 0; d < 3; ++d) E[d][q + e] = to[d * plane];
        }
    }
    int row = basis_row;
    for (std::size_t layer_index = 0; layer_index < layers_.size(); ++layer_index) {
      const Layer& layer = layers_[layer_index];
      const int N = padded<double>(layer.out);
      run_as_warp([&] {
        for (int d = 0; d < 3; ++d)
          mix<false>(x + d * plane, row, layer.W.data(), next + d * plane, N, rows, layer.in, N);
      });
      const LayerFunction function = layer_index + 1 == layers_.size() ? radial_.last : LayerFunction::silu;
      for (std::ptrdiff_t k = 0; k < (function == LayerFunction::linear ? 0 : std::ptrdiff_t(rows) * N); k += w) {
        // a step of a Taylor series: s is the function, s1 and s2 its derivatives
        V &z = *reinterpret_cast<V*>(next + k), &dz = *reinterpret_cast<V*>(next + plane + k),
          &ddz = *reinterpret_cast<V*>(next + 2 * plane + k);
        const Dual<V> at{z, V{} + 1.0};
        const ValueAndSlope<Dual<V>> s = function == LayerFunction::silu ? silu(at) : tanh_square(at);
        const V s1 = s.slope.value, s2 = s.slope.dot;
        ddz = s1 * ddz + s2 * dz * dz, dz = s1 * dz, z = s.value.value;
      }
      std::swap(x, next), row = N;
    }
    for (std::ptrdiff_t k = 0; k < std::ptrdiff_t(rows) * row_; ++k) {
      const std::ptrdiff_t to = std::ptrdiff_t(first) * row_ + k, q = k / row_;
      if (radial_.after) {
        const double h = x[k], dh = x[plane + k], ddh = x[2 * plane + k];
        x[k] = h * E[0][q], x[plane + k] = dh * E[0][q] + h * E[1][q];
        x[2 * plane + k] = ddh * E[0][q] + 2 * dh * E[1][q] + h * E[2][q];
      }
      f[to] = x[k], df[to] = x[plane + k], ddf[to] = x[2 * plane + k];
    }
  }
}

void SplineErrors::add(int interval, double r, double error, double slope_error, double value, double slope) {
  f[interval] = error, df[interval] = slope_error;
  largest_ = std::max(largest_, value), steepest_ = std::max(steepest_, slope);
  if (r > half_) return;
  if (!inner_)  // the outer half by its own largest value
    for (std::size_t j = interval; j < f.size(); ++j) f[j] /= largest_, df[j] /= steepest_;
  else f[interval] /= largest_, df[interval] /= steepest_;
  inner_ = true;
}

}  // namespace nbcore
