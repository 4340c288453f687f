// Harmonics of many vectors at once, a register of vectors at a time: what Python sees.
#pragma once
#include <cstddef>

namespace nbcore::so3 {

/// Where the results for n vectors go, (l_max + 1)^2 numbers a row; nullptr for what is not wanted. Second derivatives
/// need first ones.
template <class Real> struct HarmonicsOutput {
  Real* values;              // [n][lm]
  Real* gradient = nullptr;  // [n][3][lm]
  Real* hessian = nullptr;   // [n][3][3][lm]
};

/// Real spherical harmonics Y_lm(r / |r|) of the directions of n vectors r[n][3] of any length but zero, and their
/// derivatives by r. Real is float or double. InputError for l_max outside 0..50, for a zero vector, NaN and Inf.
template <class Real>
void spherical_harmonics(int l_max, std::size_t n, const Real* r, HarmonicsOutput<Real> out, int threads = 1);

/// S_lm = r^l Y_lm, polynomials of x, y, z. InputError for l_max outside 0..50, NaN, Inf, and where r^l_max exceeds
/// 1e300 (float: 1e37).
template <class Real>
void solid_harmonics(int l_max, std::size_t n, const Real* r, HarmonicsOutput<Real> out, int threads = 1);

}  // namespace nbcore::so3
