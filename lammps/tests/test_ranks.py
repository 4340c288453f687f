"""Energies, forces, virials and what atoms contribute, on any number of ranks, in every way, against Python."""

import numpy as np
import pytest
from systems import FULL, VOIGT, head, model, read_report, report, systems, write_data

SYSTEMS = systems()
EV = 23.060549  # kcal/mol, LAMMPS' own factor between its units


def check(found, expected, order, unit=1.0, tolerance=1e-10):
    """A report of LAMMPS against a result of Python, whose atoms `order` brings into the order of ids."""
    size = max(1.0, np.abs(expected.forces).max())
    n = len(expected.energies)
    assert abs(found.energy / unit - expected.energy) < tolerance * n
    assert np.abs(found.energies / unit - expected.energies[order]).max() < tolerance
    assert np.abs(found.forces / unit - expected.forces[order]).max() < tolerance * size
    w = np.abs(expected.virial).max() + 1e-3 * size
    six = np.array([expected.virial[a] for a in VOIGT])
    # LAMMPS prints pressures, whose unit is given to eight digits
    assert np.abs(found.virial / unit - six).max() < 1e-9 * w
    assert abs(found.sums[0] / unit - expected.energy) < tolerance * n
    assert np.abs(found.sums[1:7] / unit - six).max() < 1e-9 * w
    nine = np.array([expected.virial[a] for a in FULL])
    assert np.abs(found.sums[7:] / unit - nine).max() < 1e-9 * w


def compute(potential, system):
    return potential.compute(system.positions, system.numbers, system.cell, system.pbc, threads=1)


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("style", ["", "ghosts", "exchange"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
def test_every_system(lammps, ranks, style, levels):
    potential = model(levels=levels, channels=4 if levels == 3 else 6)
    script, ids = "", {}
    for name, system in SYSTEMS.items():
        ids[name] = write_data(f"{name}.data", system)
        script += head(system, f'"{name}.data"', f"nbcore {style}") + report(name)
    said = lammps.run(script, ranks)
    for name, system in SYSTEMS.items():
        found = read_report(said, name, np.linalg.det(system.cell))
        check(found, compute(potential, system), np.argsort(ids[name]))
    if levels > 1 and style == "" and ranks > 1:
        assert "ranks exchange states of ghosts" in said
