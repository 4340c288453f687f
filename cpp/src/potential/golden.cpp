#include "potential/golden.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "potential/model_file.hpp"

namespace nbcore {

namespace {

/// The array `key` of a case, of `rows` rows with `width` numbers each; the number of rows is free where it is 0.
std::span<const double> array_of(const ModelFile& file, const std::string& key, std::size_t rows, std::size_t width) {
  const auto found =
      std::find_if(file.tensors.begin(), file.tensors.end(), [&](const Tensor& t) { return t.name == key; });
  if (found == file.tensors.end()) throw ModelFileError(message("the array ", key, " is missing"));
  const std::size_t n = found->data.size();
  if (n % width != 0 || (rows > 0 && n != rows * width))
    throw ModelFileError(
        message(key, " has ", n, " numbers, expected ", rows > 0 ? message(rows, " times ") : "rows of ", width));
  return found->data;
}

/// Largest |a - b|, relative to the largest |b|, at least 1
double compare(const char* what, std::span<const double> got, std::span<const double> kept) {
  double size = 1, difference = 0;
  for (std::size_t k = 0; k < kept.size(); ++k) {
    size = std::max(size, std::abs(kept[k]));
    difference = std::max(difference, std::abs(got[k] - kept[k]));
  }
  if (!(difference <= golden_tolerance * size))
    throw ModelFileError(message(what, " differs by ", difference, " from what the file says (allowed ",
                                 golden_tolerance * size,
                                 "): this build computes something else than the one that wrote it"));
  return difference / size;
}

std::span<const double> numbers_of(const std::vector<Vec3>& v) { return {v.data()->data(), 3 * v.size()}; }
std::span<const double> numbers_of(const Mat3& m) { return {m[0].data(), 9}; }

}  // namespace

std::vector<GoldenCase> golden_cases(const ModelFile& file) {
  std::vector<GoldenCase> cases;
  const auto is_there = [&](const std::string& name) {
    return std::any_of(file.tensors.begin(), file.tensors.end(), [&](const Tensor& t) { return t.name == name; });
  };
  for (std::string before = "golden.0."; is_there(before + "positions");
       before = message("golden.", cases.size(), ".")) {
    const auto positions = array_of(file, before + "positions", 0, 3);
    const std::size_t n = positions.size() / 3;
    if (n < 1 || n > most_golden_atoms)
      throw ModelFileError(message(before, "positions: expected 1 to ", most_golden_atoms, " atoms, got ", n));
    const auto numbers = array_of(file, before + "numbers", n, 1), cell = array_of(file, before + "cell", 3, 3);
    const auto pbc = array_of(file, before + "pbc", 3, 1), forces = array_of(file, before + "forces", n, 3);
    const auto virial = array_of(file, before + "virial", 3, 3);
    for (const auto& lengths : {positions, cell})
      for (const double x : lengths)
        if (std::abs(x) > farthest_golden)
          throw ModelFileError(message(before, "positions, cell: must lie within ", farthest_golden, " Angstrom"));
    GoldenCase& golden = cases.emplace_back();
    golden.energy = array_of(file, before + "energy", 1, 1)[0];
    golden.structure.positions.resize(n), golden.forces.resize(n);
    std::copy(positions.begin(), positions.end(), golden.structure.positions[0].data());
    std::copy(forces.begin(), forces.end(), golden.forces[0].data());
    std::copy(cell.begin(), cell.end(), golden.structure.cell[0].data());
    std::copy(virial.begin(), virial.end(), golden.virial[0].data());
    for (const double z : numbers) {
      if (!(z >= 1 && z <= 118 && z == std::floor(z)))
        throw ModelFileError(message(before, "numbers: ", z, " is no atomic number"));
      golden.structure.numbers.push_back(static_cast<int>(z));
    }
    for (int k = 0; k < 3; ++k) golden.structure.pbc[k] = pbc[k] != 0;
  }
  return cases;
}

double check_golden(const Potential& potential, const GoldenCase& golden) {
  EvaluationOptions options;
  options.radial_splines = false;
  const Result r = potential.compute(golden.structure, options);
  return std::max({compare("energy", {&r.energy, 1}, {&golden.energy, 1}),
                   compare("forces", numbers_of(r.forces), numbers_of(golden.forces)),
                   compare("virial", numbers_of(r.virial), numbers_of(golden.virial))});
}

}  // namespace nbcore
