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


#: the style alone chooses `alone` on one rank and `exchange` on more, so that it need not be run everywhere
CASES = [(1, ""), (1, "ghosts"), (1, "exchange"), (2, "ghosts"), (2, ""), (3, "ghosts"), (3, "exchange")]
CASES += [(4, "ghosts"), (4, ""), (8, "ghosts"), (8, "exchange")]


@pytest.mark.parametrize("ranks, style", CASES)
def test_every_system(lammps, ranks, style):
    """All structures in one run of LAMMPS, by models of one, two and three levels (on 8 ranks of two)."""
    script, expected, ids = "", {}, {}
    for levels in (2,) if ranks == 8 else (1, 2, 3):
        cores = {"H-O": 2.2, "C-H": 2.1, "C-O": 2.5, "O-O": 2.4, "H-H": 1.9} if levels == 2 else None
        channels = 4 if levels == 3 else 6
        potential = model(f"m{levels}.nbcore", levels=levels, repulsion=cores, channels=channels)
        for name, system in SYSTEMS.items():
            ids[name] = write_data(f"{name}.data", system)
            case = f"{name} {levels}"
            script += head(system, f'"{name}.data"', f"nbcore {style}", model=f"m{levels}.nbcore") + report(case)
            expected[case] = name, compute(potential, system)
    said = lammps.run(script, ranks)
    for case, (name, result) in expected.items():
        found = read_report(said, case, np.linalg.det(SYSTEMS[name].cell))
        check(found, result, np.argsort(ids[name]))
    ways = {"ghosts": "lower levels are evaluated for ghosts", "exchange": "ranks exchange states of ghosts"}
    alone = "one rank owns all" if ranks == 1 else ways["exchange"]
    assert said.count(ways.get(style, alone)) == len(SYSTEMS) * (1 if ranks == 8 else 2)  # of more than one level
