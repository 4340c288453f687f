"""Cartesian tensors and their spherical components: dipoles, polarizabilities, hyperpolarizabilities, multipoles."""
# ruff: noqa: E741 (l is the name of angular momentum)

import math
from functools import cache
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike

from nbcore.errors import InputError
from nbcore.so3.checks import angular_momentum, floating_array
from nbcore.so3.coupling import real_clebsch_gordan
from nbcore.so3.irreps import Irreps

rank_supported = 6  # 3^6 numbers; nothing but the size of the matrices limits it


def cartesian_to_spherical(l: int, T: ArrayLike) -> np.ndarray:
    """The spherical components of the symmetric traceless part of a Cartesian tensor with l axes.

        x_m = sum over i1..il of B[m, i1..il] T[i1..il],   B_1 = (y, z, x),   B_l = C (B_(l-1) x B_1),

    with the coupling C of l-1 x 1 -> l (`real_clebsch_gordan`). The rows of B are orthonormal, symmetric, traceless
    tensors: for a symmetric traceless T the norm is kept, |x| = |T|, and what else a tensor holds is left out. For T =
    r x r x .. x r the result is sqrt(4 pi l! / (2l+1)!!) S_l(r), S_l the solid harmonics. T_R = R R .. R T gives x_R =
    D_l(R) x.

    Parameters
    ----------
    l : int, 0 to 6
    T : (..., 3, .., 3), l axes of x, y, z; float32 stays float32

    Returns
    -------
    x : (..., 2l + 1), m = -l..l

    Raises
    ------
    InputError : l outside 0..6; axes that are not 3
    TypeError : l is not an integer, T is not real numbers

    >>> r = np.array([1.0, 2.0, 3.0])
    >>> cartesian_to_spherical(1, r)
    array([2., 3., 1.])
    >>> x = cartesian_to_spherical(2, np.outer(r, r))
    >>> traceless = np.outer(r, r) - np.eye(3) * (r @ r) / 3
    >>> bool(np.isclose(np.linalg.norm(x), np.linalg.norm(traceless)))
    True
    """
    l = _rank("cartesian_to_spherical", "l", l)
    T = floating_array("cartesian_to_spherical", "T", T, (3,) * l)
    return T.reshape(*T.shape[: T.ndim - l], 3**l) @ _traceless(l).T.astype(T.dtype)


def spherical_to_cartesian(l: int, x: ArrayLike) -> np.ndarray:
    """The symmetric traceless Cartesian tensor with l axes of given spherical components: the inverse (and the adjoint)
    of `cartesian_to_spherical`.

    Parameters
    ----------
    l : int, 0 to 6
    x : (..., 2l + 1)

    Returns
    -------
    T : (..., 3, .., 3), l axes

    Raises
    ------
    InputError : l outside 0..6; a last axis that is not 2l + 1
    TypeError : l is not an integer, x is not real numbers

    >>> spherical_to_cartesian(2, [0.0, 0.0, 1.0, 0.0, 0.0]).round(6) + 0.0  # Y_20: 3 z^2 - r^2
    array([[-0.408248,  0.      ,  0.      ],
           [ 0.      , -0.408248,  0.      ],
           [ 0.      ,  0.      ,  0.816497]])
    """
    l = _rank("spherical_to_cartesian", "l", l)
    x = floating_array("spherical_to_cartesian", "x", x, (2 * l + 1,))
    return (x @ _traceless(l).astype(x.dtype)).reshape(*x.shape[:-1], *(3,) * l)


def cartesian_irreps(rank: int, symmetric: bool = True, parity: int | None = None) -> "Irreps":
    """The irreps of Cartesian tensors with `rank` axes: what `tensor_to_spherical` returns.

    A totally symmetric tensor holds l = rank, rank - 2, .. once each: a dipole l = 1, a polarizability l = 0 and 2, a
    hyperpolarizability l = 1 and 3. Without symmetry each l comes as often as 1 x 1 x .. x 1 contains it.

    Parameters
    ----------
    rank : int, 0 to 6
    symmetric : bool
    parity : 1 or -1, optional
        under inversion; (-1)^rank if not given, as of tensors that are made of vectors

    Raises
    ------
    InputError : rank outside 0..6; another parity

    >>> cartesian_irreps(2), cartesian_irreps(3), cartesian_irreps(2, symmetric=False)
    (Irreps('1x0e + 1x2e'), Irreps('1x1o + 1x3o'), Irreps('1x0e + 1x1e + 1x2e'))
    """
    rank = _rank("cartesian_irreps", "rank", rank)
    parity = (-1) ** rank if parity is None else parity
    if parity not in (1, -1):
        raise InputError(f"cartesian_irreps: parity must be 1 or -1, got {parity!r}")
    counts = {}
    for l, _ in _basis(rank, symmetric):
        counts[l] = counts.get(l, 0) + 1
    return Irreps((l, parity, counts[l]) for l in sorted(counts))


