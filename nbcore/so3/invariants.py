"""Numbers of states that no rotation changes: norms, scalar products, power spectra, bispectra; and their adjoints.

Each adjoint takes the derivative of a real function f by the invariants (for complex ones df/d(Re) + i df/d(Im)) and
returns that by the components of the states. Entries of equal (l, parity) count as one part, their channels one after
the other, where channels meet: in power spectra and bispectra.
"""
# ruff: noqa: E741 (l is the name of angular momentum)

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nbcore.errors import InputError
from nbcore.so3 import states
from nbcore.so3.coupling import clebsch_gordan, real_clebsch_gordan
from nbcore.so3.irreps import Irreps


def norms(x: ArrayLike, irreps: "Irreps | str", eps: float = 0.0) -> np.ndarray:
    """The norm of every channel, n_c = sqrt(sum over m of |x_m,c|^2 + eps), entry after entry.

    With eps > 0 it is smooth everywhere, zero included.

    Parameters
    ----------
    x : (..., irreps.dim), or its parts (see `TensorProduct`); real or complex
    irreps : Irreps or str
    eps : float
        in the unit of x squared

    Returns
    -------
    n : (..., irreps.channels), real

    Raises
    ------
    InputError : x does not fit irreps; eps is negative
    TypeError : x is not numbers

    >>> norms([2.0, 3.0, 4.0, 0.0], "1x0e + 1x1o")
    array([2., 5.])
    """
    parts, lead = _parts("norms", x, irreps, eps)
    return _joined(lead, [np.sqrt(_squares(part) + eps) for _, part in parts])


def norms_adjoint(x: ArrayLike, irreps: "Irreps | str", n_bar: ArrayLike, eps: float = 0.0) -> np.ndarray:
    """x_bar = n_bar x / n; zero where n is.

    >>> norms_adjoint([2.0, 3.0, 4.0, 0.0], "1x0e + 1x1o", [1.0, 10.0])
    array([1., 6., 8., 0.])
    """
    where = "norms_adjoint"
    parts, lead = _parts(where, x, irreps, eps)
    bars = _by_channels(where, "n_bar", n_bar, [irrep.multiplicity for irrep, _ in parts])
    x_bars = []
    for (_, part), bar in zip(parts, bars, strict=True):
        n = np.sqrt(_squares(part) + eps)
        x_bars.append(part * (bar / np.where(n > 0, n, 1))[..., None, :].astype(part.real.dtype))
    return _joined(lead, [_flat(bar) for bar in x_bars])


def dot(x: ArrayLike, y: ArrayLike, irreps: "Irreps | str") -> np.ndarray:
    """The scalar product of every channel, d_c = sum over m of conj(x_m,c) y_m,c, entry after entry.

    Parameters
    ----------
    x, y : (..., irreps.dim), or their parts; leading axes broadcast
    irreps : Irreps or str

    Returns
    -------
    d : (..., irreps.channels)

    Raises
    ------
    InputError : x or y does not fit irreps, or they do not fit each other
    TypeError : what is not numbers

    >>> dot([2.0, 3.0, 4.0, 0.0], [1.0, 1.0, 0.0, 5.0], "1x0e + 1x1o")
    array([2., 3.])
    """
    (x_parts, x_lead), (y_parts, y_lead) = _parts("dot", x, irreps), _parts("dot", y, irreps)
    lead = states.broadcast("dot", "x and y", x_lead, y_lead)
    return _joined(lead, [(a.conj() * b).sum(axis=-2) for (_, a), (_, b) in zip(x_parts, y_parts, strict=True)])


