"""Checks of symmetry: what must not change, or turn along, when atoms are moved, renamed or repeated."""

from dataclasses import replace

import numpy as np

from nbcore.certificate.samples import Sample, crystal, difference, make, rotated_results, spacing
from nbcore.species import atomic_numbers


def rotation(model, samples, rng) -> float:
    """Energies stay, forces, virial and outputs turn along: random rotations and a quarter turn."""
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    return max(_turned(model, s, R) for s in samples for R in (_rotation(rng), _rotation(rng), quarter))


def reflection(model, samples, rng) -> float:
    """The same for the mirror image and the inverted structure."""
    mirror = np.diag([1.0, 1, -1])
    return max(_turned(model, s, R) for s in samples for R in (-np.eye(3), mirror, -_rotation(rng)))


def translation(model, samples, rng) -> float:
    """Nothing changes when all atoms are moved, some tens of Angstrom."""
    return max(difference(s.moved(rng.uniform(-50, 50, 3)).compute(model), s.compute(model)) for s in samples)


def permutation(model, samples, rng) -> float:
    """What atoms have goes with them, in any order of theirs."""
    found = []
    for s in samples:
        order, before = rng.permutation(len(s.numbers)), s.compute(model)
        per_atom = {"energies", "forces"} | {name for name, o in model.outputs.items() if o.per_atom}
        expected = {name: x[order] if name in per_atom else x for name, x in before.items()}
        found.append(difference(s.ordered(model, order).compute(model), expected))
    return max(found)


def periodicity(model, samples, rng) -> float:
    """Atoms in other images of the cell, the lattice in other vectors, the cell repeated."""
    found = [0.0]
    for s in (s for s in samples if any(s.pbc)):
        before = s.compute(model)
        images = s.moved((rng.integers(-3, 4, s.positions.shape) * s.pbc) @ s.cell)
        found.append(difference(images.compute(model), before))
        if not all(s.pbc):
            continue
        lattice = replace(s, cell=np.array([[1, 0, 0], [1, 1, 0], [-1, 2, 1]]) @ s.cell)
        twice = replace(_both(s, s.cell[1]), cell=np.diag([1, 2, 1]) @ s.cell)
        found.append(difference(lattice.compute(model), before))
        found.append(difference(twice.compute(model), _doubled(model, before)))
    return max(found)


def size(model, samples, rng) -> float:
    """Two structures far apart, farther than the model sees, are the two of them alone."""
    found = [0.0]
    charges = {name for name, o in model.outputs.items() if o.charges}  # of all atoms: no sum over molecules
    for s in (s for s in samples if not any(s.pbc)):
        far = np.ptp(s.positions[:, 0]) + 2 * model.levels * model.cutoff + 1
        expected = {name: x for name, x in _doubled(model, s.compute(model)).items() if name not in charges}
        found.append(difference(_both(s, [far, 0, 0]).compute(model), expected))
    return max(found)


def isolated_atoms(model, samples, rng) -> float:
    """An atom alone has its reference energy, E0, and no force; eV."""
    found = []
    for symbol, number in zip(model.species, atomic_numbers(model.species), strict=True):
        r = model.compute(np.zeros((1, 3)), [number], threads=1)
        E0 = np.mean([member.E0s[symbol] for member in getattr(model, "members", [model])])
        found.append(max(abs(r.energy - E0), float(np.abs(r.forces).max())))
    return max(found)


def many_atoms(model, rng) -> Sample:
    """A crystal of several blocks, which threads share."""
    n = int(np.ceil(2 * model.cutoff / spacing(model))) if not model.has_parts else 5
    return crystal(model, rng, (max(5, min(n, 6)),) * 3)


def user_sample(model, rng, structure) -> Sample:
    """What a user gave: positions, numbers, cell, pbc."""
    return make(model, rng, *structure)


def _turned(model, s, R):
    return difference(s.rotated(model, R).compute(model), rotated_results(model, s.compute(model), R))


def _rotation(rng):
    Q, R = np.linalg.qr(rng.standard_normal((3, 3)))
    Q = Q * np.sign(np.diag(R))
    return Q * np.linalg.det(Q)


def _both(s, step):
    """A structure and a copy of it, moved by a step."""
    leaves = {name: np.tile(x, (2, 1, 1)) for name, x in s.leaves.items()}
    positions = np.concatenate([s.positions, s.positions + step])
    return replace(s, positions=positions, numbers=np.tile(s.numbers, 2), leaves=leaves)


def _doubled(model, results):
    """Of two copies: what atoms have is repeated, the rest twice as large."""
    per_atom = {"energies", "forces"} | {name for name, o in model.outputs.items() if o.per_atom}
    return {name: np.concatenate([x, x]) if name in per_atom else 2 * x for name, x in results.items()}
