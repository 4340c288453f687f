// Subnormal numbers, smaller than 2^-126 in single and 2^-1022 in double precision, cost a processor some hundred
// cycles an operation. Products of small states, of small adjoints and of radial functions near the cutoff are full of
// them in single precision: a training step of a trained network took five times as long.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#endif

namespace nbcore {

/// While one lives, subnormal operands and results of this thread are zero; then the caller's mode is back.
class FlushSubnormals {
 public:
  FlushSubnormals() : mode_(mode()) { set_mode(mode_ | flush); }
  ~FlushSubnormals() { set_mode(mode_); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
#if defined(__SSE2__)
  using Mode = unsigned;
  static constexpr Mode flush = 0x8040;  // flush to zero, denormals are zero
  static Mode mode() { return _mm_getcsr(); }
  static void set_mode(Mode m) { _mm_setcsr(m); }
#elif defined(__aarch64__)
  using Mode = std::uint64_t;
  static constexpr Mode flush = 1u << 24;  // FZ
  static Mode mode() {
    Mode m;
    asm volatile("mrs %0, fpcr" : "=r"(m));
    return m;
  }
  static void set_mode(Mode m) { asm volatile("msr fpcr, %0" : : "r"(m)); }
#else
  using Mode = unsigned;
  static constexpr Mode flush = 0;
  static Mode mode() { return 0; }
  static void set_mode(Mode) {}
#endif
  const Mode mode_;
};

}  // namespace nbcore
