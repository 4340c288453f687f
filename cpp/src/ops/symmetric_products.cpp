#include "ops/symmetric_products.hpp"

#include <cmath>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <tuple>

#include "base/error.hpp"
#include "base/threads.hpp"
#include "so3/clebsch_gordan.hpp"

namespace nbcore {

namespace {

bool couples(int l1, int l2, int l3) { return std::abs(l1 - l2) <= l3 && l3 <= l1 + l2; }

/// Terms of C^{l1 l2 l3} with slots counted from a, b, target.
std::vector<BilinearTerm> coupling_terms(int l1, int l2, int l3, int a, int b, int target) {
  const std::vector<double> C = so3::real_clebsch_gordan(l1, l2, l3);
  std::vector<BilinearTerm> terms;
  const int d2 = 2 * l2 + 1, d3 = 2 * l3 + 1;
  for (int m1 = 0; m1 <= 2 * l1; ++m1)
    for (int m2 = 0; m2 < d2; ++m2)
      for (int m3 = 0; m3 < d3; ++m3)
        if (const double c = C[(m1 * d2 + m2) * d3 + m3]; c != 0) terms.push_back({target + m3, a + m1, b + m2, c});
  return terms;
}

struct Chain {
  int l1, l2, l12, l3;
  auto operator<=>(const Chain&) const = default;
};

/// Numbers in [-1, 1] that are the same on every machine.
struct Random {
  std::uint64_t state = 0x9e3779b97f4a7c15ull;
  double operator()() {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return double(std::int64_t(state)) / 9223372036854775808.0;
  }
};

/// x (l1) coupled with y (l2) to l3
std::vector<double> couple(const std::vector<double>& x, int l1, const std::vector<double>& y, int l2, int l3) {
  std::vector<double> out(2 * l3 + 1, 0.0);
  for (const BilinearTerm& t : coupling_terms(l1, l2, l3, 0, 0, 0)) out[t.target] += t.c * x[t.a] * y[t.b];
  return out;
}

/// f(chain) for every chain to L
template <class F> void each_chain(const std::vector<int>& ls, int L, bool o3, int l_inner, F f) {
  for (int l1 : ls)
    for (int l2 : ls)
      for (int l12 = 0; l12 <= l_inner; ++l12)
        for (int l3 : ls) {
          if (l1 > l2 || !couples(l1, l2, l12) || (l1 == l2 && l12 % 2) || !couples(l12, l3, L)) continue;
          if (o3 && (l1 + l2 + l3 + L) % 2) continue;
          f(Chain{l1, l2, l12, l3});
        }
}

/// The cheapest chains to L whose functions of A are linearly independent, by Gram-Schmidt on random A.
std::vector<Chain> independent_chains(const std::vector<int>& ls, int L, bool o3, int l_inner, int& all) {
  std::vector<std::pair<double, Chain>> candidates;
  each_chain(ls, L, o3, l_inner, [&](const Chain& c) {
    const double cost = double(coupling_terms(c.l12, c.l3, L, 0, 0, 0).size()) +
                        0.5 * double(coupling_terms(c.l1, c.l2, c.l12, 0, 0, 0).size());
    candidates.push_back({cost, c});
  });
  all = int(candidates.size());
  std::sort(candidates.begin(), candidates.end());

  const int samples = int(candidates.size()) + 10;
  Random random;
  std::vector<std::map<int, std::vector<double>>> A(samples);
  for (auto& sample : A)
    for (int l : ls)
      for (int m = 0; m <= 2 * l; ++m) sample[l].push_back(random());

  std::vector<Chain> kept;
  std::vector<std::vector<double>> basis;
  for (const auto& [cost, chain] : candidates) {
    std::vector<double> f;
    for (const auto& sample : A) {
      const std::vector<double> pair = couple(sample.at(chain.l1), chain.l1, sample.at(chain.l2), chain.l2, chain.l12);
      for (double v : couple(pair, chain.l12, sample.at(chain.l3), chain.l3, L)) f.push_back(v);
    }
    const auto norm = [](const std::vector<double>& v) {
      double s = 0;
      for (double x : v) s += x * x;
      return std::sqrt(s);
    };
    const double before = norm(f);
    if (before < 1e-10) continue;
    for (int turn = 0; turn < 2; ++turn)  // twice: orthogonal to rounding
      for (const auto& e : basis) {
        double overlap = 0;
        for (std::size_t k = 0; k < f.size(); ++k) overlap += e[k] * f[k];
        for (std::size_t k = 0; k < f.size(); ++k) f[k] -= overlap * e[k];
      }
    const double after = norm(f);
    if (after < 1e-8 * before) continue;
    for (double& x : f) x /= after;
    basis.push_back(f), kept.push_back(chain);
  }
  return kept;
}

}  // namespace

SymmetricProducts::SymmetricProducts(const std::vector<int>& l_of_parts, int largest, int factors, bool o3)
    : ls(l_of_parts), L_max(largest), correlation(factors) {
  if (correlation < 1 || correlation > 3) throw InputError(message("correlation must be 1, 2 or 3, got ", correlation));
  std::map<int, int> A_slot;
  int l_inner = L_max;
  for (int l : ls) {
    if (A_slot.contains(l)) throw InputError("self_product: one part per l is expected");
    A_slot[l] = n_A, n_A += 2 * l + 1, l_inner = std::max(l_inner, l);
  }

  // what each output is made of
  std::map<int, std::vector<Chain>> chains;
  std::map<int, std::vector<std::tuple<int, int, int>>> products;  // correlation 2
  std::set<std::tuple<int, int, int>> needed;
  for (int L = 0; L <= L_max; ++L) {
    int all = 0;
    if (correlation == 3) chains[L] = independent_chains(ls, L, o3, l_inner, all);
    all_chains.push_back(all), kept_chains.push_back(int(chains[L].size()));
    for (const Chain& c : chains[L]) needed.insert({c.l1, c.l2, c.l12});
    if (correlation >= 2)
      for (int l1 : ls)
        for (int l2 : ls)
          if (l1 <= l2 && couples(l1, l2, L) && !(l1 == l2 && L % 2) && !(o3 && (l1 + l2 + L) % 2)) {
            products[L].push_back({l1, l2, L}), needed.insert({l1, l2, L});
          }
    if (A_slot.contains(L) || !products[L].empty() || !chains[L].empty()) {
      outputs.push_back(L), out_slot.push_back(n_out), n_out += 2 * L + 1;
    }
  }

  std::map<std::tuple<int, int, int>, int> pair_index;
  std::vector<BilinearTerm> pair_terms, sum_terms;
  for (const auto& [l1, l2, l12] : needed) {
    pair_index[{l1, l2, l12}] = int(pairs.size());
    pairs.push_back({l1, l2, l12, n_pairs});
    for (const BilinearTerm& t : coupling_terms(l1, l2, l12, A_slot[l1], A_slot[l2], n_pairs)) pair_terms.push_back(t);
    n_pairs += 2 * l12 + 1;
  }
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    const int L = outputs[o], first_weight = n_weights;
    if (A_slot.contains(L)) direct.push_back({n_weights++, L, A_slot[L], false});
    for (const auto& p : products[L]) direct.push_back({n_weights++, L, pairs[pair_index[p]].slot, true});
    std::map<std::pair<int, int>, std::vector<std::pair<int, int>>> grouped;
    for (const Chain& c : chains[L]) grouped[{c.l12, c.l3}].push_back({n_weights++, pair_index[{c.l1, c.l2, c.l12}]});
    for (const auto& [key, summands] : grouped) {
      sums.push_back({key.first, key.second, L, n_sums, summands});
      for (const BilinearTerm& t : coupling_terms(key.first, key.second, L, n_sums, A_slot[key.second], out_slot[o]))
        sum_terms.push_back(t);
      n_sums += 2 * key.first + 1;
    }
    for (int k = first_weight; k < n_weights; ++k) fan_in.push_back(n_weights - first_weight);
  }
  couple_pairs = Bilinear(pair_terms).symmetrised();
  couple_pairs_a = couple_pairs.transposed_a(), couple_pairs_b = couple_pairs.transposed_b();
  couple_sums = Bilinear(sum_terms);
  couple_sums_a = couple_sums.transposed_a(), couple_sums_b = couple_sums.transposed_b();
}

double work_of_symmetric_products(const std::vector<int>& ls, int L_max, int correlation, bool o3) {
  double work = 0;
  for (int L = 0; correlation == 3 && L <= L_max; ++L) {
    double chains = 0;
    each_chain(ls, L, o3, std::max(L_max, *std::max_element(ls.begin(), ls.end())), [&](const Chain&) { ++chains; });
    work += chains * chains * chains * (2 * L + 1);
  }
  return work;
}

std::shared_ptr<const SymmetricProducts> symmetric_products(const std::vector<int>& ls, int L_max, int correlation,
                                                            bool o3) {
  static std::mutex guard;
  static std::map<std::tuple<std::vector<int>, int, int, bool>, std::weak_ptr<const SymmetricProducts>> known;
  const ShortLock lock(guard);
  std::weak_ptr<const SymmetricProducts>& one = known[{ls, L_max, correlation, o3}];
  std::shared_ptr<const SymmetricProducts> products = one.lock();
  if (!products) one = products = std::make_shared<const SymmetricProducts>(ls, L_max, correlation, o3);
  return products;
}

}  // namespace nbcore
