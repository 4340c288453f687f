// Harmonics of many vectors at once, a register of vectors at a time: what Python sees.
#pragma once
#include <cstddef>

namespace nbcore::so3 {

/// Y[n][(l_max + 1)^2]: real spherical harmonics of the directions of n vectors r[n][3] of any length from 5e-324 to
/// 1e308. With dY (or nullptr) also dY[n][3][(l_max + 1)^2] = d Y_lm(r / |r|) / dr. InputError for l_max outside 0..50,
/// for a zero vector, NaN and Inf.
void spherical_harmonics(int l_max, std::size_t n, const double* r, double* Y, double* dY);

/// S[n][(l_max + 1)^2] = r^l Y_lm, polynomials of x, y, z; with dS (or nullptr) their gradients [n][3][(l_max + 1)^2].
/// InputError for l_max outside 0..50, NaN, Inf, and where r^l_max exceeds 1e300.
void solid_harmonics(int l_max, std::size_t n, const double* r, double* S, double* dS);

}  // namespace nbcore::so3
