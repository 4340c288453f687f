// From registers of many vectors (or rotations) to one row of numbers for each of them.
#pragma once
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/lanes.hpp"

namespace nbcore::so3 {
namespace detail {

/// Exchanges lanes with bit `step` of every first register with lanes without it of its partner.
template <int step, class V, int... k> NB_INLINE void exchange(V& a, V& b, std::integer_sequence<int, k...>) {
  constexpr int n = sizeof...(k);
  const V low = __builtin_shufflevector(a, b, (k & step ? n + (k ^ step) : k)...);
  b = __builtin_shufflevector(a, b, (k & step ? n + k : k ^ step)...);
  a = low;
}
/// Exchanges by all steps below `end`; by all below w = the transposed block.
template <int step, int end, int w, class V> NB_INLINE void exchange_all(V* x) {
  if constexpr (step < end) {
  NB_UNROLL for (int i = 0; i < w; ++i) if (!(i & step))
        exchange<step>(x[i], x[i + step], std::make_integer_sequence<int, w>{});
    exchange_all<2 * step, end, w>(x);
  }
}

}  // namespace detail

/// x[i][k] and x[k][i] of a register's width of registers change places.
template <class V> NB_INLINE void transpose(V* x) {
  if constexpr (std::is_arithmetic_v<V>) {  // lanes are threads
    NB_UNROLL for (int step = 1; step < warp_size; step *= 2)
      NB_UNROLL for (int i = 0; i < warp_size; ++i) if (!(i & step)) {
        V &mine = lane() & step ? x[i] : x[i + step];
        mine = of_lane(mine, lane() ^ step);
      }
  } else {
    constexpr int w = int(sizeof(V) / sizeof(x[0][0]));
    detail::exchange_all<1, w, w>(x);
  }
}

template <class V> NB_INLINE void transpose(Dual<V>* x) {
  constexpr int w = width<RealOf<V>>;
  V value[w], dot[w];
  for (int k = 0; k < w; ++k) value[k] = x[k].value, dot[k] = x[k].dot;
  transpose(value), transpose(dot);
  for (int k = 0; k < w; ++k) x[k] = {value[k], dot[k]};
}

/// to[lane * stride + i] = from[i][lane] for i < n and the first `filled` lanes. Where all rows lie alike on cache
/// lines (stride a multiple of the width), all blocks but the first and the last fill whole lines: others cost twice.
template <class Real>
void write_transposed(const Vector<Real>* from, int n, int filled, Real* to, std::size_t stride) {
  constexpr int w = vector_width<Real>;
  typedef Real Half __attribute__((vector_size(w * sizeof(Real) / 2), may_alias));
  if (n < w) {
    Vector<Real> x[w] = {};
    for (int i = 0; i < n; ++i) x[i] = from[i];
    transpose(x);
    for (int lane = 0; lane < filled; ++lane) std::memcpy(to + lane * stride, x + lane, n * sizeof(Real));
    return;
  }
  const auto block = [&](int start) {
    Vector<Real> x[w];
    NB_UNROLL for (int i = 0; i < w; ++i) x[i] = from[start + i];
    // the last exchange is left to the stores: half a register is stored as fast as a whole one
    detail::exchange_all<1, w / 2, w>(x);
    Real* row = to + start;
    NB_UNROLL for (int lane = 0; lane < w; ++lane, row += stride)
        if (lane < filled) {
          const int k = lane % (w / 2), upper = lane >= w / 2;
          const Half halves[2] = {reinterpret_cast<const Half*>(x + k)[upper],
                                  reinterpret_cast<const Half*>(x + k + w / 2)[upper]};
          std::memcpy(row, halves, sizeof halves[0]), std::memcpy(row + w / 2, halves + 1, sizeof halves[1]);
        }
  };
  const int beyond = int(reinterpret_cast<std::uintptr_t>(to) / sizeof(Real) % w);  // numbers since the last line
  int start = beyond && stride % w == 0 && n >= 4 * w ? w - beyond : 0;
  if (start > 0) block(0);
  for (; start + w <= n; start += w) block(start);
  if (start < n) block(n - w);  // overlaps the one before
}

}  // namespace nbcore::so3
