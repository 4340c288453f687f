// The Clebsch-Gordan coefficients of all paths of a gate, as the fused kernels like them: Y is the same for all
// channels, so
//
//   M_p[m3][m1] = sum_m2 C_p[m1][m2][m3] Y[m2]        once per edge
//
// for the paths p = (part of the state, l2, part of the output), and the adjoint Y_bar from M_bar. Paths are sorted by
// l2.
#pragma once
#include <vector>

#include "base/buffer.hpp"
#include "base/lanes.hpp"
#include "so3/clebsch_gordan.hpp"

namespace nbcore {

struct Path {
  int part1, l1, l2, l3;    // part1: part of the state
  int part3 = 0, slot = 0;  // where it goes: part of the output, group within it
  int M = 0;                // first element of M_p[2l3+1][2l1+1] among those of an edge
  int size() const { return (2 * l3 + 1) * (2 * l1 + 1); }
};

template <class Real> class Couplings {
  using V = Simd<Real>;
  static constexpr int w = width<Real>;
  std::vector<int> start_;       // elements of M with l2: the registers start_[l2] .. start_[l2+1]-1
  std::vector<Buffer<Real>> C_;  // [l2][m2][registers of M]
  struct Term {
    Real C;
    int M;
  };
  std::vector<Term> terms_;  // what is not zero in C, sorted by l2 and m2
  std::vector<int> last_;    // [l2 l2 + l2 + m2] the end of its terms
  int l_max_ = 0;

  /// f.template operator()<2l2+1>() to l2 = 3, <0> above
  template <class F> NB_INLINE static void with_size(int l2, F f) {
    switch (l2) {
      case 0:
        return f.template operator()<1>();
      case 1:
        return f.template operator()<3>();
      case 2:
        return f.template operator()<5>();
      case 3:
        return f.template operator()<7>();
      default:
        return f.template operator()<0>();
    }
  }

 public:
  std::vector<Path> paths;

  Couplings() = default;
  /// Paths must come sorted by l2. C is multiplied by `scale`.
  Couplings(std::vector<Path> sorted, int l_max, double scale) : l_max_(l_max), paths(std::move(sorted)) {
    start_.push_back(0);
    for (int l2 = 0; l2 <= l_max; ++l2) {
      int end = start_.back() * w;
      for (Path& p : paths)
        if (p.l2 == l2) p.M = end, end += p.size();
      start_.push_back((end + w - 1) / w);
      const int n = (start_[l2 + 1] - start_[l2]) * w;
      C_.emplace_back((2 * l2 + 1) * n), C_.back().clear();
      for (const Path& p : paths) {
        if (p.l2 != l2) continue;
        const std::vector<double> C = so3::real_clebsch_gordan(p.l1, l2, p.l3);
        const int d1 = 2 * p.l1 + 1, d2 = 2 * l2 + 1, d3 = 2 * p.l3 + 1;
        for (int m1 = 0; m1 < d1; ++m1)
          for (int m2 = 0; m2 < d2; ++m2)
            for (int m3 = 0; m3 < d3; ++m3)
              C_[l2][m2 * n + p.M - start_[l2] * w + m3 * d1 + m1] = Real(scale * C[(m1 * d2 + m2) * d3 + m3]);
      }
      for (int m2 = 0; m2 <= 2 * l2; ++m2) {
        for (int k = 0; k < n; ++k)
          if (const Real c = C_[l2][m2 * n + k]; c != 0) terms_.push_back({c, start_[l2] * w + k});
        last_.push_back(int(terms_.size()));
      }
    }
  }
  /// Numbers in M of one edge, a multiple of the register width
  int size() const { return start_.back() * w; }

  /// M [edge][size()] = C Y of n edges, one plane
  void forward(int n, const Real* Y, int Y_row, Real* M) const {
    sync();  // M is written in registers and read number by number
    for (; n >= 4; n -= 4, Y += 4 * Y_row, M += 4 * size()) forward<4>(Y, Y_row, M);
    for (; n > 0; --n, Y += Y_row, M += size()) forward<1>(Y, Y_row, M);
    sync();
  }
  /// Y_bar += C^T M_bar of n edges, one plane, where M_bar [edge][size()] is made of registers whose lanes are still to
  /// be summed: C comes first, term by term, since there are fewer harmonics than numbers in M. Rows of Y_bar are whole
  /// registers.
  void adjoint(int n, Registers<const Real> M_bar, Real* Y_bar, int Y_row) const {
    for (; n >= 4; n -= 4, M_bar = M_bar + 4 * size(), Y_bar += 4 * Y_row) adjoint<4>(M_bar, Y_bar, Y_row);
    for (; n > 0; --n, M_bar = M_bar + size(), Y_bar += Y_row) adjoint<1>(M_bar, Y_bar, Y_row);
  }

 private:
  template <int edges> void forward(const Real* Y, int Y_row, Real* M) const {
    const int M_row = size();
    for (int l2 = 0; l2 <= l_max_; ++l2)
      with_size(l2, [&]<int d2>() {
        const int n = start_[l2 + 1] - start_[l2];
        const auto C = registers(C_[l2].data());
        for (int k = 0; k < n; ++k) {
          V sum[edges] = {};
          repeat<d2>(2 * l2 + 1, [&](int m2) {
            const V c = C[m2 * n + k];
      NB_UNROLL for (int e = 0; e < edges; ++e) sum[e] += c * Y[e * Y_row + l2 * l2 + m2];
          });
          NB_UNROLL for (int e = 0; e < edges; ++e)
            store_register(M + e * M_row + (start_[l2] + k) * w, sum[e]);
        }
      });
  }
  template <int edges> void adjoint(Registers<const Real> M_bar, Real* Y_bar, int Y_row) const {
    const int M_row = size(), n_lm = (l_max_ + 1) * (l_max_ + 1);
    const Term* term = terms_.data();
    for (int first = 0; first < n_lm; first += w) {
      [[maybe_unused]] V sums[edges][lanes_are_threads ? 1 : w];
      for (int k = 0; k < w; ++k) {
        V sum[edges] = {};
        if (first + k < n_lm)
          for (const Term* end = terms_.data() + last_[first + k]; term < end; ++term)
            NB_UNROLL for (int e = 0; e < edges; ++e) sum[e] += M_bar[e * M_row + term->M] * term->C;
        if constexpr (lanes_are_threads) {
          NB_UNROLL for (int e = 0; e < edges; ++e) {
            const Real total = lane_sum(sum[e]);
            if (lane() == k) Y_bar[e * Y_row + first + k] += total;
          }
        } else {
          NB_UNROLL for (int e = 0; e < edges; ++e) sums[e][k] = sum[e];
        }
      }
      if constexpr (!lanes_are_threads)
        for (int e = 0; e < edges; ++e) *reinterpret_cast<V*>(Y_bar + e * Y_row + first) += transposed_sum(sums[e]);
    }
  }
};

}  // namespace nbcore
