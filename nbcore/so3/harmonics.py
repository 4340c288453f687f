"""Spherical and solid harmonics, real and complex, and the unitary matrix between the two."""
# ruff: noqa: E741 (l is the name of angular momentum)

import numpy as np
from numpy.typing import ArrayLike

from nbcore import _core
from nbcore.errors import InputError
from nbcore.so3.checks import angular_momentum, floating_array
from nbcore.so3.states import output, thread_number


def spherical_harmonics(
    l_max: int,
    vectors: ArrayLike,
    gradient: bool = False,
    hessian: bool = False,
    out: np.ndarray | tuple[np.ndarray, ...] | None = None,
    threads: int | None = None,
) -> np.ndarray | tuple[np.ndarray, ...]:
    """Real spherical harmonics Y_lm of the directions of vectors.

    Orthonormal, the integral of Y_lm Y_l'm' over the sphere is delta_ll' delta_mm'; no Condon-Shortley sign, so
    Y_00 = 1 / sqrt(4 pi) and Y_1 = sqrt(3 / 4 pi) (y, z, x) / r. Evaluated as polynomials in x, y, z: all directions
    are alike, the poles too. Error at most 2e-15 (l + 1) of the largest |Y_lm|, in float32 3e-7 (l + 1).

    Parameters
    ----------
    l_max : int, 0 to 50
    vectors : (..., 3), of any length but zero; float32 stays float32, everything else becomes float64
    gradient : bool
        also return dY_lm(r / |r|) / dr, in 1 / (unit of `vectors`)
    hessian : bool
        also return both derivatives
    out : array, or tuple of as many arrays as are returned, optional
        written to instead of new arrays
    threads : int, optional

    Returns
    -------
    Y : (..., (l_max + 1)^2), (l, m) at l l + l + m
    dY : (..., 3, (l_max + 1)^2), if `gradient` or `hessian`
    ddY : (..., 3, 3, (l_max + 1)^2), if `hessian`

    Raises
    ------
    InputError : l_max outside 0..50; a zero vector; NaN or Inf; last axis not 3; `out` of another shape or type
    TypeError : l_max is not an integer, vectors are not real numbers

    >>> spherical_harmonics(1, [0.0, 0.0, 2.0]).round(6)
    array([0.282095, 0.      , 0.488603, 0.      ])
    >>> Y, dY = spherical_harmonics(3, [[1.0, 2.0, 3.0]] * 5, gradient=True)
    >>> Y.shape, dY.shape
    ((5, 16), (5, 3, 16))
    """
    return _harmonics("spherical_harmonics", False, l_max, vectors, gradient, hessian, out, threads)


def solid_harmonics(
    l_max: int,
    vectors: ArrayLike,
    gradient: bool = False,
    hessian: bool = False,
    out: np.ndarray | tuple[np.ndarray, ...] | None = None,
    threads: int | None = None,
) -> np.ndarray | tuple[np.ndarray, ...]:
    """Real solid harmonics S_lm(r) = r^l Y_lm(r), homogeneous polynomials of degree l in x, y, z.

    Parameters
    ----------
    l_max : int, 0 to 50
    vectors : (..., 3), zero allowed; float32 stays float32, everything else becomes float64
    gradient : bool
        also return dS_lm / dr
    hessian : bool
        also return both derivatives
    out : array, or tuple of as many arrays as are returned, optional
        written to instead of new arrays
    threads : int, optional

    Returns
    -------
    S : (..., (l_max + 1)^2), (l, m) at l l + l + m, in (unit of `vectors`)^l
    dS : (..., 3, (l_max + 1)^2), if `gradient` or `hessian`
    ddS : (..., 3, 3, (l_max + 1)^2), if `hessian`

    Raises
    ------
    InputError : l_max outside 0..50; NaN or Inf; r^l_max above 1e300 (float32: 1e37); last axis not 3; `out` of another
        shape or type
    TypeError : l_max is not an integer, vectors are not real numbers

    >>> S, dS = solid_harmonics(1, [1.0, 2.0, 3.0], gradient=True)
    >>> (S / S[0]).round(6)
    array([1.      , 3.464102, 5.196152, 1.732051])
    >>> dS[2].round(6)  # d/dz
    array([0.      , 0.      , 0.488603, 0.      ])
    """
    return _harmonics("solid_harmonics", True, l_max, vectors, gradient, hessian, out, threads)


