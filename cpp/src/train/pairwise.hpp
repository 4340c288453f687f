// Sums of vectors in a fixed pairwise order, the same for all who hold aligned parts of the sequence.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "base/buffer.hpp"

namespace nbcore {

/// x[0] += x[1], x[2] += x[3], ..., then x[0] += x[2], ...: of the numbers from .. to of each x
inline void add_pairwise(std::span<double* const> x, std::ptrdiff_t from, std::ptrdiff_t to) {
  for (std::size_t step = 1; step < x.size(); step *= 2)
    for (std::size_t k = 0; k + step < x.size(); k += 2 * step) {
      double* const __restrict sum = x[k];
      const double* const __restrict more = x[k + step];
      for (std::ptrdiff_t i = from; i < to; ++i) sum[i] += more[i];
    }
}

/// The same sums of vectors that come one after another: of 2^k neighbours only the sum is kept.
class Pairwise {
 public:
  explicit Pairwise(std::ptrdiff_t n) : n_(n) {}
  /// Memory for the next vector
  double* next() {
    sums_.push_back({0, Buffer<double>(std::size_t(n_))});
    return sums_.back().vector.data();
  }
  /// The vector is there
  void added() {
    while (sums_.size() > 1 && sums_[sums_.size() - 2].height == sums_.back().height) merge();
  }
  void total(double* to) {
    while (sums_.size() > 1) merge();
    std::copy_n(sums_[0].vector.data(), n_, to);
    sums_.clear();
  }

 private:
  void merge() {
    double* const x[] = {sums_[sums_.size() - 2].vector.data(), sums_.back().vector.data()};
    add_pairwise(x, 0, n_);
    sums_.pop_back();
    ++sums_.back().height;
  }
  struct Sum {
    int height;
    Buffer<double> vector;
  };
  std::ptrdiff_t n_;
  std::vector<Sum> sums_;
};

}  // namespace nbcore
