#include "gates/mixed_sums.hpp"

#include <algorithm>

#include "ops/mixing.hpp"
#include "so3/transpose.hpp"

namespace nbcore {

namespace {
constexpr int most_lm = (max_l_network + 1) * (max_l_network + 1);
constexpr int active = BSplines::active;

/// C [rows][N] = A [rows][K] B [K][N]
std::vector<double> multiplied(const std::vector<double>& A, const std::vector<double>& B, int rows, int K, int N) {
  std::vector<double> C(std::size_t(rows) * N, 0.0);
  for (int i = 0; i < rows; ++i)
    for (int k = 0; k < K; ++k)
      for (int n = 0; n < N; ++n) C[std::size_t(i) * N + n] += A[std::size_t(i) * K + k] * B[std::size_t(k) * N + n];
  return C;
}

/// The matrix of a part, for parents of a species
std::vector<double> matrix_of(const MixedSumsChain::Mix& mix, int part, int species) {
  const LinearMap::Part& p = mix.map.parts[part];
  const double scale = p.scale * (mix.gains->empty() ? 1.0 : (*mix.gains)[part]);
  const double* const from = mix.parameters + p.first + p.step * species;
  std::vector<double> matrix(from, from + std::size_t(p.K) * p.N);
  for (double& x : matrix) x *= scale;
  return matrix;
}
}  // namespace

template <class Real>
MixedSums<Real>::MixedSums(const MixedSumsChain& chain, std::shared_ptr<const RadialTable<Real>> table, int radial,
                           const std::vector<char>& species)
    : table_(std::move(table)),
      radial_(radial),
      n_species_(int(species.size())),
      l_max_(int(chain.mixes.back().map.parts.size()) - 1),
      row_(padded<Real>(chain.sums.n_radial)),
      known_(species) {
  const SpeciesSums& sums = chain.sums;
  C_.resize(std::size_t(table_->rows) * row_), C_.clear();
  Real* to = C_.data();
  for (const BSplines& s : table_->splines)
    for (int k = 0; k < s.rows(); ++k, to += row_) std::copy_n(s.row(k), sums.n_radial, to);

  std::ptrdiff_t pair = 0;  // numbers of W
  for (int l = 0; l <= l_max_; ++l) {
    parts_.push_back({l, l, padded<Real>(chain.mixes.back().map.parts[l].N)});
    pair += std::ptrdiff_t(row_) * parts_.back().N;
  }
  for (const auto& mix : chain.mixes)
    for (const LinearMap::Part& p : mix.map.parts) by_parent_ |= p.step > 0;
  const int there = int(std::count_if(species.begin(), species.end(), [](char c) { return c != 0; }));
  W_.resize(std::size_t(pair) * there * (by_parent_ ? there : 1)), W_T_.resize(W_.size());
  matrices_.assign(std::size_t(n_species_) * n_species_ * parts_.size(), -1);
  std::ptrdiff_t at = 0;
  for (int parent = 0; parent < (by_parent_ ? n_species_ : 1); ++parent) {
    if (by_parent_ && !species[parent]) continue;
    for (const Part& part : parts_) {
      std::vector<double> M = matrix_of(chain.mixes[0], part.l, parent);
      for (std::size_t k = 1; k < chain.mixes.size(); ++k) {
        const LinearMap::Part& p = chain.mixes[k].map.parts[part.l];
        M = multiplied(M, matrix_of(chain.mixes[k], part.l, parent), sums.channels, p.K, p.N);
      }
      const int N = chain.mixes.back().map.parts[part.l].N;
      for (int child = 0; child < n_species_; ++child) {
        if (!species[child]) continue;
        std::vector<double> R(std::size_t(sums.n_radial) * sums.channels);
        for (int n = 0; n < sums.n_radial; ++n)
          for (int c = 0; c < sums.channels; ++c) {
            const std::int64_t k = std::int64_t(n) * sums.channels + c;
            R[k] = sums.parts[part.l].factor * chain.parameters[sums.parts[part.l].R + k] *
                   chain.parameters[sums.E + std::int64_t(child) * sums.channels + c];
          }
        const std::vector<double> W = multiplied(R, M, sums.n_radial, sums.channels, N);
        const auto number = [&](int n, int c) {
          return n < sums.n_radial && c < N ? Real(W[std::size_t(n) * N + c]) : Real(0);
        };
        matrices_[(std::size_t(parent) * n_species_ + child) * parts_.size() + part.l] = at;
        Real *packed = W_.data() + at, *transposed = W_T_.data() + at;
        each_packed<Real>(row_, part.N, [&](int n, int c) { *packed++ = number(n, c); });
        each_packed<Real>(part.N, row_, [&](int c, int n) { *transposed++ = number(n, c); });
        at += std::ptrdiff_t(row_) * part.N;
      }
    }
  }
}

template <class Real> bool MixedSums<Real>::serves(const Block<Real>& b) const {
  if (!b.edges->table(radial_)) return false;
  for (int z = 0; z < n_species_; ++z)
    if (!known_[z] && b.species_first[z + 1] > b.species_first[z]) return false;
  return std::all_of(b.child_species + b.first[0], b.child_species + b.first[b.n],
                     [&](std::int32_t z) { return known_[z] != 0; });
}

template <class Real>
typename MixedSums<Real>::Species MixedSums<Real>::species_of_children(const Block<Real>& b) const {
  const std::int32_t *const from = b.child_species + b.first[0], *const to = b.child_species + b.first[b.n];
  Species there;
  for (int z = 0; z < n_species_; ++z)
    if (known_[z] && std::find(from, to, z) != to) there.z[there.n++] = z;
  return there;
}

/// f(part, number among the species of children, first row of W, first row of the parents' class, rows)
template <class Real> template <class F>
void MixedSums<Real>::each_product(const Block<Real>& b, const Species& there, F f) const {
  for (const Part& p : parts_)
    for (int slot = 0; slot < there.n; ++slot)
      for (int parent = 0; parent < (by_parent_ ? n_species_ : 1); ++parent) {
        const int from = by_parent_ ? b.species_first[parent] : 0, to = by_parent_ ? b.species_first[parent + 1] : b.n;
        const int d = 2 * p.l + 1;
        if (to > from)
          f(p, slot, matrices_[(std::size_t(parent) * n_species_ + there.z[slot]) * parts_.size() + p.l],
            std::ptrdiff_t(from) * d, std::ptrdiff_t(to - from) * d);
      }
}

/// f(parent, children of one species), for all species of the block, also where a parent has none of it
template <class Real> template <class F>
void MixedSums<Real>::each_run(const Block<Real>& b, const Species& there, F f) const {
  for (int i = 0; i < b.n; ++i) {
    std::int64_t q = b.first[i];
    for (int slot = 0; slot < there.n; ++slot) {
      std::int64_t end = q;
      while (end < b.first[i + 1] && b.child_species[end] == there.z[slot]) ++end;
      f(i, Run{slot, q, end});
      q = end;
    }
  }
}

/// Rows lm of parent i in D
template <class Real> void MixedSums<Real>::rows_of(Real* D, int i, int n, Real** rows) const {
  for (int l = 0, lm = 0; l <= l_max_; ++l)
    for (int m = 0; m <= 2 * l; ++m) rows[lm++] = D + offset(l, n) + (std::ptrdiff_t(i) * (2 * l + 1) + m) * row_;
}

template <class Real> void MixedSums<Real>::functions(const TableEdges<Real>& t, std::int64_t q, Real* h) const {
  const Real *C = C_.data() + std::ptrdiff_t(t.first[q]) * row_, *N = t.N.data() + q * active;
  for (int n = 0; n < row_; n += w) {
    Simd<Real> sum{};
  NB_UNROLL for (int k = 0; k < active; ++k)
      sum += load_register(C + std::ptrdiff_t(k) * row_ + n) * N[k];
    store_register(h + n, sum);
  }
}

/// `count` rows from lm on, of n children with functions h, summed in registers
template <class Real> template <int count>
void MixedSums<Real>::sum(const Edges<Real>& e, std::int64_t q, int n, const Real* h, int lm, Real** to) const {
  const Real* const Y = e.Y.value.data() + q * e.Y_row + lm;
  for (int at = 0; at < row_; at += w) {
    Simd<Real> sum[count] = {};
    for (int k = 0; k < n; ++k) {
      const Simd<Real> h_k = load_register(h + std::ptrdiff_t(k) * row_ + at);
      NB_UNROLL for (int j = 0; j < count; ++j) sum[j] += h_k * Y[std::ptrdiff_t(k) * e.Y_row + j];
    }
    for (int j = 0; j < count; ++j) store_register(to[lm + j] + at, sum[j]);
  }
}

template <class Real> void MixedSums<Real>::forward(Block<Real>& b) const {
  const Edges<Real>& e = *b.edges;
  const TableEdges<Real>& t = e.tables[radial_];
  const Species there = species_of_children(b);
  const std::ptrdiff_t size = offset(dim(), b.n);
  std::int64_t most = 0;  // children of a parent
  for (int i = 0; i < b.n; ++i) most = std::max(most, b.first[i + 1] - b.first[i]);
  Real* const D = b.scratch->take(std::size_t(size) * there.n);
  Real* const h = b.scratch->take(std::size_t(most) * row_);
  Real* rows[most_lm];
  each_run(b, there, [&](int i, const Run& run) {
    rows_of(D + size * run.slot, i, b.n, rows);
    const int n = int(run.end - run.first);
    for (int k = 0; k < n; ++k) functions(t, run.first + k, h + std::ptrdiff_t(k) * row_);
    int lm = 0;
    const auto sums = [&]<int count>() {
      for (; lm + count <= n_lm(); lm += count) sum<count>(e, run.first, n, h, lm, rows);
    };
    sums.template operator()<16>(), sums.template operator()<8>(), sums.template operator()<1>();
  });
  if (there.n == 0) b.output.template clear<Simd<Real>>(0, b.n);
  each_product(b, there, [&](const Part& p, int slot, std::ptrdiff_t W, std::ptrdiff_t row, std::ptrdiff_t n) {
    const Real* const from = D + size * slot + offset(p.l, b.n) + row * row_;
    Real* const to = b.output.own(p.out).value + row * p.N;
    if (slot == 0) mix<false>(from, row_, W_.data() + W, to, p.N, n, row_, p.N);
    else mix<true>(from, row_, W_.data() + W, to, p.N, n, row_, p.N);
  });
}

/// Of `count` children from q on:  slope += sum over n of h'_n sum over lm of Y A[lm][n],  Y_bar[lm] += h_n A_T[n][lm]
template <class Real> template <int count>
void MixedSums<Real>::children(Edges<Real>& e, std::int64_t q, Real** A, const Real* A_T, Real* h) const {
  using V = Simd<Real>;
  const auto at = [](const Real* x) { return load_register(x); };
  TableEdges<Real>& t = e.tables[radial_];
  const Real* const Y = e.Y.value.data() + q * e.Y_row;
  V slope[count];
  NB_UNROLL for (int k = 0; k < count; ++k) slope[k] = at(t.slope.data() + (q + k) * w);
  for (int n = 0; n < row_; n += w) {
    V h_bar[count] = {};
    for (int lm = 0; lm < n_lm(); ++lm) {
      const V a = at(A[lm] + n);
      NB_UNROLL for (int k = 0; k < count; ++k) h_bar[k] += a * Y[std::ptrdiff_t(k) * e.Y_row + lm];
    }
    for (int k = 0; k < count; ++k) {
      const Real *C = C_.data() + std::ptrdiff_t(t.first[q + k]) * row_ + n, *N = t.N.data() + (q + k) * active,
                 *dN = t.dN.data() + (q + k) * active;
      V value{}, derivative{};
      NB_UNROLL for (int j = 0; j < active; ++j) {
        const V c = at(C + std::ptrdiff_t(j) * row_);
        value += c * N[j], derivative += c * dN[j];
      }
      store_register(h + std::ptrdiff_t(k) * row_ + n, value);
      slope[k] += h_bar[k] * derivative;
    }
  }
  NB_UNROLL for (int k = 0; k < count; ++k) store_register(t.slope.data() + (q + k) * w, slope[k]);
  sync();  // of h what all lanes wrote is read
  const int lm_row = padded<Real>(n_lm());
  for (int lm = 0; lm < lm_row; lm += w) {
    V sum[count];
    NB_UNROLL for (int k = 0; k < count; ++k) sum[k] = at(e.Y_bar.value.data() + (q + k) * e.Y_row + lm);
    for (int n = 0; n < row_; ++n) {
      const V a = at(A_T + std::ptrdiff_t(n) * lm_row + lm);
      NB_UNROLL for (int k = 0; k < count; ++k) sum[k] += a * h[std::ptrdiff_t(k) * row_ + n];
    }
    NB_UNROLL for (int k = 0; k < count; ++k)
      store_register(e.Y_bar.value.data() + (q + k) * e.Y_row + lm, sum[k]);
  }
  sync();
}

template <class Real> void MixedSums<Real>::adjoint(Block<Real>& b) const {
  constexpr int at_once = register_bytes == 64 ? 8 : 4;
  const Species there = species_of_children(b);
  const std::ptrdiff_t size = offset(dim(), b.n);
  const int lm_row = padded<Real>(n_lm());
  Real* const D_bar = b.scratch->take(std::size_t(size) * there.n);
  Real* const A_T = b.scratch->take(std::size_t(row_) * lm_row);
  Real* const h = b.scratch->take(std::size_t(at_once) * row_);
  each_product(b, there, [&](const Part& p, int slot, std::ptrdiff_t W, std::ptrdiff_t row, std::ptrdiff_t n) {
    mix<false>(b.output.own_bar(p.out).value + row * p.N, p.N, W_T_.data() + W,
               D_bar + size * slot + offset(p.l, b.n) + row * row_, row_, n, p.N, row_);
  });
  Real* A[most_lm];
  each_run(b, there, [&](int i, const Run& run) {
    if (run.first == run.end) return;
    rows_of(D_bar + size * run.slot, i, b.n, A);
    for (int n = 0; n < row_; n += w)
      for (int lm = 0; lm < lm_row; lm += w) {
        Simd<Real> x[w] = {};
        for (int k = 0; k < w && lm + k < n_lm(); ++k) x[k] = load_register(A[lm + k] + n);
        so3::transpose(x);
        for (int k = 0; k < w; ++k)
          store_register(A_T + std::ptrdiff_t(n + k) * lm_row + lm, x[k]);
      }
    std::int64_t q = run.first;
    for (; q + at_once <= run.end; q += at_once) children<at_once>(*b.edges, q, A, A_T, h);
    for (; q < run.end; ++q) children<1>(*b.edges, q, A, A_T, h);
  });
}

template class MixedSums<double>;
template class MixedSums<float>;

}  // namespace nbcore
