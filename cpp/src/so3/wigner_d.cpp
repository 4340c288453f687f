#include "so3/wigner_d.hpp"

#include <algorithm>
#include <vector>

#include "base/error.hpp"
#include "base/lanes.hpp"
#include "base/threads.hpp"
#include "so3/clebsch_gordan.hpp"
#include "so3/transpose.hpp"

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
void raise(int l, const Lane D1[3][3], const Lane* before, Lane* D, Lane* product) {
  const int n = 2 * l + 1, n_before = 2 * l - 1;
  const auto& terms = step(l).terms;
  for (int column = 0; column < n; ++column) {
    // (D^(l-1) x D^1) C, one column: [row of D^(l-1)][row of D^1]
    Lane factors[5][3];
    const int n_terms = int(terms[column].size());
    for (int t = 0; t < n_terms; ++t)
      for (int axis = 0; axis < 3; ++axis) factors[t][axis] = D1[axis][terms[column][t].axis] * terms[column][t].c;
    for (int row = 0; row < n_before; ++row) {
      Lane sum[3] = {};
      for (int t = 0; t < n_terms; ++t) {
        const Lane d = before[row * n_before + terms[column][t].before];
        for (int axis = 0; axis < 3; ++axis) sum[axis] += d * factors[t][axis];
      }
      for (int axis = 0; axis < 3; ++axis) product[3 * row + axis] = sum[axis];
    }
    for (int row = 0; row < n; ++row) {
      Lane sum{};
      for (const auto& term : terms[row]) sum += product[3 * term.before + term.axis] * term.c;
      D[row * n + column] = sum;
    }
  }
}

}  // namespace

void wigner_D(const std::vector<double*>& D, std::size_t n, const double* R, int threads) {
  const int l_max = int(D.size()) - 1, size = (2 * l_max + 1) * (2 * l_max + 1);
  if (l_max > l_supported) throw InputError(message("wigner_D: l must be 0 to ", l_supported, ", got ", l_max));
  const int cartesian[3] = {1, 2, 0};  // m = -1, 0, 1 are y, z, x
  constexpr std::size_t group = 4 * W;
  const auto do_group = [&](std::size_t item) {
    thread_local std::vector<Lane> memory;
    memory.resize(std::max<std::size_t>(memory.size(), 2 * size + 3 * (2 * l_max + 1)));
    Lane *D_l = memory.data(), *before = D_l + size, *product = before + size;
    const std::size_t end = std::min(n, (item + 1) * group);
    for (std::size_t first = item * group; first < end; first += W) {
      const int filled = int(std::min<std::size_t>(W, end - first));
      Lane D1[3][3] = {};
      for (int lane = 0; lane < filled; ++lane)
        for (int a = 0; a < 3; ++a)
          for (int b = 0; b < 3; ++b) D1[a][b][lane] = R[9 * (first + lane) + 3 * cartesian[a] + cartesian[b]];
      for (int l = 0; l <= l_max; ++l) {
        std::swap(D_l, before);
        if (l == 0) D_l[0] = Lane{} + 1.0;
        else raise(l, D1, before, D_l, product);
        const int n_l = (2 * l + 1) * (2 * l + 1);
        if (D[l]) write_transposed(D_l, n_l, filled, D[l] + first * n_l, n_l);
      }
    }
  };
  parallel_for(int((n + group - 1) / group), threads, [&](int item, int) { do_group(item); });
}

}  // namespace nbcore::so3
