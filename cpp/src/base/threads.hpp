// How work is spread over threads, how it survives a fork, and how it is interrupted.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <mutex>

namespace nbcore {

/// More than that is a mistake of the caller's, and the operating system would refuse it.
inline constexpr int most_threads = 1024;

/// While it lives, `ask` is called some ten times a second by what runs long on this thread; it throws where the work
/// is to end. What was half done is then thrown away.
class Watch {
 public:
  explicit Watch(std::function<void()> ask);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  friend void check_interrupt();
  std::function<void()> ask_;
  std::chrono::steady_clock::time_point next_;
  Watch* outer_;
};

/// Asks the watch of this thread, if there is one and it is time. Long loops call it between pieces of work.
void check_interrupt();

/// While one lives, no other thread forks the process. A child would inherit what is half done here, and locks that
/// nobody gives back. For short work that asks no watch: fork() waits for its end, perhaps with Python's lock.
class NoFork {
 public:
  NoFork();
  ~NoFork();
  NoFork(const NoFork&) = delete;
  NoFork& operator=(const NoFork&) = delete;
};

/// A lock on a mutex that a forked child finds open, for short work.
class ShortLock {
 public:
  explicit ShortLock(std::mutex& mutex) : lock_(mutex) {}

 private:
  NoFork no_fork_;  // first: it ends after the lock
  std::lock_guard<std::mutex> lock_;
};

/// Calls f(0) on this thread and f(1) ... f(threads - 1) on others, at the same time; fewer where there are no more. f
/// must not throw.
///
/// OpenMP's threads are gone in a forked process, and OpenMP would wait for them for ever: there they are threads made
/// for the call.
void run_team(int threads, const std::function<void(int)>& f);

/// Calls f(item, thread) for item = 0 .. n-1 on up to `threads` threads. Items are taken as threads become free: which
/// thread does which item changes from run to run, so results may depend on the item only. After an exception no new
/// item is begun; the first one is thrown again when all threads have stopped.
template <class F> void parallel_for(int n, int threads, F f) {
  threads = std::min(threads, n);
  if (threads <= 1) {
    for (int item = 0; item < n; ++item) check_interrupt(), f(item, 0);
    return;
  }
  std::exception_ptr error;
  std::mutex guard;
  std::atomic<int> next = 0;
  std::atomic<bool> failed = false;
  run_team(threads, [&](int thread) {
    try {
      for (int item = next++; item < n && !failed; item = next++) check_interrupt(), f(item, thread);
    } catch (...) {
      const std::lock_guard lock(guard);
      if (!error) error = std::current_exception();
      failed = true;
    }
  });
  if (error) std::rethrow_exception(error);
}

}  // namespace nbcore
