#include "potential/hierarchy.hpp"

#include <algorithm>
#include <cmath>

namespace nbcore {

std::vector<int> levels_of_energy(const Network& network) {
  std::vector<int> levels;
  for (const int slot : network.readout()) {
    if (network.slots()[slot].set != atom_set) return {};
    levels.push_back(network.slots()[slot].level);
  }
  std::sort(levels.begin(), levels.end());
  if (levels.size() < 2 || std::adjacent_find(levels.begin(), levels.end()) != levels.end()) return {};
  return levels;
}

std::vector<double> hierarchicality(const std::vector<std::vector<double>>& energies,
                                    std::vector<std::vector<double>>* slopes) {
  const std::size_t n_atoms = energies.at(0).size();
  std::vector<double> r(n_atoms, 0.0);
  if (slopes) slopes->assign(energies.size() - 1, std::vector<double>(n_atoms, 0.0));
  for (std::size_t n = 1; n < energies.size(); ++n)
    for (std::size_t i = 0; i < n_atoms; ++i) {
      const double size = std::max(std::abs(energies[n][i]), std::abs(energies[n - 1][i]));
      if (size == 0) continue;  // no slope either: the ratio has none at 0/0
      const double a = energies[n][i] / size, b = energies[n - 1][i] / size, sum = a * a + b * b;
      r[i] += a * a / sum;
      if (!slopes) continue;
      const double common = 2 * a * b / (sum * sum * size);
      (*slopes)[n - 1][i] += common * b;
      if (n > 1) (*slopes)[n - 2][i] -= common * a;
    }
  return r;
}

}  // namespace nbcore
