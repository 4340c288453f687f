"""Irreps: which angular momenta a state is made of, and how often. What Kondor (2018) calls the type of a state."""
# ruff: noqa: E741 (l is the name of angular momentum)

import operator
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nbcore.errors import InputError
from nbcore.so3.checks import angular_momentum, l_supported


class Irrep(NamedTuple):
    """One entry of `Irreps`: `multiplicity` channels of angular momentum l.

    parity is the sign under inversion, +1 (even, "e") or -1 (odd, "o"); None if only rotations count (SO(3)).
    Harmonics Y_l of vectors have parity (-1)^l.
    """

    l: int
    parity: int | None
    multiplicity: int

    @property
    def dim(self) -> int:
        """(2l + 1) multiplicity"""
        return (2 * self.l + 1) * self.multiplicity

    def product(self, other: "Irrep") -> list[tuple[int, int | None]]:
        """The (l, parity) in the product of two irreps: l = |l1 - l2|..l1 + l2, parities multiplied."""
        parity = None if self.parity is None else self.parity * other.parity
        return [(l, parity) for l in range(abs(self.l - other.l), self.l + other.l + 1)]

    def __str__(self) -> str:
        return f"{self.multiplicity}x{self.l}{_letters[self.parity]}"


_letters = {1: "e", -1: "o", None: ""}
_parities = {letter: parity for parity, letter in _letters.items()}


