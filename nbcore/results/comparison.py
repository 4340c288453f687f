"""Errors of predictions against labels: of energies, forces, stresses and outputs, by element, by structure.

An error is predicted minus reference. Energies are compared per structure and per atom, forces over components, stress
over its six independent components; what is not labelled does not count. Units: eV, Angstrom; tables in meV and GPa.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike

from nbcore import _core
from nbcore.data.atoms import as_structures
from nbcore.data.distances import pair_name

GPA = 160.21766208  # GPa in one eV/Angstrom^3
VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])  # xx yy zz yz xz xy


class Prediction(NamedTuple):
    """What a potential says of one structure: eV, eV/Angstrom (N, 3), eV/Angstrom^3 (3, 3) or None."""

    energy: float | None
    forces: np.ndarray | None
    stress: np.ndarray | None = None
    outputs: dict[str, np.ndarray] = {}  # covariant outputs, Cartesian


class Pair(NamedTuple):
    """Two atoms of a structure (indices from 0): elements in alphabetical order ("C-H"), distance in Angstrom."""

    name: str
    distance: float
    first: int
    second: int

    @classmethod
    def of(cls, numbers: ArrayLike, i: int, j: int, distance: float) -> "Pair":
        """The pair of atoms i and j of a structure with these atomic numbers."""
        i, j = sorted((int(i), int(j)), key=lambda a: (chemical_symbols[numbers[a]], a))
        return cls(pair_name(chemical_symbols[numbers[i]], chemical_symbols[numbers[j]]), float(distance), i, j)

    def __str__(self) -> str:
        return f"{self.name} {self.distance:.2f} Å"


@dataclass(frozen=True, eq=False)
class Case:
    """One structure and its errors; None where it has no label."""

    structure: Any
    energy: float | None  # eV
    forces: np.ndarray | None  # (N, 3) eV/Angstrom
    stress: np.ndarray | None  # (6,) eV/Angstrom^3
    closer: Pair | None  # the pair that is closer than any such pair in training, the worst if there are several
    outputs: dict[str, np.ndarray] = field(default_factory=dict)  # independent components, (c,) or (N, c)


def compare(
    name: str,
    structures: Iterable,
    predictions: Sequence,
    shortest_distances: dict | None = None,
    outputs: dict | None = None,
) -> "Errors":
    """Compares predictions with the labels of the structures.

    structures: also ase.Atoms, whose labels are taken as the reader takes them. predictions: one object with `energy`,
    `forces`, `stress`, `outputs` per structure (Prediction, the results of
    compute_many). outputs: {name: nbcore.outputs.Output}, `potential.outputs`.
    shortest_distances: {"C-H": Angstrom} of the training data (`potential.description`), to name what lies outside.

    >>> compare("test", structures, potential.compute_many(structures)).forces_rmse
    """
    cases, structures = [], as_structures(structures, apart=False, missing="mask")
    for s, p in zip(structures, predictions, strict=True):
        cases.append(
            Case(
                structure=s,
                energy=None if s.energy is None or p.energy is None else p.energy - s.energy,
                forces=None if s.forces is None or p.forces is None else np.asarray(p.forces) - s.forces,
                stress=None if s.stress is None or p.stress is None else (np.asarray(p.stress) - s.stress)[VOIGT],
                closer=closer_than(s, shortest_distances) if shortest_distances else None,
                outputs={
                    n: output.independent(p.outputs[n] - s.outputs[n])
                    for n, output in (outputs or {}).items()
                    if n in s.outputs and n in p.outputs
                },
            )
        )
    return Errors(name, cases, bool(shortest_distances), outputs)


class Errors:
    """Errors of a set of structures; every figure is None where nothing is labelled."""

    def __init__(self, name: str, cases: Iterable, knows_training: bool = False, outputs: dict | None = None):
        self.name, self.cases, self.knows_training, self.kinds = name, list(cases), knows_training, dict(outputs or {})

    @classmethod
    def pooled(cls, name: str, several: "Sequence[Errors]") -> "Errors":
        """All structures of several sets as one."""
        outputs = {n: output for e in several for n, output in e.kinds.items()}
        return cls(name, [c for e in several for c in e.cases], all(e.knows_training for e in several), outputs)

    def _over(self, of):
        """The cases that have a label of this kind."""
        return [c for c in self.cases if getattr(c, of) is not None]

    def _pooled(self, of):
        return np.concatenate([np.ravel(getattr(c, of)) for c in self._over(of)] or [np.empty(0)])

    n_structures = property(lambda self: len(self.cases))
    n_atoms = property(lambda self: sum(len(c.structure.numbers) for c in self.cases))

    # ---- energies ----
    @cached_property
    def _energy_atoms(self):
        return np.array([len(c.structure.numbers) for c in self._over("energy")], float)

    energy_rmse = property(lambda self: rmse(self._pooled("energy")))
    energy_mae = property(lambda self: mae(self._pooled("energy")))
    energy_rmse_per_atom = property(lambda self: rmse(self._pooled("energy") / self._energy_atoms))
    energy_mae_per_atom = property(lambda self: mae(self._pooled("energy") / self._energy_atoms))

    @cached_property
    def offset(self) -> "Offset | None":
        """The constant in the energy errors as Offset, if there is one; None if not.

        It is what least squares finds as a sum over the elements of a structure: another code, other energies of
        isolated atoms. Recognised where it makes up more than nine tenths of the mean squared error.
        """
        cases, errors = self._over("energy"), self._pooled("energy")
        elements = sorted({z for c in cases for z in c.structure.numbers})
        counts = np.array([[np.count_nonzero(c.structure.numbers == z) for z in elements] for c in cases], float)
        if len(cases) < 3:
            return None
        fit, _, rank, _ = np.linalg.lstsq(counts, errors, rcond=1e-10)
        rest = errors - counts @ fit
        free = len(cases) - rank
        if free < max(2, len(cases) // 2) or rmse(errors / self._energy_atoms) < 1e-3:
            return None
        if rmse(errors) < 3 * rmse(rest) * np.sqrt(len(cases) / free):
            return None
        determined = rank == len(elements)
        return Offset(
            per_atom=float(np.mean(errors / self._energy_atoms)),
            per_structure=float(np.mean(errors)) if (counts == counts[0]).all() else None,
            per_element={chemical_symbols[z]: float(e) for z, e in zip(elements, fit, strict=True)}
            if determined
            else None,
            rmse=rmse(rest),
            rmse_per_atom=rmse(rest / self._energy_atoms),
        )

    # ---- forces ----
    forces_rmse = property(lambda self: rmse(self._pooled("forces")))
    forces_mae = property(lambda self: mae(self._pooled("forces")))
    forces_max = property(lambda self: float(np.abs(f).max()) if len(f := self._pooled("forces")) else None)

    @property
    def forces_percent(self) -> float | None:
        """RMSE in per cent of the root mean square of the reference forces; None where symmetry makes these vanish."""
        reference = [np.ravel(c.structure.forces) for c in self._over("forces")]
        size = rmse(np.concatenate(reference)) if reference else None
        return 100 * self.forces_rmse / size if size and size > 1e-6 else None

    @property
    def by_element(self) -> dict[str, float]:
        """{symbol: RMSE of the force components on atoms of this element}."""
        if not self._over("forces"):
            return {}
        numbers = np.concatenate([c.structure.numbers for c in self._over("forces")])
        forces = self._pooled("forces").reshape(-1, 3)
        return {chemical_symbols[z]: rmse(forces[numbers == z]) for z in np.unique(numbers)}

    # ---- stress ----
    stress_rmse = property(lambda self: rmse(self._pooled("stress")))
    stress_mae = property(lambda self: mae(self._pooled("stress")))

    # ---- covariant outputs ----
    def of_output(self, name: str) -> dict:
        """{"rmse", "mae", "percent", "rmse_per_atom", "mae_per_atom"} of an output, in the unit of the data.

        Over the independent components (six of a polarizability). percent: RMSE in per cent of the labels' standard
        deviation. Of an output per atom the errors are those of atoms, and the last two are None.
        """
        cases, output = [c for c in self.cases if name in c.outputs], self.kinds[name]
        figures = dict.fromkeys(("rmse", "mae", "percent", "rmse_per_atom", "mae_per_atom"))
        if not cases:
            return figures
        whole = np.concatenate([np.reshape(c.outputs[name], (-1, c.outputs[name].shape[-1])) for c in cases])
        labels = [output.independent(c.structure.outputs[name]) for c in cases]
        labels = np.concatenate([np.reshape(y, (-1, whole.shape[1])) for y in labels])
        spread = rmse(labels - labels.mean(axis=0))
        figures |= {"rmse": rmse(whole), "mae": mae(whole), "percent": 100 * rmse(whole) / spread if spread else None}
        if not output.per_atom:
            per_atom = whole / np.array([[len(c.structure.numbers)] for c in cases])
            figures |= {"rmse_per_atom": rmse(per_atom), "mae_per_atom": mae(per_atom)}
        return figures

    # ---- which structures ----
    @property
    def by_config_type(self) -> dict[str, "Errors"]:
        """{config_type: Errors}, in the order in which the types appear."""
        types = dict.fromkeys(c.structure.config_type for c in self.cases)
        return {t: self._part(t, lambda c, t=t: c.structure.config_type == t) for t in types}

    def _part(self, name, wanted):
        return Errors(f"{self.name} {name}", filter(wanted, self.cases), self.knows_training, self.kinds)

    @property
    def outside(self) -> list:
        """How many structures have a pair closer than any such pair in training; None if training is not known."""
        return sum(c.closer is not None for c in self.cases) if self.knows_training else None

    def worst(self, n: int) -> list:
        """The n cases with the largest error of a force component; those without forces follow, by energy per atom, and
        those without energies by their outputs, in units of the RMSE.
        """
        scale = {name: self.of_output(name)["rmse"] or 1.0 for name in self.kinds}

        def size(c):
            if c.forces is None and c.energy is None:
                return -1, max(np.abs(e).max(initial=0) / scale[name] for name, e in c.outputs.items())
            if c.forces is not None and c.forces.size:
                return 1, np.abs(c.forces).max()
            return 0, abs(c.energy) / max(len(c.structure.numbers), 1)

        labelled = [c for c in self.cases if c.forces is not None or c.energy is not None or c.outputs]
        return sorted(labelled, key=size, reverse=True)[:n]

    def as_dict(self) -> dict:
        """All figures under their names, in eV and Angstrom, for JSON and for the model file."""
        names = ["n_structures", "energy_rmse", "energy_mae", "energy_rmse_per_atom", "energy_mae_per_atom"]
        names += ["forces_rmse", "forces_mae", "forces_max", "forces_percent", "stress_rmse", "stress_mae"]
        result = {name: getattr(self, name) for name in names}
        for name in self.kinds:
            result |= {f"{name}_{figure}": value for figure, value in self.of_output(name).items()}
        result["forces_rmse_by_element"] = self.by_element
        result["outside_train"] = self.outside
        result["energy_offset"] = self.offset and self.offset._asdict()
        return result


class Offset(NamedTuple):
    """A constant in the energies (eV), and the errors without it; None where it is not determined."""

    per_atom: float
    per_structure: float | None
    per_element: dict | None
    rmse: float
    rmse_per_atom: float

    def __str__(self) -> str:
        if self.per_structure is not None:
            return f"{self.per_structure:+.4f} eV per structure"
        if self.per_element is not None:
            return ", ".join(f"{s} {e:+.4f}" for s, e in self.per_element.items()) + " eV per atom"
        return f"{self.per_atom:+.4f} eV per atom"


def rmse(errors):
    """Root mean square; None of nothing."""
    return float(np.sqrt(np.mean(np.square(errors)))) if np.size(errors) else None


def mae(errors):
    """Mean absolute value; None of nothing."""
    return float(np.mean(np.abs(errors))) if np.size(errors) else None


# ---- distances ----


def neighbours(structure, cutoff):
    """All pairs within the cutoff, both directions: first, second (indices) and distance (Angstrom)."""
    cell = None if structure.cell is None else np.asarray(structure.cell)
    first, second, _, vector = _core.neighbours(structure.positions, cell, structure.pbc, cutoff)
    return first, second, np.linalg.norm(vector, axis=1)


def pairs(structure, cutoff):
    """The shortest pair of each two elements within the cutoff: {"C-H": Pair}, elements in alphabetical order."""
    first, second, distance = neighbours(structure, cutoff)
    numbers = np.asarray(structure.numbers)
    shortest = {}
    for k in np.argsort(distance, kind="stable"):
        pair = Pair.of(numbers, first[k], second[k], distance[k])
        shortest.setdefault(pair.name, pair)
    return shortest


def closer_than(structure, shortest_distances):
    """The pair that is closer than any such pair in training, the worst by ratio if there are several; else None."""

    def ratio(pair):
        return pair.distance / shortest_distances.get(pair.name, np.inf)

    found = [p for p in pairs(structure, max(shortest_distances.values())).values() if ratio(p) < 1]
    return min(found, key=ratio, default=None)


def nearest(structure, atom, cutoff=4.0):
    """The pair of one atom and its nearest neighbour; None if there is none within the cutoff."""
    first, second, distance = neighbours(structure, cutoff)
    mine = np.flatnonzero(first == atom)
    if not len(mine):
        return None
    k = mine[np.argmin(distance[mine])]
    return Pair.of(structure.numbers, atom, second[k], distance[k])