def tensor_to_spherical(T: ArrayLike, rank: int, symmetric: bool = True, tolerance: float = 1e-6) -> np.ndarray:
    """The state of a Cartesian tensor: all its irreps, norm kept.

    For symmetric tensors, with Sym the average over all orders of the axes and B_l of `cartesian_to_spherical`,

        x_lm = sum over i1..in of E_lm[i1..in] T[i1..in],   E_lm ~ Sym(delta x .. x delta x B_lm),   |E_lm| = 1.

    So a dipole (rank 1) becomes (mu_y, mu_z, mu_x); a polarizability (rank 2) becomes l = 0, tr(T) / sqrt(3), and l =
    2, the traceless part; a hyperpolarizability (rank 3) becomes l = 1, sqrt(3/5) times the vector sum_j T_ijj, and l
    = 3. |x| = |T|, the root of the sum of all 3^rank squares (Frobenius), and r x .. x r gives positive multiples of
    Y_lm(r).

    Without symmetry the axes are coupled one after the other, ((1 x 1) l12 x 1) l123 ..; the channels of one l are its
    paths, in the order of (l12, l123, ..). The sign of a coupling l -> l - 1 is reversed, so that here, too, r x .. x
    r gives no negative multiples: rank 2 is tr(T) / sqrt(3), the axial vector (T_ij - T_ji) / sqrt(2), and the
    traceless part.

    Parameters
    ----------
    T : (..., 3, .., 3), `rank` axes of x, y, z; float32 stays float32
    rank : int, 0 to 6
    symmetric : bool
        T is totally symmetric
    tolerance : float
        how far from symmetric T may be, |T - Sym T| <= tolerance |T|, for all tensors together; with inf the symmetric
        part of any T is taken

    Returns
    -------
    x : (..., dim) of `cartesian_irreps(rank, symmetric)`, in the unit of T

    Raises
    ------
    InputError : rank outside 0..6; axes that are not 3; a tensor that is not symmetric
    TypeError : rank is not an integer, T is not real numbers

    >>> alpha = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    >>> tensor_to_spherical(alpha, 2).round(6)
    array([ 3.464102,  1.414214,  0.      , -1.224745,  0.      ,  0.707107])
    """
    rank = _rank("tensor_to_spherical", "rank", rank)
    T = floating_array("tensor_to_spherical", "T", T, (3,) * rank)
    matrix = _matrix(rank, bool(symmetric)).astype(T.dtype)
    flat = T.reshape(*T.shape[: T.ndim - rank], 3**rank)
    x = flat @ matrix.T
    if symmetric and tolerance != math.inf:
        defect, norm = np.linalg.norm(flat - x @ matrix), np.linalg.norm(flat)
        if defect > max(tolerance, 10 * np.finfo(T.dtype).eps) * norm:
            raise InputError(
                f"tensor_to_spherical: T must be totally symmetric, but its unsymmetric part is {defect / norm:.2g} of "
                "its norm. Pass symmetric=False, or tolerance=inf to take the symmetric part."
            )
    return x


def spherical_to_tensor(x: ArrayLike, rank: int, symmetric: bool = True) -> np.ndarray:
    """The Cartesian tensor of a state: the inverse (and the adjoint) of `tensor_to_spherical`.

    Parameters
    ----------
    x : (..., dim) of `cartesian_irreps(rank, symmetric)`
    rank : int, 0 to 6
    symmetric : bool

    Returns
    -------
    T : (..., 3, .., 3), `rank` axes; T(D x) = R .. R T(x)

    Raises
    ------
    InputError : rank outside 0..6; a last axis that does not fit
    TypeError : rank is not an integer, x is not real numbers

    >>> spherical_to_tensor([np.sqrt(3), 0.0, 0.0, 0.0, 0.0, 0.0], 2)
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    rank = _rank("spherical_to_tensor", "rank", rank)
    matrix = _matrix(rank, bool(symmetric))
    x = floating_array("spherical_to_tensor", "x", x, (len(matrix),))
    return (x @ matrix.astype(x.dtype)).reshape(x.shape[:-1] + (3,) * rank)


def _rank(where, name, value):
    value = angular_momentum(where, name, value)
    if value > rank_supported:
        raise InputError(f"{where}: {name} must be 0 to {rank_supported}, got {value}")
    return value


@cache
def _traceless(l):
    """B, (2l + 1, 3^l)"""
    if l == 0:
        return np.ones((1, 1))
    axes = np.eye(3)[[1, 2, 0]]  # m = -1, 0, 1 are y, z, x
    return np.einsum("abm,ai,bj->mij", real_clebsch_gordan(l - 1, 1, l), _traceless(l - 1), axes).reshape(2 * l + 1, -1)


@cache
def _basis(rank, symmetric):
    """[(l, (2l + 1, 3^rank))], orthonormal rows, in the order of l and, within one l, of the paths"""
    if symmetric:
        return [(l, _symmetric(rank, l)) for l in range(rank % 2, rank + 1, 2)]
    paths = [((0,), np.ones((1, 1)))]
    for _ in range(rank):
        paths = [
            ((*path, l), _coupled(path[-1], E, l)) for path, E in paths for l in range(abs(path[-1] - 1), path[-1] + 2)
        ]
    return [(path[-1], E) for path, E in sorted(paths, key=lambda p: (p[0][-1], p[0]))]


def _coupled(before, E, l):
    C = real_clebsch_gordan(before, 1, l) * (-1 if l < before else 1)
    return np.einsum("abm,ai,bj->mij", C, E, np.eye(3)[[1, 2, 0]]).reshape(2 * l + 1, -1)


def _symmetric(rank, l):
    """Sym(delta x .. x B_l), rows of length 1"""
    E = _traceless(l)
    for _ in range((rank - l) // 2):
        E = np.einsum("mi,j->mij", E, np.eye(3).ravel()).reshape(2 * l + 1, -1)
    E = E.reshape(-1, *(3,) * rank)
    E = sum(E.transpose(0, *order) for order in permutations(range(1, rank + 1))) / math.factorial(rank)
    E = E.reshape(2 * l + 1, -1)
    return E / np.linalg.norm(E, axis=1, keepdims=True)


@cache
def _matrix(rank, symmetric):
    """(dim, 3^rank), the rows in the order of a state of `cartesian_irreps`: [l][m][path]"""
    basis = _basis(rank, symmetric)
    blocks = []
    for l in sorted({l for l, _ in basis}):
        blocks.append(np.stack([E for k, E in basis if k == l], axis=1).reshape(-1, 3**rank))
    return np.concatenate(blocks)
