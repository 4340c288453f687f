"""Structures labelled by a committee, for one model that learns what its members agree on; see docs/distillation.md."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from nbcore.data.atoms import as_structures
from nbcore.errors import InputError, NumericsError

if TYPE_CHECKING:
    import ase

    from nbcore.committee import Committee
    from nbcore.potential import Potential

FORCE, STEPS = 0.02, 200  # the way to a minimum ends at this largest force, eV/Angstrom, or after so many steps
STIFFNESS = 70.0  # of a bond, eV/Angstrom^2: the first step moves an atom by its force over this


def stretched(model: "Potential | Committee", structures: Iterable, count: int, stretch: float = 1.5, seed: int = 1,
              threads: int | None = None) -> "list[ase.Atoms]":  # fmt: skip
    """Structures with stretched displacements, labelled by a model.

    A structure x is moved to x0 + s (x - x0), where x0 is the minimum of its basin as the model has it, and s is drawn
    evenly from 1 to `stretch`: in a harmonic basin a dynamics at s^2 times the temperature would bring it there. The
    cell stays. All structures are taken once before one is taken again.

    model: who labels. structures: nbcore structures or ase.Atoms, their labels are not looked at. count: how many are
    made. Returns ase.Atoms that carry the model's energy (eV), forces (eV/Angstrom), and stress where there is a cell,
    with config_type "stretched"; `ase.io.write` makes them a file of training data. The same seed makes the same ones.

    Raises InputError for a count below 1 or a stretch below 1, NumericsError where the model has no minimum near a
    structure.

    >>> data = nbcore.train.read("train.xyz")
    >>> teacher = nbcore.presets.nbody(species=data.species, cutoff=4.0, channels=4)
    >>> teacher.repulsion = nbcore.data.repulsion_radii(teacher.species, {}, teacher.cutoff)  # it is not trained
    >>> made = nbcore.train.stretched(teacher, data[:3], count=6)
    >>> len(made), made[0].get_forces().shape == (len(data[0]), 3)
    (6, True)
    """
    structures = as_structures(structures, missing="mask")
    if count < 1 or not len(structures):
        raise InputError(
            f"stretched: count must be 1 or more, of 1 or more structures; got {count} of {len(structures)}"
        )
    if not 1 <= stretch < np.inf:
        raise InputError(f"stretched: stretch must be 1 or more, got {stretch:g}")
    rng, minima, made = np.random.default_rng(seed), {}, []
    rounds = -(-count // len(structures))
    for k in np.concatenate([rng.permutation(len(structures)) for _ in range(rounds)])[:count]:
        atoms = structures[int(k)].to_ase()
        if k not in minima:
            minima[k] = minimum(model, structures[int(k)], threads)
        atoms.positions = minima[k] + rng.uniform(1, stretch) * (atoms.positions - minima[k])
        made.append(atoms)
    return [
        labelled(atoms, result) for atoms, result in zip(made, model.compute_many(made, threads=threads), strict=True)
    ]


def minimum(model, structure, threads=None):
    """Positions of the minimum into whose basin a structure belongs, or as near to it as STEPS steps of L-BFGS lead."""
    from scipy.optimize import minimize

    atoms, start, unit = structure.to_ase(), structure.positions, STIFFNESS**-0.5

    def energy(x):
        atoms.positions = unit * x.reshape(start.shape)
        (result,) = model.compute_many([atoms], threads=threads)
        return result.energy, -unit * result.forces.ravel()

    try:
        options = {"gtol": unit * FORCE, "maxiter": STEPS}
        found = minimize(energy, start.ravel() / unit, jac=True, method="L-BFGS-B", options=options)
    except NumericsError as e:
        raise NumericsError(
            f"{structure.where}: the model has no minimum near this structure: {e}. It does not know such structures "
            "well enough to label them: train it longer, or on more data."
        ) from None
    return unit * found.x.reshape(start.shape)


def labelled(atoms, result):
    """The Atoms with energy, forces and, where there is a cell, stress of a result."""
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms.info["config_type"] = "stretched"
    labels = {"energy": result.energy, "forces": result.forces}
    if atoms.cell.rank == 3:
        labels["stress"] = result.stress
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms
