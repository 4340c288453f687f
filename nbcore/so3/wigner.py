"""Wigner matrices, real and complex, and rotated states."""
# ruff: noqa: E741 (l is the name of angular momentum)

import numpy as np
from numpy.typing import ArrayLike

from nbcore import _core
from nbcore.errors import InputError
from nbcore.so3 import states
from nbcore.so3.checks import angular_momentum, rotation_matrices
from nbcore.so3.harmonics import complex_to_real
from nbcore.so3.irreps import Irreps


def wigner_D(l: int, R: ArrayLike) -> np.ndarray:
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
    return _wigner_D(l, rotation_matrices("wigner_D", R))[0]


def wigner_D_to(l_max: int, R: ArrayLike, threads: int | None = None) -> list[np.ndarray]:
    """The matrices of all l = 0..l_max: a list, [l] as `wigner_D(l, R)`, made in one go.

    >>> [D.shape for D in wigner_D_to(2, np.eye(3))]
    [(1, 1), (3, 3), (5, 5)]
    """
    l_max = angular_momentum("wigner_D_to", "l_max", l_max)
    return _wigner_D(l_max, rotation_matrices("wigner_D_to", R), True, threads)


def complex_wigner_D(l: int, R: ArrayLike) -> np.ndarray:
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
    return _complex(l, _wigner_D(l, rotation_matrices("complex_wigner_D", R))[0])


def rotate(
    x: ArrayLike, irreps: "Irreps | str", R: ArrayLike, basis: str = "real", threads: int | None = None
) -> np.ndarray:
    """States after rotations of the system: part l is multiplied by D_l(R), from the left.

    The adjoint is the rotation back, by the transposed R.

    Parameters
    ----------
    x : (..., irreps.dim), laid out as `Irreps` says, or its parts (see `TensorProduct`); the type of number is kept
    irreps : Irreps or str
    R : (..., 3, 3) or a SciPy Rotation, leading axes broadcast against those of x; with parities in `irreps` also
        improper, det R = -1: then x -> p D_l(-R) x
    basis : "real" or "complex"
        of x: D is `wigner_D` or `complex_wigner_D`
    threads : int, optional

    Returns
    -------
    (..., irreps.dim), complex for the complex basis

    Raises
    ------
    InputError : x does not fit irreps; R is not a rotation; R is improper and irreps have no parity; leading axes that
        do not broadcast

    >>> rotate([1.0, 2.0, 3.0], "1x1o", -np.eye(3))  # a vector, inverted
    array([-1., -2., -3.])
    """
    if basis not in ("real", "complex"):
        raise InputError(f'rotate: basis must be "real" or "complex", got {basis!r}')
    irreps = Irreps(irreps)
    R = rotation_matrices("rotate", R, improper=irreps.has_parity)
    dtype = states.common_dtype("rotate", x)
    if basis == "complex":
        dtype = np.result_type(dtype, np.complex64)
    parts, shape = states.blocks("rotate", "x", x, irreps, dtype)
    batch = states.broadcast("rotate", "x and R", shape, R.shape[:-2])
    result = np.empty((*batch, irreps.dim), dtype)
    if not irreps:
        return result
    improper = np.linalg.det(R)[..., None, None] < 0
    D = _wigner_D(irreps.l_max, np.where(improper, -R, R), True, threads)
    for irrep, part, turned in zip(irreps, parts, states.blocks("rotate", "x", result, irreps, dtype)[0], strict=True):
        matrix = _complex(irrep.l, D[irrep.l]) if basis == "complex" else D[irrep.l]
        if irrep.parity == -1:
            matrix = np.where(improper, -matrix, matrix)
        rows = part.reshape(*shape, 2 * irrep.l + 1, irrep.multiplicity)
        turned[...] = (matrix.astype(dtype) @ rows).reshape(*batch, irrep.dim)
    return result


def _complex(l, D):
    U = complex_to_real(l)
    return U.conj().T @ D @ U


def _wigner_D(l, R, all_l=False, threads=None):
    """[D_l], or [D_0 .. D_l]"""
    threads = states.thread_number(threads, R.size * (l + 1) ** 4)
    matrices = _core.wigner_D(l, R.reshape(-1, 3, 3), all_l, threads)
    return [D.reshape(*R.shape[:-2], *D.shape[1:]) for D in matrices]
