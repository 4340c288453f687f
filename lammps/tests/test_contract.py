"""What LAMMPS may ask beside one evaluation: units, hybrids, restarts, balancing, atoms that come and go."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from systems import MASSES, TYPES, VOIGT, Report, System, head, model, read_report, report, systems, write_data
from test_ranks import EV, check, compute

import nbcore
from nbcore.data import Structure
from nbcore.train import add_uncertainty

SYSTEMS = systems()
WAYS = ["", "ghosts", "exchange"]


def with_extra_type(system, rng, n=12):
    """The atoms, and n of a fifth type among them, at places where none was."""
    cell, more = system.cell, []
    while len(more) < n:
        r = rng.random(3) @ cell
        if np.linalg.norm(system.positions - r, axis=1).min() > 1.2:
            more.append(r)
    order = rng.permutation(len(system.types) + n)
    positions = np.concatenate([system.positions, more])[order]
    return System(positions, np.concatenate([system.types, np.full(n, 5)])[order], cell, system.boundary)


def known(system):
    """Which atoms are elements of the model."""
    return system.types <= 4


@pytest.mark.parametrize("style", WAYS)
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_units_real_and_float32(lammps, ranks, style):
    potential, system = model(), SYSTEMS["triclinic"]
    ids = write_data("s.data", system)
    expected = compute(potential, system)
    said = lammps.run(
        head(system, "s.data", f"nbcore {style}", units="real")
        + report("real")
        + head(system, "s.data", f"nbcore {style} precision float32")
        + report("single"),
        ranks,
    )
    volume, order = np.linalg.det(system.cell), np.argsort(ids)
    check(read_report(said, "real", volume, "real"), expected, order, unit=EV)
    assert "float32" in said
    single = read_report(said, "single", volume)
    size = np.abs(expected.forces).max()
    assert 0 < np.abs(single.forces - expected.forces[order]).max() < 1e-4 * size


@pytest.mark.parametrize("style", WAYS)
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_hybrids_add_and_null_types_are_not_seen(lammps, ranks, style):
    """Lennard-Jones over all atoms, beside the model over those that it knows."""
    potential, rng = model(), np.random.default_rng(4)
    system = with_extra_type(SYSTEMS["bulk"], rng)
    ids = write_data("s.data", system)
    start = f"clear\nunits metal\nboundary p p p\nread_data s.data\n{MASSES}mass 5 39.9\nneighbor 0.7 bin\n"
    lj, names = "pair_coeff * * {}0.01 1.1\n", " ".join(TYPES)
    both = f"pair_style hybrid/overlay lj/cut 4.0 nbcore {style}\npair_coeff * * nbcore m.nbcore {names} NULL\n"
    alone = f"pair_style hybrid nbcore {style} lj/cut 4.0\npair_coeff * * nbcore m.nbcore {names} NULL\n"
    few = "pair_coeff *4 5 lj/cut 0.0 1.0\npair_coeff 5 5 lj/cut 0.0 1.0\n"
    said = lammps.run(
        start + "pair_style lj/cut 4.0\n" + lj.format("") + report("lj")
        + start + both + lj.format("lj/cut ") + report("both")
        + start + alone + few + report("alone"),
        ranks,
    )  # fmt: skip
    volume, order = np.linalg.det(system.cell), np.argsort(ids)
    atoms = known(system)
    few = System(system.positions[atoms], system.types[atoms], system.cell)
    expected = compute(potential, few)
    found = {name: read_report(said, name, volume) for name in ("both", "alone", "lj")}
    size = np.abs(expected.forces).max()
    six = np.array([expected.virial[a] for a in VOIGT])
    forces = np.zeros((len(ids), 3))
    forces[atoms] = expected.forces
    for name in ("both", "alone"):
        rest = found["lj"] if name == "both" else Report(*[0.0] * 6)
        assert np.abs(found[name].forces - rest.forces - forces[order]).max() < 1e-9 * size
        assert abs(found[name].energy - rest.energy - expected.energy) < 1e-8
        assert np.abs(found[name].virial - rest.virial - six).max() < 1e-8 * np.abs(six).max()
        assert (
            np.abs(found[name].sums[7:10] - (0 if name == "alone" else rest.sums[7:10]) - six[:3]).max() < 1e-7 * size
        )


@pytest.mark.parametrize("ranks", [1, 3])
def test_two_models_in_one_hybrid(lammps, ranks):
    """Each has its lists, its way and its messages."""
    one, two, system = model("one.nbcore", seed=3), model("two.nbcore", seed=5, levels=3), SYSTEMS["bulk"]
    ids, names = write_data("s.data", system), " ".join(TYPES)
    start = head(system, "s.data").partition("pair_style")[0]
    coeff = f"pair_coeff * * nbcore 1 one.nbcore {names}\npair_coeff * * nbcore 2 two.nbcore {names}\n"
    said = lammps.run(
        start + "pair_style hybrid/overlay nbcore exchange nbcore ghosts\n" + coeff + report("sum")
        + start + "pair_style hybrid/scaled 0.25 nbcore 0.75 nbcore\n" + coeff + report("scaled"),
        ranks,
    )  # fmt: skip
    a, b = compute(one, system), compute(two, system)
    for name, (x, y) in {"sum": (1, 1), "scaled": (0.25, 0.75)}.items():
        found = read_report(said, name, np.linalg.det(system.cell))
        values = {k: x * getattr(a, k) + y * getattr(b, k) for k in ("energy", "energies", "forces", "virial")}
        check(found, SimpleNamespace(**values), np.argsort(ids))


@pytest.mark.parametrize("style", WAYS)
@pytest.mark.parametrize("ranks", [2, 4])
def test_balanced_and_deleted_atoms(lammps, ranks, style):
    """Subdomains of any shape; then atoms are gone, and their ids with them."""
    potential, system = model(), SYSTEMS["bulk"]
    ids = write_data("s.data", system)
    here = system.positions[:, 0] > 3.0
    said = lammps.run(
        head(system, "s.data", f"nbcore {style}", before="comm_style tiled")
        + "region gone block INF 3.0 INF INF INF INF\nbalance 1.0 rcb\n" + report("all")
        + "delete_atoms region gone compress no\nbalance 1.0 rcb\n"
        + report("left", again=True),
        ranks,
    )  # fmt: skip
    volume = np.linalg.det(system.cell)
    check(read_report(said, "all", volume), compute(potential, system), np.argsort(ids))
    left = System(system.positions[here], system.types[here], system.cell)
    check(read_report(said, "left", volume), compute(potential, left), np.argsort(ids[here]))


#: heavy atoms in a weak potential: one with random weights may pull them onto each other
DYNAMICS = """
mass * 40.0
velocity all create {T} 17 dist gaussian loop geom
fix nve all nve
timestep {step}
thermo_style custom step pe etotal press
thermo_modify format float %.17g
"""


def weak_model():
    potential = model()
    potential.scale *= 0.1
    potential.save("m.nbcore", overwrite=True)


def thermo(said):
    """Step, energies and pressure of each line of thermodynamic output."""
    rows = [line.split() for line in said.splitlines()]
    numbers = [row for row in rows if len(row) == 4 and row[0].isdigit() and "." in row[1]]
    return np.array(numbers, dtype=float)


@pytest.mark.parametrize("style", WAYS)
@pytest.mark.parametrize("ranks", [1, 3])
def test_dynamics_restarts_where_it_was(lammps, ranks, style):
    """200 steps in which atoms change ranks; the same in two parts with a restart file between them."""
    weak_model()
    system = SYSTEMS["bulk"]
    write_data("s.data", system)
    begin = head(system, "s.data", f"nbcore {style}") + DYNAMICS.format(T=600, step=0.001)
    whole = lammps.run(begin + "thermo 50\nrun 100\nrun 100\n", ranks)
    parts = lammps.run(
        begin + "thermo 50\nrun 100\nwrite_restart r.restart\nclear\nread_restart r.restart\n"
        f"neighbor 0.7 bin\npair_style nbcore {style}\npair_coeff * * m.nbcore {' '.join(TYPES)}\nfix nve all nve\n"
        "timestep 0.001\nthermo_style custom step pe etotal press\nthermo_modify format float %.17g\n"
        "thermo 50\nrun 100\n",
        ranks,
    )
    a, b = thermo(whole), thermo(parts)
    assert a[-1, 0] == b[-1, 0] == 200
    assert np.allclose(a[-1], b[-1], rtol=1e-7)


def test_any_number_of_ranks_moves_atoms_the_same_way(lammps):
    """Positions after 100 steps, on one and on several ranks, in both ways; the energy is kept."""
    weak_model()
    system = SYSTEMS["slab"]
    write_data("s.data", system)
    found = {}
    for ranks, style in ((1, ""), (1, "ghosts"), (3, "exchange"), (4, "ghosts"), (4, "")):
        said = lammps.run(
            head(system, "s.data", f"nbcore {style}") + DYNAMICS.format(T=600, step=0.001)
            + "thermo 20\nrun 100\nwrite_dump all custom end id x y z modify sort id format float %.17g\n",
            ranks,
        )  # fmt: skip
        found[ranks, style] = np.loadtxt("end", skiprows=9), thermo(said)
    first, energies = found[1, ""]
    assert np.ptp(energies[:, 2]) < 1e-2 * np.ptp(energies[:, 1])
    for positions, _ in found.values():
        assert np.abs(positions - first).max() < 1e-8


def test_closeness_and_halt(lammps):
    """Shortest trained distance / distance, by brute force; `fix halt` stops by it."""
    potential, system = model(), SYSTEMS["bulk"]
    ids = write_data("s.data", system)
    trained = {(1, 8): 0.9, (8, 1): 0.9, (6, 1): 1.0, (1, 6): 1.0, (6, 8): 1.1, (8, 6): 1.1}
    numbers, expected = system.numbers, np.zeros(len(ids))
    shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
    for i, r in enumerate(system.positions):
        for j, d in enumerate(system.positions):
            distance = np.linalg.norm(d + shifts @ system.cell - r, axis=1)
            distance = distance[distance > 0].min()
            if distance < potential.cutoff + 0.7:
                expected[i] = max(expected[i], trained.get((numbers[i], numbers[j]), 0) / distance)
    lines = (
        "fix close all pair 2 nbcore closeness 1\ncompute most all reduce max f_close\nvariable most equal c_most\n"
        "thermo_style custom step pe c_most\nrun 0\n"
        "write_dump all custom close id f_close modify sort id format float %.17g\n"
    )
    for ranks in (1, 4):
        said = lammps.run(head(system, "s.data") + lines, ranks)
        found = np.loadtxt("close", skiprows=9)[:, 1]
        assert np.abs(found - expected[np.argsort(ids)]).max() < 1e-12
        halt = "fix stop all halt 2 v_most > 0.2 error hard\nfix nve all nve\nrun 4\n"
        said = lammps.run(head(system, "s.data") + lines + halt, ranks, fails=True)
        assert "Fix halt condition for fix-id stop met on step" in said


def test_two_fixes_look_in_different_steps(lammps):
    """One by its flag, in some steps; the other reads in every step, and never the values of an earlier one."""
    weak_model()
    potential = nbcore.load("m.nbcore")
    add_uncertainty(potential, shaken("triclinic"))
    potential.save("m.nbcore", overwrite=True)
    system = SYSTEMS["bulk"]
    write_data("s.data", system)
    begin = head(system, "s.data") + DYNAMICS.format(T=3000, step=0.001) + "thermo 1\n"
    few, every = (
        f"fix {name} all pair {n} nbcore closeness {{0}} grade {{0}}\n" for name, n in (("few", 4), ("all", 1))
    )
    lines = "compute most all reduce max f_all[1] f_all[2]\nthermo_style custom step c_most[1] c_most[2] press\n"
    lines += "thermo_modify format float %.17g\nrun 5\n"
    for ranks in (1, 3):
        said = [
            lammps.run(begin + fixes + lines, ranks)
            for fixes in (every.format(0), every.format(1), every.format(0) + few.format(1))
        ]
        first, *others = (thermo(text)[-6:, 1:3] for text in said)
        assert (np.diff(first, axis=0) != 0).any(axis=0).all()
        for other in others:
            assert np.array_equal(other, first)


def shaken(name, n=2):
    """Structures to be measured against, with labels."""
    rng, system = np.random.default_rng(2), SYSTEMS[name]
    zero = {"energy": 0.0, "forces": np.zeros(system.positions.shape)}
    for _ in range(n):
        positions = system.positions + rng.normal(0, 0.1, system.positions.shape)
        yield Structure(positions, system.numbers, system.cell, np.ones(3, dtype=bool), **zero)


@pytest.mark.parametrize("style", ["ghosts", "exchange"])
def test_grades_and_committees(lammps, style):
    """Extrapolation grades of atoms, and the mean of three models, as Python has them; both ways, one rank and four."""
    potential, system = model(), SYSTEMS["bulk"]
    add_uncertainty(potential, shaken("triclinic"))
    potential.save("graded.nbcore")
    members = [model(seed=seed) for seed in (3, 4, 5)]
    committee = nbcore.Committee(members)
    committee.save("committee.nbcore")
    ids = write_data("s.data", system)
    order, volume = np.argsort(ids), np.linalg.det(system.cell)
    grades = potential.compute(
        system.positions, system.numbers, system.cell, system.pbc, threads=1, uncertainty=True
    ).uncertainty.grades[order]
    assert np.ptp(grades) > 0.1
    for ranks in (1, 4):
        said = lammps.run(
            head(system, "s.data", f"nbcore {style}", model="graded.nbcore")
            + "fix grades all pair 1 nbcore grade 1\ncompute most all reduce max f_grades\n"
            "thermo_style custom step pe c_most\nrun 0\n"
            "write_dump all custom grades id f_grades modify sort id format float %.17g\n"
            + head(system, "s.data", f"nbcore {style}", model="committee.nbcore") + report("mean"),
            ranks,
        )  # fmt: skip
        found = np.loadtxt("grades", skiprows=9)[:, 1]
        assert np.abs(found - grades).max() < 1e-10 * grades.max()
        check(read_report(said, "mean", volume), compute(committee, system), order)


def test_threads_of_ranks(lammps):
    """Nothing set: one thread a rank. The environment, then the pair style, say otherwise."""
    model()
    system = SYSTEMS["bulk"]
    write_data("s.data", system)
    Path("count.sh").write_text(  # of the rank that runs it
        "p=$PPID\nuntil grep -q ^lmp /proc/$p/comm; do p=$(awk '{print $4}' /proc/$p/stat); done\n"
        "grep Threads: /proc/$p/status\n"
    )
    script = head(system, "s.data") + "run 2\nshell sh count.sh\n"

    def threads(said):
        (count,) = [int(line.split()[1]) for line in said.splitlines() if line.startswith("Threads:")]
        return count

    said = lammps.run(script, 4)
    assert "1 thread per rank, 4 ranks" in said
    assert threads(lammps.run(script.replace("nbcore\n", "nbcore threads 3\n"), 4)) == threads(said) + 2
    assert "2 threads per rank" in lammps.run(script, 1, OMP_NUM_THREADS="2")
    assert "3 threads per rank" in lammps.run(script, 1, OMP_NUM_THREADS="2", NBCORE_NUM_THREADS="3")
    assert "4 threads per rank" in lammps.run(script.replace("nbcore\n", "nbcore threads 4\n"), 1, OMP_NUM_THREADS="2")
