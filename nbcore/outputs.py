"""Covariant outputs: Cartesian tensors of a structure or of its atoms, and their components of angular momentum l.

A tensor T of rank n is symmetric in all its indices, in the axes x, y, z, and turns as T_ij.. -> R_ia R_jb .. T_ab..
It is the sum of parts l = n, n - 2, ..., 0 or 1, whose components y_lm are those of `nbcore.so3.tensor_to_spherical`:
the change of basis is orthogonal, so the sum of all y_lm^2 is the sum of all squared components of T. For n = 1 the
y_1m are (T_y, T_z, T_x), for n = 2 y_00 is trace / sqrt(3).
"""
# ruff: noqa: E741 (l is the name of angular momentum)

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from nbcore import so3
from nbcore.errors import InputError

ASYMMETRY = 0.05  # of the largest component: more than the noise of a calculation

#: what everybody means by these names
KNOWN = {"dipole": {"rank": 1}, "polarizability": {"rank": 2}, "hyperpolarizability": {"rank": 3}}


@dataclass(frozen=True)
class Output:
    """A symmetric Cartesian tensor that a network gives, per structure (a sum over atoms) or per atom.

    rank: number of indices, 0 to 6; 1 is a vector. traceless: only its part l = rank. charges: for the dipole of
    neutral structures without periods, mu = sum over atoms of mu_i + (q_i - mean q) r_i, not of mu_i alone.
    unit: that of the data, a text; nothing is converted. Inversion multiplies a tensor of rank n by (-1)^n.

    >>> Output("polarizability", rank=2, unit="bohr^3").ls
    (0, 2)
    """

    name: str
    rank: int
    traceless: bool = False
    per: str = "structure"
    charges: bool = False
    unit: str = ""

    def __post_init__(self):
        if (
            isinstance(self.rank, bool)
            or not isinstance(self.rank, int)
            or not 0 <= self.rank <= so3.cartesian.rank_supported
        ):
            raise InputError(
                f"output {self.name}: rank must be 0 to {so3.cartesian.rank_supported}, got {self.rank!r}."
            )
        if self.per not in ("structure", "atom"):
            raise InputError(f'output {self.name}: per must be "structure" or "atom", got {self.per!r}.')
        if self.charges and (self.rank != 1 or self.per_atom):
            raise InputError(f"output {self.name}: charges make a dipole, of rank 1 and per structure.")

    @property
    def ls(self) -> tuple[int, ...]:
        """Its angular momenta, ascending."""
        return (self.rank,) if self.traceless else tuple(range(self.rank % 2, self.rank + 1, 2))

    @property
    def components(self) -> int:
        """Independent components: the sum of 2l + 1."""
        return sum(2 * l + 1 for l in self.ls)

    @property
    def per_atom(self) -> bool:
        """True if each atom has one."""
        return self.per == "atom"

    def shape(self, n_atoms: int) -> tuple[int, ...]:
        """Of its Cartesian form: (3, 3) for a polarizability, (N, 3) for a vector per atom."""
        return (n_atoms,) * self.per_atom + (3,) * self.rank

    def spherical(self, tensor: ArrayLike) -> np.ndarray:
        """Cartesian (..., 3, ..., 3) -> components (..., components), l ascending, m = -l..l; of the symmetric part."""
        if self.traceless:
            return so3.cartesian_to_spherical(self.rank, tensor)
        return so3.tensor_to_spherical(tensor, self.rank, tolerance=math.inf)

    def cartesian(self, components: ArrayLike) -> np.ndarray:
        """Components (..., components) -> Cartesian (..., 3, ..., 3)."""
        if self.traceless:
            return so3.spherical_to_cartesian(self.rank, components)
        return so3.spherical_to_tensor(components, self.rank)

    def independent(self, tensor: ArrayLike) -> np.ndarray:
        """The components with ascending indices, (..., 3), (..., 6), (..., 10): xx xy xz yy yz zz for rank 2."""
        index = list(itertools.combinations_with_replacement(range(3), self.rank))
        return np.stack([np.asarray(tensor)[(..., *i)] for i in index], -1)

    def label(self, value: ArrayLike, n_atoms: int, where: str, key: str) -> tuple[np.ndarray, float]:
        """What a file holds under `key` -> (the tensor in Cartesian form, symmetric; largest asymmetry that it had).

        Takes 3^rank numbers per tensor in any shape, or for rank 2 six in the order xx yy zz yz xz xy. Raises
        InputError for another number of them, numbers that are not finite, tensors that are not symmetric or traceless.
        """
        value = np.asarray(value)
        n = n_atoms if self.per_atom else 1
        allowed = [3**self.rank] + [6] * (self.rank == 2)
        if value.dtype.kind not in "iuf" or value.size not in [n * a for a in allowed]:
            numbers = " or ".join(map(str, allowed))
            per = f" for each of {n} atoms" if self.per_atom else ""
            raise InputError(f"{where}: {key} must be {numbers} numbers{per}, got shape {value.shape}.")
        if not np.all(np.isfinite(value)):
            raise InputError(f"{where}: {key} is not finite.")
        value = value.astype(float).reshape(n, -1)
        if self.rank == 2 and value.shape[1] == 6:
            value = value[:, [0, 5, 4, 5, 1, 3, 4, 3, 2]]
        tensor = value.reshape(self.shape(n_atoms))
        symmetric = self.cartesian(self.spherical(tensor))
        off = float(np.abs(tensor - symmetric).max(initial=0))
        if off > ASYMMETRY * np.abs(tensor).max(initial=0):
            kind = "symmetric and traceless" if self.traceless and self.rank > 1 else "symmetric"
            raise InputError(
                f"{where}: {key} is not {kind}: {' '.join(f'{v:g}' for v in value[0])}. "
                f"An output of rank {self.rank} is {kind} in all indices."
            )
        return symmetric, off

    def as_dict(self) -> dict:
        """Its options, for JSON."""
        return {key: value for key, value in asdict(self).items() if key != "name"}


