"""Do energies, forces, stresses and lengths belong together? A rough potential tells how they should differ."""

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from nbcore.data import units
from nbcore.data.rough_potential import energy_to_forces, stress_to_energies

ABSURD = 30.0  # eV per atom, of stress times volume
USUAL = 0.3  # eV per atom
STRESS_UNITS = ("GPa", "kbar", "bar", "Hartree/Bohr^3", "Ry/Bohr^3")
NOBLE = {"He", "Ne", "Ar", "Kr", "Xe", "Rn"}
FACTORS = {27.2114: "Hartree", 13.6057: "Ry", 23.0605: "kcal/mol", 96.4853: "kJ/mol", 1.889726: "Bohr"}
HINTS = {27.2114: "27.2114", 13.6057: "13.6057", 23.0605: "0.0433641", 96.4853: "0.0103643", 1.889726: "0.529177"}


def nearest_factor(ratio: float, tolerance: float = 0.2):
    """The unit whose factor (or its inverse) is nearest to `ratio`: ("Hartree", "27.2114"), or None."""
    best = min(FACTORS, key=lambda f: abs(abs(np.log(ratio)) - np.log(f)))
    return (FACTORS[best], HINTS[best]) if abs(abs(np.log(ratio)) - np.log(best)) < tolerance else None


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
    remarks += stress_remarks(structures)
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


def stress_remarks(structures) -> list[str]:
    """Remarks on stresses of another unit or sign, and on stresses that are all zero."""
    stressed = [s for s in structures if s.stress is not None]
    if not stressed:
        return []
    if all(not s.stress.any() for s in stressed):
        zero = (
            f"The stresses of all {len(stressed)} structures that have one are exactly zero: they were hardly computed."
        )
        return [f'{zero} Write  stress_key = "none".'] if len(stressed) > 1 else []
    sizes = np.array([np.abs(s.stress).max() * s.volume / len(s) for s in stressed])
    size = float(np.median(sizes[sizes > 0]))  # eV per atom; a megabar is some 5
    ratio, correlation = stress_to_energies(structures)
    sure = abs(correlation) > 0.7
    far = sure and not 1 / 8 < ratio < 8
    reversed_sign = correlation < -0.7
    if not far and not reversed_sign and size < ABSURD:
        return []
    text, settings = [], []
    if reversed_sign:
        text.append("have the opposite sign of what energies and forces say")
        settings.append('stress_sign = "pressure"')
    if far or size >= ABSURD:
        text.append(
            f"are {ratio:.2g} times what they say" if far else f"amount to {size:.0f} eV per atom, beyond any solid"
        )
        factor = ratio if far else size / USUAL
        near = min(STRESS_UNITS, key=lambda unit: abs(np.log(factor * units.PRESSURE[unit])))
        settings.append(f'stress_unit = "{near}"')
    return [
        f"Stresses {' and '.join(text)}: nbcore expects (1/V) dE/d(strain) in eV/Å^3, tension positive. Write  "
        f"{'  and  '.join(settings)}  under [data]? (A virial is -dE/d(strain) in the unit of energy.)"
    ]


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
