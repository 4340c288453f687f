"""Structures on which a model is checked, and how they are moved: rotated, permuted, repeated, strained."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nbcore import so3
from nbcore.errors import InputError
from nbcore.golden import labels
from nbcore.leaves import leaf_types
from nbcore.species import atomic_numbers

SPACING = 0.45  # of the cutoff, between atoms, where nothing is known of the data
OVER_SHORTEST = 1.15  # times the shortest distances of the training data, where they are known
JITTER = 0.12  # of the spacing, each way
FLOOR = 1e-6  # eV, eV/Angstrom: differences are compared with the largest number, this at least


@dataclass(frozen=True)
class Sample:
    """A structure as a model computes it; parts and leaf states where it has any."""

    positions: np.ndarray  #: (N, 3) Angstrom
    numbers: np.ndarray  #: (N,)
    cell: np.ndarray  #: (3, 3)
    pbc: tuple[bool, bool, bool]
    leaves: dict = field(default_factory=dict)
    scheme: Any = None

    def compute(self, model, threads: int = 1) -> dict[str, np.ndarray]:
        """{name: array} of all that a model says: energies of atoms, forces, virial, outputs."""
        r = model.compute(*self.structure, threads=threads, scheme=self.scheme, leaves=self.leaves)
        found = {} if r.energy is None else {"energies": r.energies, "forces": r.forces, "virial": r.virial}
        return found | {name: np.asarray(value) for name, value in r.outputs.items()}

    def energy(self, model) -> float:
        """eV"""
        return float(self.compute(model)["energies"].sum())

    @property
    def structure(self):
        """Positions, numbers, cell, pbc."""
        return self.positions, self.numbers, self.cell, self.pbc

    def moved(self, step) -> "Sample":
        """By (N, 3) Angstrom, with the parts that it has."""
        return replace(self, positions=self.positions + step)

    def strained(self, strain) -> "Sample":
        """r -> (1 + strain) r, the cell too."""
        F = np.eye(3) + strain
        return replace(self, positions=self.positions @ F.T, cell=self.cell @ F.T)

    def ordered(self, model, order) -> "Sample":
        """The same atoms in another order; parts are made anew."""
        leaves = {name: array[order] for name, array in self.leaves.items()}
        changed = replace(self, positions=self.positions[order], numbers=self.numbers[order], leaves=leaves)
        return with_scheme(model, changed, order)

    def rotated(self, model, R) -> "Sample":
        """By a rotation, or a rotation and an inversion, of everything that has a direction."""
        leaves = {}
        for name, (l, parity) in leaf_kinds(model).items():
            array = self.leaves[name]
            turn = R if l == 1 else so3.wigner_D(l, R * np.linalg.det(R)) if l else np.ones((1, 1))
            odd = parity if l != 1 else -parity  # a vector is turned by R itself
            leaves[name] = np.einsum("ab,nb...->na...", turn, array) * (odd if np.linalg.det(R) < 0 else 1)
        return replace(self, positions=self.positions @ R.T, cell=self.cell @ R.T, leaves=leaves)


def rotated_results(model, results: dict, R) -> dict:
    """What a model must say of a sample that was rotated by R."""
    found = {"energies": results["energies"]} if "energies" in results else {}
    for name, rank in ranks(model).items():
        if name in results:
            tensor = results[name]
            for axis in range(tensor.ndim - rank, tensor.ndim):
                tensor = np.moveaxis(np.tensordot(tensor, R, (axis, 1)), -1, axis)
            found[name] = tensor
    return found


def ranks(model) -> dict[str, int]:
    """{what a model says: its rank as a tensor}."""
    return {"forces": 1, "virial": 2} | {name: output.rank for name, output in model.outputs.items()}


def leaf_kinds(model) -> dict[str, tuple[int, int]]:
    """{leaf state: (l, parity)}."""
    gates = {gate["name"]: gate for gate in model.description["program"]["gates"]}
    return {name: (l, gates[name].get("parity", (-1) ** l)) for name, (l, _) in leaf_types(model).items()}


def difference(got: dict, expected: dict) -> float:
    """The largest, of all arrays, each in units of its largest number."""
    return max(
        (float(np.abs(got[k] - x).max(initial=0) / max(np.abs(x).max(initial=0), FLOOR)) for k, x in expected.items()),
        default=0.0,
    )


def with_scheme(model, sample: Sample, order=None) -> Sample:
    """With the parts of a model that works on a composition scheme."""
    if not model.has_parts:
        return sample
    of_atoms = labels(model, np.arange(len(sample.numbers)))
    if order is not None:
        of_atoms = {name: values[order] for name, values in of_atoms.items()}
    return replace(sample, scheme=model.scheme(sample.positions, sample.cell, sample.pbc, of_atoms))


def check_can_be_made(model) -> None:
    """InputError for a model whose parts nobody else knows."""
    if model.has_parts and "scheme" not in model.description:
        raise InputError(
            "this model works on composition schemes of your own: nobody else knows how to make one for a structure"
        )


def spacing(model) -> float:
    """Between neighbours of the samples, Angstrom."""
    shortest = model.description.get("shortest_distances") or {}
    known = [r for r in shortest.values() if 0 < r < model.cutoff / 1.5]
    return OVER_SHORTEST * max(known) if known else SPACING * model.cutoff


def cluster(model, rng, n: int = 6) -> Sample:
    """A few atoms without periods."""
    return _grid(model, rng, n, (2, 2, 2), False)


def crystal(model, rng, sides=(1, 2, 2)) -> Sample:
    """Of a sheared cell, smaller than its neighbourhoods."""
    return _grid(model, rng, int(np.prod(sides)), sides, True)


def _grid(model, rng, n, sides, periodic):
    """The first n points of a jittered grid, elements at random, each of the model's as often as it can be."""
    d = spacing(model)
    points = np.stack(np.meshgrid(*map(np.arange, sides), indexing="ij"), -1).reshape(-1, 3)[:n]
    positions = d * (points + rng.uniform(-JITTER, JITTER, points.shape))
    shear = np.eye(3) + np.tril(rng.uniform(-0.15, 0.15, (3, 3)), -1)
    cell = d * np.diag(sides) @ shear if periodic else np.zeros((3, 3))
    positions = positions @ shear if periodic else positions
    known = atomic_numbers(model.species)
    numbers = np.array([*rng.permutation(known), *rng.choice(known, n)][:n])
    return make(model, rng, positions, rng.permutation(numbers), cell, periodic)


def make(model, rng, positions, numbers, cell, pbc) -> Sample:
    """A sample with random leaf states and the parts of the model."""
    leaves = {}
    for name, (l, channels) in leaf_types(model).items():
        leaves[name] = 0.3 * rng.standard_normal((len(numbers), 2 * l + 1, channels))
    return with_scheme(model, Sample(positions, numbers, cell, tuple(map(bool, np.broadcast_to(pbc, 3))), leaves))
