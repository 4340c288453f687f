// Wigner matrices of real harmonics.
#pragma once
#include <cstddef>
#include <vector>

namespace nbcore::so3 {

/// D[l][n][2l+1][2l+1] of n rotations R[n][3][3] (rows) for every l for which a place is given (not nullptr), l = 0 ..
/// D.size() - 1: Y^l(R r) = D^l Y^l(r).
///
/// D^1 is R itself in the order (y, z, x), and D^l is the l-part of the product of the two before it, with the isometry
/// C of l-1 x 1 -> l (real_clebsch_gordan),
///
///     D^l = C^T (D^(l-1) x D^1) C.
///
/// No angles, so no poles. Since C is an isometry, rounding errors add up and are not amplified: 1e-14 at l = 50.
/// That R is a rotation is not checked; InputError for l above 50. Cost: some 27 l^3 multiply-adds for the last l.
void wigner_D(const std::vector<double*>& D, std::size_t n, const double* R, int threads = 1);

}  // namespace nbcore::so3
