#include "ops/radial_table.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nbcore {

namespace {
constexpr int degree = BSplines::active - 1;
constexpr int fewest = 64, most = 1024;            // intervals
constexpr double usual = 0.1, usual_length = 0.5;  // where tables begin: of the cutoff, Angstrom
}  // namespace

BSplines::BSplines(const NetworkFunctions& network, double bound, double slope_bound)
    : row_(network.row()), cutoff_(network.radial().cutoff) {
  const Radial& radial = network.radial();
  from_ = std::min(usual * cutoff_, usual_length);
  for (n_ = fewest;;) {
    double h = (cutoff_ - from_) / n_;
    n_pieces_ = 1, pieces_[0] = {from_, 1 / h, n_, 0};
    if (radial.envelope == Envelope::xplor && radial.on > from_) {
      const int behind = std::clamp(int(std::ceil((cutoff_ - radial.on) / h)), 1, n_ - 1), before = n_ - behind;
      n_pieces_ = 2, pieces_[0] = {from_, before / (radial.on - from_), before, 0};
      pieces_[1] = {radial.on, behind / (cutoff_ - radial.on), behind, before + degree};
    }
    rows_ = n_ + n_pieces_ * degree;
    coefficients_.resize(std::size_t(rows_) * row_);
    for (int p = 0; p < n_pieces_; ++p) interpolate(network, pieces_[p]);
    if (!std::isfinite(std::accumulate(coefficients_.data(), coefficients_.data() + coefficients_.size(), 0.0)))
      return;  // weights that are out of hand
    const SplineErrors e = errors(network);
    error_ = *std::max_element(e.f.begin(), e.f.end()), slope_error_ = *std::max_element(e.df.begin(), e.df.end());
    usable_ = error_ <= bound && slope_error_ <= slope_bound;
    if (usable_ || n_ == most) return;
    // the errors go with h^8 and h^7
    const double finer =
        std::max({1.05, std::pow(error_ / bound, 1 / 8.), std::pow(slope_error_ / slope_bound, 1 / 7.)});
    n_ = std::min(int(n_ * std::min(1.03 * finer, 4.0)) / 16 * 16 + 16,
                  most);  // round: of one size, whatever the last bits
  }
}

/// The spline through the values at the means of `degree` knots each, those beyond the ends being at the ends: well posed.
/// The matrix is totally positive, so that elimination needs no pivots.
void BSplines::interpolate(const NetworkFunctions& network, const Piece& piece) {
  const int n = piece.intervals, size = n + degree;
  const double end = piece.start + n / piece.inverse_step;
  std::vector<double> r(size), f(std::size_t(size) * row_), df(f.size()), ddf(f.size());
  std::vector<int> interval(size);
  std::vector<double> A(std::size_t(size) * size, 0.0);
  for (int i = 0; i < size; ++i) {
    double x = 0;  // in intervals
    for (int j = 1; j <= degree; ++j) x += std::clamp(i + j - degree, 0, n);
    x /= degree;
    const int k = std::min(int(x), n - 1);
    // to both sides of a jump the functions of that side
    r[i] = i == 0 ? piece.start : i + 1 == size ? end * (1 - 1e-15) : piece.start + x / piece.inverse_step;
    double N[active], dN[active];
    basis(x - k, 1.0, N, dN);
    for (int j = 0; j < active; ++j) A[std::size_t(i) * size + k + j] = N[j];
  }
  network(r.data(), size, f.data(), df.data(), ddf.data());
  double* const to = coefficients_.data() + std::ptrdiff_t(piece.first) * row_;
  std::copy(f.begin(), f.end(), to);
  const auto add = [&](int row, int from, double factor, int first) {
    for (int j = first; j < std::min(first + 2 * active, size); ++j)
      A[std::size_t(row) * size + j] += factor * A[std::size_t(from) * size + j];
    for (int c = 0; c < row_; ++c) to[std::ptrdiff_t(row) * row_ + c] += factor * to[std::ptrdiff_t(from) * row_ + c];
  };
  for (int k = 0; k < size; ++k)
    for (int i = k + 1; i < std::min(k + 2 * active, size); ++i)
      if (const double a = A[std::size_t(i) * size + k]; a != 0) add(i, k, -a / A[std::size_t(k) * size + k], k);
  for (int k = size - 1; k >= 0; --k) {
    const double inverse = 1 / A[std::size_t(k) * size + k];
    for (int c = 0; c < row_; ++c) to[std::ptrdiff_t(k) * row_ + c] *= inverse;
    for (int i = std::max(0, k - 2 * active); i < k; ++i)
      if (const double a = A[std::size_t(i) * size + k]; a != 0)
        for (int c = 0; c < row_; ++c) to[std::ptrdiff_t(i) * row_ + c] -= a * to[std::ptrdiff_t(k) * row_ + c];
  }
}

SplineErrors BSplines::errors(const NetworkFunctions& network) const {
  constexpr double places[3] = {0.22, 0.5, 0.78};  // where the errors of slope, value and slope are largest
  SplineErrors errors(n_, 0.5 * cutoff_);
  for (int p = n_pieces_ - 1; p >= 0; --p) {
    const Piece& piece = pieces_[p];
    const int n = piece.intervals;
    std::vector<double> r(3 * n);
    for (int j = 0; j < n; ++j)
      for (int q = 0; q < 3; ++q) r[3 * j + q] = piece.start + (j + places[q]) / piece.inverse_step;
    std::vector<double> f(r.size() * row_), df(f.size()), ddf(f.size());
    network(r.data(), int(r.size()), f.data(), df.data(), ddf.data());
    for (int j = n - 1; j >= 0; --j) {
      double error = 0, slope_error = 0, largest = 0, steepest = 0;
      for (int q = 0; q < 3; ++q) {
        double N[active], dN[active];
        basis(places[q], piece.inverse_step, N, dN);
        for (int c = 0; c < row_; ++c) {
          double value = 0, slope = 0;
          for (int k = 0; k < active; ++k)
            value += N[k] * row(piece.first + j + k)[c], slope += dN[k] * row(piece.first + j + k)[c];
          const std::size_t at = std::size_t(3 * j + q) * row_ + c;
          error = std::max(std::abs(value - f[at]), error),
          slope_error = std::max(std::abs(slope - df[at]), slope_error);
          largest = std::max(largest, std::abs(f[at])), steepest = std::max(steepest, std::abs(df[at]));
        }
      }
      errors.add((p > 0 ? pieces_[0].intervals : 0) + j, piece.start + j / piece.inverse_step, error, slope_error,
                 largest, steepest);
    }
  }
  return errors;
}

}  // namespace nbcore
