// Writes the symmetric products of one choice of parts as straight-line code: a host program, run by CMake.
//
//   symmetric_products L_MAX CORRELATION L_HARMONICS > symmetric_products_L_MAX.cpp
//
// What to compute is taken from ops/symmetric_products (natural parity, parts l = 0 .. L_HARMONICS); the kernel that
// reads the same tables at run time stays as fallback and oracle. Forward and adjoint are both lists of rows,
//
//   target = sum over terms of  c a b        a, b, target: components of A, weights, pairs, sums, outputs or adjoints
//
// and the adjoint is the transposed list, every target written once. Terms of a row with the same |c| share one
// multiplication; coefficients are printed in full.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "ops/symmetric_products.hpp"

using nbcore::SymmetricProducts;

namespace {

struct Term {
  double c;
  std::string a, b;  // a may be a weight, which has no tangent
};
struct Row {
  std::string target;
  std::vector<Term> terms;
};

std::string at(const char* array, int k) { return std::string(array) + "[" + std::to_string(k) + "]"; }

class Writer {
 public:
  Writer(const SymmetricProducts& products) : s(products) {
    for (const auto& t : s.couple_pairs.terms()) add(forward, "T", t.target, {t.c, at("A", t.a), at("A", t.b)});
    s.each_summand(
        [&](int weight, int from, int to) { add(forward, "T", s.n_pairs + to, {1, at("w", weight), at("T", from)}); });
    for (const auto& t : s.couple_sums.terms())
      add(forward, "O", t.target, {t.c, at("T", s.n_pairs + t.a), at("A", t.b)});
    s.each_direct([&](int weight, int from, int to, bool pair) {
      add(forward, "O", to, {1, at("w", weight), at(pair ? "T" : "A", from)});
    });

    for (const auto& t : s.couple_sums.terms())
      add(adjoint, "T_bar", s.n_pairs + t.a, {t.c, at("O_bar", t.target), at("A", t.b)});
    s.each_direct([&](int weight, int from, int to, bool pair) {
      if (pair) add(adjoint, "T_bar", from, {1, at("w", weight), at("O_bar", to)});
    });
    s.each_summand([&](int weight, int from, int to) {
      add(adjoint, "T_bar", from, {1, at("w", weight), at("T_bar", s.n_pairs + to)});
    });
    s.each_direct([&](int weight, int from, int to, bool pair) {
      if (!pair) add(adjoint, "A_bar", from, {1, at("w", weight), at("O_bar", to)});
    });
    for (const auto& t : s.couple_sums.terms())
      add(adjoint, "A_bar", t.b, {t.c, at("O_bar", t.target), at("T", s.n_pairs + t.a)});
    for (const auto& t : s.couple_pairs.terms()) {
      add(adjoint, "A_bar", t.a, {t.c, at("T_bar", t.target), at("A", t.b)});
      add(adjoint, "A_bar", t.b, {t.c, at("T_bar", t.target), at("A", t.a)});
    }
  }

  void write(int l_max, int correlation, int l_harmonics) const {
    std::printf("// Made by cpp/codegen/symmetric_products.cpp; not to be edited.\n");
    std::printf("#include \"ops/straight_products.hpp\"\n\nnamespace nbcore {\nnamespace {\n\n");
    std::printf(
        "template <class Lane> void forward(Registers<const RealOf<Lane>> w, const Lane* __restrict A, "
        "Lane* __restrict O) {\n  using R = RealOf<Lane>;\n  Lane T[%d];\n",
        n_T());
    for (const Row& row : forward) statement(row);
    std::printf(
        "}\n\ntemplate <bool weights, class Lane> void adjoint(Registers<const RealOf<Lane>> w, const Lane* __restrict "
        "A, "
        "const Lane* __restrict O_bar, Lane* __restrict A_bar, "
        "[[maybe_unused]] Registers<RealOf<Lane>> NB_RESTRICT w_bar) {\n"
        "  using R = RealOf<Lane>;\n  Lane T[%d], T_bar[%d];\n",
        n_T(), n_T());
    for (const Row& row : forward)
      if (row.target[0] == 'T') statement(row);
    for (const char array : {'T', 'A'})
      for (const Row& row : adjoint)
        if (row.target[0] == array) statement(row);
    std::printf("  if constexpr (weights) {\n");
    s.each_direct([&](int weight, int from, int to, bool pair) {
      std::printf("    add_gradient(w_bar[%d], O_bar[%d], %s[%d]);\n", weight, to, pair ? "T" : "A", from);
    });
    s.each_summand([&](int weight, int from, int to) {
      std::printf("    add_gradient(w_bar[%d], T_bar[%d], T[%d]);\n", weight, s.n_pairs + to, from);
    });
    std::printf("  }\n}\n\n");
    std::printf(
        "using D = Simd<double>;\nusing F = Simd<float>;\n"
        "const bool registered = register_straight_products({%d, %d, %d,\n"
        "    {forward<D>, adjoint<false, D>, adjoint<true, D>},\n"
        "    {forward<Dual<D>>, nullptr, adjoint<true, Dual<D>>},\n"
        "    {forward<F>, adjoint<false, F>, adjoint<true, F>},\n"
        "    {forward<Dual<F>>, nullptr, adjoint<true, Dual<F>>}});\n\n}  // namespace\n}  // namespace nbcore\n",
        l_harmonics, l_max, correlation);
  }

 private:
  int n_T() const { return s.n_pairs + s.n_sums; }
  void add(std::vector<Row>& rows, const char* array, int k, Term term) {
    const std::string target = at(array, k);
    for (Row& row : rows)
      if (row.target == target) return row.terms.push_back(term);
    rows.push_back({target, {term}});
  }

  /// target = (sum with |c| = 1) + c (sum with |c|) + ...
  void statement(const Row& row) const {
    std::map<long long, std::pair<double, std::vector<Term>>> groups;  // by rounded |c|
    for (const Term& t : row.terms) {
      auto& group = groups[std::llround(std::abs(t.c) * 1e12)];
      group.first = std::abs(t.c), group.second.push_back(t);
    }
    std::printf("  {\n");
    int number = 0;
    for (const auto& [key, group] : groups) {
      const bool negative = group.second.front().c < 0;  // the first term is taken as positive
      bool first = true;
      for (const Term& t : group.second) {
        if (first) std::printf("    auto s%d = product(%s, %s);\n", number, t.a.c_str(), t.b.c_str());
        else
          std::printf("    %s(s%d, %s, %s);\n", (t.c < 0) != negative ? "subtract_product" : "add_product", number,
                      t.a.c_str(), t.b.c_str());
        first = false;
      }
      const double c = negative ? -group.first : group.first;
      if (number == 0) {
        if (c == 1) std::printf("    Lane y = s0;\n");
        else std::printf("    Lane y = product(R(%.17g), s0);\n", c);
      } else {
        std::printf("    add_product(y, R(%.17g), s%d);\n", c, number);
      }
      ++number;
    }
    std::printf(row.target[0] == 'T' ? "    %s = y;\n  }\n" : "    put(%s, y);\n  }\n", row.target.c_str());
  }

  const SymmetricProducts& s;
  std::vector<Row> forward, adjoint;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: symmetric_products L_MAX CORRELATION L_HARMONICS\n"), 2;
  const int l_max = std::atoi(argv[1]), correlation = std::atoi(argv[2]), l_harmonics = std::atoi(argv[3]);
  std::vector<int> ls;
  for (int l = 0; l <= l_harmonics; ++l) ls.push_back(l);
  const SymmetricProducts products(ls, l_max, correlation, true);
  Writer(products).write(l_max, correlation, l_harmonics);
}
