"""benchmarks/accuracy/md_judge.py: what trajectories are judged by, against numbers known otherwise; the command."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write

import nbcore

ROOT = Path(__file__).resolve().parents[2]
ACCURACY = ROOT / "benchmarks" / "accuracy"
pytestmark = pytest.mark.skipif(not ACCURACY.exists(), reason="the source distribution has no benchmarks")


def judge(case, model, data, folder, *more, code):
    places = ["--output", folder / "md", "--log", folder / "log"]
    words = [sys.executable, ACCURACY / "md_judge.py", case, model, "--data", data, *places, *more]
    run = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stdout + run.stderr
    return run.stdout


def weak(folder, species, size=1e-2):
    """A small random potential with weak forces: atoms fly on."""
    potential = nbcore.presets.nbody(species, cutoff=4.0, channels=2, levels=1, l_harmonics=1, l_states=0)
    potential.scale *= size
    potential.save(folder / "weak.nbcore")
    return folder / "weak.nbcore"


def log(folder):
    return [json.loads(line) for line in (folder / "log" / "dynamics.jsonl").read_text().splitlines()]


def test_molecule(tmp_path):
    """Without forces bonds break: said, logged once, exit code 1; the same command reads what is there."""
    data = ROOT / "examples" / "molecule" / "train.xyz"
    words = ["--time", 0.2, "--temperature", 1000]
    model = weak(tmp_path, ["H", "C", "O"])
    out = judge("molecule", model, data, tmp_path, *words, code=1)
    line = next(line for line in out.splitlines() if "hydrogen to its heavy atom, longest" in line)
    assert line.endswith("FAILED")
    again = judge("molecule", model, data, tmp_path, *words, code=1)
    assert "in the log already" in again and line in again
    (entry,) = log(tmp_path)
    assert entry["case"] == "molecule" and not entry["good"] and entry["kelvin"] == 1000
    steps = np.loadtxt(tmp_path / "md" / "langevin" / "md.log")
    mean = next(value for what, value, *_ in entry["checks"] if what == "mean temperature")
    assert mean == pytest.approx(steps[steps[:, 1] >= 4.0, 5].mean())


def test_a_run_that_breaks_off_is_a_failure(tmp_path):
    """Forces a hundred times too strong heat the molecule until the guard of the simulation stops it."""
    data = ROOT / "examples" / "molecule" / "train.xyz"
    out = judge("molecule", weak(tmp_path, ["H", "C", "O"], 1e3), data, tmp_path, "--time", 1, code=1)
    assert "FAILED: step" in out and log(tmp_path)[0]["broken"] and not log(tmp_path)[0]["good"]


def test_silicon(tmp_path):
    """Atoms without forces leave their places (it 'melts') and run into each other (it fails)."""
    data = tmp_path / "si.xyz"
    atoms = bulk("Si", a=5.43, cubic=True)
    atoms.info["energy"] = 0.0
    write(data, [atoms])
    words = ["--cells", 2, "--time", 0.16, "--temperature", 3000]
    out = judge("silicon", weak(tmp_path, ["Si"]), data, tmp_path, *words, code=1)
    assert "shortest distance (2.35 in the data)" in out
    found = {what: value for what, value, *_ in log(tmp_path)[0]["checks"]}
    assert found["order of the crystal at the start"] > 0.9 > found["order after melting"]
    assert found["mean squared displacement in NVE"] > 0.5 and "slope of E x time / rms" in found


def test_water(tmp_path):
    """Eight molecules on a lattice; the radial distributions are written and come to the log."""
    rng, frames = np.random.default_rng(1), []
    one = molecule("H2O")
    for _ in range(3):
        box = Atoms(cell=[8.0] * 3, pbc=True)
        for corner in np.ndindex(2, 2, 2):
            m = one.copy()
            m.rotate(rng.uniform(0, 360), rng.normal(size=3))
            m.translate(4.0 * np.array(corner) + 2.0)
            box += m
        box.info["energy"] = 0.0
        frames.append(box)
    write(tmp_path / "water.xyz", frames)
    model = weak(tmp_path, ["H", "O"])
    words = ["--time", 0.1, "--nve-time", 0.05]
    out = judge("water", model, tmp_path / "water.xyz", tmp_path, *words, code=1)
    assert "first peak of O-O" in out and "hydrogen atoms of an oxygen, most" in out and "slope of E" in out
    (path,) = (tmp_path / "log" / "history").glob("rdf-*.csv")
    table = np.genfromtxt(path, delimiter=",", names=True)
    assert table.dtype.names[:3] == ("r", "OO_nbcore", "OO_data") and table["r"].max() < 4.0


def test_radial_distribution_of_an_ideal_gas_is_one():
    import trajectories

    rng = np.random.default_rng(2)
    cell, numbers = np.array([8.0, 9.0, 10.0]), np.repeat([8, 1], [20, 40])
    positions = rng.uniform(-20, 20, (400, 60, 3))
    for a, b in ((8, 8), (8, 1), (1, 1)):
        r, g = trajectories.radial_distribution(numbers, positions, cell, a, b, width=0.5)
        np.testing.assert_allclose(g[2:], 1.0, atol=0.05)
        assert r[-1] == 3.75


def test_radial_distribution_counts_neighbours():
    """Twelve neighbours of an fcc atom, all in one bin."""
    import trajectories

    atoms = bulk("Cu", a=4.0, cubic=True) * (3, 3, 3)
    r, g = trajectories.radial_distribution(atoms.numbers, atoms.positions[None], np.full(3, 12.0), 29, 29, width=0.1)
    shell = 4 / 3 * np.pi * ((r + 0.05) ** 3 - (r - 0.05) ** 3)
    near = r < 3.2
    assert (g * shell * (len(atoms) - 1) / 12.0**3)[near].sum() == pytest.approx(12.0)


def test_bonds_of_the_data():
    """Of ethanol: two heavy bonds; a hydrogen that hops changes its heavy atom, not the range."""
    import trajectories

    atoms = molecule("CH3CH2OH")
    bonds = trajectories.Bonds(atoms.numbers, atoms.positions[None], None)
    symbols = {"".join(sorted(atoms.symbols[i] + atoms.symbols[j])) for i, j in zip(*bonds.pairs, strict=True)}
    assert symbols == {"CC", "CO"}
    ranges = bonds.ranges(atoms.positions[None])
    r = atoms.get_all_distances()
    heavy, light = np.flatnonzero(atoms.numbers > 1), np.flatnonzero(atoms.numbers == 1)
    nearest = r[np.ix_(light, heavy)].min(axis=1)
    assert ranges["hydrogen to its heavy atom"] == (nearest.min(), nearest.max())
    low, high = ranges["bonds between heavy atoms"]
    assert (low, high) == pytest.approx((1.4, 1.5), abs=0.05)
    assert bonds.partners(atoms.positions[None]) == (1, 3)


def test_bonds_across_the_edge_of_a_cell():
    import trajectories

    positions = np.array([[[0.1, 0, 0], [7.9, 0, 0]]])
    assert trajectories.distances(positions, [0], [1], np.full(3, 8.0))[0, 0] == pytest.approx(0.2)
    with pytest.raises(ValueError, match="rectangular"):
        trajectories.edges([[4, 1, 0], [0, 4, 0], [0, 0, 4]])


def test_order_of_crystal_and_gas():
    import trajectories

    atoms = bulk("Si", "diamond", a=5.0, cubic=True) * (3, 3, 3)
    k = 2 * np.pi / 5.0 * np.array([2.0, 2.0, 0.0])
    assert trajectories.order(atoms.positions[None], k) == pytest.approx(1.0)
    assert trajectories.order(np.random.default_rng(1).uniform(0, 15, (50, 216, 3)), k) < 0.1


def test_drift_bounds():
    """M2: half the rms over 20 ps, 4e-3 rms per ps at 100 ps, 1e-3 from 200 ps on."""
    from trajectories import drift_bound

    assert [drift_bound(ps) for ps in (20, 100, 200, 1000)] == pytest.approx([0.5, 0.4, 0.2, 1.0])
