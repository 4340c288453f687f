// Golden cases: structures whose results a model file keeps as they were computed where it was written.
#pragma once
#include "potential/potential.hpp"

namespace nbcore {

struct GoldenCase {
  Structure structure;
  double energy = 0;         // eV
  std::vector<Vec3> forces;  // eV/Angstrom
  Mat3 virial{};             // eV
};

inline constexpr std::size_t most_golden_atoms = 1000;
inline constexpr double farthest_golden = 1e4;  // Angstrom
inline constexpr double golden_tolerance = 1e-10;

/// Those of a file; ModelFileError names the array that does not fit.
std::vector<GoldenCase> golden_cases(const ModelFile& file);

/// Computes a case in double precision and by radial networks themselves, as it was written. Returns the largest
/// difference, in units of the largest number of its kind, at least 1; ModelFileError where it is beyond the tolerance.
double check_golden(const Potential& potential, const GoldenCase& golden);

}  // namespace nbcore
