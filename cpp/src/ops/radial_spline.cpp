#include "ops/radial_spline.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/activations.hpp"
#include "ops/mixing.hpp"

namespace nbcore {

namespace {
using V = Simd<double>;
constexpr int w = width<double>, chunk = 48;                 // distances at a time
constexpr int fewest = 64, most = 4096;                      // intervals
constexpr double shortest = 0.02, usual = 0.1, late = 0.25;  // of the cutoff: where tables begin

/// Of (f, h f', h^2 f'') at both ends of an interval: the value at t
NB_INLINE void weights(double t, double* W) {
  const double t2 = t * t, t3 = t2 * t;
  W[5] = 0.5 * t3 * (1 + t * (t - 2));
  W[4] = t3 * (t * (7 - 3 * t) - 4);
  W[3] = t3 * (10 + t * (6 * t - 15));
  W[2] = 0.5 * t2 * (1 + t * (t * (3 - t) - 3));
  W[1] = t * (1 + t2 * (t * (8 - 3 * t) - 6));
  W[0] = 1 - W[3];
}
/// and the slope, 1/h at hand
NB_INLINE void slope_weights(double t, double inverse_step, double* W) {
  const double t2 = t * t, s = 1 - t;
  W[5] = 0.5 * t2 * (3 + t * (5 * t - 8)) * inverse_step;
  W[4] = t2 * (t * (28 - 15 * t) - 12) * inverse_step;
  W[3] = 30 * t2 * s * s * inverse_step;
  W[2] = 0.5 * t * (2 + t * (t * (12 - 5 * t) - 9)) * inverse_step;
  W[1] = (1 + t2 * (t * (32 - 15 * t) - 18)) * inverse_step;
  W[0] = -W[3];
}
/// A register of functions, k registers into their rows
NB_INLINE V combine(const double* table, int row, int k, const double* W) {
  const V* at = reinterpret_cast<const V*>(table + k * w);
  V sum = W[0] * at[0];
  NB_UNROLL for (int i = 1; i < 6; ++i) sum += W[i] * at[i * (row / w)];
  return sum;
}

}  // namespace

RadialSpline::RadialSpline(const Radial& radial, const std::vector<std::vector<double>>& matrices)
    : radial_(radial), row_(padded<double>(radial.width())) {
  int in = radial.n;
  for (std::size_t k = 0; k < matrices.size(); ++k) {
    Layer layer{in, radial.layers[k], {}};
    const int N = padded<double>(layer.out);
    layer.W.resize(std::size_t(in) * N);
    double* to = layer.W.data();
    each_packed<double>(in, N, [&](int i, int o) {
      *to++ = o < layer.out ? matrices[k][std::size_t(i) * layer.out + o] : 0.0;
    });
    in = layer.out;
    layers_.push_back(std::move(layer));
  }
  start_ = shortest * radial_.cutoff;
  for (int n = fewest;;) {
    fill(n);
    const Errors e = errors();
    if (!std::isfinite(std::accumulate(e.f.begin(), e.f.end(), 0.0))) return;  // weights that are out of hand
    const auto r = [&](int j) { return start_ + j / inverse_step_; };
    from_ = n;
    while (from_ > 0 && e.f[from_ - 1] <= bound && e.df[from_ - 1] <= slope_bound) --from_;
    usable_ = r(from_) <= (n < most ? usual : late) * radial_.cutoff;
    for (int j = from_; j < n; ++j) error_ = std::max(error_, e.f[j]), slope_error_ = std::max(slope_error_, e.df[j]);
    if (usable_ || n == most) return;
    error_ = slope_error_ = 0;
    double finer = 1.1;  // the errors go with h^6 and h^5
    for (int j = 0; j < n; ++j)
      if (r(j) >= 0.5 * usual * radial_.cutoff)
        finer = std::max({finer, 1.02 * std::pow(e.f[j] / bound, 1 / 6.), 1.02 * std::pow(e.df[j] / slope_bound, 0.2)});
    n = std::min(int(n * std::min(finer, 8.0)) / 16 * 16 + 16, most);  // round: of one size, whatever the last bits
  }
}

void RadialSpline::exact(const double* r, int count, double* f, double* df, double* ddf) const {
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
      radial_functions(radial_, at, B, dB, V{});
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
      for (int d = 0; d < 3; ++d)
        mix<false>(x + d * plane, row, layer.W.data(), next + d * plane, N, rows, layer.in, N);
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

int RadialSpline::place(double r, double& t) const {
  const double x = (r - start_) * inverse_step_;
  if (!(x >= from_ && x < n_)) return -1;  // not a number is outside, too
  t = x - int(x);
  return int(x);
}

template <class Real>
void RadialSpline::forward(const double* r, int count, Real* B, std::ptrdiff_t B_row) const {
  for (int e = 0; e < count; ++e, B += B_row) {
    double t, W[6];
    const int k = place(r[e], t);
    if (r[e] >= radial_.cutoff) {  // of a network with several
      for (int n = 0; n < row_; ++n) B[n] = Real(0);
      continue;
    }
    if (k < 0) {
      const std::vector<double> f = outside(r[e], false);
      for (int n = 0; n < row_; ++n) B[n] = Real(f[n]);
      continue;
    }
    weights(t, W);
    for (int n = 0; n < row_ / w; ++n) {
      const V f = combine(interval(k), row_, n, W);
      NB_UNROLL for (int c = 0; c < w; ++c) B[n * w + c] = Real(f[c]);
    }
  }
}

template <class Real>
void RadialSpline::adjoint(const double* r, int count, const Real* B_bar, std::ptrdiff_t B_row, double* slope) const {
  for (int e = 0; e < count; ++e, B_bar += B_row) {
    double t, W[6];
    const int k = place(r[e], t);
    if (r[e] >= radial_.cutoff) continue;
    if (k < 0) {
      const std::vector<double> df = outside(r[e], true);
      for (int n = 0; n < row_; ++n) slope[e] += double(B_bar[n]) * df[n];
      continue;
    }
    slope_weights(t, inverse_step_, W);
    V sum = {}, bar = {};
    for (int n = 0; n < row_ / w; ++n) {
      NB_UNROLL for (int c = 0; c < w; ++c) bar[c] = double(B_bar[n * w + c]);
      sum += combine(interval(k), row_, n, W) * bar;
    }
    for (int c = 0; c < w; ++c) slope[e] += sum[c];
  }
}

template void RadialSpline::forward(const double*, int, double*, std::ptrdiff_t) const;
template void RadialSpline::forward(const double*, int, float*, std::ptrdiff_t) const;
template void RadialSpline::adjoint(const double*, int, const double*, std::ptrdiff_t, double*) const;
template void RadialSpline::adjoint(const double*, int, const float*, std::ptrdiff_t, double*) const;

std::vector<double> RadialSpline::outside(double r, bool slope) const {
  std::vector<double> f(3 * row_);
  exact(&r, 1, f.data(), f.data() + row_, f.data() + 2 * row_);
  return {f.begin() + slope * row_, f.begin() + (slope + 1) * row_};
}

void RadialSpline::fill(int n) {
  n_ = kink_ = n, from_ = 0;
  start_ = shortest * radial_.cutoff;
  double h = (radial_.cutoff - start_) / n;
  if (radial_.envelope == Envelope::xplor) {  // whole intervals from there to the cutoff, the first begins later
    const double behind = radial_.cutoff - radial_.on;
    const int intervals = std::clamp(int(std::ceil(behind / h)), 1, n - 1);
    h = behind / intervals, kink_ = n - intervals, start_ = radial_.cutoff - n * h;
  }
  inverse_step_ = 1 / h;
  std::vector<double> r(n + 1);
  for (int j = 0; j <= n; ++j) r[j] = start_ + j * h;
  if (radial_.envelope == Envelope::cosine || radial_.envelope == Envelope::xplor)
    r[n] *= 1 - 1e-14;  // their second derivative jumps to zero there
  if (kink_ < n) r[kink_] = radial_.on, r.insert(r.begin() + kink_, radial_.on * (1 - 1e-14));
  const int knots = int(r.size());
  const std::size_t size = std::size_t(knots) * row_;
  std::vector<double> f(size), df(size), ddf(size);
  exact(r.data(), knots, f.data(), df.data(), ddf.data());
  table_.resize(3 * size);
  for (int j = 0; j < knots; ++j)
    for (int k = 0; k < row_; ++k) {
      double* to = table_.data() + std::ptrdiff_t(j) * 3 * row_ + k;
      const std::size_t at = std::size_t(j) * row_ + k;
      to[0] = f[at], to[row_] = h * df[at], to[2 * row_] = h * h * ddf[at];
    }
}

RadialSpline::Errors RadialSpline::errors() const {
  constexpr double places[3] = {0.276, 0.5, 0.724};  // where the errors of slope, value and slope are largest
  std::vector<double> r(3 * n_);
  for (int j = 0; j < n_; ++j)
    for (int p = 0; p < 3; ++p) r[3 * j + p] = start_ + (j + places[p]) / inverse_step_;
  const std::size_t size = r.size() * row_;
  std::vector<double> f(size), df(size), ddf(size);
  exact(r.data(), int(r.size()), f.data(), df.data(), ddf.data());
  Errors e{std::vector<double>(n_), std::vector<double>(n_)};
  double largest = 1e-300, steepest = 1e-300;  // at larger distances
  for (int j = n_ - 1, half = -1; j >= 0; --j) {
    for (int p = 0; p < 3; ++p) {
      double W[6], dW[6];
      weights(places[p], W), slope_weights(places[p], inverse_step_, dW);
      for (int k = 0; k < row_; ++k) {
        double value = 0, slope = 0;
        for (int i = 0; i < 6; ++i) {
          const double number = interval(j)[std::ptrdiff_t(i) * row_ + k];
          value += W[i] * number, slope += dW[i] * number;
        }
        const std::size_t at = std::size_t(3 * j + p) * row_ + k;
        e.f[j] = std::max(std::abs(value - f[at]), e.f[j]), e.df[j] = std::max(std::abs(slope - df[at]), e.df[j]);
        largest = std::max(largest, std::abs(f[at])), steepest = std::max(steepest, std::abs(df[at]));
      }
    }
    if (start_ + j / inverse_step_ > 0.5 * radial_.cutoff) continue;
    if (half < 0)  // the outer half by its own largest value
      for (half = j; half < n_; ++half) e.f[half] /= largest, e.df[half] /= steepest;
    else e.f[j] /= largest, e.df[j] /= steepest;
  }
  return e;
}

}  // namespace nbcore
