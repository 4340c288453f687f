#include "ops/radial_spline.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nbcore {

namespace {
using V = Vector<double>;
constexpr int w = vector_width<double>;
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

RadialSpline::RadialSpline(std::shared_ptr<const NetworkFunctions> network)
    : network_(std::move(network)), radial_(network_->radial()), row_(network_->row()) {
  start_ = shortest * radial_.cutoff;
  for (int n = fewest;;) {
    fill(n);
    const SplineErrors e = errors();
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
  (*network_)(&r, 1, f.data(), f.data() + row_, f.data() + 2 * row_);
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
  (*network_)(r.data(), knots, f.data(), df.data(), ddf.data());
  table_.resize(3 * size);
  for (int j = 0; j < knots; ++j)
    for (int k = 0; k < row_; ++k) {
      double* to = table_.data() + std::ptrdiff_t(j) * 3 * row_ + k;
      const std::size_t at = std::size_t(j) * row_ + k;
      to[0] = f[at], to[row_] = h * df[at], to[2 * row_] = h * h * ddf[at];
    }
}

SplineErrors RadialSpline::errors() const {
  constexpr double places[3] = {0.276, 0.5, 0.724};  // where the errors of slope, value and slope are largest
  std::vector<double> r(3 * n_);
  for (int j = 0; j < n_; ++j)
    for (int p = 0; p < 3; ++p) r[3 * j + p] = start_ + (j + places[p]) / inverse_step_;
  const std::size_t size = r.size() * row_;
  std::vector<double> f(size), df(size), ddf(size);
  (*network_)(r.data(), int(r.size()), f.data(), df.data(), ddf.data());
  SplineErrors errors(n_, 0.5 * radial_.cutoff);
  for (int j = n_ - 1; j >= 0; --j) {
    double error = 0, slope_error = 0, largest = 0, steepest = 0;
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
        error = std::max(std::abs(value - f[at]), error), slope_error = std::max(std::abs(slope - df[at]), slope_error);
        largest = std::max(largest, std::abs(f[at])), steepest = std::max(steepest, std::abs(df[at]));
      }
    }
    errors.add(j, start_ + j / inverse_step_, error, slope_error, largest, steepest);
  }
  return errors;
}

}  // namespace nbcore