def outputs_of(spec: Sequence[str] | dict | None) -> dict[str, Output]:
    """{name: Output} from names ("dipole", ...), or {name: options of Output, or an Output}.

    >>> outputs_of(["dipole"])
    {'dipole': Output(name='dipole', rank=1, traceless=False, per='structure', charges=False, unit='')}
    """
    if isinstance(spec, str):
        spec = [spec]
    items = spec.items() if isinstance(spec, dict) else [(name, {}) for name in spec or ()]
    found = {}
    for name, options in items:
        if isinstance(options, Output):
            options = options.as_dict()
        options = {**KNOWN.get(name, {}), **{key: value for key, value in options.items() if value is not None}}
        if "rank" not in options:
            raise InputError(f"output {name}: rank is needed (its number of indices). Without: {', '.join(KNOWN)}.")
        strangers = set(options) - set(Output.__dataclass_fields__) | {"name"} & set(options)
        if strangers:
            raise InputError(
                f"output {name}: no option {sorted(strangers)[0]}; there are rank, traceless, per, charges, unit."
            )
        found[name] = Output(name, **options)
    for name in found:
        if not name.isidentifier() or name in ("energy", "forces", "stress", "virial", "loss"):
            raise InputError(f"output {name!r}: expected a word, and none of energy, forces, stress, virial, loss.")
    return found


def describe(output: Output) -> str:
    """An output in words: rank 2, l = 0 and 2, per structure, bohr^3."""
    words = [f"rank {output.rank}", f"l = {' and '.join(map(str, output.ls))}", f"per {output.per}"]
    words += ["charges and positions"] * output.charges + [output.unit] * bool(output.unit)
    return ", ".join(words)


def cartesian_outputs(outputs: dict, components: Sequence, n_atoms: int) -> dict:
    """{name: Cartesian tensor} from flat components, one array per output; outputs that a structure lacks left out."""
    return {
        name: output.cartesian(np.reshape(y, (n_atoms, output.components) if output.per_atom else -1))
        for (name, output), y in zip(outputs.items(), components, strict=True)
        if len(y) or output.per_atom
    }
