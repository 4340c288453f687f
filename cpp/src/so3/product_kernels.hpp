// The arithmetic of Clebsch-Gordan products: a few registers of channels at a time, one sparse matrix for all l of a
// pair of parts.
//
// For a pair (l1, l2) the products P[m1 m2] = x[m1] y[m2] are formed once; the rows of all l3 are sums of c P[m1 m2],
// one multiply-add for each coefficient and register, from L1. The adjoint applies the transposed matrix, Q = C^T
// z_bar, and multiplies by the other factor. Complex numbers are two planes; the coefficients are real.
#pragma once
#include <cstring>

#include "base/lanes.hpp"

namespace nbcore::so3 {

/// A matrix whose rows are channels: row m, plane p (real or imaginary part) at data + m * row + p * plane.
template <class Real> struct Rows {
  Real* data;
  std::ptrdiff_t row, plane;
};

/// out[r] = sum of c[t] in[from[t]], t = start[r] .. start[r + 1] - 1
template <class Real> struct SparseMatrix {
  int n_rows;
  const int *start, *from;
  const Real* c;
};

/// n registers of each of `planes` planes, from channel k on. Users' arrays are not aligned.
template <int n, int planes, class Real> struct Chunk {
  using V = Vector<Real>;
  static constexpr int size = n * planes, w = vector_width<Real>;

  NB_INLINE static void load(const Real* p, std::ptrdiff_t plane, V* x) {
    NB_UNROLL for (int i = 0; i < size; ++i) std::memcpy(x + i, p + i / n * plane + i % n * w, sizeof(V));
  }
  NB_INLINE static void store(Real* p, std::ptrdiff_t plane, const V* x) {
    NB_UNROLL for (int i = 0; i < size; ++i) std::memcpy(p + i / n * plane + i % n * w, x + i, sizeof(V));
  }
  NB_INLINE static void load(Rows<Real> rows, int m, int k, V* x) {
    load(rows.data + m * rows.row + k, rows.plane, x);
  }

  /// ab = a b
  NB_INLINE static void multiply(const V* a, const V* b, V* ab) {
    NB_UNROLL for (int i = 0; i < n; ++i) {
      if constexpr (planes == 1) {
        ab[i] = a[i] * b[i];
      } else {
        ab[i] = a[i] * b[i] - a[n + i] * b[n + i];
        ab[n + i] = a[i] * b[n + i] + a[n + i] * b[i];
      }
    }
  }
  /// sum += a conj(b)
  NB_INLINE static void add_conjugate_product(V* sum, const V* a, const V* b) {
    NB_UNROLL for (int i = 0; i < n; ++i) {
      if constexpr (planes == 1) {
        sum[i] += a[i] * b[i];
      } else {
        sum[i] += a[i] * b[i] + a[n + i] * b[n + i];
        sum[n + i] += a[n + i] * b[i] - a[i] * b[n + i];
      }
    }
  }

  /// consume(row, sums) for every row of C in
  template <class Consume> NB_INLINE static void apply(const SparseMatrix<Real>& C, const V* in, Consume consume) {
    for (int row = 0; row < C.n_rows; ++row) {
      V sum[size] = {};
      for (int t = C.start[row]; t < C.start[row + 1]; ++t) {
        const V* column = in + std::ptrdiff_t(C.from[t]) * size;
        NB_UNROLL for (int i = 0; i < size; ++i) sum[i] += C.c[t] * column[i];
      }
      consume(row, sum);
    }
  }

  // ---- one chunk of one pair of parts; `in` is room for one chunk of every column of C ----

  static void product(const SparseMatrix<Real>& C, int d1, int d2, Rows<Real> x, Rows<Real> y,
                      Real* const* z, std::ptrdiff_t z_plane, int k, V* in) {
    V a[size], b[size];
    for (int m1 = 0; m1 < d1; ++m1) {
      load(x, m1, k, a);
      for (int m2 = 0; m2 < d2; ++m2) {
        load(y, m2, k, b);
        multiply(a, b, in + (m1 * d2 + m2) * size);
      }
    }
    apply(C, in, [&](int row, const V* sum) { store(z[row] + k, z_plane, sum); });
  }

  /// x_bar += Q conj(y), y_bar += Q conj(x), Q = C^T z_bar
  template <bool want_x, bool want_y>
  static void product_adjoint(const SparseMatrix<Real>& C_transposed, int n_z, int d2, Rows<Real> x,
                              Rows<Real> y, Real* const* z_bar, std::ptrdiff_t z_plane, Rows<Real> x_bar,
                              Rows<Real> y_bar, int k, V* in) {
    for (int row = 0; row < n_z; ++row) load(z_bar[row] + k, z_plane, in + row * size);
    V a[size], b[size], a_bar[size] = {};
    int m1 = 0, m2 = 0;
    apply(C_transposed, in, [&](int, const V* Q) {
      if constexpr (want_y) {
        if (m2 == 0) load(x, m1, k, a);
        Real* p = y_bar.data + m2 * y_bar.row + k;
        load(p, y_bar.plane, b);
        add_conjugate_product(b, Q, a);
        store(p, y_bar.plane, b);
      }
      if constexpr (want_x) {
        Real* p = x_bar.data + m1 * x_bar.row + k;
        if (m2 == 0) load(p, x_bar.plane, a_bar);
        load(y, m2, k, b);
        add_conjugate_product(a_bar, Q, b);
        if (m2 == d2 - 1) store(p, x_bar.plane, a_bar);
      }
      if (++m2 == d2) m2 = 0, ++m1;
    });
  }

  static void couple(const SparseMatrix<Real>& C, int n_columns, Rows<Real> matrix, Real* const* z,
                     std::ptrdiff_t z_plane, int k, V* in) {
    for (int m = 0; m < n_columns; ++m) load(matrix, m, k, in + m * size);
    apply(C, in, [&](int row, const V* sum) { store(z[row] + k, z_plane, sum); });
  }

  static void uncouple(const SparseMatrix<Real>& C_transposed, int n_z, Rows<Real> matrix, Real* const* z,
                       std::ptrdiff_t z_plane, int k, V* in) {
    for (int row = 0; row < n_z; ++row) load(z[row] + k, z_plane, in + row * size);
    apply(C_transposed, in, [&](int m, const V* sum) { store(matrix.data + m * matrix.row + k, matrix.plane, sum); });
  }
};

inline constexpr int chunk_bytes = 1 << 15;  // stay in L1

/// f(Chunk, first channel) for all of `channels` (a multiple of the register width) in chunks as large as `columns` of
/// them stay in L1.
template <class Real, int planes, class F> void by_chunks(int channels, int columns, F f) {
  int k = 0;
  const auto sweep = [&]<int n>() {
    constexpr int step = n * vector_width<Real>;
    if (n > 1 && columns * planes * n * register_bytes > chunk_bytes) return;
    for (; k + step <= channels; k += step) f(Chunk<n, planes, Real>{}, k);
  };
  if constexpr (planes == 1) sweep.template operator()<8>();
  sweep.template operator()<4>();
  sweep.template operator()<2>();
  sweep.template operator()<1>();
}

}  // namespace nbcore::so3
