#include "base/machine.hpp"

#include "base/lanes.hpp"

namespace nbcore {

namespace {
/// The compiler must take `x` for changed.
template <class V> NB_INLINE void keep(V& x) {
#if defined(__x86_64__)
  asm volatile("" : "+v"(x));
#else
  asm volatile("" : "+w"(x));
#endif
}
}  // namespace

template <class Real> Real multiply_adds(std::int64_t rounds, std::int64_t* count) {
  using V = Vector<Real>;
  constexpr int registers = register_bytes == 16 ? 12 : 14;  // generic processors have 16 registers
  V sum[registers], a = V{} + Real(0.999), b = V{} + Real(0.001);
  NB_UNROLL for (int i = 0; i < registers; ++i) sum[i] = V{} + Real(i);
  keep(a), keep(b);
  for (std::int64_t k = 0; k < rounds; ++k) {
  NB_UNROLL for (int i = 0; i < registers; ++i) sum[i] = sum[i] * a + b;
  }
  V all{};
  NB_UNROLL for (int i = 0; i < registers; ++i) all += sum[i];
  Real total = 0;
  for (int lane = 0; lane < vector_width<Real>; ++lane) total += all[lane];
  *count = rounds * registers * vector_width<Real>;
  return total;
}

void copy_numbers(const double* from, double* to, std::size_t n, int times) {
  using V = Vector<double>;
  for (int t = 0; t < times; ++t) {
    for (std::size_t k = 0; k < n; k += 8)
      for (int j = 0; j < 8; j += vector_width<double>)
        *reinterpret_cast<V*>(to + k + j) = *reinterpret_cast<const V*>(from + k + j);
    asm volatile("" ::: "memory");
  }
}

template double multiply_adds(std::int64_t, std::int64_t*);
template float multiply_adds(std::int64_t, std::int64_t*);

}  // namespace nbcore
