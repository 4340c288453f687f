"""The rotation group: irreps, Clebsch-Gordan coefficients, products of states, harmonics, Wigner matrices, rotations,
invariants, Cartesian tensors. A library of its own.

Conventions (docs/theory/so3.md has them all): real harmonics, orthonormal on the sphere, m = -l..l in this order,
without Condon-Shortley sign, so that l = 1 is sqrt(3 / 4 pi) (y, z, x); complex harmonics with it. Active rotations,
r -> R r; Euler angles ZYZ. Harmonics of l = 0..l_max lie in one array, (l, m) at l l + l + m. Supported are l =
0..50; above, InputError. float32 and complex64 keep their type; everything else becomes float64 or complex128. Angles
are in radians.

>>> import numpy as np
>>> from nbcore import so3
>>> r = np.array([0.3, -0.2, 0.9])
>>> R = so3.matrix_from_euler(0.1, 0.2, 0.3)
>>> Y_rotated = so3.spherical_harmonics(2, R @ r)[4:]
>>> bool(np.allclose(Y_rotated, so3.wigner_D(2, R) @ so3.spherical_harmonics(2, r)[4:]))
True
"""

from nbcore.so3.cartesian import (
    cartesian_irreps,
    cartesian_to_spherical,
    spherical_to_cartesian,
    spherical_to_tensor,
    tensor_to_spherical,
)
from nbcore.so3.checks import l_supported
from nbcore.so3.coupling import clebsch_gordan, real_clebsch_gordan
from nbcore.so3.harmonics import (
    complex_spherical_harmonics,
    complex_to_real,
    real_to_complex,
    solid_harmonics,
    spherical_harmonics,
)
from nbcore.so3.invariants import (
    bispectrum,
    bispectrum_adjoint,
    bispectrum_labels,
    dot,
    dot_adjoint,
    norms,
    norms_adjoint,
    power_spectrum,
    power_spectrum_adjoint,
    power_spectrum_labels,
)
from nbcore.so3.irreps import Irrep, Irreps
from nbcore.so3.products import TensorProduct, tensor_product
from nbcore.so3.rotations import (
    axis_angle_from_matrix,
    euler_from_matrix,
    matrix_from_axis_angle,
    matrix_from_euler,
    matrix_from_quaternion,
    quaternion_from_matrix,
    random_rotations,
)
from nbcore.so3.wigner import complex_wigner_D, rotate, wigner_D, wigner_D_to

__all__ = [
    "Irrep",
    "Irreps",
    "TensorProduct",
    "axis_angle_from_matrix",
    "bispectrum",
    "bispectrum_adjoint",
    "bispectrum_labels",
    "cartesian_irreps",
    "cartesian_to_spherical",
    "clebsch_gordan",
    "complex_spherical_harmonics",
    "complex_to_real",
    "complex_wigner_D",
    "dot",
    "dot_adjoint",
    "euler_from_matrix",
    "l_supported",
    "matrix_from_axis_angle",
    "matrix_from_euler",
    "matrix_from_quaternion",
    "norms",
    "norms_adjoint",
    "power_spectrum",
    "power_spectrum_adjoint",
    "power_spectrum_labels",
    "quaternion_from_matrix",
    "random_rotations",
    "real_clebsch_gordan",
    "real_to_complex",
    "rotate",
    "solid_harmonics",
    "spherical_harmonics",
    "spherical_to_cartesian",
    "spherical_to_tensor",
    "tensor_product",
    "tensor_to_spherical",
    "wigner_D",
    "wigner_D_to",
]
