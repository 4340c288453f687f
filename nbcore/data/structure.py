"""One labelled structure and a list of them, in eV and Angstrom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nbcore.cell import volume
from nbcore.scheme import CompositionScheme

if TYPE_CHECKING:
    from ase import Atoms


@dataclass
class Structure:
    """Atoms with their reference labels; a label that is None does not exist.

    positions (N, 3) Å; numbers (N,) atomic numbers; cell (3, 3) Å, rows are the lattice vectors, or None; pbc (3,)
    bool; energy eV, total; forces (N, 3) eV/Å, -dE/dr; stress (3, 3) eV/Å^3, (1/V) dE/d(strain) with the volume V of
    the cell, tension positive as in ASE; outputs: covariant labels by name, Cartesian, in their own unit: {"dipole":
    (3,)}; labels: {name: (N,) integers or texts} of the atoms, molecules they belong to, say; leaves: {name: (N, 2l+1,
    channels)} leaf states, for networks that read some; scheme: a composition scheme, for networks that work on one;
    weight: in the loss, of all its labels; label_weights: {label: weight}, of some of them beside it; zero leaves out;
    fixed: (N, 3) booleans, components that dynamics and relaxation hold, or None; learning does not look at them;
    head: of several (`nbcore.train.Heads`) the one that learns it, by its method;
    file, frame (from 0) and line (from 1) say where it was read.

    >>> Structure(np.zeros((1, 3)), np.array([1])).formula
    'H'
    """

    positions: np.ndarray
    numbers: np.ndarray
    cell: np.ndarray | None = None
    pbc: np.ndarray = field(default_factory=lambda: np.zeros(3, dtype=bool))
    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    config_type: str = "Default"
    weight: float = 1.0
    file: str = ""
    frame: int = 0
    line: int | None = None
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    leaves: dict[str, np.ndarray] = field(default_factory=dict)
    scheme: CompositionScheme | None = None
    fixed: np.ndarray | None = None
    label_weights: dict[str, float] = field(default_factory=dict)
    head: str = ""

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def symbols(self) -> list[str]:
        """Chemical symbols, one per atom."""
        return _symbols(self.numbers)

    @property
    def formula(self) -> str:
        """Chemical formula in Hill order (C and H first), for example C5H8O2."""
        counts = composition(self)
        first = [s for s in ("C", "H") if s in counts] if "C" in counts else []
        order = first + sorted(set(counts) - set(first))
        return "".join(s + (str(counts[s]) if counts[s] > 1 else "") for s in order)

    @property
    def periodic(self) -> bool:
        """True if it repeats in all three directions."""
        return bool(np.all(self.pbc))

    @property
    def volume(self) -> float:
        """Of the cell, Å^3, periodic or not, as in ASE; 0 without a cell of three vectors. A stress refers to it."""
        return volume(self.cell)

    def weight_of(self, label: str) -> float:
        """The weight of a label ("energy", "forces", "stress", an output) in the loss.

        >>> Structure(np.zeros((1, 3)), np.array([1]), weight=2.0, label_weights={"energy": 0.5}).weight_of("energy")
        1.0
        """
        return self.weight * self.label_weights.get(label, 1.0)

    @property
    def weights(self) -> dict[str, float]:
        """{"weight": 2.0, "energy_weight": 0.5}: the weights that are not one, under their keys in a file."""
        every = {"weight": self.weight} | {f"{label}_weight": w for label, w in self.label_weights.items()}
        return {key: w for key, w in every.items() if w != 1}

    @property
    def where(self) -> str:
        """Where it was read, for messages: "water.xyz, frame 17 (line 1446)"."""
        return location(self.file, self.frame, self.line)

    @classmethod
    def from_ase(cls, atoms: Atoms, **keys: str | None) -> Structure:
        """A structure of ase.Atoms: labels from its calculator, `info` and `arrays`, as the reader takes them.

        keys: energy_key, forces_key, stress_key, virial_key, energy_unit, ... of `nbcore.data.read`. Raises InputError
        where a label does not fit, or the calculator's results are those of other positions.

        >>> from ase.build import molecule
        >>> atoms = molecule("H2O")
        >>> atoms.info["dft_energy"] = -14.2
        >>> Structure.from_ase(atoms, energy_key="dft_energy").energy
        -14.2
        """
        from nbcore.data.atoms import from_ase

        return from_ase(atoms, **keys)

    def to_ase(self) -> Atoms:
        """The same structure as ase.Atoms, labels in a SinglePointCalculator (stress in Voigt order)."""
        from ase import Atoms
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.stress import full_3x3_to_voigt_6_stress

        from nbcore.data.constraints import constraints_of

        atoms = Atoms(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)
        atoms.info["config_type"] = self.config_type
        atoms.info |= self.weights
        if self.fixed is not None:
            atoms.set_constraint(constraints_of(self.fixed))
        labels = dict(energy=self.energy, forces=self.forces)
        labels["stress"] = None if self.stress is None else full_3x3_to_voigt_6_stress(self.stress)
        labels = {name: value for name, value in labels.items() if value is not None}
        for name, tensor in self.outputs.items():
            (atoms.arrays if one_per_atom(self, tensor) else atoms.info)[name] = tensor
        if labels:
            atoms.calc = SinglePointCalculator(atoms, **labels)
        return atoms


class Structures(Sequence):
    """A list of structures; slices and sums of it are Structures again.

    `isolated` holds the one-atom frames that were set apart for the E0s, `reading` what the reader assumed
    (see `nbcore.data.read`); both stay with every slice.

    >>> data[:450].species
    ['H', 'C', 'O']
    """

    def __init__(
        self,
        structures: Iterable[Structure] = (),
        isolated: Iterable = (),
        reading: object | None = None,
        name: str = "",
    ):
        self._structures = list(structures)
        self.isolated = list(isolated)
        self.reading = reading
        self.name = name

    def __len__(self) -> int:
        return len(self._structures)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._like(self._structures[index])
        if isinstance(index, (list, tuple, np.ndarray)):
            return self._like([self._structures[i] for i in np.asarray(index, dtype=int)])
        return self._structures[index]

    def __add__(self, other: Structures) -> Structures:
        if not isinstance(other, Structures):
            return NotImplemented
        isolated = self.isolated + [s for s in other.isolated if not any(s is mine for mine in self.isolated)]
        return Structures([*self, *other], isolated, self.reading or other.reading, self.name or other.name)

    def __repr__(self) -> str:
        return f"Structures({len(self)} structures, {' '.join(self.species) or 'no elements'})"

    def _like(self, structures) -> Structures:
        return Structures(structures, self.isolated, self.reading, self.name)

    @classmethod
    def from_ase(cls, many: Iterable[Atoms], **keys: str | None) -> Structures:
        """Structures of a sequence of ase.Atoms, see `Structure.from_ase`; isolated atoms are set apart.

        A label that only some have is an InputError; missing="mask" accepts it.
        """
        from nbcore.data.atoms import as_structures

        return as_structures(many, **keys)

    @property
    def labels(self) -> dict[str, int]:
        """How many structures have each label: {"energy": 500, "forces": 500, "stress": 0, "dipole": 20}."""
        counts = {name: sum(getattr(s, name) is not None for s in self) for name in ("energy", "forces", "stress")}
        for name in (name for s in self for name in s.outputs):
            counts[name] = counts.get(name, 0) + 1
        return counts

    @property
    def species(self) -> list[str]:
        """Elements that occur, sorted by atomic number."""
        if not self._structures:
            return []
        return _symbols(np.unique(np.concatenate([s.numbers for s in self._structures])))


def counted(structures: Iterable[Structure]) -> list[Structure]:
    """Structures without the labels whose weight is zero, and those left out that have no weight at all.

    >>> len(counted([Structure(np.zeros((1, 3)), np.array([1]), weight=0.0)]))
    0
    """
    found = []
    for s in structures:
        none = [label for label, w in s.label_weights.items() if w == 0]
        if none:
            outputs = {name: tensor for name, tensor in s.outputs.items() if name not in none}
            s = replace(s, **{x: None for x in ("energy", "forces", "stress") if x in none}, outputs=outputs)
        found += [s] if s.weight > 0 else []
    return found


def one_per_atom(structure: Structure, tensor) -> bool:
    """True for a label with one row per atom. Of three atoms it may look like one of the structure."""
    return np.ndim(tensor) > 0 and len(tensor) == len(structure) != 3


def composition(structure: Structure) -> dict[str, int]:
    """How many atoms of each element: {"C": 5, "H": 8, "O": 2}, by atomic number."""
    numbers, counts = np.unique(structure.numbers, return_counts=True)
    return dict(zip(_symbols(numbers), counts.tolist(), strict=True))


def location(file: str, frame: int, line: int | None = None) -> str:
    """ "FILE, frame K (line L)": frames count from 0 as in Python and ASE, lines from 1 as in editors."""
    return f"{file}, frame {frame}" + (f" (line {line})" if line is not None else "")


def _symbols(numbers) -> list[str]:
    from ase.data import chemical_symbols

    return [chemical_symbols[int(z)] for z in numbers]
