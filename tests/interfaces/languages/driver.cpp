// The same as driver.c, by nbcore.hpp; the model is loaded from memory.
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nbcore/nbcore.hpp>

int main(int argc, char** argv) try {
  if (argc != 2) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  nbcore::Model loaded(bytes.data(), bytes.size());
  const nbcore::Model model = std::move(loaded);
  nbcore::Options options;
  nbcore::Results results;
  results.want_energies = false;
  std::array<int, 3> pbc;
  std::array<double, 9> cell;
  int n;
  if (std::scanf("%d", &options.threads) != 1) return 2;
  const nbcore::Golden golden = model.check_golden();
  std::printf("%d\n%a\n", golden.cases, golden.difference);
  while (std::scanf("%d %d %d %d", &n, &pbc[0], &pbc[1], &pbc[2]) == 4) {
    std::vector<double> positions(3 * static_cast<std::size_t>(n));
    std::vector<int> numbers(static_cast<std::size_t>(n));
    for (double& x : cell)
      if (std::scanf("%la", &x) != 1) return 3;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (std::scanf("%d", &numbers[i]) != 1) return 3;
      for (std::size_t k = 3 * i; k < 3 * i + 3; ++k)
        if (std::scanf("%la", &positions[k]) != 1) return 3;
    }
    nbcore::System system(positions, numbers);
    system.cell = cell.data(), system.pbc = pbc.data();
    model.compute(system, results, options);
    std::printf("%a\n", results.energy);
    for (const auto* array : {&results.forces, &results.virial})
      for (double x : *array) std::printf("%a\n", x);
  }
  nbcore::System wrong;
  wrong.n = -1;
  try {
    model.compute(wrong, results);
    return 5;
  } catch (const nbcore::Error& e) {
    return e.status == NBCORE_ESHAPE ? 0 : 6;
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 4;
}
