// Invariant products of several different channels of a state A: the B basis of the atomic cluster expansion (R. Drautz,
// Phys. Rev. B 99 (2019) 014104).
//
//   B = sum over m of  T[m_1 ... m_nu] A[t_1 m_1] ... A[t_nu m_nu],      t = (l, group, channel)
//
// For every set of factors t the tensors T are an orthonormal basis of those that rotations leave alone, that are even
// under inversion, and that are symmetric in equal factors: the chains (..((l_1 l_2) L_2, l_3) L_3, ...) 0, made symmetric
// and orthonormal one after the other. They depend on the l, and on which factors are equal, alone.
//
// What is computed is a list: products of two and three numbers, which many functions share; then monomials, each the
// product of two of all these, and what it adds to which functions.
#pragma once
#include <cstdint>
#include <vector>

#include "ops/features.hpp"

namespace nbcore {

inline constexpr int most_factors = 5;

struct ClusterProducts {
  /// Of products of so many factors: l <= l_max, channel of its group < n_channels
  struct Order {
    int l_max, n_channels;
  };
  struct Factor {
    int l, group, channel;
  };
  struct Product {
    int a, b;
  };
  struct Monomial {
    int a, b;            // numbers; b = -1: a alone
    std::int64_t first;  // of its shares; they go to the next one's first
  };
  struct Share {
    int function;
    double coefficient;
  };

  /// orders[k]: of products of k + 1 factors. parts: of A, one per l. Functions go by the number of factors, then by the
  /// factors, then along the basis. InputError where there would be too many.
  ClusterProducts(const std::vector<Order>& orders, const std::vector<Part>& parts);

  int n_numbers = 0;                // of A: part after part [m][group][channel]
  std::vector<Product> products;    // number n_numbers + k
  std::vector<Monomial> monomials;  // and an end
  std::vector<Share> shares;
  std::vector<std::vector<Factor>> functions;  // the factors of each
};

}  // namespace nbcore
