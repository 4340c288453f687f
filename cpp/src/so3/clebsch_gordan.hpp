// Clebsch-Gordan coefficients, exact up to the last rounding, of complex and of real harmonics.
#pragma once
#include <vector>

namespace nbcore::so3 {

inline constexpr int l_supported = 50;  // the largest angular momentum of this layer; above it an InputError

/// C[m1][m2][m3] = <l1 m1 l2 m2 | l3 m3> in the Condon-Shortley phase, dense, m = -l..l on each axis.
/// All zero where the triangle rule |l1 - l2| <= l3 <= l1 + l2 fails. The error is below one unit in the last place.
std::vector<double> clebsch_gordan(int l1, int l2, int l3);

/// The same coupling of real harmonics, dense [m1][m2][m3]. With Y_real = U Y_complex (docs/theory/so3.md),
///
///     T[m1][m2][m3] = sum over n1, n2, n3 of conj(U1[m1][n1] U2[m2][n2]) U3[m3][n3] <l1 n1 l2 n2 | l3 n3>
///
/// is real for even l1 + l2 + l3 and C = T; it is imaginary for odd l1 + l2 + l3 and C = T / i: (1, 1, 1) is the cross
/// product over sqrt(2). C is an isometry: sum over m1, m2 of C[m1][m2][m3] C[m1][m2][n3] = delta(m3, n3).
std::vector<double> real_clebsch_gordan(int l1, int l2, int l3);

}  // namespace nbcore::so3
