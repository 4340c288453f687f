// The independent symmetric covariants of correlation 1, 2 and 3 of one channel of a state A (one part per l).
//
// Products of three are chains ((l1 l2) l12, l3) L with l12 <= the largest l. Many chains span the same functions: a
// greedy choice, cheapest first, keeps a basis (8 / 12 / 14 of 23 / 51 / 65 for L = 0 / 1 / 2 at l <= 3, natural
// parity).
#pragma once
#include <algorithm>
#include <memory>
#include <vector>

#include "ops/bilinear.hpp"

namespace nbcore {

struct SymmetricProducts {
  struct Pair {
    int l1, l2, l12, slot;  // slot of component m = -l12
  };
  struct Sum {  // weighted pairs that are coupled with the same part in the end
    int l12, l3, L, slot;
    std::vector<std::pair<int, int>> summands;  // (weight, pair)
  };
  struct Direct {  // weight times A[L] or a pair, straight to the output
    int weight, L, slot;
    bool pair;
  };

  /// ls: l of the parts of A. Natural parity (o3) drops what is odd under inversion with respect to (-1)^L.
  SymmetricProducts(const std::vector<int>& ls, int L_max, int correlation, bool o3);

  std::vector<int> ls;
  int L_max, correlation;
  int n_A = 0, n_pairs = 0, n_sums = 0, n_out = 0;  // slots
  int n_weights = 0;
  std::vector<int> outputs;                  // L of the outputs
  std::vector<int> out_slot;                 // their first slots
  std::vector<int> fan_in;                   // per weight: weights of its output
  std::vector<int> all_chains, kept_chains;  // per output, correlation 3
  std::vector<Pair> pairs;
  std::vector<Sum> sums;
  std::vector<Direct> direct;
  Bilinear couple_pairs, couple_pairs_a, couple_pairs_b;  // A, A -> pairs
  Bilinear couple_sums, couple_sums_a, couple_sums_b;     // sums, A -> out

  /// f(weight, slot of A or pair, slot of out, is it a pair)
  template <class F> void each_direct(F f) const {
    for (const Direct& d : direct) {
      const int to = out_slot[std::find(outputs.begin(), outputs.end(), d.L) - outputs.begin()];
      for (int m = 0; m <= 2 * d.L; ++m) f(d.weight, d.slot + m, to + m, d.pair);
    }
  }
  /// f(weight, slot of the pair, slot of the sum)
  template <class F> void each_summand(F f) const {
    for (const Sum& sum : sums)
      for (int m = 0; m <= 2 * sum.l12; ++m)
        for (const auto& [weight, pair] : sum.summands) f(weight, pairs[pair].slot + m, sum.slot + m);
  }
};

/// Multiplications, or so, that it takes to find the independent ones; ls not empty
double work_of_symmetric_products(const std::vector<int>& ls, int L_max, int correlation, bool o3);
/// The same, made once for all who ask for it
std::shared_ptr<const SymmetricProducts> symmetric_products(const std::vector<int>& ls, int L_max, int correlation,
                                                            bool o3);

}  // namespace nbcore