class Irreps(tuple):
    """A sequence of `Irrep`: the type of a state.

    With parities (O(3)) it is written "64x0e + 64x1o", without (SO(3)) "64x0 + 64x1"; the two do not mix. Entries
    keep their order and may repeat; those of multiplicity 0 are left out. Immutable, hashable.

    A state of type `irreps` is an array (..., irreps.dim): entry after entry, each a matrix [2l + 1][multiplicity] in
    C order (the paper's F_l, m = -l..l along the rows, channels along the columns). `parts` and `join` go between the
    two.

    Parameters
    ----------
    irreps : str, Irreps, or iterable of (l, parity, multiplicity)

    Raises
    ------
    InputError : text that is no list of irreps; l outside 0..50; a multiplicity that is negative or not an integer; a
    parity
        other than 1, -1, None; entries with and without parity

    >>> irreps = Irreps("8x0e + 4x1o")
    >>> irreps.dim, irreps.l_max, irreps[1]
    (20, 1, Irrep(l=1, parity=-1, multiplicity=4))
    >>> Irreps([(1, None, 2)])
    Irreps('2x1')
    """

    def __new__(cls, irreps: "Irreps | str | Iterable" = ()) -> "Irreps":
        if isinstance(irreps, cls):
            return irreps
        entries = _parse(irreps) if isinstance(irreps, str) else irreps
        self = super().__new__(cls, [irrep for irrep in map(_checked, entries) if irrep.multiplicity > 0])
        if len({irrep.parity is None for irrep in self}) > 1:
            raise InputError(f"Irreps: entries with and without parity do not mix: {self}")
        return self

    @classmethod
    def from_type(cls, multiplicities: Iterable[int]) -> "Irreps":
        """The SO(3) type (tau_0, tau_1, ..., tau_L) of the paper: tau_l channels of angular momentum l.

        >>> Irreps.from_type((4, 0, 2))
        Irreps('4x0 + 2x2')
        """
        return cls((l, None, multiplicity) for l, multiplicity in enumerate(multiplicities))

    @classmethod
    def harmonics(cls, l_max: int) -> "Irreps":
        """Of harmonics Y_00 .. Y_LL of a vector: one channel of each l with parity (-1)^l.

        >>> Irreps.harmonics(2)
        Irreps('1x0e + 1x1o + 1x2e')
        """
        return cls((l, (-1) ** l, 1) for l in range(angular_momentum("Irreps.harmonics", "l_max", l_max) + 1))

    @property
    def type(self) -> tuple[int, ...]:
        """(tau_0, ..., tau_L): the multiplicity of each l, parities together."""
        return tuple(sum(irrep.multiplicity for irrep in self if irrep.l == l) for l in range(self.l_max + 1))

    @cached_property
    def dim(self) -> int:
        """Numbers in a state: the sum of (2l + 1) multiplicity."""
        return sum(irrep.dim for irrep in self)

    @property
    def l_max(self) -> int:
        """The largest l; -1 if there is none."""
        return max((irrep.l for irrep in self), default=-1)

    @property
    def has_parity(self) -> bool:
        """Whether this is a type of O(3), "1x1o", rather than of SO(3), "1x1"."""
        return any(irrep.parity is not None for irrep in self)

    @property
    def channels(self) -> int:
        """The sum of the multiplicities."""
        return sum(irrep.multiplicity for irrep in self)

    def multiplicity(self, l: int, parity: int | None = None) -> int:
        """How often (l, parity) occurs; with parity None, l of both parities.

        >>> Irreps("2x0e + 1x0o + 3x0e").multiplicity(0), Irreps("2x0e + 1x0o + 3x0e").multiplicity(0, 1)
        (6, 5)
        """
        return sum(n for k, p, n in self if k == l and (parity is None or p == parity))

    def __add__(self, other: "Irreps | str | Iterable") -> "Irreps":
        """The direct sum: the entries of both, one after the other."""
        return Irreps((*self, *Irreps(other)))

    def __mul__(self, other: "Irreps | str | int") -> "Irreps":
        """With irreps the type of the product (see `product`), with a number that many copies of each entry.

        >>> Irreps("1x1o") * Irreps("1x1o"), 3 * Irreps("1x0e + 2x1o")
        (Irreps('1x0e + 1x1e + 1x2e'), Irreps('3x0e + 6x1o'))
        """
        if isinstance(other, Irreps | str):
            return self.product(other)
        return Irreps((l, parity, n * _whole("*", other)) for l, parity, n in self)

    __rmul__ = __mul__

    def __pow__(self, n: int) -> "Irreps":
        """The type of the n-fold product: n - 1 times `product`.

        >>> Irreps("1x1o") ** 3
        Irreps('1x0o + 3x1o + 2x2o + 1x3o')
        """
        return self.power(n)

    def filter(
        self, l_max: int | None = None, parity: int | None = None, keep: Iterable | str | None = None
    ) -> "Irreps":
        """The entries that pass: l <= l_max, of this parity ("natural" is (-1)^l), (l, parity) among those of `keep`.

        >>> Irreps("1x0e + 2x1e + 3x1o + 4x2e").filter(l_max=1, parity="natural")
        Irreps('1x0e + 3x1o')
        >>> Irreps("1x0e + 2x1e + 3x1o + 4x2e").filter(keep="1e + 2e")
        Irreps('2x1e + 4x2e')
        """
        if parity not in (None, 1, -1, "natural"):
            raise InputError(f'Irreps.filter: parity must be 1, -1, "natural" or None, got {parity!r}')
        wanted = None if keep is None else {(l, p) for l, p, _ in Irreps(keep)}
        return Irreps(
            (l, p, n)
            for l, p, n in self
            if (l_max is None or l <= l_max)
            and (parity is None or p == ((-1) ** l if parity == "natural" else parity))
            and (wanted is None or (l, p) in wanted)
        )

    def power(self, n: int, l_max: int | None = None) -> "Irreps":
        """The type of the n-fold Clebsch-Gordan product, every intermediate product with all its l, cut at l_max at the
        end; the scalar for n = 0.

        >>> Irreps("1x0 + 1x1").power(3, l_max=1)
        Irreps('5x0 + 9x1')
        """
        n, one = self._power("power", n)
        result = one
        for k in range(n):
            # what lies above l_max + the l of the factors to come cannot come back
            limit = None if l_max is None else l_max + (n - k - 1) * self.l_max
            result = result.product(self, None if limit is None or limit >= result.l_max + self.l_max else limit)
        return result if l_max is None else result.filter(l_max)

    def symmetric_power(self, n: int, l_max: int | None = None) -> "Irreps":
        """The type of the symmetric n-th power: how many independent products of n factors of one state there are.

        Counted by weights: if N(M) monomials of degree n in the components x_m,c have the sum of m equal to M, then l
        occurs N(l) - N(l + 1) times.

        >>> Irreps("1x1o").symmetric_power(2), Irreps("1x1o").symmetric_power(3)
        (Irreps('1x0e + 1x2e'), Irreps('1x1o + 1x3o'))
        """
        n, _ = self._power("symmetric_power", n)
        top = max(n * self.l_max, 0)
        # counts[degree][parity even, odd][M + top]: one component after the other, x^0 + x^1 + x^2 + ..
        counts = [[[0] * (2 * top + 1) for _ in range(2)] for _ in range(n + 1)]
        counts[0][0][top] = 1
        for l, parity, multiplicity in self:
            odd = int(parity == -1)
            for m in [m for m in range(-l, l + 1) for _ in range(multiplicity)]:
                for degree in range(1, n + 1):
                    for p in range(2):
                        before, now = counts[degree - 1][p ^ odd], counts[degree][p]
                        for M in range(max(0, m), 2 * top + 1 + min(0, m)):
                            now[M] += before[M - m]
        l_end = top if l_max is None else min(top, angular_momentum("Irreps.symmetric_power", "l_max", l_max))
        return Irreps(
            (l, (1, -1)[p] if self.has_parity else None, N[top + l] - (N[top + l + 1] if l < top else 0))
            for l in range(l_end + 1)
            for p, N in enumerate(counts[n])
        )

    def _power(self, where, n):
        n = _whole(where, n)
        if n == 0 and not self:
            raise InputError(f"Irreps.{where}: the 0th power of nothing is not defined")
        return n, Irreps([(0, 1 if self.has_parity else None, 1)])

    def product(
        self,
        other: "Irreps | str",
        l_max: int | None = None,
        channelwise: bool = False,
        keep: Iterable | str | None = None,
    ) -> "Irreps":
        """The type of the Clebsch-Gordan product of all channels with all channels, cut at l_max.

        kappa_l = sum over l1, l2 of tau_l1 tau'_l2 [|l1 - l2| <= l <= l1 + l2], and likewise with parities. Sorted by
        l, even before odd, each (l, parity) once. With `channelwise`, channel c is multiplied by channel c alone: each
        pair counts tau_l1 = tau'_l2 (or, where one of them is 1, the other). `keep` as in `filter`.

        >>> Irreps.from_type((1, 1, 1, 1)).product(Irreps.from_type((0, 1))).type
        (1, 3, 3, 2, 1)
        >>> Irreps("2x0e + 1x1o").product("1x1o", l_max=1)
        Irreps('1x0e + 1x1e + 2x1o')
        >>> Irreps("8x0e + 8x1o").product("8x1o", channelwise=True)
        Irreps('8x0e + 8x1e + 8x1o + 8x2e')
        """
        other = Irreps(other)
        if self and other and self.has_parity != other.has_parity:
            raise InputError(f"Irreps.product: one factor has parities, the other has not: {self} and {other}")
        limit = None if l_max is None else angular_momentum("Irreps.product", "l_max", l_max)
        if limit is None and self and other and self.l_max + other.l_max > l_supported:
            raise InputError(
                f"Irreps.product: l reaches {self.l_max + other.l_max}, supported are 0 to {l_supported}; give l_max"
            )
        entries = [
            (l, parity, product_channels(a, b, channelwise))
            for a in self
            for b in other
            for l, parity in a.product(b)
            if limit is None or l <= limit
        ]
        return Irreps(entries).simplified().filter(keep=keep)

    def simplified(self) -> "Irreps":
        """The same irreps sorted by l, even before odd, each (l, parity) once with the sum of its multiplicities.

        >>> Irreps("1x1o + 2x0e + 3x1o").simplified()
        Irreps('2x0e + 4x1o')
        """
        total = {}
        for l, parity, multiplicity in self:
            total[l, parity] = total.get((l, parity), 0) + multiplicity
        order = sorted(total, key=lambda irrep: (irrep[0], -(irrep[1] or 0)))
        return Irreps((l, parity, total[l, parity]) for l, parity in order)

    def parts(self, x: ArrayLike) -> list[np.ndarray]:
        """The matrices F_l of a state x (..., dim): a list of arrays (..., 2l + 1, multiplicity), one for each entry.

        >>> [part.shape for part in Irreps("8x0e + 4x1o").parts(np.zeros((10, 20)))]
        [(10, 1, 8), (10, 3, 4)]
        """
        x = np.asarray(x)
        if x.shape[-1:] != (self.dim,):
            raise InputError(
                f"Irreps.parts: the last axis of x must have length {self.dim} ({self}), got shape {x.shape}"
            )
        ends = np.cumsum([irrep.dim for irrep in self], dtype=int)
        return [
            x[..., end - irrep.dim : end].reshape(*x.shape[:-1], 2 * irrep.l + 1, irrep.multiplicity)
            for irrep, end in zip(self, ends, strict=True)
        ]

    def join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """The state (..., dim) of a list of arrays (..., 2l + 1, multiplicity); the inverse of `parts`."""
        shapes = [np.shape(part)[-2:] for part in parts]
        expected = [(2 * irrep.l + 1, irrep.multiplicity) for irrep in self]
        if shapes != expected:
            raise InputError(f"Irreps.join: parts of {self} must end in the shapes {expected}, got {shapes}")
        if not self:
            return np.zeros(0)
        return np.concatenate([np.reshape(part, (*np.shape(part)[:-2], -1)) for part in parts], axis=-1)

    def __str__(self) -> str:
        return " + ".join(map(str, self))

    def __repr__(self) -> str:
        return f"Irreps({str(self)!r})"


