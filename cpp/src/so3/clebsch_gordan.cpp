#include "so3/clebsch_gordan.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "base/error.hpp"

namespace nbcore::so3 {
namespace {

using Integer = __int128;

/// Pascal's triangle to n = 2 l_supported: every entry is below 2^97.
template <class T, int n_max> struct Triangle {
  T c[n_max + 1][n_max + 1] = {};
  Triangle() {
    for (int n = 0; n <= n_max; ++n)
      for (int k = 0; k <= n; ++k) c[n][k] = k == 0 || k == n ? 1 : c[n - 1][k - 1] + c[n - 1][k];
  }
  T operator()(int n, int k) const { return c[n][k]; }
};
const Triangle<Integer, 2 * l_supported>& binomial() {
  static const Triangle<Integer, 2 * l_supported> triangle;
  return triangle;
}

inline constexpr int l_sum_small = 62;  // l1 + l2 + l3 to which all of a sum fits into 64 bits
const Triangle<std::int64_t, l_sum_small>& small_binomial() {
  static const Triangle<std::int64_t, l_sum_small> triangle;
  return triangle;
}

/// One coupled block l1 x l2 -> l3 (Varshalovich et al., Quantum Theory of Angular Momentum, eq. 8.2.1(3), in
/// binomials):
///
///     <l1 m1 l2 m2 | l3 m3> =
///         S sqrt((2l1 | a) (2l2 | a) / ((l1+l2+l3+1 | a) (2l1 | l1-m1) (2l2 | l2-m2) (2l3 | l3-m3)))
///     S = sum_k (-1)^k (a | k) (b | l1-m1-k) (c | l2+m2-k),    a = l1+l2-l3, b = l1-l2+l3, c = l2+l3-l1
///
/// S alternates and cancels, so it is summed in integers, exactly; what is left are products and one root of positive
/// numbers.
class Block {
 public:
  Block(int l1, int l2, int l3) : l1(l1), l2(l2), l3(l3), a(l1 + l2 - l3), b(l1 - l2 + l3), c(l2 + l3 - l1) {
    const auto& binomials = binomial();
    scale = static_cast<long double>(binomials(2 * l1, a)) * static_cast<long double>(binomials(2 * l2, a));
    for (int k = 1; k <= a; ++k) scale *= static_cast<long double>(k) / (l1 + l2 + l3 + 1 - a + k);
    const int l[3] = {l1, l2, l3};
    for (int i = 0; i < 3; ++i)
      for (int k = 0; k <= 2 * l[i]; ++k) weight[i][k] = static_cast<long double>(binomials(2 * l[i], k));
  }

  /// sqrt(factor) <l1 m1 l2 m2 | l3 m1+m2>
  double coefficient(int m1, int m2, long double factor = 1) const {
    const int m3 = m1 + m2;
    if (std::abs(m3) > l3) return 0;
    const long double s =
        l1 + l2 + l3 <= l_sum_small ? static_cast<long double>(small_sum(m1, m2)) : sum(m1, m2).value();
    const long double all = weight[0][l1 - m1] * weight[1][l2 - m2] * weight[2][l3 - m3];
    return static_cast<double>(s * std::sqrt(factor * scale / all));
  }

 private:
  /// high 2^64 + low: |S| < 2^(a+b+c) = 2^(l1+l2+l3) <= 2^150 does not fit into one Integer.
  struct Sum {
    Integer high = 0, low = 0;

    /// += p q for 0 <= p < 2^100, |q| < 2^50
    void add_product(Integer p, Integer q) {
      high += (p >> 64) * q;
      low += static_cast<Integer>(static_cast<std::uint64_t>(p)) * q;
    }
    /// Rounded once: sign and magnitude are separated before the limbs are added.
    long double value() const {
      Integer h = high + (low >> 64), l = low - ((low >> 64) << 64);  // 0 <= l < 2^64
      const bool negative = h < 0;
      if (negative) {
        h = -h - (l > 0);
        l = l > 0 ? (Integer(1) << 64) - l : 0;
      }
      const long double magnitude = std::ldexp(static_cast<long double>(h), 64) + static_cast<long double>(l);
      return negative ? -magnitude : magnitude;
    }
  };

  int first(int m1, int m2) const { return std::max({0, l1 - m1 - b, l2 + m2 - c}); }
  int last(int m1, int m2) const { return std::min({a, l1 - m1, l2 + m2}); }

