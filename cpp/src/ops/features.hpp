// The layout of a state: parts, each an array [node][2l+1][channel] with the channel contiguous and padded.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.hpp"
#include "base/lanes.hpp"

namespace nbcore {

/// One l-block of a state. Its channels are `groups` times `group` (a group per path or species); each group is padded
/// by itself, with any finite numbers, so that kernels write whole registers. Parity is tracked where it is not 0.
///
/// The groups of a complex part come in pairs, real parts and imaginary parts of `group` complex channels: in the real
/// basis of harmonics a complex state is a real one with twice the channels, and turns with the same matrix.
struct Part {
  int l = 0, parity = 1;
  int groups = 1, group = 1;
  bool complex = false;
  int channels() const { return groups * group; }
  int planes() const { return complex ? 2 : 1; }
  /// Complex channels of a complex part, else channels
  int algebraic_channels() const { return channels() / planes(); }
  int dim() const { return 2 * l + 1; }
};

/// States have at most most_parts parts, a part most_channels channels and a node most_numbers numbers: far above what
/// anybody computes, far below where int ends.
inline constexpr int most_parts = 4096, most_channels = 1 << 20, most_numbers = 1 << 24;

/// Adds groups of channels to a part; InputError where it gets too large
inline void add_groups(Part& part, std::int64_t groups) {
  const std::int64_t sum = part.groups + groups;
  if (sum > most_channels || sum * part.group > most_channels)
    throw InputError(message("a part of l = ", part.l, " would get more than ", most_channels, " channels"));
  part.groups = int(sum);
}

/// The parts of a state, and where they lie when n nodes are stored.
template <class Real> class Layout {
 public:
  Layout() = default;
  explicit Layout(std::vector<Part> parts) : parts_(std::move(parts)) {
    for (const Part& p : parts_) {
      before_.push_back(node_size_);
      node_size_ += std::ptrdiff_t(p.dim()) * row(int(before_.size()) - 1);
    }
  }
  int size() const { return int(parts_.size()); }
  const Part& operator[](int p) const { return parts_[p]; }
  const std::vector<Part>& parts() const { return parts_; }
  /// Numbers in a row of channels of part p, padding included
  int row(int p) const { return parts_[p].groups * padded<Real>(parts_[p].group); }
  /// Where channel c of part p stands in its row
  int position(int p, int c) const { return c / parts_[p].group * padded<Real>(parts_[p].group) + c % parts_[p].group; }
  /// Where the real (plane 0) or imaginary (plane 1) part of algebraic channel c stands in its row
  int position(int p, int c, int plane) const {
    return (c / parts_[p].group * parts_[p].planes() + plane) * padded<Real>(parts_[p].group) + c % parts_[p].group;
  }
  /// First element of part p when n nodes are stored
  std::ptrdiff_t offset(int p, int n) const { return before_[p] * n; }
  /// Numbers per node
  std::ptrdiff_t node_size() const { return node_size_; }

 private:
  std::vector<Part> parts_;
  std::vector<std::ptrdiff_t> before_;
  std::ptrdiff_t node_size_ = 0;
};

}  // namespace nbcore
