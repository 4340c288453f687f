// Dynamics of glycolaldehyde at constant energy:  ./md MODEL.nbcore
#include <cmath>
#include <cstdio>
#include <nbcore/nbcore.hpp>
#include <vector>

int main(int argc, char** argv) try {
  if (argc != 2) return std::fprintf(stderr, "usage: md MODEL.nbcore\n"), 2;
  const std::vector<int> numbers = {6, 6, 8, 8, 1, 1, 1, 1};
  std::vector<double> positions = {-0.526, -0.581, -0.499, 0.849,  -0.514, 0.142,  -1.333, 0.321,
                                   -0.623, 0.971,  0.641,  0.895,  -0.975, -1.579, -0.672, 0.944,
                                   -1.384, 0.762,  1.530,  -0.591, -0.718, 0.406,  1.326,  0.543};
  const double step = 0.25, per_amu = 0.009648533212;  // fs; one eV/Angstrom/amu in Angstrom/fs^2
  std::vector<double> velocities(positions.size(), 0.0), masses;
  for (int z : numbers) masses.push_back(z == 1 ? 1.008 : z == 6 ? 12.011 : 15.999);

  const nbcore::Model model(argv[1]);
  const nbcore::System system(positions, numbers);  // points to the positions, which move
  nbcore::Results results;                          // its arrays stay from step to step
  model.compute(system, results);
  for (int k = 0; k <= 200; ++k) {
    double kinetic = 0;
    for (std::size_t x = 0; x < positions.size(); ++x)
      kinetic += 0.5 * masses[x / 3] * velocities[x] * velocities[x] / per_amu;
    if (k % 50 == 0)
      std::printf("%6.2f fs  potential %.6f  kinetic %.6f  total %.6f eV\n", k * step, results.energy, kinetic,
                  results.energy + kinetic);
    const auto kick = [&] {
      for (std::size_t x = 0; x < positions.size(); ++x)
        velocities[x] += 0.5 * step * per_amu * results.forces[x] / masses[x / 3];
    };
    kick();
    for (std::size_t x = 0; x < positions.size(); ++x) positions[x] += step * velocities[x];
    model.compute(system, results);
    kick();
  }
  return 0;
} catch (const std::exception& e) {  // nbcore::Error has the status, too
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
