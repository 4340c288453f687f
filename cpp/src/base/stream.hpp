// Stores past the caches, for results larger than them: a plain store reads the line first, which costs as much again.
#pragma once
#include <cstdint>
#include <cstring>

#include "base/lanes.hpp"

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace nbcore {

inline constexpr std::size_t worth_streaming = std::size_t(1) << 25;  // bytes

inline bool can_stream(const void* p, std::size_t stride_bytes) {
  return (reinterpret_cast<std::uintptr_t>(p) | stride_bytes) % 16 == 0;
}

/// Stores a register at p, which lies on 16 bytes. After the last one: finish_streams().
template <class Real> NB_INLINE void stream(Real* p, const Vector<Real>& x) {
#ifdef __SSE2__
  __m128i pieces[sizeof(x) / sizeof(__m128i)];
  std::memcpy(pieces, &x, sizeof x);
  NB_UNROLL for (int k = 0; k < int(sizeof(x) / sizeof(__m128i)); ++k)
      _mm_stream_si128(reinterpret_cast<__m128i*>(p) + k, pieces[k]);
#else
  std::memcpy(p, &x, sizeof x);
#endif
}

/// Other threads see what was streamed.
inline void finish_streams() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

}  // namespace nbcore
