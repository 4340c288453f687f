"""A rough pair potential fitted to energies and forces: it tells how energies and stresses should differ."""

from typing import NamedTuple

import numpy as np

from nbcore.data.distances import RADIUS, pairs

CENTRES = np.linspace(0.8, 4.8, 13)  # Å, of its Gaussians
WIDTH = 0.45  # Å
ATOMS = 2500  # that it is fitted to, at most
VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])  # xx yy zz yz xz xy


class Agreement(NamedTuple):
    """Labels against the rough potential: by how much they differ more than it says, and the correlation of the two."""

    ratio: float
    correlation: float


NOTHING = Agreement(0.0, 0.0)  # there is too little to compare


def energy_to_forces(structures, most: int = 60, seed: int = 0) -> Agreement:
    """By how much energies differ, over by how much the forces say that they do.

    A pair potential, linear in Gaussians of the distance per pair of elements, is fitted to the forces alone; its
    energies are compared with the labels, each about its mean over structures of the same composition. A rough
    potential, but the two agree within a factor of two where energies and forces are in the same units.
    """
    chosen, kinds = _sample(structures, lambda s: True, most, seed)
    if not chosen:
        return NOTHING
    energies, forces, _ = zip(*(pair_features(s, kinds) for s in chosen), strict=True)
    coefficients = _least_squares(np.concatenate(forces), np.concatenate([s.forces.ravel() for s in chosen]))
    formulas = np.array([s.formula for s in chosen])
    label = _about_mean(np.array([s.energy for s in chosen]), formulas)
    return _agreement(label, _about_mean(np.array(energies) @ coefficients, formulas))


def stress_to_energies(structures, most: int = 60, seed: int = 0) -> Agreement:
    """By how much stresses differ, over by how much energies and forces say that they do.

    The pair potential is fitted to energies (about their means) and forces; compared are the pressures, about their
    mean, and what a stress has beside its pressure: which of the two agrees better in form is taken. Of order one
    where the stress is (1/V) dE/d(strain) in the units of the energies.
    """
    chosen, kinds = _sample(structures, lambda s: s.stress is not None and s.volume, most, seed)
    if not chosen:
        return NOTHING
    energies, forces, strains = zip(*(pair_features(s, kinds) for s in chosen), strict=True)
    formulas = np.array([s.formula for s in chosen])
    features = np.concatenate([*forces, _about_mean(np.array(energies), formulas)])
    energy = _about_mean(np.array([s.energy for s in chosen]), formulas)
    coefficients = _least_squares(features, np.concatenate([*(s.forces.ravel() for s in chosen), energy]))
    label = np.array([s.stress[VOIGT] * s.volume for s in chosen])
    model = np.array(strains) @ coefficients
    pressures = [x[:, :3].mean(axis=1) for x in (label, model)]
    shapes = [np.hstack([x[:, :3] - p[:, None], x[:, 3:]]) for x, p in zip((label, model), pressures, strict=True)]
    both = _agreement(*(p - p.mean() for p in pressures)), _agreement(*shapes)
    return max(both, key=lambda agreement: abs(agreement.correlation))


def pair_features(structure, kinds):
    """Energy (K,), forces (3N, K) and dE/d(strain) (6, K) of every Gaussian of the distance, fading out at 5 Å."""
    i, j, vectors = pairs(structure, RADIUS)
    d = np.maximum(np.linalg.norm(vectors, axis=1), 1e-3)
    x = (d[:, None] - CENTRES) / WIDTH
    fade, slope = (1.0 - (d / RADIUS) ** 2) ** 2, -4.0 * d / RADIUS**2 * (1.0 - (d / RADIUS) ** 2)
    value = np.exp(-0.5 * x**2) * fade[:, None]
    derivative = np.exp(-0.5 * x**2) * (slope[:, None] - x / WIDTH * fade[:, None])
    low, high = (choose(structure.numbers[i], structure.numbers[j]) for choose in (np.minimum, np.maximum))
    kind = np.array([kinds[pair] for pair in zip(low.tolist(), high.tolist(), strict=True)], dtype=int)
    energy, strain = np.zeros((len(kinds), len(CENTRES))), np.zeros((6, len(kinds), len(CENTRES)))
    forces = np.zeros((len(structure), 3, len(kinds), len(CENTRES)))
    moments = (vectors[:, :, None] * vectors[:, None, :] / d[:, None, None])[:, VOIGT[0], VOIGT[1]]
    for k in range(len(kinds)):
        of = kind == k
        energy[k] = 0.5 * value[of].sum(axis=0)
        strain[:, k] = 0.5 * moments[of].T @ derivative[of]
        pushes = (vectors[of] / d[of, None])[:, :, None] * derivative[of][:, None, :]
        np.add.at(forces[:, :, k], i[of], pushes)
    return energy.ravel(), forces.reshape(3 * len(structure), -1), strain.reshape(6, -1)


def _sample(structures, wanted, most, seed):
    """Up to `most` structures with energies and forces, compositions that occur often; and their pairs of elements."""
    groups = {}
    for s in structures:
        if s.energy is not None and s.forces is not None and 1 < len(s) <= 1000 and wanted(s):
            groups.setdefault(s.formula, []).append(s)
    usable = [s for group in groups.values() if len(group) > 2 for s in group]
    chosen = [usable[k] for k in np.random.default_rng(seed).permutation(len(usable))[:most]]
    chosen = chosen[: max(8, int(np.searchsorted(np.cumsum([len(s) for s in chosen]), ATOMS)))]
    kinds = {pair: k for k, pair in enumerate(sorted({p for s in chosen for p in _kinds(s.numbers)}))}
    return ([], {}) if len(chosen) < 8 or len(kinds) > 15 else (chosen, kinds)


def _kinds(numbers):
    z = np.unique(numbers)
    return {(int(a), int(b)) for a in z for b in z if a <= b}


def _least_squares(features, target):
    """Ridge of 1e-6 of the mean diagonal; zeros where no atom has a neighbour."""
    normal = features.T @ features
    size = np.trace(normal) / len(normal)
    if not size > 0 or not np.isfinite(size):
        return np.zeros(len(normal))
    return np.linalg.solve(normal + 1e-6 * size * np.eye(len(normal)), features.T @ target)


def _about_mean(values, groups):
    result = np.array(values, dtype=float)
    for g in np.unique(groups):
        result[groups == g] -= result[groups == g].mean(axis=0)
    return result


def _agreement(label, model):
    with np.errstate(over="ignore", invalid="ignore"):
        label_size, model_size = np.sum(label**2), np.sum(model**2)
        if not (np.isfinite(label_size * model_size) and label_size * model_size > 0):
            return NOTHING
        ratio = float(np.sqrt(label_size / model_size))
        return Agreement(ratio, float(np.sum(label * model) / np.sqrt(label_size * model_size)))
