// What a training step does with vectors of all parameters beside the optimizer, in one pass each: there are hundreds of
// thousands of them, and every further pass over memory outside L2 costs as much as an atom of a small batch.
#pragma once
#include <cstdint>
#include <span>

namespace nbcore {

/// sums[k] = sum of the squares of x[first[k]] .. x[first[k + 1] - 1], the last to the end; first ascending. One order of
/// summation for all callers.
void square_sums(std::span<const double> x, std::span<const std::int64_t> first, double* sums);

/// average += share (x - average)
void move_average(std::span<double> average, std::span<const double> x, double share);

}  // namespace nbcore
