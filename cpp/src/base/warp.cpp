// Warps without a GPU: each lane has a stack of its own, and they run one after the other on the thread of the caller,
// in random order, from one barrier to the next.
#ifdef NBCORE_WARP
#include "base/warp.hpp"

#include <setjmp.h>
#include <ucontext.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <random>

#include "base/error.hpp"

namespace nbcore::warp {

constinit thread_local int current = 0;

namespace {

constexpr std::size_t stack_bytes = std::size_t(1) << 20;  // touched where a kernel needs it

std::uint64_t seed() {
  const char* text = std::getenv("NBCORE_WARP_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 1;
}

enum class Stop { none, barrier, exchange, end };

struct Lane {
  jmp_buf here;
  ucontext_t start;
  std::unique_ptr<char[]> stack;
  Stop stop = Stop::none;
  int turn = 0;  // which of the two buffers its next exchange uses
};

class Warp {
 public:
  void run(void (*f)(void*), void* argument) {
    if (running_) throw NumericsError("a kernel of the warp set was begun within another one");
    running_ = true, f_ = f, argument_ = argument, error_ = nullptr;
    for (Lane& lane : lanes_) {
      if (!lane.stack) lane.stack.reset(new char[stack_bytes]);
      getcontext(&lane.start);
      lane.start.uc_stack.ss_sp = lane.stack.get(), lane.start.uc_stack.ss_size = stack_bytes;
      lane.start.uc_link = nullptr;
      makecontext(&lane.start, entry, 0);
      lane.stop = Stop::none, lane.turn = 0;
    }
    Stop all = Stop::none;
    while (all != Stop::end && !error_) {
      const std::uint64_t bits = random_();
      const int first = bits % warp_size, step = bits / warp_size % warp_size | 1;  // odd: all lanes have their turn
      for (int turn = 0, k = first; turn < warp_size && !error_; ++turn, k = (k + step) % warp_size) {
        resume(k);
        if (!error_ && lanes_[k].stop != lanes_[first].stop)
          error_ = std::make_exception_ptr(NumericsError("lanes of a warp took different ways to a sync()"));
      }
      all = lanes_[first].stop;
    }
    running_ = false, current = 0;
    if (error_) std::rethrow_exception(error_);
  }
  /// Back to the scheduler, until all others are as far
  void wait(Stop at) {
    lanes_[current].stop = at;
    const int mine = current;
    if (!_setjmp(lanes_[mine].here)) _longjmp(scheduler_, 1);
  }
  /// The numbers of all lanes
  template <class Real> const std::array<double, warp_size>& gather(Real x) {
    Lane& lane = lanes_[current];
    // the next exchange takes the other buffer: who is late still reads this one
    auto& buffer = buffers_[lane.turn];
    lane.turn = 1 - lane.turn;
    buffer[current] = double(x);
    wait(Stop::exchange);
    return buffer;
  }
  template <class Real> Real sum(Real x) {
    const auto& all = gather(x);
    Real sums[warp_size];
    for (int k = 0; k < warp_size; ++k) sums[k] = Real(all[k]);
    for (int n = warp_size / 2; n > 0; n /= 2)
      for (int k = 0; k < n; ++k) sums[k] = sums[2 * k] + sums[2 * k + 1];
    return sums[0];
  }

 private:
  void resume(int k) {
    current = k;
    if (_setjmp(scheduler_)) return;
    if (lanes_[k].stop == Stop::none) setcontext(&lanes_[k].start);
    else _longjmp(lanes_[k].here, 1);
  }
  static void entry();

  std::array<Lane, warp_size> lanes_;
  std::mt19937_64 random_{seed()};
  jmp_buf scheduler_;
  std::array<std::array<double, warp_size>, 2> buffers_{};
  void (*f_)(void*) = nullptr;
  void* argument_ = nullptr;
  std::exception_ptr error_;
  bool running_ = false;
};

Warp& of_thread() {
  thread_local const auto warp = std::make_unique<Warp>();
  return *warp;
}

void Warp::entry() {
  Warp& warp = of_thread();
  try {
    warp.f_(warp.argument_);
  } catch (...) {
    warp.error_ = std::current_exception();
  }
  warp.lanes_[current].stop = Stop::end;
  _longjmp(warp.scheduler_, 1);
}

}  // namespace

void barrier() { of_thread().wait(Stop::barrier); }
double exchange(double x, int source) { return of_thread().gather(x)[source]; }
float exchange(float x, int source) { return float(of_thread().gather(x)[source]); }
double sum(double x) { return of_thread().sum(x); }
float sum(float x) { return of_thread().sum(x); }
void run(void (*f)(void*), void* argument) { of_thread().run(f, argument); }

}  // namespace nbcore::warp
#endif
