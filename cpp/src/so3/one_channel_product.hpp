// Channelwise products with a factor of one channel per part (the "uvu" of e3nn: states times harmonics).
//
// For each state the single channel y turns C into a small matrix, M[row][m1] = sum over m2 of C[m1][m2][row] y[m2],
// for many states at once; then every channel of x is multiplied by it:
//
//   z[row][c] = sum over m1 of M[row][m1] x[m1][c]
//   x_bar[m1][c] = sum over rows of M[row][m1] z_bar[row][c]
//   y_bar[m2] = sum over rows, m1 of C[m1][m2][row] G[row][m1],   G[row][m1] = sum over c of z_bar[row][c] x[m1][c]
#pragma once
#include <vector>

#include "so3/product.hpp"

namespace nbcore::so3 {

class OneChannelProduct {
 public:
  /// One term: c x[m1] y[m2] of parts x_part and y_part in row (z_part, m3), from `channel` on.
  struct Term {
    int x_part, y_part, z_part, m1, m2, m3, channel;
    double c;
  };

  OneChannelProduct() = default;
  OneChannelProduct(std::vector<PartShape> x, std::vector<PartShape> y, std::vector<PartShape> z,
                    const std::vector<Term>& terms);

  /// Whether whole registers of Real hold the channels of every part.
  template <class Real> bool suits() const;

  template <class Real> void forward(std::size_t n, const PartArrays<const Real>& x, const PartArrays<const Real>& y,
                                     const PartArrays<Real>& z, int threads) const;
  /// x_bar and y_bar, each unless empty, are overwritten.
  template <class Real> void adjoint(std::size_t n, const PartArrays<const Real>& x, const PartArrays<const Real>& y,
                                     const PartArrays<const Real>& z_bar, const PartArrays<Real>& x_bar,
                                     const PartArrays<Real>& y_bar, int threads) const;

 private:
  struct Entry {
    int m1, first, last;  // M = sum of c y over terms first .. last - 1
  };
  struct Row {
    int z_part, offset, first, last;  // of one state; entries
  };
  /// All that one part of x contributes.
  struct Block {
    int x_part, channels, d1;
    std::vector<Row> rows;
  };
  template <class Real> struct Tile;
  static constexpr int d1_in_registers = 7;  // up to here rows have entries for all m1, zeros too

  std::vector<PartShape> x_, y_, z_;
  std::vector<int> y_offset_;
  int y_dim_ = 0;
  std::vector<Block> blocks_;
  std::vector<Entry> entries_;
  std::vector<int> from_;  // y of each term
  std::vector<double> c_;
  std::vector<int> gathered_first_, gathered_;  // the terms of each y: their entries
  std::vector<double> gathered_c_;
};

}  // namespace nbcore::so3
