// A spline in the place of a radial network, for evaluations: quintic Hermite from the network's values and its first
// and second derivatives at equally distant knots. It has two continuous derivatives, and the slopes that forces are
// made of are its own, so that dynamics conserve energy whatever its error.
//
// The table is refined until the spline agrees with the network between the knots to `bound`, slopes to `slope_bound`,
// relative to the largest value (slope) of all functions at this or a larger distance, the outer half at least: what is
// large at short distances alone is no excuse. Where the second derivative of the envelope jumps a knot lies, twice, with
// the derivatives of either side. Distances outside the table, very short ones, take the network itself.
#pragma once
#include <memory>
#include <vector>

#include "base/buffer.hpp"
#include "ops/network_functions.hpp"

namespace nbcore {

class RadialSpline {
 public:
  static constexpr double bound = 1e-11, slope_bound = 1e-9;

  explicit RadialSpline(std::shared_ptr<const NetworkFunctions> network);

  /// Whether the bounds could be reached with a table of bearable size
  bool usable() const { return usable_; }
  int intervals() const { return n_; }
  /// The table reaches from here to the cutoff, Angstrom.
  double from() const { return start_ + from_ / inverse_step_; }
  /// The largest differences from the network that were found between the knots
  double error() const { return error_; }
  double slope_error() const { return slope_error_; }

  /// All functions at some distances, rows of B
  template <class Real> void forward(const double* r, int count, Real* B, std::ptrdiff_t B_row) const;
  /// slope[e] += sum over the functions of B_bar times slope, per distance
  template <class Real>
  void adjoint(const double* r, int count, const Real* B_bar, std::ptrdiff_t B_row, double* slope) const;

 private:
  /// f, or f', from the network
  std::vector<double> outside(double r, bool slope) const;
  void fill(int n);
  SplineErrors errors() const;  // on every interval of the table

  /// Interval of a distance, -1 outside the table, and the place in it, from 0 to 1
  int place(double r, double& t) const;
  const double* interval(int k) const { return table_.data() + std::ptrdiff_t(k + (k >= kink_)) * 3 * row_; }

  std::shared_ptr<const NetworkFunctions> network_;
  Radial radial_;
  int row_, n_ = 0, from_ = 0;  // from_: first interval that is good enough
  int kink_ = 0;                // the interval that begins where the second derivative of the envelope jumps; n_: none
  double start_ = 0, inverse_step_ = 0, error_ = 0, slope_error_ = 0;
  bool usable_ = false;
  Buffer<double> table_;  // [knot][f, h f', h^2 f''][row]
};

}  // namespace nbcore
