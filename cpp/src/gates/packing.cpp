#include "gates/packing.hpp"

#include <algorithm>

#include "base/lanes.hpp"

namespace nbcore {

/// The last row, which has ended, goes to the pattern before it where it is one more row of that.
void Packing::merge_last() {
  if (patterns_.size() < closed_ + 2) return;
  const Pattern& row = patterns_.back();
  Pattern& of = patterns_[patterns_.size() - 2];
  const bool constant = row.index < 0;
  if (of.count != row.count || of.padding != row.padding || of.scale != row.scale || of.part != row.part ||
      (of.index < 0) != constant || (!constant && row.count > 1 && of.stride != row.stride))
    return;
  if (!constant) {
    if (of.rows == 1) of.row_stride = row.index - of.index;
    if (row.index != of.index + of.rows * of.row_stride) return;
  }
  ++of.rows;
  patterns_.pop_back();
}

void Packing::begin_class(int c) {
  if (patterns_.size() > closed_) merge_last();
  closed_ = patterns_.size();
  classes_.push_back({c, closed_});
}

void Packing::weight(std::int64_t index, double scale, int part) {
  ++size_;
  if (patterns_.size() > closed_) {
    Pattern& row = patterns_.back();
    if (row.rows == 1 && row.padding == 0 && row.index >= 0 && row.scale == scale && row.part == part) {
      if (row.count == 1) row.stride = index - row.index;
      if (index == row.index + row.count * row.stride) {
        ++row.count;
        return;
      }
    }
    merge_last();
  }
  patterns_.push_back({index, 0, 0, 1, 1, 0, scale, part});
}

void Packing::constants(double value, std::ptrdiff_t n) {
  if (n <= 0) return;
  size_ += n;
  if (patterns_.size() > closed_) {
    Pattern& row = patterns_.back();
    if (row.rows == 1 && value == 0) {
      row.padding += n;
      return;
    }
    merge_last();
  }
  patterns_.push_back({-1, 0, 0, 1, value == 0 ? 0 : n, value == 0 ? n : 0, value, -1});
}

namespace {
/// f(k, k stride) for k < n; most rows are neighbours in memory, which the compiler can see only if it is told
template <class F> NB_INLINE void each_of_row(std::ptrdiff_t n, std::int64_t stride, F f) {
  if (stride == 1)
    for (std::ptrdiff_t k = 0; k < n; ++k) f(k, k);
  else
    for (std::ptrdiff_t k = 0; k < n; ++k) f(k, k * stride);
}
}  // namespace

template <class Real> void Packing::pack(const double* parameters, const std::vector<double>& gains, Real* to,
                                         const PackedClasses& which) const {
  bool wanted = which.common;
  auto next = classes_.begin();
  for (std::size_t k = 0; k < patterns_.size(); ++k) {
    const Pattern& p = patterns_[k];
    for (; next != classes_.end() && next->pattern == k; ++next) wanted = which.has(next->number);
    if (!wanted) {
      to += p.rows * (p.count + p.padding);
      continue;
    }
    const double scale = p.gained(gains);
    for (std::ptrdiff_t r = 0; r < p.rows; ++r) {
      const double* from = parameters + (p.index < 0 ? 0 : p.index + r * p.row_stride);
      if (p.index < 0) std::fill(to, to + p.count, Real(scale));
      else each_of_row(p.count, p.stride, [&](auto k, auto at) { to[k] = Real(scale * from[at]); });
      to += p.count;
      std::fill(to, to + p.padding, Real(0));
      to += p.padding;
    }
  }
}
template void Packing::pack(const double*, const std::vector<double>&, double*, const PackedClasses&) const;
template void Packing::pack(const double*, const std::vector<double>&, float*, const PackedClasses&) const;

template <class Real>
void Packing::unpack_adjoint(const Real* weights_bar, const std::vector<double>& gains, double* gradient) const {
  for (const Pattern& p : patterns_) {
    if (p.index < 0) {  // constants have no gradient
      weights_bar += p.rows * (p.count + p.padding);
      continue;
    }
    const double scale = p.gained(gains);
    for (std::ptrdiff_t r = 0; r < p.rows; ++r, weights_bar += p.count + p.padding) {
      double* const to = gradient + p.index + r * p.row_stride;
      each_of_row(p.count, p.stride, [&](auto k, auto at) { to[at] += scale * double(weights_bar[k]); });
    }
  }
}
template void Packing::unpack_adjoint(const double*, const std::vector<double>&, double*) const;
template void Packing::unpack_adjoint(const float*, const std::vector<double>&, double*) const;

}  // namespace nbcore
