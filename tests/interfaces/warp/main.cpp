// Small kernels on an emulated warp, right ones and such with a planted fault: prints what each computes.
#include <cstdio>
#include <stdexcept>
#include <vector>

#include "base/lanes.hpp"

using namespace nbcore;

namespace {

constexpr int n = warp_size;

/// The sum over lanes of (number of the lane) x (a number that another lane stored), 0 where memory was not yet written
double transposed_read(bool with_sync) {
  std::vector<double> shared(n, 0.0), sums(n, 0.0);
  run_as_warp([&] {
    store_register(shared.data(), double(lane() + 1));
    if (with_sync) sync();
    const double read = shared[n - 1 - lane()];
    store_register(sums.data(), read * lane());
  });
  double total = 0;
  for (double x : sums) total += x;
  return total;
}

/// The same memory a second time: without a sync before it is written again, some read too much
double reused(bool with_sync) {
  std::vector<double> shared(n, 0.0), sums(n, 0.0);
  run_as_warp([&] {
    double read = 0;
    for (int round = 1; round <= 3; ++round) {
      if (with_sync) sync();
      store_register(shared.data(), double(round));
      sync();
      read += shared[n - 1 - lane()];
    }
    store_register(sums.data(), read);
  });
  double total = 0;
  for (double x : sums) total += x;
  return total;
}

/// One number that all lanes add to, or one of them
double added(bool once_only) {
  double x = 0;
  run_as_warp([&] {
    if (once_only) add_scalar(Planes<double>{&x, nullptr}, 0, 1.0);
    else x += 1;
  });
  return x;
}

/// Two lanes write different numbers to one place: who is last?
double written_twice(bool by_one) {
  double x = 0;
  run_as_warp([&] {
    if (lane() == 3) x = 3;
    if (lane() == 7 && !by_one) x = 7;
  });
  return x;
}

double summed() {
  double x = 0;
  std::vector<double> of_registers(2, 1.0);
  run_as_warp([&] {
    const double registers[2] = {double(lane()), double(2 * lane())};
    const double total = lane_sum(registers[0]);
    once([&] { x = total; });
    add_lane_sums<double>(registers, 2, of_registers.data());
  });
  return x + 1e4 * of_registers[0] + 1e8 * of_registers[1];
}

double shared_work() {
  std::vector<int> times(77, 0);
  run_as_warp([&] { for_lanes(77, [&](std::ptrdiff_t k) { times[k] += 1; }); });
  double ones = 0;
  for (int t : times) ones += t == 1;
  return ones;
}

template <class F> void refused(const char* name, F f) {
  try {
    run_as_warp(f);
    std::printf("%s passed\n", name);
  } catch (const std::exception& error) {
    std::printf("%s %s\n", name, error.what());
  }
}

}  // namespace

int main() {
  for (const bool right : {true, false}) {
    const char* kind = right ? "right" : "faulty";
    std::printf("%s_read %g\n", kind, transposed_read(right));
    std::printf("%s_reuse %g\n", kind, reused(right));
    std::printf("%s_add %g\n", kind, added(right));
    std::printf("%s_write %g\n", kind, written_twice(right));
  }
  std::printf("sums %.17g\nwork %g\n", summed(), shared_work());
  refused("divergence", [] {
    if (lane() < 16) sync();
  });
  refused("mixture", [] {
    if (lane() < 16) sync();
    else lane_sum(1.0);
  });
  refused("exception", [] {
    if (lane() == 5) throw std::runtime_error("of lane 5");
    sync();
  });
  std::printf("after %g\n", transposed_read(true));
}
