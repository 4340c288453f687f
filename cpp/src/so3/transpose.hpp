// From registers of many vectors (or rotations) to one row of numbers for each of them.
#pragma once
#include <algorithm>
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
template <int step, int w, class V> NB_INLINE void exchange_all(V* x) {
  if constexpr (step < w) {
  NB_UNROLL for (int i = 0; i < w; ++i) if (!(i & step))
        exchange<step>(x[i], x[i + step], std::make_integer_sequence<int, w>{});
    exchange_all<2 * step, w>(x);
  }
}

}  // namespace detail

/// to[lane * stride + i] = from[i][lane] for i < n and the first `filled` lanes.
template <class Real>
void write_transposed(const Simd<Real>* from, int n, int filled, Real* to, std::size_t stride) {
  constexpr int w = width<Real>;
  for (int first = 0; first < n; first += w) {
    const int start = n >= w ? std::min(first, n - w) : 0;  // the last block overlaps the one before
    const int count = std::min(n, w);
    Simd<Real> block[w];
    for (int i = 0; i < w; ++i) block[i] = i < count ? from[start + i] : Simd<Real>{};
    detail::exchange_all<1, w>(block);
    for (int lane = 0; lane < filled; ++lane) {
      Real* row = to + lane * stride + start;
      if (count == w) std::memcpy(row, &block[lane], sizeof block[lane]);
      else std::memcpy(row, &block[lane], count * sizeof(Real));
    }
  }
}

}  // namespace nbcore::so3
