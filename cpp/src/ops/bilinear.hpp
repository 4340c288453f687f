// Sparse bilinear maps on slots, out[t] += sum c x[a] y[b]: the coupling of parts on a node as a run-time table.
// Rows are sorted by target, so that each sum stays in a register. The adjoints are bilinear maps again: the transposed
// tables.
#pragma once
#include <algorithm>
#include <tuple>
#include <vector>

#include "base/lanes.hpp"

namespace nbcore {

struct BilinearTerm {
  int target, a, b;
  double c;
};

class Bilinear {
 public:
  Bilinear() = default;
  /// Terms with the same (target, a, b) are added up; zeros are dropped.
  explicit Bilinear(std::vector<BilinearTerm> terms) {
    const auto key = [](const BilinearTerm& t) { return std::tuple(t.target, t.a, t.b); };
    std::stable_sort(terms.begin(), terms.end(), [&](const auto& x, const auto& y) { return key(x) < key(y); });
    for (const BilinearTerm& t : terms) {
      if (!terms_.empty() && key(terms_.back()) == key(t)) terms_.back().c += t.c;
      else terms_.push_back(t);
    }
    std::erase_if(terms_, [](const BilinearTerm& t) { return std::abs(t.c) < 1e-14; });
    for (int k = 0; k < int(terms_.size()); ++k) {
      if (k == 0 || terms_[k].target != terms_[k - 1].target) rows_.push_back({terms_[k].target, k, k});
      rows_.back().end = k + 1;
    }
  }
  /// x_bar[a] += sum c out_bar[target] y[b]
  Bilinear transposed_a() const {
    std::vector<BilinearTerm> terms;
    for (const BilinearTerm& t : terms_) terms.push_back({t.a, t.target, t.b, t.c});
    return Bilinear(terms);
  }
  /// y_bar[b] += sum c out_bar[target] x[a]
  Bilinear transposed_b() const {
    std::vector<BilinearTerm> terms;
    for (const BilinearTerm& t : terms_) terms.push_back({t.b, t.target, t.a, t.c});
    return Bilinear(terms);
  }
  /// For x = y: c x[a] x[b] + c' x[b] x[a] is one term.
  Bilinear symmetrised() const {
    std::vector<BilinearTerm> terms;
    for (const BilinearTerm& t : terms_) terms.push_back({t.target, std::min(t.a, t.b), std::max(t.a, t.b), t.c});
    return Bilinear(terms);
  }
  std::size_t size() const { return terms_.size(); }
  const std::vector<BilinearTerm>& terms() const { return terms_; }

  /// out[t] += sum c x[a] y[b], each slot one lane
  template <class Lane> void add(const Lane* x, const Lane* y, Lane* out) const {
    using Real = RealOf<Lane>;
    for (const Row& row : rows_) {
      Lane sum = out[row.target];
      for (int k = row.begin; k < row.end; ++k) {
        const BilinearTerm& t = terms_[k];
        add_product(sum, product(Real(t.c), x[t.a]), y[t.b]);
      }
      out[row.target] = sum;
    }
  }

 private:
  struct Row {
    int target, begin, end;
  };
  std::vector<BilinearTerm> terms_;
  std::vector<Row> rows_;
};

}  // namespace nbcore
