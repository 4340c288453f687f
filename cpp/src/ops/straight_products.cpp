#include "ops/straight_products.hpp"

#include <list>

namespace nbcore {

namespace {
std::list<StraightProducts>& all() {
  static std::list<StraightProducts> products;
  return products;
}
}  // namespace

bool register_straight_products(const StraightProducts& products) {
  all().push_back(products);
  return true;
}

const StraightProducts* straight_products(const std::vector<int>& ls, int l_max, int correlation) {
  for (const StraightProducts& p : all()) {
    bool same = int(ls.size()) == p.l_harmonics + 1 && l_max == p.l_max && correlation == p.correlation;
    for (int l = 0; same && l <= p.l_harmonics; ++l) same = ls[l] == l;
    if (same) return &p;
  }
  return nullptr;
}

}  // namespace nbcore
