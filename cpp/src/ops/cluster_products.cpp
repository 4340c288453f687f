#include "ops/cluster_products.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.hpp"
#include "so3/clebsch_gordan.hpp"

namespace nbcore {

namespace {

constexpr std::int64_t most_sets = 1'000'000, most_monomials = 4'000'000;
constexpr double most_work = 2e9;

/// The invariant tensors of some factors, as polynomials: of each monomial the m of its factors, those of equal factors
/// in ascending order, and its coefficient in each function.
struct Pattern {
  std::vector<std::vector<int>> monomials;
  std::vector<std::vector<double>> coefficients;  // [function][monomial]
};

class PatternFinder {
 public:
  PatternFinder(const std::vector<int>& ls, const std::vector<bool>& equal, double& work)
      : ls_(ls), equal_(equal), work_(work) {
    size_ = 1;
    for (int l : ls) size_ *= 2 * l + 1;
    std::vector<double> T(std::size_t((2 * ls[0] + 1) * (2 * ls[0] + 1)));
    for (int m = 0; m < 2 * ls[0] + 1; ++m) T[m * (2 * ls[0] + 2)] = 1;
    number_monomials();
    chain(1, ls[0], T);
  }
  Pattern result() && { return std::move(pattern_); }

 private:
  /// T [m_1 ... m_k][M] of the first k factors, coupled to L
  void chain(std::size_t k, int L, const std::vector<double>& T) {
    if (k == ls_.size()) {
      if (L == 0) add(T);
      return;
    }
    const int l = ls_[k], d = 2 * l + 1, D = 2 * L + 1;
    int rest = 0;  // how far what follows can bring it back to zero
    for (std::size_t j = k + 1; j < ls_.size(); ++j) rest += ls_[j];
    for (int next = std::abs(L - l); next <= std::min(L + l, rest); ++next) {
      if (k + 1 == ls_.size() - 1 && next != ls_[k + 1]) continue;
      const std::vector<double> C = so3::real_clebsch_gordan(L, l, next);
      const int N = 2 * next + 1;
      const std::size_t rows = T.size() / D;
      if ((work_ += double(rows) * D * d * N) > most_work)
        throw InputError("these products have too many components: a smaller l_max, or fewer factors");
      std::vector<double> U(rows * d * N, 0.0);
      for (std::size_t row = 0; row < rows; ++row)
        for (int M = 0; M < D; ++M)
          if (const double t = T[row * D + M]; t != 0)
            for (int mn = 0; mn < d * N; ++mn) U[row * d * N + mn] += t * C[M * d * N + mn];
      chain(k + 1, next, U);
    }
  }
  void number_monomials() {
    std::map<std::vector<int>, int> numbers;
    monomial_.resize(size_);
    std::vector<int> m(ls_.size());
    for (std::size_t at = 0; at < size_; ++at) {
      std::size_t rest = at;
      for (std::size_t k = ls_.size(); k-- > 0;) m[k] = int(rest % (2 * ls_[k] + 1)), rest /= 2 * ls_[k] + 1;
      std::vector<int> sorted = m;
      for (std::size_t k = 0, end; k < m.size(); k = end) {
        for (end = k + 1; end < m.size() && equal_[end]; ++end) {
        }
        std::sort(sorted.begin() + std::ptrdiff_t(k), sorted.begin() + std::ptrdiff_t(end));
      }
      const auto [found, is_new] = numbers.emplace(sorted, int(pattern_.monomials.size()));
      if (is_new) pattern_.monomials.push_back(sorted), times_.push_back(0);
      monomial_[at] = found->second, times_[found->second] += 1;
    }
  }
  /// Makes an invariant symmetric, and keeps what of it is orthogonal to those before.
  void add(const std::vector<double>& T) {
    const std::size_t n = times_.size();
    std::vector<double> v(n, 0.0);  // coefficient over the root of the number of its permutations
    for (std::size_t at = 0; at < size_; ++at) v[monomial_[at]] += T[at];
    for (std::size_t k = 0; k < n; ++k) v[k] /= std::sqrt(double(times_[k]));
    work_ += double(n) * double(basis_.size() + 1) * 4;
    for (int twice = 0; twice < 2; ++twice)
      for (const std::vector<double>& u : basis_) {
        double dot = 0;
        for (std::size_t k = 0; k < n; ++k) dot += u[k] * v[k];
        for (std::size_t k = 0; k < n; ++k) v[k] -= dot * u[k];
      }
    double norm = 0, sign = 0;
    for (double x : v) norm += x * x;
    norm = std::sqrt(norm);
    if (norm < 1e-7) return;
    for (std::size_t k = 0; k < n && sign == 0; ++k)
      if (std::abs(v[k]) > 1e-9 * norm) sign = v[k] > 0 ? 1 : -1;
    for (double& x : v) x *= sign / norm;
    std::vector<double> a(n);
    for (std::size_t k = 0; k < n; ++k) a[k] = std::abs(v[k]) < 1e-13 ? 0 : v[k] * std::sqrt(double(times_[k]));
    basis_.push_back(std::move(v)), pattern_.coefficients.push_back(std::move(a));
  }

