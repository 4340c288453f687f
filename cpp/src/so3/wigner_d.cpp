#include "so3/wigner_d.hpp"

#include <algorithm>
#include <vector>

#include "base/error.hpp"
#include "base/lanes.hpp"
#include "so3/clebsch_gordan.hpp"

namespace nbcore::so3 {
namespace {

using Lane = Simd<double>;
constexpr int W = width<double>;

/// The non-zero entries of C: (m of l-1, axis of D^1) -> m of l, at most five for each m; all counted from 0.
struct Step {
  struct Term {
    int before, axis;
    double c;
  };
  std::vector<std::vector<Term>> terms;  // [m]

  explicit Step(int l) : terms(2 * l + 1) {
    const auto C = real_clebsch_gordan(l - 1, 1, l);
    for (int before = 0; before < 2 * l - 1; ++before)
      for (int axis = 0; axis < 3; ++axis)
        for (int m = 0; m <= 2 * l; ++m)
          if (const double c = C[(before * 3 + axis) * (2 * l + 1) + m]; c != 0) terms[m].push_back({before, axis, c});
  }
};

const Step& step(int l) {
  static const auto steps = [] {
    std::vector<Step> all;
    for (int l = 1; l <= l_supported; ++l) all.emplace_back(l);
    return all;
  }();
  return steps[l - 1];
}

/// D^l from D^(l-1) and D^1, both [row][column]: first C on the columns, then C^T on the rows.
void raise(int l, const Lane D1[3][3], const std::vector<Lane>& before, std::vector<Lane>& D) {
  const int n = 2 * l + 1, n_before = 2 * l - 1;
  const auto& terms = step(l).terms;
  std::vector<Lane> product(3 * n_before);  // (D^(l-1) x D^1) C, one column: [row of D^(l-1)][row of D^1]
  for (int column = 0; column < n; ++column) {
    std::fill(product.begin(), product.end(), Lane{});
    for (const auto& term : terms[column])
      for (int axis = 0; axis < 3; ++axis) {
        const Lane factor = D1[axis][term.axis] * term.c;
        for (int row = 0; row < n_before; ++row)
          product[3 * row + axis] += before[row * n_before + term.before] * factor;
      }
    for (int row = 0; row < n; ++row) {
      Lane sum{};
      for (const auto& term : terms[row]) sum += product[3 * term.before + term.axis] * term.c;
      D[row * n + column] = sum;
    }
  }
}

}  // namespace

void wigner_D(int l, std::size_t n, const double* R, double* D) {
  if (l < 0 || l > l_supported) throw InputError(message("wigner_D: l must be 0 to ", l_supported, ", got ", l));
  const int size = (2 * l + 1) * (2 * l + 1);
  const int cartesian[3] = {1, 2, 0};  // m = -1, 0, 1 are y, z, x
  std::vector<Lane> D_lanes(size), before(size);
  for (std::size_t first = 0; first < n; first += W) {
    const int filled = int(std::min<std::size_t>(W, n - first));
    Lane D1[3][3] = {};
    for (int lane = 0; lane < filled; ++lane)
      for (int a = 0; a < 3; ++a)
        for (int b = 0; b < 3; ++b) D1[a][b][lane] = R[9 * (first + lane) + 3 * cartesian[a] + cartesian[b]];

    D_lanes[0] = Lane{} + 1.0;
    for (int k = 1; k <= l; ++k) {
      std::swap(D_lanes, before);
      raise(k, D1, before, D_lanes);
    }

    for (int lane = 0; lane < filled; ++lane)
      for (int k = 0; k < size; ++k) D[(first + lane) * size + k] = D_lanes[k][lane];
  }
}

}  // namespace nbcore::so3
