#include "train/vectors.hpp"

#include "base/lanes.hpp"

namespace nbcore {

void square_sums(std::span<const double> x, std::span<const std::int64_t> first, double* sums) {
  constexpr std::size_t lanes = 32;  // sums of their own: whole registers, several additions under way
  for (std::size_t k = 0; k < first.size(); ++k) {
    const std::size_t end = k + 1 < first.size() ? std::size_t(first[k + 1]) : x.size();
    std::size_t i = std::size_t(first[k]);
    double sum[lanes] = {};
    for (; i + lanes <= end; i += lanes) {
  NB_UNROLL for (std::size_t j = 0; j < lanes; ++j) sum[j] += x[i + j] * x[i + j];
    }
    for (std::size_t j = 0; i < end; ++i, ++j) sum[j] += x[i] * x[i];
    sums[k] = 0;
    for (const double s : sum) sums[k] += s;
  }
}

void move_average(std::span<double> average, std::span<const double> x, double share) {
  double* const __restrict to = average.data();
  const double* const __restrict from = x.data();
  for (std::size_t k = 0; k < average.size(); ++k) to[k] += share * (from[k] - to[k]);
}

}  // namespace nbcore