def product_channels(a, b, channelwise):
    """The channels of the product of two entries."""
    if not channelwise:
        return a.multiplicity * b.multiplicity
    if a.multiplicity != b.multiplicity and 1 not in (a.multiplicity, b.multiplicity):
        raise InputError(
            f"Irreps.product: channelwise needs equal multiplicities, or 1 in one of the factors, got {a} and {b}"
        )
    return max(a.multiplicity, b.multiplicity)


def _whole(where, n):
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"Irreps.{where}: expected a whole number, got {n!r}") from None
    if n < 0:
        raise InputError(f"Irreps.{where}: expected a number of at least 0, got {n}")
    return n


def _parse(text):
    if not text.strip():
        return []
    entries = []
    for piece in text.split("+"):
        match = re.fullmatch(r"\s*(?:(-?\d+)\s*x\s*)?(\d+)([eo]?)\s*", piece)
        if match is None:
            raise InputError(f"Irreps: expected entries such as 64x0e or 64x1, got {piece.strip()!r} in {text!r}")
        multiplicity, l, letter = match.groups()
        entries.append((int(l), _parities[letter], int(multiplicity or 1)))
    return entries


def _checked(entry):
    try:
        l, parity, multiplicity = entry
    except (TypeError, ValueError):
        raise InputError(f"Irreps: expected (l, parity, multiplicity), got {entry!r}") from None
    try:
        l, multiplicity = operator.index(l), operator.index(multiplicity)
    except TypeError:
        raise InputError(f"Irreps: l and multiplicity must be integers, got {entry!r}") from None
    if multiplicity < 0:
        raise InputError(f"Irreps: multiplicity must not be negative, got {multiplicity} for l = {l}")
    if not 0 <= l <= l_supported:
        raise InputError(f"Irreps: l must be 0 to {l_supported}, got {l}")
    if parity not in _letters:
        raise InputError(f"Irreps: parity must be 1, -1 or None, got {parity!r} for l = {l}")
    return Irrep(l, parity, multiplicity)
