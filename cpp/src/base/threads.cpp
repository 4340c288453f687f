#include "base/threads.hpp"

#include <pthread.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include <new>
#include <shared_mutex>
#include <thread>
#include <vector>

namespace nbcore {

namespace {

bool forked = false;      // since the library was loaded
std::shared_mutex forks;  // shared by what no fork may interrupt; readers come first, so that they may nest

/// In the child; its lock would still count the threads of the parent that wait for it.
void after_fork() {
  new (&forks) std::shared_mutex;
  forked = true;
}
[[maybe_unused]] const int registered = pthread_atfork([] { forks.lock(); }, [] { forks.unlock(); }, after_fork);

thread_local Watch* watch = nullptr;
constexpr auto between_questions = std::chrono::milliseconds(100);

}  // namespace

NoFork::NoFork() { forks.lock_shared(); }
NoFork::~NoFork() { forks.unlock_shared(); }

Watch::Watch(std::function<void()> ask)
    : ask_(std::move(ask)), next_(std::chrono::steady_clock::now() + between_questions), outer_(watch) {
  watch = this;
}

Watch::~Watch() { watch = outer_; }

void check_interrupt() {
  if (watch == nullptr) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < watch->next_) return;
  watch->next_ = now + between_questions;
  watch->ask_();
}

void run_team(int threads, const std::function<void(int)>& f) {
#ifdef _OPENMP
  if (!forked) {
#pragma omp parallel num_threads(threads)
    f(omp_get_thread_num());
    return;
  }
#endif
  std::vector<std::thread> team;
  try {
    for (int k = 1; k < threads; ++k) team.emplace_back(std::cref(f), k);
  } catch (...) {  // no more threads, or no memory for them: those that are there do all the work
  }
  f(0);
  for (std::thread& t : team) t.join();
}

}  // namespace nbcore
