// How many threads, and how work is spread over them.
#pragma once
#include <algorithm>
#include <exception>
#include <mutex>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace nbcore {

/// Calls f(item, thread) for item = 0 .. n-1 on up to `threads` threads. Items are taken as threads become free: which
/// thread does which item changes from run to run, so results may depend on the item only. The first exception is
/// thrown again after all threads have stopped.
template <class F> void parallel_for(int n, [[maybe_unused]] int threads, F f) {
#ifdef _OPENMP
  threads = std::min(threads, n);
  if (threads > 1) {
    std::exception_ptr error;
    std::mutex guard;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int item = 0; item < n; ++item) {
      try {
        f(item, omp_get_thread_num());
      } catch (...) {
        const std::lock_guard lock(guard);
        if (!error) error = std::current_exception();
      }
    }
    if (error) std::rethrow_exception(error);
    return;
  }
#endif
  for (int item = 0; item < n; ++item) f(item, 0);
}

}  // namespace nbcore