def complex_spherical_harmonics(l_max: int, vectors: ArrayLike) -> np.ndarray:
    """Complex spherical harmonics of the directions of vectors, with Condon-Shortley phase: Y_l,-m = (-1)^m conj Y_lm.

    Y_11 = -sqrt(3 / 8 pi) (x + i y) / r: the harmonics of SciPy's `sph_harm_y` and of the paper. Arguments, order and
    errors as `spherical_harmonics`.

    Returns
    -------
    Y : (..., (l_max + 1)^2), complex

    >>> complex_spherical_harmonics(1, [1.0, 2.0, 2.0])[[1, 3]].round(6)  # m = -1 and 1
    array([ 0.115165-0.230329j, -0.115165-0.230329j])
    """
    real = spherical_harmonics(l_max, vectors)
    result = real.astype(np.complex64 if real.dtype == np.float32 else np.complex128)
    for l in range(1, l_max + 1):
        zero = l * l + l  # m = 0; then m = 1..l and, counted downwards, m = -1..-l
        positive, negative = np.s_[..., zero + 1 : zero + l + 1], np.s_[..., zero - 1 : zero - l - 1 : -1]
        upper = (real[positive] + 1j * real[negative]) * np.sqrt(0.5)
        result[positive] = (-1.0) ** np.arange(1, l + 1) * upper
        result[negative] = upper.conj()
    return result


def complex_to_real(l: int) -> np.ndarray:
    """The unitary U with Y_real = U Y_complex for one l; rows are real m, columns complex m, both -l..l.

    For m > 0: Y_real,m = ((-1)^m Y_m + Y_-m) / sqrt(2) and Y_real,-m = i (Y_-m - (-1)^m Y_m) / sqrt(2); for m = 0
    they agree.

    Parameters
    ----------
    l : int, 0 to 50

    Returns
    -------
    U : (2l + 1, 2l + 1), complex

    >>> complex_to_real(1).round(3)
    array([[ 0.   +0.707j,  0.   +0.j   ,  0.   +0.707j],
           [ 0.   +0.j   ,  1.   +0.j   ,  0.   +0.j   ],
           [ 0.707+0.j   ,  0.   +0.j   , -0.707+0.j   ]])
    """
    l = angular_momentum("complex_to_real", "l", l)
    U = np.zeros((2 * l + 1, 2 * l + 1), dtype=np.complex128)
    U[l, l] = 1
    half = np.sqrt(0.5)
    for m in range(1, l + 1):
        sign = (-1) ** m
        U[l + m, l + m], U[l + m, l - m] = sign * half, half
        U[l - m, l + m], U[l - m, l - m] = -1j * sign * half, 1j * half
    return U


def real_to_complex(l: int) -> np.ndarray:
    """The unitary with Y_complex = real_to_complex(l) Y_real: the inverse (conjugate transpose) of
    `complex_to_real(l)`.

    >>> U = real_to_complex(2)
    >>> bool(np.allclose(U @ complex_to_real(2), np.eye(5)))
    True
    """
    return complex_to_real(angular_momentum("real_to_complex", "l", l)).conj().T


def _harmonics(where, solid, l_max, vectors, gradient, hessian, out, threads):
    n_results = 3 if hessian else 2 if gradient else 1
    if out is not None:  # arrays that will do as they are: nothing but the kernel
        largest = out[-1] if type(out) is tuple and out else out
        some = 1 if threads == 1 else thread_number(threads, getattr(largest, "size", 0))
        if _core.harmonics(solid, l_max, vectors, out, n_results, some):
            return out
    given = (None,) * n_results if out is None else (out,) if isinstance(out, np.ndarray) else out
    if len(given) != n_results:
        raise InputError(f"{where}: out must hold {n_results} arrays, got {len(given)}")
    l_max = angular_momentum(where, "l_max", l_max)
    vectors = floating_array(where, "vectors", vectors, (3,))
    shape, n_lm = vectors.shape[:-1], (l_max + 1) ** 2
    tails = [(n_lm,), (3, n_lm), (3, 3, n_lm)]
    results = tuple(
        output(where, "out", one, (*shape, *tail), vectors.dtype) for one, tail in zip(given, tails, strict=False)
    )
    n = vectors.size // 3
    _core.harmonics(
        solid,
        l_max,
        np.ascontiguousarray(vectors).reshape(n, 3),
        tuple(result.reshape(n, *tail) for result, tail in zip(results, tails, strict=False)),
        n_results,
        thread_number(threads, sum(result.size for result in results)),
    )
    return results[0] if n_results == 1 else results
