"""Commands that change box, atoms, types or pair style between runs, and those that evaluate in other ways."""

import numpy as np
import pytest
from systems import MASSES, TYPES, System, head, model, read_report, report, systems, write_data
from test_contract import weak_model
from test_ranks import check, compute

import nbcore

SYSTEMS = systems()


@pytest.mark.parametrize("ranks", [1, 2])
def test_commands_given_again(lammps, ranks):
    """LAMMPS keeps a pair style that is named again: what is not said then is as by default."""
    potential, system = model(), SYSTEMS["bulk"]
    ids = write_data("s.data", system)
    again = f"pair_style nbcore\npair_coeff * * m.nbcore {' '.join(TYPES)}\n"
    said = lammps.run(
        head(system, "s.data", "nbcore ghosts precision float32 threads 2") + "run 0\n" + again + report("again"), ranks
    )
    check(read_report(said, "again", np.linalg.det(system.cell)), compute(potential, system), np.argsort(ids))
    first, second = (line for line in said.splitlines() if line.startswith("  kernels "))
    assert "float32, 2 threads" in first and "float64, 1 thread " in second
    assert said.count("lower levels are evaluated for ghosts") == 1


@pytest.mark.parametrize("ranks", [1, 3])
def test_monte_carlo_changes_types(lammps, ranks):
    """Energies of accepted and refused swaps, and the types at the end, on which Python agrees."""
    weak_model()
    potential, system = nbcore.load("m.nbcore"), SYSTEMS["bulk"]
    write_data("s.data", system)
    said = lammps.run(
        head(system, "s.data") + "fix swap all atom/swap 1 20 1234 3000 ke no types 1 3\nthermo_style custom step pe\n"
        'run 3\nprint "RESULT $(pe:%.17g) $(f_swap[2])"\n'
        "write_dump all custom end type x y z modify format float %.17g\n",
        ranks,
    )  # fmt: skip
    (found, accepted) = next(map(float, line.split()[1:]) for line in said.splitlines() if line.startswith("RESULT"))
    rows = np.loadtxt("end", skiprows=9)
    after = System(rows[:, 1:], rows[:, 0].astype(int), system.cell)
    assert 0 < accepted < 60 and found == pytest.approx(compute(potential, after).energy, abs=1e-9)


@pytest.mark.parametrize("style", ["ghosts", "exchange"])
@pytest.mark.parametrize("ranks", [1, 4])
def test_boxes_that_change(lammps, ranks, style):
    """change_box to a tilted one, replicate, reset_atoms; then a box that has no atom, and gets its first two."""
    potential, system = model(), SYSTEMS["bulk"]
    ids = write_data("s.data", system)
    tilted = system.cell.copy()
    tilted[1, 0] = 1.5
    after = system._replace(cell=tilted, positions=system.positions @ np.linalg.solve(system.cell, tilted))
    pe = 'print "RESULT {} $(pe:%.17g)"\n'
    empty = (
        f"clear\nunits metal\nregion box block 0 20 0 20 0 20\ncreate_box 4 box\n{MASSES}pair_style nbcore {style}\n"
        f"pair_coeff * * m.nbcore {' '.join(TYPES)}\nfix nve all nve\nfix close all pair 1 nbcore closeness 0\n"
        "run 2\n" + pe.format("nothing") + "create_atoms 1 single 3 3 3\ncreate_atoms 2 single 3 3 4\nrun 0\n"
        + pe.format("two") + "delete_atoms group all\nrun 1\n" + pe.format("none")
    )  # fmt: skip
    said = lammps.run(
        head(system, "s.data", f"nbcore {style}")
        + "change_box all triclinic\nchange_box all xy final 1.5 remap\n" + report("tilted")
        + "replicate 2 1 3\nreset_atoms id\nthermo_style one\nrun 0\n" + pe.format("six") + empty,
        ranks,
    )  # fmt: skip
    check(read_report(said, "tilted", np.linalg.det(tilted)), compute(potential, after), np.argsort(ids))
    lines = [line.split() for line in said.splitlines() if line.startswith("RESULT")]
    found = {line[1]: float(line[2]) for line in lines if line[1] != "tilted"}
    two = potential.compute([[3.0, 3, 3], [3, 3, 4]], ["O", "H"], 20 * np.eye(3), True).energy
    expected = {"six": 6 * compute(potential, after).energy, "nothing": 0.0, "two": two, "none": 0.0}
    assert found == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("ranks", [1, 3])
def test_minimised_and_run_again(lammps, ranks):
    """minimize and fix box/relax go down, and end where Python has no forces; rerun finds the energies of a dump."""
    cores = {f"{a}-{b}": 1.9 for a, b in ("CC", "CH", "CO", "HH", "HO", "OO")}
    potential, system = model(repulsion=cores), SYSTEMS["triclinic"]
    potential.scale *= 0.02
    potential.save("m.nbcore", overwrite=True)
    write_data("s.data", system)
    said = lammps.run(
        head(system, "s.data") + "thermo 100\nthermo_style custom step pe\nthermo_modify format float %.17g\n"
        "dump d all custom 20 steps id type x y z\ndump_modify d sort id format float %.17g\n"
        'minimize 0 1e-4 60 1000\nundump d\nprint "RESULT $(pe:%.17g) $(fmax)"\n'
        "write_dump all custom end type x y z modify format float %.17g\nthermo 1\nrerun steps dump x y z\n",
        ranks,
    )  # fmt: skip
    (found, largest) = next(map(float, line.split()[1:]) for line in said.splitlines() if line.startswith("RESULT"))
    rows = np.loadtxt("end", skiprows=9)
    after = compute(potential, System(rows[:, 1:], rows[:, 0].astype(int), system.cell))
    assert found == pytest.approx(after.energy, abs=1e-9) and found < compute(potential, system).energy
    assert largest == pytest.approx(np.abs(after.forces).max(), abs=1e-9)
    again = [float(line.split()[1]) for line in said.partition("RESULT")[2].splitlines() if line.split()[:1] == ["20"]]
    assert again and again[0] > found


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_that_appear(lammps, ranks):
    """create_atoms and set type between runs: lists, owners and messages are made anew."""
    potential, system = model(), SYSTEMS["slab"]
    ids = write_data("s.data", system)
    new, n = np.array([[3.0, 4.0, 20.0], [8.0, 8.0, 3.0]]), len(ids)
    said = lammps.run(
        head(system, "s.data") + report("before")
        + "".join(f"create_atoms 3 single {x} {y} {z}\n" for x, y, z in new)
        + "thermo_style one\nrun 0\n"
        + report("after", again=True),
        ranks,
    )  # fmt: skip
    volume = np.linalg.det(system.cell)
    check(read_report(said, "before", volume), compute(potential, system), np.argsort(ids))
    more = system._replace(positions=np.vstack([system.positions, new]), types=np.append(system.types, [3, 3]))
    order = np.argsort([*ids, ids.max() + 1, ids.max() + 2])
    assert len(order) == n + 2
    check(read_report(said, "after", volume), compute(potential, more), order)
