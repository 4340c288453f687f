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
    blocks_.push_back({part, x_[part].channels, 2 * x_[part].l + 1, {}, {}, {}, {}});
  for (std::size_t k = 0; k < terms.size(); ++k) {
    const Term& t = terms[k];
    const bool new_row = k == 0 || row(terms[k - 1]) != row(t);
    Block& block = blocks_[t.x_part];
    if (new_row) block.rows.push_back({t.z_part, t.m3, t.channel, int(entries_.size()), int(entries_.size())});
    if (new_row || terms[k - 1].m1 != t.m1) entries_.push_back({t.m1, int(k), int(k)}), ++block.rows.back().last;
    ++entries_.back().last;
    from_.push_back(y_offset_[t.y_part] + t.m2), c_.push_back(t.c);
  }
  for (Block& block : blocks_)
    for (int m1 = 0; m1 <= block.d1; ++m1) {
      block.by_m1_first.push_back(int(block.by_m1_entry.size()));
      for (int r = 0; r < int(block.rows.size()); ++r)
        for (int e = block.rows[r].first; e < block.rows[r].last; ++e)
          if (entries_[e].m1 == m1) block.by_m1_entry.push_back(e), block.by_m1_row.push_back(r);
    }
}

template <class Real> bool OneChannelProduct::suits() const {
  return std::all_of(blocks_.begin(), blocks_.end(), [](const Block& b) { return b.channels % width<Real> == 0; });
}

