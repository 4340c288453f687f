// What the machine can do at most, measured with the registers of the kernel set that runs: nothing but multiply-adds,
// nothing but copies. Benchmarks state kernels as parts of it.
#pragma once
#include <cstddef>
#include <cstdint>

namespace nbcore {

/// `rounds` times as many independent registers as there are, of multiply-adds; *count is how many numbers were
/// multiplied and added. The result depends on every one of them.
template <class Real> Real multiply_adds(std::int64_t rounds, std::int64_t* count);

/// Copies n numbers (a multiple of 8, aligned to 64 bytes), `times` times.
void copy_numbers(const double* from, double* to, std::size_t n, int times);

}  // namespace nbcore
