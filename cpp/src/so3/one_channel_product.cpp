#include "so3/one_channel_product.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <tuple>

#include "base/buffer.hpp"
#include "base/stream.hpp"
#include "base/threads.hpp"

namespace nbcore::so3 {

OneChannelProduct::OneChannelProduct(std::vector<PartShape> x, std::vector<PartShape> y, std::vector<PartShape> z,
                                     const std::vector<Term>& given)
    : x_(std::move(x)), y_(std::move(y)), z_(std::move(z)) {
  for (const PartShape& part : y_) y_offset_.push_back(y_dim_), y_dim_ += 2 * part.l + 1;
  std::vector<Term> terms = given;
  const auto row = [](const Term& t) { return std::tie(t.x_part, t.z_part, t.channel, t.m3); };
  std::stable_sort(terms.begin(), terms.end(), [&](const Term& a, const Term& b) {
    return std::tuple_cat(row(a), std::tie(a.m1)) < std::tuple_cat(row(b), std::tie(b.m1));
  });
  for (int part = 0; part < int(x_.size()); ++part)
    blocks_.push_back({part, x_[part].channels, 2 * x_[part].l + 1, {}});
  std::vector<int> entry_of_term;
  for (std::size_t k = 0; k < terms.size(); ++k) {
    const Term& t = terms[k];
    const bool new_row = k == 0 || row(terms[k - 1]) != row(t);
    Block& block = blocks_[t.x_part];
    if (new_row) {
      block.rows.push_back(
          {t.z_part, t.m3 * z_[t.z_part].channels + t.channel, int(entries_.size()), int(entries_.size())});
      for (int m1 = 0; block.d1 <= d1_in_registers && m1 < block.d1; ++m1) entries_.push_back({m1, int(k), int(k)});
    }
    Row& r = block.rows.back();
    if (block.d1 > d1_in_registers && (new_row || terms[k - 1].m1 != t.m1)) entries_.push_back({t.m1, int(k), int(k)});
    r.last = int(entries_.size());
    const int entry = block.d1 > d1_in_registers ? r.last - 1 : r.first + t.m1;
    if (entries_[entry].first == entries_[entry].last) entries_[entry].first = int(k);
    entries_[entry].last = int(k) + 1;
    from_.push_back(y_offset_[t.y_part] + t.m2), c_.push_back(t.c);
    entry_of_term.push_back(entry);
  }
  for (int j = 0; j < y_dim_; ++j) {
    gathered_first_.push_back(int(gathered_.size()));
    for (std::size_t k = 0; k < terms.size(); ++k)
      if (from_[k] == j) gathered_.push_back(entry_of_term[k]), gathered_c_.push_back(c_[k]);
  }
  gathered_first_.push_back(int(gathered_.size()));
}

template <class Real> bool OneChannelProduct::suits() const {
  return std::all_of(blocks_.begin(), blocks_.end(),
                     [](const Block& b) { return b.channels % vector_width<Real> == 0; });
}

namespace {

template <class Real> NB_INLINE Vector<Real> load(const Real* p) {
  Vector<Real> x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
template <class Real> NB_INLINE void store(Real* p, Vector<Real> x) { std::memcpy(p, &x, sizeof x); }

/// f.operator()<d1, n>(first channel) for all channels of a part, n registers at a time; d1 is 0 where it is too large
/// for registers.
template <class Real, class F> NB_INLINE void by_registers(int d1, int channels, F f) {
  constexpr int w = vector_width<Real>;
  const auto all = [&]<int fixed, int most>() {
    int k = 0;
    for (; k + most * w <= channels; k += most * w) f.template operator()<fixed, most>(k);
    for (; k < channels; k += w) f.template operator()<fixed, 1>(k);
  };
  switch (d1) {
    case 1:
      return all.template operator()<1, 4>();
    case 3:
      return all.template operator()<3, 4>();
    case 5:
      return all.template operator()<5, 4>();
    case 7:
      return all.template operator()<7, 2>();
    default:
      return all.template operator()<0, 4>();
  }
}

/// `count` registers of the rows m1 of a state: loaded once where d1 is known.
template <class Real, int d1, int count> struct Columns {
  const Real* from;
  int row;
  Vector<Real> kept[d1 ? d1 : 1][count];

  NB_INLINE Columns(const Real* from, int row) : from(from), row(row) {
    NB_UNROLL for (int m1 = 0; m1 < d1; ++m1)
      NB_UNROLL for (int i = 0; i < count; ++i) kept[m1][i] = load(from + m1 * row + i * vector_width<Real>);
  }
  NB_INLINE Vector<Real> operator()(int m1, int i) const {
    if constexpr (d1 > 0) return kept[m1][i];
    else return load(from + m1 * row + i * vector_width<Real>);
  }
};

}  // namespace

/// A register of states: their y and their M, one state per lane.
template <class Real> struct OneChannelProduct::Tile {
  static constexpr int w = vector_width<Real>;
  const OneChannelProduct& product;
  Buffer<Real> y, M, sums, c, gathered_c;
  std::size_t first = 0;
  int n = 0;

  explicit Tile(const OneChannelProduct& p)
      : product(p),
        y(p.y_dim_ * w),
        M(p.entries_.size() * w),
        sums(p.entries_.size() * w),
        c(p.c_.size()),
        gathered_c(p.c_.size()) {
    std::copy(p.c_.begin(), p.c_.end(), c.data());
    std::copy(p.gathered_c_.begin(), p.gathered_c_.end(), gathered_c.data());
  }

  template <class P> P* state(const PartArrays<P>& states, int part, int lane) const {
    return states[part].data + std::ptrdiff_t(first + lane) * states[part].stride;
  }

  void make_matrix(const PartArrays<const Real>& states) {
    for (int lane = 0; lane < w; ++lane)
      for (std::size_t part = 0; part < product.y_.size(); ++part)
        for (int m = 0; m <= 2 * product.y_[part].l; ++m)
          y[(product.y_offset_[part] + m) * w + lane] = lane < n ? state(states, int(part), lane)[m] : Real(0);
    const Real *const from_y = y.data(), *const factors = c.data();
    const int* const from = product.from_.data();
    Real* to = M.data();
    for (const Entry& e : product.entries_) {
      Vector<Real> sum{};
      for (int t = e.first; t < e.last; ++t) sum += load(from_y + from[t] * w) * factors[t];
      store(to, sum), to += w;
    }
  }

  template <class P> P* row(const PartArrays<P>& z, const Row& r, int lane) const {
    return state(z, r.z_part, lane) + r.offset;
  }

  /// f(m1, entry) for the entries of a row.
  template <int d1, class F> NB_INLINE void each(const Row& r, F f) const {
    if constexpr (d1 > 0) {
      NB_UNROLL for (int m1 = 0; m1 < d1; ++m1) f(m1, r.first + m1);
    } else {
      for (int e = r.first; e < r.last; ++e) f(product.entries_[e].m1, e);
    }
  }

  /// z of one state.
  template <bool streaming> void multiply(const PartArrays<const Real>& x, const PartArrays<Real>& z, int lane) {
    for (const Block& b : product.blocks_)
      by_registers<Real>(b.d1, b.channels, [&]<int d1, int count>(int k) {
        const Columns<Real, d1, count> columns(state(x, b.x_part, lane) + k, b.channels);
        const Real* const matrix = M.data() + lane;
        for (const Row& r : b.rows) {
          Vector<Real> sum[count] = {};
          each<d1>(r, [&](int m1, int e) {
            const Real m = matrix[e * w];
            NB_UNROLL for (int i = 0; i < count; ++i) sum[i] += m * columns(m1, i);
          });
          Real* to = row(z, r, lane) + k;
          NB_UNROLL for (int i = 0; i < count; ++i) {
            if constexpr (streaming) stream<Real>(to + i * w, sum[i]);
            else store(to + i * w, sum[i]);
          }
        }
      });
  }

  /// x_bar of one state
  void multiply_transposed(const PartArrays<const Real>& z_bar, const PartArrays<Real>& x_bar, int lane) {
    for (const Block& b : product.blocks_)
      by_registers<Real>(b.d1, b.channels, [&]<int d1, int count>(int k) {
        Real* to = state(x_bar, b.x_part, lane) + k;
        const Real* const matrix = M.data() + lane;
        Vector<Real> sum[d1 ? d1 : 1][count] = {};
        for (int m1 = 0; d1 == 0 && m1 < b.d1; ++m1)
          for (int i = 0; i < count; ++i) store(to + m1 * b.channels + i * w, Vector<Real>{});
        for (const Row& r : b.rows) {
          const Columns<Real, 1, count> given(row(z_bar, r, lane) + k, 0);
          each<d1>(r, [&](int m1, int e) {
            const Real m = matrix[e * w];
            NB_UNROLL for (int i = 0; i < count; ++i) {
              Real* at = to + m1 * b.channels + i * w;
              if constexpr (d1 > 0) sum[m1][i] += m * given(0, i);
              else store(at, load(at) + m * given(0, i));
            }
          });
        }
        NB_UNROLL for (int m1 = 0; m1 < d1; ++m1)
          NB_UNROLL for (int i = 0; i < count; ++i) store(to + m1 * b.channels + i * w, sum[m1][i]);
      });
  }

  /// y_bar of one state: C is summed over before lanes are, which leaves few sums over lanes.
  void gather(const PartArrays<const Real>& x, const PartArrays<const Real>& z_bar, const PartArrays<Real>& y_bar,
              int lane) {
    for (const Block& b : product.blocks_)
      by_registers<Real>(b.d1, b.channels, [&]<int d1, int count>(int k) {
        const Columns<Real, d1, count> columns(state(x, b.x_part, lane) + k, b.channels);
        Real* const to = sums.data();
        for (const Row& r : b.rows) {
          const Columns<Real, 1, count> given(row(z_bar, r, lane) + k, 0);
          each<d1>(r, [&](int m1, int e) {
            Vector<Real> sum = given(0, 0) * columns(m1, 0);
            NB_UNROLL for (int i = 1; i < count; ++i) sum += given(0, i) * columns(m1, i);
            store(to + e * w, k == 0 ? sum : sum + load(to + e * w));
          });
        }
      });
    const Real *const from = sums.data(), *const factors = gathered_c.data();
    const int *const entry = product.gathered_.data(), *const first = product.gathered_first_.data();
    for (int j = 0; j < product.y_dim_; j += w) {
      Vector<Real> group[w];
      for (int i = 0; i < w; ++i) {
        Vector<Real> sum[4] = {};  // four chains of additions at a time
        int t = j + i < product.y_dim_ ? first[j + i] : 0;
        const int end = j + i < product.y_dim_ ? first[j + i + 1] : 0;
        for (; t + 4 <= end; t += 4)
          NB_UNROLL for (int k = 0; k < 4; ++k) sum[k] += load(from + entry[t + k] * w) * factors[t + k];
        for (; t < end; ++t) sum[0] += load(from + entry[t] * w) * factors[t];
        group[i] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
      }
      store(y.data() + j, transposed_sum(group));
    }
    for (std::size_t part = 0; part < product.y_.size(); ++part)
      std::memcpy(state(y_bar, int(part), lane), y.data() + product.y_offset_[part],
                  (2 * product.y_[part].l + 1) * sizeof(Real));
  }

  /// work(tile) for all states, a register of them at a time, spread over the threads.
  template <class Work> static void for_all(const OneChannelProduct& p, std::size_t n, int threads, Work work) {
    constexpr std::size_t group = 8 * w;
    const int items = int((n + group - 1) / group);
    std::vector<std::unique_ptr<Tile>> of_thread(std::max(1, std::min(threads, items)));
    parallel_for(items, int(of_thread.size()), [&](int item, int thread) {
      if (!of_thread[thread]) of_thread[thread] = std::make_unique<Tile>(p);
      Tile& tile = *of_thread[thread];
      const std::size_t end = std::min(n, (item + 1) * group);
      for (tile.first = item * group; tile.first < end; tile.first += w) {
        tile.n = int(std::min<std::size_t>(w, end - tile.first));
        work(tile);
      }
    });
  }
};

template <class Real>
void OneChannelProduct::forward(std::size_t n, const PartArrays<const Real>& x, const PartArrays<const Real>& y,
                                const PartArrays<Real>& z, int threads) const {
  std::size_t bytes = 0;
  bool streaming = true;
  for (std::size_t part = 0; part < z_.size(); ++part) {
    bytes += n * (2 * z_[part].l + 1) * z_[part].channels * sizeof(Real);
    streaming = streaming && can_stream(z[part].data, z[part].stride * sizeof(Real));
  }
  streaming = streaming && bytes >= worth_streaming;
  Tile<Real>::for_all(*this, n, threads, [&](Tile<Real>& tile) {
    tile.make_matrix(y);
    for (int lane = 0; lane < tile.n; ++lane)
      if (streaming) tile.template multiply<true>(x, z, lane);
      else tile.template multiply<false>(x, z, lane);
    if (streaming) finish_streams();
  });
}

template <class Real>
void OneChannelProduct::adjoint(std::size_t n, const PartArrays<const Real>& x, const PartArrays<const Real>& y,
                                const PartArrays<const Real>& z_bar, const PartArrays<Real>& x_bar,
                                const PartArrays<Real>& y_bar, int threads) const {
  Tile<Real>::for_all(*this, n, threads, [&](Tile<Real>& tile) {
    if (!x_bar.empty()) tile.make_matrix(y);
    for (int lane = 0; lane < tile.n; ++lane) {
      if (!x_bar.empty()) tile.multiply_transposed(z_bar, x_bar, lane);
      if (!y_bar.empty()) tile.gather(x, z_bar, y_bar, lane);
    }
  });
}

#define NB_ONE_CHANNEL(Real)                                                                                          \
  template bool OneChannelProduct::suits<Real>() const;                                                               \
  template void OneChannelProduct::forward(std::size_t, const PartArrays<const Real>&, const PartArrays<const Real>&, \
                                           const PartArrays<Real>&, int) const;                                       \
  template void OneChannelProduct::adjoint(std::size_t, const PartArrays<const Real>&, const PartArrays<const Real>&, \
                                           const PartArrays<const Real>&, const PartArrays<Real>&,                    \
                                           const PartArrays<Real>&, int) const;
NB_ONE_CHANNEL(float)
NB_ONE_CHANNEL(double)

}  // namespace nbcore::so3
