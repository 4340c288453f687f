"""Do energies, forces and lengths belong together? A rough potential fitted to the forces tells how energies differ."""

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from nbcore.data.distances import RADIUS, pairs

CENTRES = np.linspace(0.8, 4.8, 13)  # Å, of its Gaussians
ATOMS = 2500  # that the rough potential is fitted to, at most
NOBLE = {"He", "Ne", "Ar", "Kr", "Xe", "Rn"}
FACTORS = {27.2114: "Hartree", 13.6057: "Ry", 23.0605: "kcal/mol", 96.4853: "kJ/mol", 1.889726: "Bohr"}
HINTS = {27.2114: "27.2114", 13.6057: "13.6057", 23.0605: "0.0433641", 96.4853: "0.0103643", 1.889726: "0.529177"}


def nearest_factor(ratio: float, tolerance: float = 0.2):
    """The unit whose factor (or its inverse) is nearest to `ratio`: ("Hartree", "27.2114"), or None."""
    best = min(FACTORS, key=lambda f: abs(abs(np.log(ratio)) - np.log(f)))
    return (FACTORS[best], HINTS[best]) if abs(abs(np.log(ratio)) - np.log(best)) < tolerance else None


def energy_to_forces(structures, most: int = 60, seed: int = 0):
    """By how much energies differ, over by how much the forces say that they do; and the correlation of the two.

    A pair potential, linear in Gaussians of the distance per pair of elements, is fitted to the forces alone; its
    energies are compared with the labels, each about its mean over structures of the same composition. A rough
    potential, but the two agree within a factor of two where energies and forces are in the same units.
    Returns (ratio, correlation); (0, 0) where there is too little to compare.
    """
    groups = {}
    for s in structures:
        if s.energy is not None and s.forces is not None and 1 < len(s) <= 1000:
            groups.setdefault(s.formula, []).append(s)
    usable = [s for group in groups.values() if len(group) > 2 for s in group]
    chosen = np.random.default_rng(seed).permutation(len(usable))[:most]
    chosen = [usable[k] for k in chosen]
    enough = max(8, int(np.searchsorted(np.cumsum([len(s) for s in chosen]), ATOMS)))
    chosen = chosen[:enough]
    kinds = {pair: k for k, pair in enumerate(sorted({p for s in chosen for p in _kinds(s.numbers)}))}
    if len(chosen) < 8 or len(kinds) > 15:
        return 0.0, 0.0
    energies, forces = zip(*(_pair_features(s, kinds) for s in chosen), strict=True)
    target = np.concatenate([s.forces.ravel() for s in chosen])
    features = np.concatenate(forces)
    if not np.sum(features * features) > 1e-20:  # no pair of atoms within the range of the Gaussians
        return 0.0, 0.0
    ridge = 1e-6 * np.trace(features.T @ features) / features.shape[1] * np.eye(features.shape[1])
    coefficients = np.linalg.solve(features.T @ features + ridge, features.T @ target)
    formulas = np.array([s.formula for s in chosen])
    label = _about_mean(np.array([s.energy for s in chosen]), formulas)
    model = _about_mean(np.array(energies) @ coefficients, formulas)
    scale = np.sqrt(np.sum(label**2) * np.sum(model**2))
    if scale == 0.0:
        return 0.0, 0.0
    return float(np.sqrt(np.sum(label**2) / np.sum(model**2))), float(np.sum(label * model) / scale)


def _kinds(numbers):
    z = np.unique(numbers)
    return {(int(a), int(b)) for a in z for b in z if a <= b}


