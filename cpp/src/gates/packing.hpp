// The order in which kernels want weights: where each packed number comes from among the parameters of the gate. It is
// built number by number and kept as patterns, since packed weights are rows of parameters at equal distances: whatever
// the number of parameters, the patterns of a matrix are few.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nbcore {

/// Which weights are packed: those of all nodes, and those of classes of nodes (elements)
struct PackedClasses {
  bool common = true;
  std::vector<char> classes = {};  // empty: all of them
  bool has(int c) const { return c < 0 ? common : classes.empty() || classes[c]; }
};

class Packing {
 public:
  /// The numbers from here on are those of nodes of a class; -1: of all again
  void begin_class(int c);
  /// The next number is `scale` times parameter `index` of the gate, times the gain of output part `part` (-1: none).
  void weight(std::int64_t index, double scale, int part = -1);
  /// The next n numbers are constants.
  void constants(double value, std::ptrdiff_t n);
  void zeros(std::ptrdiff_t n) { constants(0, n); }
  /// Zeros up to this size
  void fill_to(std::ptrdiff_t size) { zeros(size - size_); }
  /// Numbers, padding included
  std::ptrdiff_t size() const { return size_; }

  /// to[size()] from the parameters of the gate and the gains of its output parts (which may be none); where others than
  /// `which` stand it is left as it is
  template <class Real> void pack(const double* parameters, const std::vector<double>& gains, Real* to,
                                  const PackedClasses& which = {}) const;
  /// gradient[index] += adjoint of that parameter, from the adjoint of the packed weights
  template <class Real>
  void unpack_adjoint(const Real* weights_bar, const std::vector<double>& gains, double* gradient) const;

  std::size_t patterns() const { return patterns_.size(); }

 private:
  /// `rows` rows of `count` parameters and then `padding` zeros: number k of row r is scale times parameter
  /// index + r row_stride + k stride; index -1: `count` constants
  struct Pattern {
    std::int64_t index, stride, row_stride;
    std::ptrdiff_t rows, count, padding;
    double scale;
    int part;
    double gained(const std::vector<double>& gains) const {
      return part < 0 || gains.empty() ? scale : scale * gains[part];
    }
  };
  void merge_last();

  struct Class {
    int number;
    std::size_t pattern;  // its first
  };
  std::vector<Pattern> patterns_;  // the last one is still open: a single row that may grow
  std::size_t closed_ = 0;         // patterns of classes before, which nothing is added to
  std::vector<Class> classes_;
  std::ptrdiff_t size_ = 0;
};

}  // namespace nbcore