  Sum sum(int m1, int m2) const {
    Sum s;
    const auto& binomials = binomial();
    for (int k = first(m1, m2); k <= last(m1, m2); ++k) {
      // Any two of a, b, c add up to 2l <= 100 and the smallest is at most 50: hence the bounds in add_product.
      Integer f[3] = {binomials(a, k), binomials(b, l1 - m1 - k), binomials(c, l2 + m2 - k)};
      const int smallest = a <= b && a <= c ? 0 : b <= c ? 1 : 2;
      std::swap(f[smallest], f[2]);
      s.add_product(f[0] * f[1], k % 2 ? -f[2] : f[2]);
    }
    return s;
  }

  /// The same where the sum of all sizes, 2^(l1+l2+l3) at most, fits.
  std::int64_t small_sum(int m1, int m2) const {
    std::int64_t s = 0;
    const auto& binomials = small_binomial();
    for (int k = first(m1, m2), end = last(m1, m2); k <= end; ++k) {
      const std::int64_t term = binomials(a, k) * binomials(b, l1 - m1 - k) * binomials(c, l2 + m2 - k);
      s += k % 2 ? -term : term;
    }
    return s;
  }

  int l1, l2, l3, a, b, c;
  long double scale, weight[3][2 * l_supported + 1];
};

void check(const char* where, int l1, int l2, int l3) {
  for (int l : {l1, l2, l3})
    if (l < 0 || l > l_supported)
      throw InputError(message(where, ": l must be 0 to ", l_supported, ", got (", l1, ", ", l2, ", ", l3, ")"));
}

/// The phase of U[m][n], |n| = |m|, as a number of quarter turns: U = i^turns, divided by sqrt(2) unless m = 0.
int quarter_turns(int m, int n) {
  const int condon_shortley = n > 0 ? 2 * (n % 2) : 0;
  return m < 0 ? condon_shortley + (n < 0 ? 1 : 3) : condon_shortley;
}

}  // namespace

std::vector<double> clebsch_gordan(int l1, int l2, int l3) {
  check("clebsch_gordan", l1, l2, l3);
  const int n2 = 2 * l2 + 1, n3 = 2 * l3 + 1;
  std::vector<double> C(std::size_t(2 * l1 + 1) * n2 * n3);
  if (l3 < std::abs(l1 - l2) || l3 > l1 + l2) return C;
  const Block block(l1, l2, l3);
  for (int m1 = -l1; m1 <= l1; ++m1)
    for (int m2 = std::max(-l2, -l3 - m1); m2 <= std::min(l2, l3 - m1); ++m2)
      C[(std::size_t(m1 + l1) * n2 + m2 + l2) * n3 + m1 + m2 + l3] = block.coefficient(m1, m2);
  return C;
}

std::vector<double> real_clebsch_gordan(int l1, int l2, int l3) {
  check("real_clebsch_gordan", l1, l2, l3);
  const int n2 = 2 * l2 + 1, n3 = 2 * l3 + 1, odd = (l1 + l2 + l3) % 2;
  std::vector<double> C(std::size_t(2 * l1 + 1) * n2 * n3);
  if (l3 < std::abs(l1 - l2) || l3 > l1 + l2) return C;
  const Block block(l1, l2, l3);
  // The triples (n1, n2, n3) and (-n1, -n2, -n3) contribute complex conjugates (up to the i of odd l1+l2+l3), so one
  // of them, with n1 >= 0, gives the entry; nothing is added up. Its size is the complex coefficient, times sqrt(1/2)
  // where all three m differ from zero.
  for (int k1 = 0; k1 <= l1; ++k1)
    for (int k2 = k1 == 0 ? 0 : -l2; k2 <= l2; ++k2) {
      const int k3 = k1 + k2;
      if (std::abs(k3) > l3) continue;
      const double c = block.coefficient(k1, k2, k1 != 0 && k2 != 0 && k3 != 0 ? 0.5L : 1.0L);
      if (c == 0) continue;
      for (int m1 : {-k1, k1})
        for (int m2 : {-k2, k2})
          for (int m3 : {-k3, k3}) {
            const int turns = quarter_turns(m3, k3) - quarter_turns(m1, k1) - quarter_turns(m2, k2) - odd + 16;
            if (turns % 2 == 0) C[(std::size_t(m1 + l1) * n2 + m2 + l2) * n3 + m3 + l3] = turns % 4 == 0 ? c : -c;
          }
    }
  return C;
}

}  // namespace nbcore::so3