  const std::vector<int>& ls_;
  const std::vector<bool>& equal_;
  double& work_;
  std::size_t size_;
  std::vector<int> monomial_, times_;  // of every component of a tensor its monomial; of a monomial its permutations
  std::vector<std::vector<double>> basis_;
  Pattern pattern_;
};

struct Type : ClusterProducts::Factor {
  int number, stride;  // of its component m = -l among the numbers of A, and to the next m
};

class Finder {
 public:
  Finder(ClusterProducts& to, const std::vector<Part>& parts) : to_(to), parts_(parts) {
    for (const Part& p : parts) first_.push_back(to.n_numbers), to.n_numbers += p.dim() * p.channels();
  }
  void order(int n_factors, const ClusterProducts::Order& order) {
    types_.clear();
    std::vector<std::size_t> by_l(parts_.size());
    for (std::size_t p = 0; p < by_l.size(); ++p) by_l[p] = p;
    std::sort(by_l.begin(), by_l.end(), [&](std::size_t a, std::size_t b) { return parts_[a].l < parts_[b].l; });
    for (std::size_t p : by_l) {
      const Part& part = parts_[p];
      if (part.l > order.l_max) continue;
      for (int group = 0; group < part.groups; ++group)
        for (int c = 0; c < std::min(part.group, order.n_channels); ++c)
          types_.push_back({{part.l, group, c}, first_[p] + group * part.group + c, part.channels()});
    }
    double sets = 1;  // types with repetition
    for (int k = 0; k < n_factors; ++k) sets *= double(types_.size() + k) / (k + 1);
    if (sets > most_sets) too_many(n_factors);
    std::vector<int> chosen;
    choose(n_factors, 0, chosen);
  }

 private:
  [[noreturn]] static void too_many(int n_factors) {
    throw InputError(message("there are too many products of ", n_factors,
                             " factors: fewer channels in n_max, a "
                             "smaller l_max, or fewer factors"));
  }
  void choose(int left, int from, std::vector<int>& chosen) {
    if (left == 0) return add(chosen);
    for (int t = from; t < int(types_.size()); ++t) {
      chosen.push_back(t);
      choose(left - 1, t, chosen);
      chosen.pop_back();
    }
  }
  void add(const std::vector<int>& chosen) {
    std::vector<int> ls;
    std::vector<bool> equal;
    int sum = 0;
    for (std::size_t k = 0; k < chosen.size(); ++k) {
      ls.push_back(types_[chosen[k]].l), sum += ls.back();
      equal.push_back(k > 0 && chosen[k] == chosen[k - 1]);
    }
    if (sum % 2 || 2 * ls.back() > sum) return;
    auto found = patterns_.find({ls, equal});
    if (found == patterns_.end())
      found = patterns_.emplace(std::pair(ls, equal), PatternFinder(ls, equal, work_).result()).first;
    const Pattern& pattern = found->second;
    const int first = int(to_.functions.size());
    for (std::size_t f = 0; f < pattern.coefficients.size(); ++f) {
      to_.functions.emplace_back();
      for (int t : chosen) to_.functions.back().push_back(types_[t]);
    }
    for (std::size_t k = 0; k < pattern.monomials.size(); ++k) {
      const std::int64_t before = std::int64_t(to_.shares.size());
      for (std::size_t f = 0; f < pattern.coefficients.size(); ++f)
        if (const double c = pattern.coefficients[f][k]; c != 0) to_.shares.push_back({first + int(f), c});
      if (std::int64_t(to_.shares.size()) == before) continue;
      if (std::int64_t(to_.shares.size()) > most_monomials) too_many(int(chosen.size()));
      std::vector<int> x;
      for (std::size_t j = 0; j < chosen.size(); ++j)
        x.push_back(types_[chosen[j]].number + pattern.monomials[k][j] * types_[chosen[j]].stride);
      switch (x.size()) {
        case 1:
          to_.monomials.push_back({x[0], -1, before});
          break;
        case 2:
          to_.monomials.push_back({x[0], x[1], before});
          break;
        case 3:
          to_.monomials.push_back({product(x[0], x[1]), x[2], before});
          break;
        case 4:
          to_.monomials.push_back({product(x[0], x[1]), product(x[2], x[3]), before});
          break;
        default:
          to_.monomials.push_back({product(product(x[0], x[1]), x[2]), product(x[3], x[4]), before});
      }
    }
  }
  /// The number that is the product of two others
  int product(int a, int b) {
    const auto [found, is_new] = products_.emplace(std::pair(a, b), to_.n_numbers + int(to_.products.size()));
    if (is_new) to_.products.push_back({a, b});
    return found->second;
  }

  ClusterProducts& to_;
  const std::vector<Part>& parts_;
  std::vector<int> first_;  // number of a part
  std::vector<Type> types_;
  std::map<std::pair<std::vector<int>, std::vector<bool>>, Pattern> patterns_;
  std::map<std::pair<int, int>, int> products_;
  double work_ = 0;
};

}  // namespace

ClusterProducts::ClusterProducts(const std::vector<Order>& orders, const std::vector<Part>& parts) {
  Finder finder(*this, parts);
  for (std::size_t k = 0; k < orders.size(); ++k) finder.order(int(k) + 1, orders[k]);
  monomials.push_back({0, -1, std::int64_t(shares.size())});
}

}  // namespace nbcore
