#include "so3/product.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <tuple>

#include "base/error.hpp"
#include "base/threads.hpp"
#include "so3/clebsch_gordan.hpp"
#include "so3/one_channel_product.hpp"
#include "so3/product_kernels.hpp"
#include "so3/product_tile.hpp"

namespace nbcore::so3 {

Product::Sparse::Sparse(const std::vector<std::vector<Term>>& rows) {
  start.push_back(0);
  for (const auto& row : rows) {
    for (const Term& t : row) from.push_back(t.from), c64.push_back(t.c), c32.push_back(float(t.c));
    start.push_back(int(from.size()));
  }
}

template <class Real> SparseMatrix<Real> Product::Sparse::matrix() const {
  const int n_rows = int(start.size()) - 1;
  if constexpr (std::is_same_v<Real, float>) return {n_rows, start.data(), from.data(), c32.data()};
  else return {n_rows, start.data(), from.data(), c64.data()};
}

Product::Product(std::vector<PartShape> x, std::vector<PartShape> y, std::vector<PartShape> z,
                 std::vector<ProductPath> paths, bool channelwise, Basis basis)
    : x_(std::move(x)), y_(std::move(y)), z_(std::move(z)) {
  const auto view = [](std::vector<View>& views, const View& wanted) {
    const auto found = std::find(views.begin(), views.end(), wanted);
    if (found != views.end()) return int(found - views.begin());
    views.push_back(wanted);
    return int(views.size()) - 1;
  };
  const auto single = [](const PartShape& part) { return part.channels == 1; };
  swapped_ = std::all_of(x_.begin(), x_.end(), single) && !std::all_of(y_.begin(), y_.end(), single);
  const bool one_channel = channelwise && std::all_of((swapped_ ? x_ : y_).begin(), (swapped_ ? x_ : y_).end(), single);
  std::vector<OneChannelProduct::Term> terms;
  std::map<std::tuple<int, int, int>, std::vector<double>> coefficients;
  std::stable_sort(paths.begin(), paths.end(),
                   [](const auto& a, const auto& b) { return std::tie(a.x, a.y) < std::tie(b.x, b.y); });
  for (std::size_t first = 0, last; first < paths.size(); first = last) {
    for (last = first; last < paths.size() && paths[last].x == paths[first].x && paths[last].y == paths[first].y;)
      ++last;
    Pair pair;
    const PartShape a = x_[paths[first].x], b = y_[paths[first].y];
    pair.channels = channelwise ? std::max(a.channels, b.channels) : a.channels * b.channels;
    pair.d1 = 2 * a.l + 1, pair.d2 = 2 * b.l + 1;
    pair.x = view(x_views_, {paths[first].x, a.channels, pair.channels / a.channels, 1});
    pair.y = view(y_views_, channelwise ? View{paths[first].y, b.channels, pair.channels / b.channels, 1}
                                        : View{paths[first].y, b.channels, 1, a.channels});
    std::vector<std::vector<Term>> rows, columns(pair.d1 * pair.d2);
    for (std::size_t i = first; i < last; ++i) {
      const ProductPath& path = paths[i];
      const int l3 = z_[path.z].l, d3 = 2 * l3 + 1;
      auto& C = coefficients[{a.l, b.l, l3}];
      if (C.empty()) C = basis == Basis::real ? real_clebsch_gordan(a.l, b.l, l3) : clebsch_gordan(a.l, b.l, l3);
      for (int m3 = 0; m3 < d3; ++m3) {
        rows.emplace_back();
        for (int m12 = 0; m12 < pair.d1 * pair.d2; ++m12)
          if (const double c = C[std::size_t(m12) * d3 + m3]; c != 0) {
            rows.back().push_back({m12, c});
            if (const int m1 = m12 / pair.d2, m2 = m12 % pair.d2; one_channel && !swapped_)
              terms.push_back({path.x, path.y, path.z, m1, m2, m3, path.channel, c});
            else if (one_channel) terms.push_back({path.y, path.x, path.z, m2, m1, m3, path.channel, c});
            columns[m12].push_back({int(rows.size()) - 1, c});
          }
        pair.rows.push_back({path.z, m3, path.channel});
      }
    }
    pair.to_z = Sparse(rows), pair.from_z = Sparse(columns);
    work_ += double(pair.to_z.from.size() + columns.size()) * pair.channels;
    pairs_.push_back(std::move(pair));
  }
  if (one_channel) fast_ = std::make_shared<OneChannelProduct>(swapped_ ? y_ : x_, swapped_ ? x_ : y_, z_, terms);
  for (const PartShape& part : x_) x_offset_.push_back(x_dim_), x_dim_ += (2 * part.l + 1) * part.channels;
  for (const PartShape& part : y_) y_offset_.push_back(y_dim_), y_dim_ += (2 * part.l + 1) * part.channels;
}

template <class T> bool Product::fast() const {
  if constexpr (Scalar<T>::planes == 1) return fast_ && fast_->suits<T>();
  else return false;
}

/// Few channels fill their registers together with those of other states, as far as everything stays in L2.
int Product::states_per_tile(int width) const {
  int fewest = 1 << 30;
  std::size_t numbers = 0;
  for (const Pair& pair : pairs_) {
    fewest = std::min(fewest, pair.channels);
    numbers = std::max(numbers, pair.rows.size() * pair.channels);
  }
  for (const auto* views : {&x_views_, &y_views_})
    for (const View& v : *views)
      numbers += std::size_t(v.channels()) * (2 * (views == &x_views_ ? x_ : y_)[v.part].l + 1);
  const int wanted = (4 * width + fewest - 1) / fewest,
            fits = int((std::size_t(1) << 16) / std::max<std::size_t>(numbers, 1));
  return std::max(1, std::min(wanted, fits));
}

/// work(tile) for all states, tile by tile, spread over the threads.
template <class T, class Prepare, class Work>
void Product::by_tiles(std::size_t n, int threads, Prepare prepare, Work work) const {
  if (n == 0 || pairs_.empty()) return;
  const std::size_t capacity = states_per_tile(vector_width<typename Scalar<T>::Real>);
  const double small = 1e5;  // multiply-adds that no thread is worth waking for
  const std::size_t tiles = (n + capacity - 1) / capacity;
  const std::size_t group = std::clamp<std::size_t>(std::size_t(small / (work_ * double(capacity))), 1, tiles);
  const std::size_t items = (tiles + group - 1) / group;
  if (items > std::size_t(std::numeric_limits<int>::max())) throw InputError("tensor_product: too many states");
  threads = std::max(1, int(std::min<std::size_t>(threads, items)));
  std::vector<std::unique_ptr<Tile<T>>> of_thread(threads);
  parallel_for(int(items), threads, [&](int item, int thread) {
    auto& tile = of_thread[thread];
    if (!tile) tile = std::make_unique<Tile<T>>(*this), prepare(*tile);
    const std::size_t end = std::min(n, (item + 1) * group * capacity);
    for (tile->first = item * group * capacity; tile->first < end; tile->first += capacity) {
      tile->n = int(std::min(capacity, end - tile->first));
      work(*tile);
    }
  });
}

template <class T> void Product::forward(std::size_t n, const PartArrays<const T>& x, const PartArrays<const T>& y,
                                         const PartArrays<T>& z, int threads) const {
  using Real = typename Scalar<T>::Real;
  constexpr int planes = Scalar<T>::planes;
  if constexpr (planes == 1)
    if (fast<T>()) return fast_->forward<T>(n, swapped_ ? y : x, swapped_ ? x : y, z, threads);
  const auto prepare = [&](Tile<T>& tile) { tile.x.make(tile, x_views_, x_), tile.y.make(tile, y_views_, y_); };
  by_tiles<T>(n, threads, prepare, [&](Tile<T>& tile) {
    tile.x.read(x), tile.y.read(y);
    for (const Pair& pair : pairs_) {
      const SparseMatrix<Real> C = pair.to_z.matrix<Real>();
      tile.place_rows(pair, z);
      by_chunks<Real, planes>(tile.lanes(pair.channels), pair.d1 * pair.d2, [&](auto chunk, int k) {
        chunk.product(C, pair.d1, pair.d2, tile.x.rows[pair.x], tile.y.rows[pair.y], tile.rows.data(),
                      tile.z_plane(pair), k, tile.in);
      });
      tile.write_rows(pair, z);
    }
  });
}

template <class T> void Product::adjoint(std::size_t n, const PartArrays<const T>& x, const PartArrays<const T>& y,
                                         const PartArrays<const T>& z_bar, const PartArrays<T>& x_bar,
                                         const PartArrays<T>& y_bar, int threads) const {
  using Real = typename Scalar<T>::Real;
  constexpr int planes = Scalar<T>::planes;
  if constexpr (planes == 1)
    if (fast<T>()) {
      if (swapped_) return fast_->adjoint<T>(n, y, x, z_bar, y_bar, x_bar, threads);
      return fast_->adjoint<T>(n, x, y, z_bar, x_bar, y_bar, threads);
    }
  const bool want_x = !x_bar.empty(), want_y = !y_bar.empty();
  const auto prepare = [&](Tile<T>& tile) {  // what is not wanted is not touched
    tile.x.make(tile, x_views_, x_), tile.y.make(tile, y_views_, y_);
    tile.x_bar.make(tile, x_views_, x_), tile.y_bar.make(tile, y_views_, y_);
  };
  by_tiles<T>(n, threads, prepare, [&](Tile<T>& tile) {
    if (want_x) tile.y.read(y), tile.x_bar.begin_sum(x_bar);
    if (want_y) tile.x.read(x), tile.y_bar.begin_sum(y_bar);
    for (const Pair& pair : pairs_) {
      const SparseMatrix<Real> C = pair.from_z.matrix<Real>();
      const int n_z = int(pair.rows.size());
      tile.read_rows(pair, z_bar);
      by_chunks<Real, planes>(tile.lanes(pair.channels), n_z, [&](auto chunk, int k) {
        const auto sweep = [&]<bool with_x, bool with_y>() {
          chunk.template product_adjoint<with_x, with_y>(C, n_z, pair.d2, tile.x.rows[pair.x], tile.y.rows[pair.y],
                                                         tile.rows.data(), tile.z_plane(pair), tile.x_bar.rows[pair.x],
                                                         tile.y_bar.rows[pair.y], k, tile.in);
        };
        if (want_x && want_y) sweep.template operator()<true, true>();
        else if (want_x) sweep.template operator()<true, false>();
        else sweep.template operator()<false, true>();
      });
    }
    if (want_x) tile.x_bar.end_sum(x_bar);
    if (want_y) tile.y_bar.end_sum(y_bar);
  });
}

/// work(tile, pair, plane) for every pair of every tile.
template <class T, class Work> void Product::by_pairs(std::size_t n, int threads, Work work) const {
  by_tiles<T>(
      n, threads, [](Tile<T>& tile) { tile.make_matrix(); },
      [&](Tile<T>& tile) {
        for (const Pair& pair : pairs_) work(tile, pair, tile.z_plane(pair));
      });
}

template <class T>
void Product::couple(std::size_t n, PartArray<const T> matrix, const PartArrays<T>& z, int threads) const {
  using Real = typename Scalar<T>::Real;
  constexpr int planes = Scalar<T>::planes;
  by_pairs<T>(n, threads, [&](Tile<T>& tile, const Pair& pair, std::ptrdiff_t plane) {
    tile.by_pieces(pair, matrix, [&](const T* from, Real* to, int k) { to_planes(from, k, to, plane); });
    tile.place_rows(pair, z);
    const int columns = pair.d1 * pair.d2;
    by_chunks<Real, planes>(tile.lanes(pair.channels), columns, [&](auto chunk, int k) {
      chunk.couple(pair.to_z.matrix<Real>(), columns, {tile.matrix, planes * plane, plane}, tile.rows.data(), plane, k,
                   tile.in);
    });
    tile.write_rows(pair, z);
  });
}

template <class T>
void Product::uncouple(std::size_t n, const PartArrays<const T>& z, PartArray<T> matrix, int threads) const {
  using Real = typename Scalar<T>::Real;
  constexpr int planes = Scalar<T>::planes;
  by_pairs<T>(n, threads, [&](Tile<T>& tile, const Pair& pair, std::ptrdiff_t plane) {
    tile.read_rows(pair, z);
    const int rows = int(pair.rows.size());
    by_chunks<Real, planes>(tile.lanes(pair.channels), rows, [&](auto chunk, int k) {
      chunk.uncouple(pair.from_z.matrix<Real>(), rows, {tile.matrix, planes * plane, plane}, tile.rows.data(), plane, k,
                     tile.in);
    });
    tile.by_pieces(pair, matrix, [&](T* to, const Real* from, int k) { from_planes(from, plane, k, to); });
  });
}

#define NB_PRODUCT(T)                                                                                                \
  template void Product::forward(std::size_t, const PartArrays<const T>&, const PartArrays<const T>&,                \
                                 const PartArrays<T>&, int) const;                                                   \
  template void Product::adjoint(std::size_t, const PartArrays<const T>&, const PartArrays<const T>&,                \
                                 const PartArrays<const T>&, const PartArrays<T>&, const PartArrays<T>&, int) const; \
  template void Product::couple(std::size_t, PartArray<const T>, const PartArrays<T>&, int) const;                   \
  template void Product::uncouple(std::size_t, const PartArrays<const T>&, PartArray<T>, int) const;
NB_PRODUCT(float)
NB_PRODUCT(double)
NB_PRODUCT(std::complex<float>)
NB_PRODUCT(std::complex<double>)

}  // namespace nbcore::so3
