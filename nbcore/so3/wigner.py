"""Wigner matrices, real and complex, and rotated states."""
# ruff: noqa: E741 (l is the name of angular momentum)

import numpy as np

from nbcore import _core
from nbcore.errors import InputError
from nbcore.so3.checks import angular_momentum, real_array, rotation_matrices
from nbcore.so3.harmonics import complex_to_real
from nbcore.so3.irreps import Irreps


def wigner_D(l, R):
    """The matrix of a rotation on real harmonics: Y_l(R r) = D Y_l(r).

    D is real and orthogonal and D(R1 R2) = D(R1) D(R2); D of l = 1 is R in the order (y, z, x). It is made by
    coupling, D_l = C^T (D_(l-1) x D_1) C, without angles: no rotation is special, and the error stays below 1e-13 to
    l = 50 (plus l times the distance of R from a rotation).

    Parameters
    ----------
    l : int, 0 to 50
    R : (..., 3, 3), rotations, or a SciPy Rotation

    Returns
    -------
    D : (..., 2l + 1, 2l + 1), m = -l..l

    Raises
    ------
    InputError : l outside 0..50; R R^T differs from 1 by more than 1e-6; det R = -1 (see `rotate`)
    TypeError : l is not an integer, R is not real numbers

    >>> half_turn = np.diag([-1.0, -1.0, 1.0])  # about z
    >>> np.diag(wigner_D(2, half_turn)).round(6) + 0.0
    array([ 1., -1.,  1., -1.,  1.])
    """
    l = angular_momentum("wigner_D", "l", l)
    return _wigner_D(l, rotation_matrices("wigner_D", R))


def complex_wigner_D(l, R):
    """The matrix of a rotation on complex harmonics: Y_l(R r) = D Y_l(r), with D = U^+ wigner_D U, U =
    complex_to_real(l).

    With Euler angles R = R_z(alpha) R_y(beta) R_z(gamma), D[m, m'] = exp(i alpha m) d^l_mm'(beta) exp(i gamma m'):
    the complex conjugate of the matrix <lm| exp(-i alpha J_z) exp(-i beta J_y) exp(-i gamma J_z) |lm'> of textbooks,
    which acts on coefficients of functions (sum of c_m Y_lm) where this one acts on values Y_lm. Arguments and errors
    as `wigner_D`.

    Returns
    -------
    D : (..., 2l + 1, 2l + 1), complex, unitary

    >>> R = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # 90 degrees about z
    >>> np.diag(complex_wigner_D(1, R)).round(6) + 0.0
    array([0.-1.j, 1.+0.j, 0.+1.j])
    """
    l = angular_momentum("complex_wigner_D", "l", l)
    U = complex_to_real(l)
    return U.conj().T @ _wigner_D(l, rotation_matrices("complex_wigner_D", R)) @ U


def rotate(x, irreps, R):
    """A state after a rotation of the system: part l is multiplied by D_l(R), from the left.

    Parameters
    ----------
    x : (..., irreps.dim), laid out as `Irreps` says
    irreps : Irreps or str
    R : (3, 3) or a SciPy Rotation; with parities in `irreps` also improper, det R = -1: then x -> p D_l(-R) x

    Returns
    -------
    (..., irreps.dim)

    Raises
    ------
    InputError : x does not fit irreps; R is not a single rotation; R is improper and irreps have no parity

    >>> rotate([1.0, 2.0, 3.0], "1x1o", -np.eye(3))  # a vector, inverted
    array([-1., -2., -3.])
    """
    irreps = Irreps(irreps)
    R = rotation_matrices("rotate", R, improper=irreps.has_parity)
    if R.shape != (3, 3):
        raise InputError(f"rotate: R must have shape (3, 3), got {R.shape}")
    improper = np.linalg.det(R) < 0
    proper = -R if improper else R
    parts = irreps.parts(real_array("rotate", "x", x, (irreps.dim,)))
    return irreps.join(
        [
            (irrep.parity if improper else 1) * (_wigner_D(irrep.l, proper) @ part)
            for irrep, part in zip(irreps, parts, strict=True)
        ]
    )


def _wigner_D(l, R):
    return _core.wigner_D(l, R.reshape(-1, 3, 3)).reshape(*R.shape[:-2], 2 * l + 1, 2 * l + 1)