def dot_adjoint(x: ArrayLike, y: ArrayLike, irreps: "Irreps | str", d_bar: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """(x_bar, y_bar) = (conj(d_bar) y, d_bar x), of the leading axes of all together

    >>> dot_adjoint([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], "1x1", [2.0])
    (array([ 8., 10., 12.]), array([2., 4., 6.]))
    """
    where = "dot_adjoint"
    (x_parts, x_lead), (y_parts, y_lead) = _parts(where, x, irreps), _parts(where, y, irreps)
    lead = states.broadcast(where, "x, y and d_bar", x_lead, y_lead, np.shape(d_bar)[:-1])
    bars = _by_channels(where, "d_bar", d_bar, [irrep.multiplicity for irrep, _ in x_parts])
    bars = [bar[..., None, :] for bar in bars]
    x_bars = [bar.conj() * y for bar, (_, y) in zip(bars, y_parts, strict=True)]
    y_bars = [bar * x for bar, (_, x) in zip(bars, x_parts, strict=True)]
    return _joined(lead, map(_flat, x_bars)), _joined(lead, map(_flat, y_bars))


class Pair(NamedTuple):
    """A number of a power spectrum: channels c1 <= c2 of (l, parity)."""

    l: int
    parity: int | None
    c1: int
    c2: int


class Triple(NamedTuple):
    """A number of a bispectrum: channels c1, c2, c3 of three (l, parity)."""

    l: tuple
    parity: tuple
    c: tuple


def power_spectrum(x: ArrayLike, irreps: "Irreps | str") -> np.ndarray:
    """All scalar products within a state, p = sum over m of conj(x_m,c1) x_m,c2, c1 <= c2, for each (l, parity).

    Parameters
    ----------
    x : (..., irreps.dim), or its parts
    irreps : Irreps or str

    Returns
    -------
    p : (..., n), labelled by `power_spectrum_labels`

    Raises
    ------
    InputError : x does not fit irreps
    TypeError : x is not numbers

    >>> power_spectrum([1.0, 0.0, 0.0, 2.0, 3.0, 0.0], "2x1")  # two vectors (y, z, x): (1, 0, 3) and (0, 2, 0)
    array([10.,  0.,  4.])
    """
    result = []
    parts, lead = _merged("power_spectrum", x, irreps)
    for (_, _, n), part in parts:
        c1, c2 = np.triu_indices(n)
        result.append((np.swapaxes(part, -1, -2).conj() @ part)[..., c1, c2])
    return _joined(lead, result)


def power_spectrum_adjoint(x: ArrayLike, irreps: "Irreps | str", p_bar: ArrayLike) -> np.ndarray:
    """x_bar of `power_spectrum`.

    >>> power_spectrum_adjoint([1.0, 2.0, 3.0], "1x1", [1.0])
    array([2., 4., 6.])
    """
    where = "power_spectrum_adjoint"
    parts, lead = _merged(where, x, irreps)
    bars = _by_channels(where, "p_bar", p_bar, [n * (n + 1) // 2 for (_, _, n), _ in parts])
    x_bars = []
    for ((_, _, n), part), bar in zip(parts, bars, strict=True):
        gram = np.zeros((*bar.shape[:-1], n, n), np.result_type(bar.dtype, part.dtype))
        gram[(..., *np.triu_indices(n))] = bar
        x_bars.append(part @ (gram + np.swapaxes(gram, -1, -2).conj()))
    return _unmerged(irreps, lead, x_bars)


def power_spectrum_labels(irreps: "Irreps | str") -> list:
    """What the numbers of `power_spectrum` are: a list of (l, parity, c1, c2).

    >>> [tuple(label) for label in power_spectrum_labels("1x0e + 2x1o")]
    [(0, 1, 0, 0), (1, -1, 0, 0), (1, -1, 0, 1), (1, -1, 1, 1)]
    """
    return [
        Pair(l, p, int(c1), int(c2))
        for l, p, n in Irreps(irreps).simplified()
        for c1, c2 in zip(*np.triu_indices(n), strict=True)
    ]


def bispectrum(x: ArrayLike, irreps: "Irreps | str", basis: str = "real") -> np.ndarray:
    """All triple products within a state that no rotation (and, with parities, no inversion) changes,

        b = sum over m1, m2, m3 of C[m1, m2, m3] x_m1,c1 x_m2,c2 conj(x_m3,c3).

    In the real basis C is the same, but for sign and norm, in all orders of its three l: of the orders of three
    (l, parity, channel) one is taken, and of two equal ones none where C is antisymmetric (l1 + l2 + l3 odd). In the
    complex basis that holds for the first two factors only.

    Parameters
    ----------
    x : (..., irreps.dim), or its parts
    irreps : Irreps or str
    basis : "real" or "complex"

    Returns
    -------
    b : (..., n), labelled by `bispectrum_labels`

    Raises
    ------
    InputError : x does not fit irreps; another basis
    TypeError : x is not numbers

    >>> b = bispectrum([1.0, 2.0, 3.0, 0.0, 1.0, 1.0, 0.0, 0.0, 2.0], "3x1")  # three vectors: their triple product
    >>> (b * np.sqrt(2)).round(6)
    array([2.])
    """
    parts, lead = _merged("bispectrum", x, irreps)
    result = []
    for i, j, k, C, index in _triples(Irreps(irreps).simplified(), basis):
        A, B, D = (parts[n][1] for n in (i, j, k))
        pair = np.einsum("abc,...ai,...bj->...cij", C.astype(A.real.dtype), A, B, optimize=True)
        result.append(np.einsum("...cij,...ck->...ijk", pair, D.conj(), optimize=True)[(..., *index)])
    return _joined(lead, result)


def bispectrum_adjoint(x: ArrayLike, irreps: "Irreps | str", b_bar: ArrayLike, basis: str = "real") -> np.ndarray:
    """x_bar of `bispectrum`.

    >>> bispectrum_adjoint([2.0], "1x0", [1.0])  # of x^3
    array([12.])
    """
    where = "bispectrum_adjoint"
    parts, lead = _merged(where, x, irreps)
    triples = _triples(Irreps(irreps).simplified(), basis)
    bars = _by_channels(where, "b_bar", b_bar, [len(index[0]) for *_, index in triples])
    x_bars = [np.zeros_like(part) for _, part in parts]
    for (i, j, k, C, index), bar in zip(triples, bars, strict=True):
        A, B, D = (parts[n][1] for n in (i, j, k))
        full = np.zeros((*bar.shape[:-1], *(parts[n][0].multiplicity for n in (i, j, k))), np.result_type(bar, A))
        full[(..., *index)] = bar
        C = C.astype(A.real.dtype)
        D_bar = np.einsum("...ijk,...ck->...cij", full, D, optimize=True)  # of the pair
        x_bars[i] = x_bars[i] + np.einsum("abc,...cij,...bj->...ai", C, D_bar, B.conj(), optimize=True)
        x_bars[j] = x_bars[j] + np.einsum("abc,...cij,...ai->...bj", C, D_bar, A.conj(), optimize=True)
        pair = np.einsum("abc,...ai,...bj->...cij", C, A, B, optimize=True)
        x_bars[k] = x_bars[k] + np.einsum("...ijk,...cij->...ck", full.conj(), pair, optimize=True)
    return _unmerged(irreps, lead, x_bars)


def bispectrum_labels(irreps: "Irreps | str", basis: str = "real") -> list:
    """What the numbers of `bispectrum` are: a list of (l, parity, c), three of each.

    >>> [(label.l, label.c) for label in bispectrum_labels("1x0e + 1x1o")]
    [((0, 0, 0), (0, 0, 0)), ((0, 1, 1), (0, 0, 0))]
    """
    irreps = Irreps(irreps).simplified()
    return [
        Triple(tuple(irreps[n].l for n in ijk), tuple(irreps[n].parity for n in ijk), tuple(map(int, c)))
        for *ijk, _, index in _triples(irreps, basis)
        for c in zip(*index, strict=True)
    ]


@lru_cache(maxsize=64)
def _triples(irreps, basis):
    """(i, j, k, C, (c1, c2, c3)) of what a bispectrum holds"""
    if basis not in ("real", "complex"):
        raise InputError(f'bispectrum: basis must be "real" or "complex", got {basis!r}')
    coupling = real_clebsch_gordan if basis == "real" else clebsch_gordan
    found, n = [], len(irreps)
    for i in range(n):
        for j in range(i, n):
            for k in range(j if basis == "real" else 0, n):
                (l1, p1, n1), (l2, p2, n2), (l3, p3, n3) = irreps[i], irreps[j], irreps[k]
                if not abs(l1 - l2) <= l3 <= l1 + l2 or (p1 is not None and p1 * p2 * p3 < 0):
                    continue
                c1, c2, c3 = np.indices((n1, n2, n3)).reshape(3, -1)
                strict = (l1 + l2 + l3) % 2
                ordered = np.full(c1.shape, True)
                if i == j:
                    ordered &= c1 + strict <= c2
                if j == k and basis == "real":
                    ordered &= c2 + strict <= c3
                if ordered.any():
                    found.append((i, j, k, coupling(l1, l2, l3), (c1[ordered], c2[ordered], c3[ordered])))
    return found


def _parts(where, x, irreps, eps=0.0):
    """[(irrep, (..., 2l + 1, multiplicity))], and the shape of the leading axes"""
    if not eps >= 0:
        raise InputError(f"{where}: eps must not be negative, got {eps}")
    irreps = Irreps(irreps)
    blocks, shape = states.blocks(where, "x", x, irreps, states.common_dtype(where, x))
    return [
        (irrep, block.reshape(*shape, 2 * irrep.l + 1, irrep.multiplicity))
        for irrep, block in zip(irreps, blocks, strict=True)
    ], shape


def _merged(where, x, irreps):
    """As `_parts`, of irreps.simplified()"""
    parts, shape = _parts(where, x, irreps)
    return [
        (irrep, np.concatenate([part for i, part in parts if (i.l, i.parity) == (irrep.l, irrep.parity)], axis=-1))
        for irrep in Irreps(irreps).simplified()
    ], shape


def _unmerged(irreps, lead, merged):
    """The state, in the order of `irreps`, of parts of irreps.simplified()"""
    irreps = Irreps(irreps)
    left = {(irrep.l, irrep.parity): part for irrep, part in zip(irreps.simplified(), merged, strict=True)}
    parts = []
    for l, parity, n in irreps:
        parts.append(_flat(left[l, parity][..., :n]))
        left[l, parity] = left[l, parity][..., n:]
    return _joined(lead, parts)


def _squares(part):
    return (part.real**2 + part.imag**2 if part.dtype.kind == "c" else part**2).sum(axis=-2)


def _flat(part):
    return part.reshape(*part.shape[:-2], part.shape[-2] * part.shape[-1])


def _joined(lead, arrays):
    arrays = list(arrays)
    lead = np.broadcast_shapes(lead, *(array.shape[:-1] for array in arrays))
    if not arrays:
        return np.zeros((*lead, 0))
    return np.concatenate([np.broadcast_to(array, (*lead, array.shape[-1])) for array in arrays], axis=-1)


def _by_channels(where, name, bar, sizes):
    bar = np.asarray(bar)
    if bar.dtype.kind not in "fiuc":
        raise TypeError(f"{where}: {name} must be numbers, got dtype {bar.dtype}")
    if bar.shape[-1:] != (sum(sizes),):
        raise InputError(f"{where}: {name} must have shape (..., {sum(sizes)}), got {bar.shape}")
    if bar.dtype.kind in "iu":
        bar = bar.astype(np.float64)
    ends = np.cumsum(sizes, dtype=int)
    return [bar[..., end - n : end] for n, end in zip(sizes, ends, strict=True)]
