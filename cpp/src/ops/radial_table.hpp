// The weights of an aggregation as functions of the distance, tabulated, in the place of a wide radial network and its
// last layer, for evaluations. A network of 64 functions spans 50 to 60 dimensions at any useful precision, so that no
// smaller basis for all distances does; but near one distance eight functions do:
//
//   w_p[c](r) = sum over n of W[p][n][c] h_n(r) = sum over eight k of T[p][k][c] N_k(r),    T[p][k][c] = sum_n W[p][n][c] C[k][n]
//
// N_k are B-splines of degree 7 on equally distant knots, and C the coefficients of the spline that interpolates h: one
// row of numbers per knot, whatever the degree. The slopes that forces are made of are those of the spline.
//
// Where the second derivative of the envelope jumps one spline ends and another begins; they differ there by their error.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "ops/network_functions.hpp"
#include "ops/radial_spline.hpp"

namespace nbcore {

/// Which of several tables belongs to the elements of an edge; one for all where nothing sees elements
struct PairsOfElements {
  int n_species = 0;
  std::vector<int> number;  // [parent][child]; -1: none. Empty: 0 for all
  int find(const std::array<int, 2>* elements) const {
    return number.empty() ? 0 : number[(*elements)[0] * n_species + (*elements)[1]];
  }
};

class BSplines {
 public:
  static constexpr int active = 8;  // functions that are not zero at a distance
  /// Errors are bounded as those of RadialSpline are
  BSplines(const NetworkFunctions& network, double bound, double slope_bound);

  /// Whether the bounds could be reached with a table of bearable size
  bool usable() const { return usable_; }
  int intervals() const { return n_; }
  /// From here to the cutoff, Angstrom; who has shorter edges takes the network
  double from() const { return from_; }
  double cutoff() const { return cutoff_; }
  /// The largest differences from the network that were found between the knots
  double error() const { return error_; }
  double slope_error() const { return slope_error_; }

  int rows() const { return rows_; }
  /// Coefficients of the functions
  const double* row(int k) const { return coefficients_.data() + std::ptrdiff_t(k) * row_; }

  /// Where a distance between from() and the cutoff lies: the row of the first active function, the place in the interval
  struct Place {
    std::int32_t row;
    double t, inverse_step;
  };
  Place place(double r) const {
    const Piece& p = pieces_[n_pieces_ > 1 && r >= pieces_[1].start];
    const double x = (r - p.start) * p.inverse_step;
    const int k = std::min(int(x), p.intervals - 1);
    return {p.first + k, x - k, p.inverse_step};
  }
  /// The active functions and their slopes from the place in an interval, 0 to 1, by the recursion of Cox and de Boor
  template <class V> NB_INLINE static void basis(V t, V inverse_step, V* N, V* dN) {
    N[0] = t * 0.0 + 1.0;
    NB_UNROLL for (int d = 1; d < active; ++d) {
      if (d + 1 == active) {  // slopes are differences of functions of one degree less
        dN[0] = -N[0] * inverse_step, dN[d] = N[d - 1] * inverse_step;
        NB_UNROLL for (int k = 1; k < active - 1; ++k) dN[k] = (N[k - 1] - N[k]) * inverse_step;
      }
      V saved = t * 0.0;
      NB_UNROLL for (int k = 0; k < d; ++k) {
        const V part = N[k] * (1.0 / d);
        N[k] = saved + (double(k + 1) - t) * part;
        saved = (t + double(d - 1 - k)) * part;
      }
      N[d] = saved;
    }
  }

 private:
  struct Piece {
    double start, inverse_step;
    int intervals, first;  // its first row
  };
  void interpolate(const NetworkFunctions& network, const Piece& piece);
  SplineErrors errors(const NetworkFunctions& network) const;

  int row_, n_ = 0, rows_ = 0, n_pieces_ = 0;
  double from_ = 0, cutoff_, error_ = 0, slope_error_ = 0;
  bool usable_ = false;
  Piece pieces_[2]{};
  Buffer<double> coefficients_;  // [row][function]
};

/// Weights of a gate's paths at the knots, in the order in which its kernels read them. Of functions that see elements
/// there are splines for each pair of those that are there, one after another; each distance knows its rows.
template <class Real> struct RadialTable {
  /// What single precision can tell needs fewer knots
  static constexpr double bound = sizeof(Real) == 8 ? RadialSpline::bound : 1e-8,
                          slope_bound = sizeof(Real) == 8 ? RadialSpline::slope_bound : 1e-7;
  std::vector<BSplines> splines;
  std::vector<int> first_row;  // of each
  int rows = 0;
  PairsOfElements pairs;  // whose splines they are
  Buffer<Real> weights;

  double from() const { return splines[0].from(); }
  /// The same as BSplines::basis for a register of edges; `count` of them are there. elements: of their parents and
  /// children, where the functions see them
  template <class V>
  NB_INLINE void at(V r, int count, const std::array<int, 2>* elements, std::int32_t* row, V* N, V* dN) const {
    V t{}, inverse{}, inside{};
    for (int e = 0; e < count; ++e) {
      const int pair = pairs.find(elements ? elements + e : nullptr);
      if (!(r[e] < splines[0].cutoff())) row[e] = 0;
      else {
        const BSplines::Place place = splines[pair].place(r[e]);
        row[e] = first_row[pair] + place.row, t[e] = place.t, inverse[e] = place.inverse_step, inside[e] = 1;
      }
    }
    BSplines::basis(t, inverse, N, dN);
    NB_UNROLL for (int k = 0; k < BSplines::active; ++k) N[k] *= inside, dN[k] *= inside;
  }
};

/// What evaluations take in the place of a radial network: a table or a spline; neither: the network runs.
template <class Real> struct RadialStandIn {
  std::shared_ptr<const RadialSpline> spline;
  std::shared_ptr<const RadialTable<Real>> table;
};
/// Per set of radial functions of the edges
template <class Real> using RadialStandIns = std::vector<RadialStandIn<Real>>;

}  // namespace nbcore
