// What the lanes of a register do together. In the kernel sets of processors a register is a vector, and one thread
// does everything. In the set `warp` a register is a warp: each of its 32 numbers belongs to a lane, a thread of its
// own, as on a GPU; the text of a gate is run by all of them. What differs then is memory that lanes share:
//
//   share(n, f)      f(0) ... f(n-1), each by one of the lanes
//   for_lanes(n, f)  the same between two sync(): it may read what others wrote, and others may read what it wrote
//   once(f)          f() by one lane
//   sync()           behind it every lane reads what the others wrote before it
//   run_as_warp(f)   f() on all lanes; from the outside, once per kernel
//
// Numbers that are not registers are the same in all lanes. Whoever stores registers and then reads single numbers of
// them needs a sync() in between, and another one before he writes there again. Without a GPU lanes run one after the
// other in random order, from sync to sync (warp.cpp), so that a sync() that is missing, or two lanes that write to one
// place, give wrong numbers in the tests.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

#define NB_INLINE [[gnu::always_inline]] inline
#define NB_UNROLL _Pragma("GCC unroll 64")  // for loops whose length is a constant of at most 64

namespace nbcore {

#ifdef NBCORE_WARP

inline constexpr bool lanes_are_threads = true;
inline constexpr int warp_size = 32;

namespace warp {
extern constinit thread_local int current;  // the lane that runs on this thread
/// All lanes come here before any of them goes on.
void barrier();
/// x of another lane, and the sum over all lanes, pairs first, then pairs of pairs. All lanes call it.
double exchange(double x, int source);
float exchange(float x, int source);
double sum(double x);
float sum(float x);
void run(void (*f)(void*), void* argument);
}  // namespace warp

NB_INLINE int lane() { return warp::current; }
NB_INLINE void sync() { warp::barrier(); }
template <class Real> NB_INLINE Real of_lane(Real x, int source) { return warp::exchange(x, source); }
template <class Real> NB_INLINE Real sum_of_lanes(Real x) { return warp::sum(x); }
template <class F> void run_as_warp(F f) {
  warp::run([](void* g) { (*static_cast<F*>(g))(); }, &f);
}

#else

inline constexpr bool lanes_are_threads = false;
inline constexpr int warp_size = 1;
NB_INLINE constexpr int lane() { return 0; }
NB_INLINE void sync() {}
template <class F> NB_INLINE void run_as_warp(F f) { f(); }

#endif

template <class F> NB_INLINE void share(std::ptrdiff_t n, F f) {
  for (std::ptrdiff_t k = lane(); k < n; k += warp_size) f(k);
}
template <class F> NB_INLINE void for_lanes(std::ptrdiff_t n, F f) {
  sync();
  share(n, f);
  sync();
}
template <class F> NB_INLINE void once(F f) {
  if (lane() == 0) f();
}
/// x[k] = value for k < n
template <class T> NB_INLINE void fill(T* x, std::ptrdiff_t n, std::type_identity_t<T> value) {
  for_lanes(n, [&](std::ptrdiff_t k) { x[k] = value; });
}
/// to[k] = from[k] for k < n
template <class T> NB_INLINE void copy(const T* from, std::ptrdiff_t n, T* to) {
  for_lanes(n, [&](std::ptrdiff_t k) { to[k] = from[k]; });
}

}  // namespace nbcore