def _pair_features(structure, kinds, centres=CENTRES, width=0.45):
    """Energy (K,) and forces (3N, K) of every Gaussian of the distance, fading out at 5 Å."""
    i, j, vectors = pairs(structure, RADIUS)
    d = np.maximum(np.linalg.norm(vectors, axis=1), 1e-3)
    x = (d[:, None] - centres) / width
    fade, slope = (1.0 - (d / RADIUS) ** 2) ** 2, -4.0 * d / RADIUS**2 * (1.0 - (d / RADIUS) ** 2)
    value = np.exp(-0.5 * x**2) * fade[:, None]
    derivative = np.exp(-0.5 * x**2) * (slope[:, None] - x / width * fade[:, None])
    a, b = (
        np.minimum(structure.numbers[i], structure.numbers[j]),
        np.maximum(structure.numbers[i], structure.numbers[j]),
    )
    kind = np.array([kinds[pair] for pair in zip(a.tolist(), b.tolist(), strict=True)], dtype=int)
    energy = np.zeros((len(kinds), len(centres)))
    np.add.at(energy, kind, 0.5 * value)
    forces = np.zeros((len(structure), 3, len(kinds), len(centres)))
    for k in range(len(kinds)):
        of = kind == k
        pushes = (vectors[of] / d[of, None])[:, :, None] * derivative[of][:, None, :]
        np.add.at(forces[:, :, k], i[of], pushes)
    return energy.ravel(), forces.reshape(3 * len(structure), -1)


def _about_mean(values, groups):
    return values - np.array([values[groups == g].mean() for g in groups])


def unit_remarks(structures, shortest: list[dict[str, float]]) -> list[str]:
    """Remarks on units that seem wrong: energies against forces, and lengths against covalent radii.

    shortest: for each structure its shortest distance per pair of elements.
    """
    remarks = []
    factor, correlation = energy_to_forces(structures)
    if correlation < -0.7:
        remarks.append(
            "Energies rise along the forces: the forces look like gradients, with the sign reversed (or the "
            "energies are). nbcore expects forces = -dE/dr."
        )
    elif correlation > 0.7 and not 1 / 4 < factor < 4:
        # too rough to tell Hartree from Ry: the unit that is met most often in each direction and range is named
        guess = "energy_unit Hartree?  (factor 27.2114)"
        if factor > 1:
            guess = "energy_unit kcal/mol?  (factor 0.0433641)  Or forces_unit Hartree/Angstrom?  (factor 27.2114)"
        if factor > 50:
            guess = "energy_unit kJ/mol?  (factor 0.0103643)"
        remarks.append(f"Energies spread by {factor:.2g} times what the forces suggest: is {guess}")
    unit = all_electron_unit(structures)
    if unit:
        guess = f"is energy_unit {unit[0]}?  (factor {unit[1]})"
        remarks.append(f"The energies are those of all electrons in {unit[0]}, read as eV: {guess}")
    ratio = _length_ratio(shortest)
    if ratio and not 0.66 < ratio < 1.55:
        near = "1/0.529177: is length_unit Bohr?" if ratio > 1 else "0.529177: were they converted twice?"
        if ratio > 2.4 or ratio < 0.4:
            near = "far from any compound."
        remarks.append(f"Shortest distances are {ratio:.2f} times the sums of the covalent radii; {near}")
    return remarks


def all_electron_unit(structures):
    """The unit in which total energies are those of all electrons, -0.5 Z^2.4 Hartree per atom to a few per cent.

    Returns (unit, factor) where the energies, taken to be eV, have that size in Hartree, kcal/mol or kJ/mol; else None.
    """
    labelled = [s for s in structures if s.energy is not None]
    ratios = [s.energy / np.sum(-0.5 * s.numbers.astype(float) ** 2.4) for s in labelled]
    ratio = float(np.median(ratios)) if ratios else 0.0
    known = {1.0: ("Hartree", "27.2114"), 627.51: ("kcal/mol", "0.0433641"), 2625.5: ("kJ/mol", "0.0103643")}
    return next((unit for size, unit in known.items() if abs(ratio / size - 1) < 0.06), None)


def _length_ratio(shortest):
    """Shortest distance over the sum of covalent radii: least over a structure's pairs, median over structures."""
    ratios = [
        min((d / radii_sum(pair) for pair, d in one.items() if not set(pair.split("-")) & NOBLE), default=None)
        for one in shortest
    ]
    return float(np.median([r for r in ratios if r])) if any(ratios) else None


def radii_sum(pair: str) -> float:
    """Sum of the covalent radii of "C-H" in Å."""
    return sum(covalent_radii[atomic_numbers[symbol]] for symbol in pair.split("-"))
