// The functions of r that a radial network is, with two derivatives: what splines are made from and compared with.
#pragma once
#include <vector>

#include "base/buffer.hpp"
#include "ops/radial.hpp"

namespace nbcore {

class NetworkFunctions {
 public:
  /// radial: a network, with an envelope. matrices: of its layers [in][out], W / sqrt(width before). r0: of the pair of
  /// elements, for a basis that sees them
  NetworkFunctions(const Radial& radial, const std::vector<std::vector<double>>& matrices, double r0 = 1);

  const Radial& radial() const { return radial_; }
  /// The functions, padded to whole registers
  int row() const { return row_; }
  /// f, f' and f'' of all functions at `count` distances, [count][row()]
  void operator()(const double* r, int count, double* f, double* df, double* ddf) const;

 private:
  struct Layer {
    int in, out;
    Buffer<double> W;
  };
  Radial radial_;
  std::vector<Layer> layers_;
  int row_;
  double r0_;
};

/// How far a spline is from its network, between the knots of one interval after another, from the cutoff inwards: errors
/// relative to the largest value (slope) of all functions at this or a larger distance, the outer half at least. What is
/// large at short distances alone is no excuse.
class SplineErrors {
 public:
  explicit SplineErrors(int intervals, double half) : f(intervals), df(intervals), half_(half) {}
  /// The largest errors and the largest values of an interval that begins at r; intervals come in descending order.
  void add(int interval, double r, double error, double slope_error, double value, double slope);
  std::vector<double> f, df;

 private:
  double half_, largest_ = 1e-300, steepest_ = 1e-300;
  bool inner_ = false;
};

}  // namespace nbcore
