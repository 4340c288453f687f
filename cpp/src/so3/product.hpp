// Clebsch-Gordan products and transforms of states of any types, and their adjoints.
//
//   product    z[m3][c] = sum over m1, m2 of C[m1][m2][m3] x[m1][c1] y[m2][c2]
//              for every path (x part, y part) -> z part
//   couple     the same with a matrix T[m1 c1][m2 c2] in the place of x y: the Clebsch-Gordan transform
//   uncouple   its transpose
//
// with c = c1 c2 (all pairs of channels, c2 fastest) or c = c1 = c2 (channelwise; a factor of one channel counts for
// all).
#pragma once
#include <complex>
#include <cstddef>
#include <memory>
#include <vector>

namespace nbcore::so3 {

template <class Real> struct SparseMatrix;
class OneChannelProduct;

/// A part of a state: a matrix [2l+1][channels].
struct PartShape {
  int l, channels;
};
/// A part of many states: that of state k lies at data + k * stride, [2l+1][channels] without gaps. A stride of 0 is
/// the same state for all k (of what is read).
template <class T> struct PartArray {
  T* data;
  std::ptrdiff_t stride;
};
template <class T> using PartArrays = std::vector<PartArray<T>>;

/// Part x of one factor and part y of the other, coupled to the l of part z, whose channels `channel`, `channel` + 1 ..
/// they fill.
struct ProductPath {
  int x, y, z, channel;
};

enum class Basis { real, complex };  // real_clebsch_gordan or clebsch_gordan

/// What is the same for all states: the sparse coefficients, sorted for both directions. T is float, double,
/// std::complex<float> or std::complex<double>. States are independent of each other: results have the same bits for
/// any number of threads and in any batch. Nothing is checked here but the coefficients' l.
class Product {
 public:
  Product(std::vector<PartShape> x, std::vector<PartShape> y, std::vector<PartShape> z, std::vector<ProductPath> paths,
          bool channelwise, Basis basis);

  /// z is overwritten.
  template <class T> void forward(std::size_t n, const PartArrays<const T>& x, const PartArrays<const T>& y,
                                  const PartArrays<T>& z, int threads) const;
  /// x_bar and y_bar, each unless empty, are overwritten: x_bar = sum of C z_bar conj(y), y_bar = sum of C z_bar
  /// conj(x), so that Re <z_bar, z> = Re <x_bar, x>.
  template <class T> void adjoint(std::size_t n, const PartArrays<const T>& x, const PartArrays<const T>& y,
                                  const PartArrays<const T>& z_bar, const PartArrays<T>& x_bar,
                                  const PartArrays<T>& y_bar, int threads) const;
  /// T[k] is a matrix of the dimensions of x and y, without gaps, `stride` after the one before. Not for channelwise.
  template <class T> void couple(std::size_t n, PartArray<const T> matrix, const PartArrays<T>& z, int threads) const;
  template <class T> void uncouple(std::size_t n, const PartArrays<const T>& z, PartArray<T> matrix, int threads) const;

  const std::vector<PartShape>& x() const { return x_; }
  const std::vector<PartShape>& y() const { return y_; }
  const std::vector<PartShape>& z() const { return z_; }

 private:
  struct Term {
    int from;
    double c;
  };
  struct Sparse {
    std::vector<int> start, from;
    std::vector<double> c64;
    std::vector<float> c32;
    Sparse() = default;
    explicit Sparse(const std::vector<std::vector<Term>>& rows);
    template <class Real> SparseMatrix<Real> matrix() const;
  };
  /// A part as the channels of a pair: each channel `repeat` times, and all of them `tile` times.
  struct View {
    int part, size, repeat, tile;
    bool operator==(const View&) const = default;
    bool plain() const { return repeat == 1 && tile == 1; }
    int channels() const { return size * repeat * tile; }
  };
  struct Row {
    int part, m, channel;
  };
  struct Pair {
    int x, y;    // views
    int d1, d2;  // 2l+1
    int channels;
    std::vector<Row> rows;  // of z
    Sparse to_z, from_z;    // [row][m1 d2 + m2] and its transpose
  };
  template <class T> struct Tile;
  template <class T> bool fast() const;
  int states_per_tile(int width) const;
  template <class T, class Prepare, class Work>
  void by_tiles(std::size_t n, int threads, Prepare prepare, Work work) const;
  template <class T, class Work> void by_pairs(std::size_t n, int threads, Work work) const;

  std::vector<PartShape> x_, y_, z_;
  std::vector<int> x_offset_, y_offset_;  // of the parts in a state
  int x_dim_ = 0, y_dim_ = 0;
  std::vector<View> x_views_, y_views_;
  std::vector<Pair> pairs_;
  double work_ = 0;                                // multiply-adds for one state
  std::shared_ptr<const OneChannelProduct> fast_;  // where one factor has one channel per part
  bool swapped_ = false;                           // that factor is x
};

}  // namespace nbcore::so3
