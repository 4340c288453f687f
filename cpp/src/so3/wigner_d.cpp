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

using Lane = Vector<double>;
constexpr int W = vector_width<double>;

/// Column m of C, l-1 x 1 -> l: at most five (m of l-1, axis of D^1), all counted from 0. The last are filled up with
/// 0.
struct Column {
  static constexpr int most = 5;
  int n = 0, before[most] = {}, axis[most] = {};
  double c[most] = {};
};

const std::vector<Column>& columns(int l) {
  const NoFork no_fork;
  static const auto all = [] {
    std::vector<std::vector<Column>> all;
    for (int l = 1; l <= l_supported; ++l) {
      const auto C = real_clebsch_gordan(l - 1, 1, l);
      auto& columns = all.emplace_back(2 * l + 1);
      for (int before = 0; before < 2 * l - 1; ++before)
        for (int axis = 0; axis < 3; ++axis)
          for (int m = 0; m <= 2 * l; ++m)
            if (const double c = C[(before * 3 + axis) * (2 * l + 1) + m]; c != 0) {
              Column& column = columns[m];
              column.before[column.n] = before, column.axis[column.n] = axis, column.c[column.n++] = c;
            }
    }
    return all;
  }();
  return all[l - 1];
}

/// One column of (D^(l-1) x D^1) C, [row of D^(l-1)][row of D^1].
template <int terms>
void multiply(const Column& column, const Lane D1[3][3], const Lane* before, int n_before, Lane* product) {
  Lane factor[terms][3];
  NB_UNROLL for (int t = 0; t < terms; ++t)
    NB_UNROLL for (int axis = 0; axis < 3; ++axis) factor[t][axis] = D1[axis][column.axis[t]] * column.c[t];
  for (int row = 0; row < n_before; ++row, before += n_before, product += 3) {
    Lane sum[3] = {};
    NB_UNROLL for (int t = 0; t < terms; ++t)
      NB_UNROLL for (int axis = 0; axis < 3; ++axis) sum[axis] += before[column.before[t]] * factor[t][axis];
    NB_UNROLL for (int axis = 0; axis < 3; ++axis) product[axis] = sum[axis];
  }
}

/// D^l from D^(l-1) and D^1, both [row][column]: first C on the columns, then C^T on the rows, `together` columns at a
/// time.
constexpr int together = 4;
void raise(int l, const Lane D1[3][3], const Lane* before, Lane* D, Lane* product) {
  const int n = 2 * l + 1, n_before = 2 * l - 1, size = 3 * n_before;
  const std::vector<Column>& C = columns(l);
  for (int first = 0; first < n; first += together) {
    const int count = std::min(together, n - first);
    for (int k = 0; k < count; ++k) {
      const Column& column = C[first + k];
      if (column.n <= 2) multiply<2>(column, D1, before, n_before, product + k * size);
      else if (column.n <= 4) multiply<4>(column, D1, before, n_before, product + k * size);
      else multiply<5>(column, D1, before, n_before, product + k * size);
    }
    const auto rows = [&]<int constant>() {
      for (int row = 0; row < n; ++row) {
        Lane sum[together] = {};
        for (int t = 0; t < C[row].n; ++t) {
          const Lane* from = product + 3 * C[row].before[t] + C[row].axis[t];
          const double c = C[row].c[t];
          repeat<constant>(count, [&](int k) { sum[k] += from[k * size] * c; });
        }
        repeat<constant>(count, [&](int k) { D[row * n + first + k] = sum[k]; });
      }
    };
    if (count == together) rows.template operator()<together>();
    else rows.template operator()<0>();
  }
}

}  // namespace

void wigner_D(const std::vector<double*>& D, std::size_t n, const double* R, int threads) {
  const int l_max = int(D.size()) - 1, size = (2 * l_max + 1) * (2 * l_max + 1);
  if (l_max > l_supported) throw InputError(message("wigner_D: l must be 0 to ", l_supported, ", got ", l_max));
  const int cartesian[3] = {1, 2, 0};  // m = -1, 0, 1 are y, z, x
  constexpr std::size_t group = W * W;
  const auto do_group = [&](std::size_t item) {
    thread_local std::vector<Lane> memory;
    memory.resize(std::max<std::size_t>(memory.size(), 2 * size + 3 * together * (2 * l_max + 1)));
    Lane *D_l = memory.data(), *before = D_l + size, *product = before + size;
    // dealt to registers like cards: their rows lie alike on cache lines (see write_transposed)
    const std::size_t begin = item * group, rotations = std::min(n - begin, group), registers = (rotations + W - 1) / W;
    for (std::size_t k = 0; k < registers; ++k) {
      const int filled = int((rotations - k + registers - 1) / registers);
      Lane D1[3][3] = {};
      for (int lane = 0; lane < filled; ++lane)
        for (int a = 0; a < 3; ++a)
          for (int b = 0; b < 3; ++b)
            D1[a][b][lane] = R[9 * (begin + k + lane * registers) + 3 * cartesian[a] + cartesian[b]];
      for (int l = 0; l <= l_max; ++l) {
        std::swap(D_l, before);
        if (l == 0) D_l[0] = Lane{} + 1.0;
        else raise(l, D1, before, D_l, product);
        const int n_l = (2 * l + 1) * (2 * l + 1);
        if (D[l]) write_transposed(D_l, n_l, filled, D[l] + (begin + k) * n_l, registers * n_l);
      }
    }
  };
  parallel_for(int((n + group - 1) / group), threads, [&](int item, int) { do_group(item); });
}

}  // namespace nbcore::so3