namespace {

template <class Real> NB_INLINE Simd<Real> load(const Real* p) {
  Simd<Real> x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
template <class Real> NB_INLINE void store(Real* p, Simd<Real> x) { std::memcpy(p, &x, sizeof x); }

/// f.operator()<n>(first channel) for all channels, n registers at a time.
template <class Real, class F> NB_INLINE void by_registers(int channels, F f) {
  constexpr int w = width<Real>;
  int k = 0;
  for (; k + 4 * w <= channels; k += 4 * w) f.template operator()<4>(k);
  for (; k < channels; k += w) f.template operator()<1>(k);
}

}  // namespace

/// A register of states: their y and their M, one state per lane.
template <class Real> struct OneChannelProduct::Tile {
  static constexpr int w = width<Real>;
  const OneChannelProduct& product;
  Buffer<Real> y, M, G, sums, x_part, bar;
  std::vector<const Real*> z;
  std::size_t first = 0;
  int n = 0;

  explicit Tile(const OneChannelProduct& p)
      : product(p), y(p.y_dim_ * w), M(p.entries_.size() * w), G(p.entries_.size() * w), sums(p.entries_.size() * w) {
    sums.clear();
  }

  template <class P> P* state(const PartArrays<P>& states, int part, int lane) const {
    return states[part].data + std::ptrdiff_t(first + lane) * states[part].stride;
  }

  void make_matrix(const PartArrays<const Real>& states) {
    for (int lane = 0; lane < w; ++lane)
      for (std::size_t part = 0; part < product.y_.size(); ++part)
        for (int m = 0; m <= 2 * product.y_[part].l; ++m)
          y[(product.y_offset_[part] + m) * w + lane] = lane < n ? state(states, int(part), lane)[m] : Real(0);
    for (std::size_t e = 0; e < product.entries_.size(); ++e) {
      Simd<Real> sum{};
      for (int t = product.entries_[e].first; t < product.entries_[e].last; ++t)
        sum += load(y.data() + product.from_[t] * w) * Real(product.c_[t]);
      store(M.data() + e * w, sum);
    }
  }

  template <class P> P* row(const PartArrays<P>& z, const Row& r, int lane) const {
    return state(z, r.z_part, lane) + r.m3 * product.z_[r.z_part].channels + r.channel;
  }

  /// A part of one state of x in a place of our own: every number is read some ten times, and users' rows cross lines.
  const Real* aligned_x(const PartArrays<const Real>& x, const Block& b, int lane) {
    x_part.resize(b.d1 * b.channels);
    const Real* from = state(x, b.x_part, lane);
    for (int k = 0; k < b.d1 * b.channels; k += w) store(x_part.data() + k, load(from + k));
    return x_part.data();
  }

  /// z of one state.
  template <bool streaming> void multiply(const PartArrays<const Real>& x, const PartArrays<Real>& z, int lane) {
    for (const Block& b : product.blocks_) {
      const Real* from = aligned_x(x, b, lane);
      for (const Row& r : b.rows) {
        Real* to = row(z, r, lane);
        by_registers<Real>(b.channels, [&]<int count>(int k) {
          Simd<Real> sum[count] = {};
          for (int e = r.first; e < r.last; ++e) {
            const Real m = M[e * w + lane];
            const Real* column = from + product.entries_[e].m1 * b.channels + k;
    NB_UNROLL for (int i = 0; i < count; ++i) sum[i] += m * load(column + i * w);
          }
          NB_UNROLL for (int i = 0; i < count; ++i) {
            if constexpr (streaming) stream<Real>(to + k + i * w, sum[i]);
            else store(to + k + i * w, sum[i]);
          }
        });
      }
    }
  }

  /// x_bar of one state, unless empty, and G, if wanted, into its lane.
  void multiply_transposed(const PartArrays<const Real>& x, const PartArrays<const Real>& z_bar,
                           const PartArrays<Real>& x_bar, bool want_G, int lane) {
    for (const Block& b : product.blocks_) {
      bar.resize(b.rows.size() * b.channels);
      const Real* from = want_G ? aligned_x(x, b, lane) : nullptr;
      for (std::size_t r = 0; r < b.rows.size(); ++r)
        by_registers<Real>(b.channels, [&]<int count>(int k) {
          const Real* given = row(z_bar, b.rows[r], lane) + k;
          Simd<Real> z[count];
          NB_UNROLL for (int i = 0; i < count; ++i) z[i] = load(given + i * w);
          NB_UNROLL for (int i = 0; i < count; ++i) store(bar.data() + r * b.channels + k + i * w, z[i]);
          for (int e = b.rows[r].first; want_G && e < b.rows[r].last; ++e) {
            const Real* column = from + product.entries_[e].m1 * b.channels + k;
            Simd<Real> sum = k == 0 ? Simd<Real>{} : load(sums.data() + e * w);
            NB_UNROLL for (int i = 0; i < count; ++i) sum += z[i] * load(column + i * w);
            store(sums.data() + e * w, sum);
          }
        });
      for (int m1 = 0; !x_bar.empty() && m1 < b.d1; ++m1) {
        Real* to = state(x_bar, b.x_part, lane) + m1 * b.channels;
        by_registers<Real>(b.channels, [&]<int count>(int k) {
          Simd<Real> sum[count] = {};
          for (int at = b.by_m1_first[m1]; at < b.by_m1_first[m1 + 1]; ++at) {
            const Real m = M[b.by_m1_entry[at] * w + lane];
            const Real* column = bar.data() + b.by_m1_row[at] * b.channels + k;
            NB_UNROLL for (int i = 0; i < count; ++i) sum[i] += m * load(column + i * w);
          }
          NB_UNROLL for (int i = 0; i < count; ++i) store(to + k + i * w, sum[i]);
        });
      }
    }
    if (want_G) sum_lanes(lane);
  }

  void sum_lanes(int lane) {
    const int n_entries = int(product.entries_.size());
    for (int e = 0; e < n_entries; e += w) {
      Simd<Real> group[w];
      for (int k = 0; k < w; ++k) group[k] = load(sums.data() + std::min(e + k, n_entries - 1) * w);
      const Simd<Real> total = transposed_sum(group);
      for (int k = 0; k < w && e + k < n_entries; ++k) G[(e + k) * w + lane] = total[k];
    }
  }

  void write_y_bar(const PartArrays<Real>& y_bar) {
    y.clear();
    for (std::size_t e = 0; e < product.entries_.size(); ++e)
      for (int t = product.entries_[e].first; t < product.entries_[e].last; ++t) {
        Real* to = y.data() + product.from_[t] * w;
        store(to, load(to) + load(G.data() + e * w) * Real(product.c_[t]));
      }
    for (int lane = 0; lane < n; ++lane)
      for (std::size_t part = 0; part < product.y_.size(); ++part)
        for (int m = 0; m <= 2 * product.y_[part].l; ++m)
          state(y_bar, int(part), lane)[m] = y[(product.y_offset_[part] + m) * w + lane];
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
    for (int lane = 0; lane < tile.n; ++lane) tile.multiply_transposed(x, z_bar, x_bar, !y_bar.empty(), lane);
    if (!y_bar.empty()) tile.write_y_bar(y_bar);
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
