// The workplace of a thread in Product: some states as rows of channels, for the kernels of product_kernels.hpp.
#pragma once
#include <algorithm>
#include <complex>
#include <vector>

#include "base/buffer.hpp"
#include "so3/product.hpp"
#include "so3/product_kernels.hpp"

namespace nbcore::so3 {

template <class T> struct Scalar {
  using Real = T;
  static constexpr int planes = 1;
};
template <class T> struct Scalar<std::complex<T>> {
  using Real = T;
  static constexpr int planes = 2;
};

/// n numbers between memory, where complex ones are pairs, and the planes of the kernels.
template <class Real> void to_planes(const Real* from, int n, Real* to, std::ptrdiff_t) { std::copy_n(from, n, to); }
template <class Real> void to_planes(const std::complex<Real>* from, int n, Real* to, std::ptrdiff_t plane) {
  for (int i = 0; i < n; ++i) to[i] = from[i].real(), to[plane + i] = from[i].imag();
}
template <class Real> void from_planes(const Real* from, std::ptrdiff_t, int n, Real* to) { std::copy_n(from, n, to); }
template <class Real> void from_planes(const Real* from, std::ptrdiff_t plane, int n, std::complex<Real>* to) {
  for (int i = 0; i < n; ++i) to[i] = {from[i], from[plane + i]};
}
template <class Real> void fill_planes(Real value, int n, Real* to, std::ptrdiff_t) { std::fill_n(to, n, value); }
template <class Real> void fill_planes(std::complex<Real> value, int n, Real* to, std::ptrdiff_t plane) {
  std::fill_n(to, n, value.real()), std::fill_n(to + plane, n, value.imag());
}
template <class T, class Real> T from_planes(const Real* from, std::ptrdiff_t plane) {
  T value;
  from_planes(from, plane, 1, &value);
  return value;
}

/// What one thread works on: the views of some states, as rows of channels, and where the rows of a pair's z lie. Rows
/// that fill registers as they are in memory (`direct`) are not copied.
template <class T> struct Product::Tile {
  using Real = typename Scalar<T>::Real;
  static constexpr int planes = Scalar<T>::planes, w = vector_width<Real>;

  const Product& product;
  const int capacity;  // states
  std::size_t first = 0;
  int n = 0;  // states first .. first + n - 1
  std::vector<Buffer<Real>> memory;
  std::vector<Real*> rows;  // of z, one pair
  Real *z_memory, *matrix = nullptr;
  Vector<Real>* in;

  explicit Tile(const Product& product) : product(product), capacity(product.states_per_tile(w)) {
    std::size_t z_size = 0, in_size = chunk_bytes / sizeof(Real), n_rows = 0;
    for (const Pair& pair : product.pairs_) {
      z_size = std::max(z_size, pair.rows.size() * planes * lanes(pair.channels));
      in_size = std::max(in_size, std::size_t(pair.d1 * pair.d2) * planes * w);
      n_rows = std::max(n_rows, pair.rows.size());
    }
    z_memory = room(z_size), in = reinterpret_cast<Vector<Real>*>(room(in_size)), rows.resize(n_rows);
  }
  void make_matrix() {
    std::size_t size = 0;
    for (const Pair& pair : product.pairs_)
      size = std::max(size, std::size_t(pair.d1 * pair.d2) * planes * lanes(pair.channels));
    matrix = room(size);
  }

  Real* room(std::size_t numbers) { return memory.emplace_back(numbers).data(); }
  /// Channels of all states, filled up to whole registers
  int lanes(int channels) const { return (capacity * channels + w - 1) / w * w; }
  bool direct(int channels) const { return planes == 1 && capacity == 1 && channels % w == 0; }
  bool direct(const View& v) const { return v.plain() && direct(v.size); }

  /// The views of x or y.
  struct Factor {
    const Tile* tile = nullptr;
    const std::vector<View>* views = nullptr;
    const std::vector<PartShape>* parts = nullptr;
    std::vector<Rows<Real>> room, rows;

    void make(Tile& of, const std::vector<View>& v, const std::vector<PartShape>& p) {
      tile = &of, views = &v, parts = &p;
      for (const View& view : v) {
        const std::ptrdiff_t plane = of.lanes(view.channels());
        Real* data = of.direct(view) ? nullptr : of.room((2 * p[view.part].l + 1) * planes * plane);
        room.push_back({data, planes * plane, plane});
      }
      rows = room;
    }
    template <class P> P* state(const std::vector<PartArray<P>>& states, int part, int t) const {
      return states[part].data + std::ptrdiff_t(tile->first + t) * states[part].stride;
    }
    int n_m(const View& v) const { return 2 * (*parts)[v.part].l + 1; }

    void read(const PartArrays<const T>& states) {
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const View& v = (*views)[i];
        if constexpr (planes == 1)
          if (tile->direct(v)) {
            rows[i] = {const_cast<Real*>(state(states, v.part, 0)), v.size, 0};  // only read
            continue;
          }
        for (int t = 0; t < tile->n; ++t)
          for (int m = 0; m < n_m(v); ++m) {
            const T* from = state(states, v.part, t) + m * v.size;
            Real* to = rows[i].data + m * rows[i].row + t * v.channels();
            for (int k = 0; k < v.tile; ++k, to += v.size * v.repeat) {
              if (v.repeat == 1) to_planes(from, v.size, to, rows[i].plane);
              else
                for (int c = 0; c < v.size; ++c) fill_planes(from[c], v.repeat, to + c * v.repeat, rows[i].plane);
            }
          }
      }
    }

    /// Zeros, which `add` adds to the states (zeros before): or the states themselves.
    void begin_sum(const PartArrays<T>& states) {
      for (int part = 0; part < int(parts->size()); ++part)
        for (int t = 0; t < tile->n; ++t)
          std::fill_n(state(states, part, t), (2 * (*parts)[part].l + 1) * (*parts)[part].channels, T{});
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const View& v = (*views)[i];
        if constexpr (planes == 1)
          if (tile->direct(v)) {
            rows[i] = {state(states, v.part, 0), v.size, 0};
            continue;
          }
        std::fill_n(rows[i].data, rows[i].row * n_m(v), Real(0));
      }
    }
    void end_sum(const PartArrays<T>& states) const {
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const View& v = (*views)[i];
        if (tile->direct(v)) continue;
        for (int t = 0; t < tile->n; ++t)
          for (int m = 0; m < n_m(v); ++m) {
            const Real* from = rows[i].data + m * rows[i].row + t * v.channels();
            T* to = state(states, v.part, t) + m * v.size;
            for (int k = 0; k < v.tile; ++k)
              for (int c = 0; c < v.size; ++c) {
                T sum{};
                for (int r = 0; r < v.repeat; ++r)
                  sum += from_planes<T>(from + (k * v.size + c) * v.repeat + r, rows[i].plane);
                to[c] += sum;
              }
          }
      }
    }
  };
  Factor x, y, x_bar, y_bar;

  // ---- the rows of z of one pair ----

  /// where row r of state t lies
  template <class P> auto* z_at(const Pair& pair, const std::vector<PartArray<P>>& z, std::size_t r, int t) const {
    const auto [part, m, channel] = pair.rows[r];
    return z[part].data + std::ptrdiff_t(first + t) * z[part].stride + m * product.z_[part].channels + channel;
  }
  std::ptrdiff_t z_plane(const Pair& pair) const { return lanes(pair.channels); }
  template <class P> void place_rows(const Pair& pair, const std::vector<PartArray<P>>& z) {
    for (std::size_t r = 0; r < pair.rows.size(); ++r) {
      rows[r] = z_memory + r * planes * z_plane(pair);
      if constexpr (planes == 1)
        if (direct(pair.channels)) rows[r] = const_cast<Real*>(z_at(pair, z, r, 0));
    }
  }
  void read_rows(const Pair& pair, const PartArrays<const T>& z) {
    place_rows(pair, z);
    if (direct(pair.channels)) return;
    for (std::size_t r = 0; r < pair.rows.size(); ++r)
      for (int t = 0; t < n; ++t)
        to_planes(z_at(pair, z, r, t), pair.channels, rows[r] + t * pair.channels, z_plane(pair));
  }
  void write_rows(const Pair& pair, const PartArrays<T>& z) const {
    if (direct(pair.channels)) return;
    for (std::size_t r = 0; r < pair.rows.size(); ++r)
      for (int t = 0; t < n; ++t)
        from_planes(rows[r] + t * pair.channels, z_plane(pair), pair.channels, z_at(pair, z, r, t));
  }

  // ---- the block of a pair in an uncoupled matrix ----

  /// move(numbers in the matrix, numbers in the rows, how many) for every piece without gaps
  template <class P, class Move> void by_pieces(const Pair& pair, PartArray<P> states, Move move) const {
    const View &a = product.x_views_[pair.x], &b = product.y_views_[pair.y];
    for (int t = 0; t < n; ++t)
      for (int m1 = 0; m1 < pair.d1; ++m1)
        for (int c1 = 0; c1 < a.size; ++c1) {
          P* line = states.data + std::ptrdiff_t(first + t) * states.stride +
                    (product.x_offset_[a.part] + m1 * a.size + c1) * product.y_dim_ + product.y_offset_[b.part];
          for (int m2 = 0; m2 < pair.d2; ++m2)
            move(line + m2 * b.size,
                 matrix + (m1 * pair.d2 + m2) * planes * z_plane(pair) + t * pair.channels + c1 * b.size, b.size);
        }
  }
};

}  // namespace nbcore::so3
