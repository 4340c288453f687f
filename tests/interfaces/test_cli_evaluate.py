"""`nbcore evaluate`: every figure against sums written here, files, JSON, wrong input."""

import itertools
import json
import os
import re
import subprocess
import sys

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator

from nbcore import Potential
from nbcore.cli import main
from nbcore.data import Structure
from nbcore.presets import nbody
from nbcore.results import Prediction, compare

E0S = {"H": -13.5, "C": -1026.0, "O": -2037.0}
SHORTEST = {"C-H": 1.08, "C-O": 1.15, "H-O": 0.95, "H-H": 1.4, "C-C": 1.3}
EV_TO_GPA = 160.2176634


def small(seed):
    return nbody(species=["H", "C", "O"], cutoff=4.0, channels=8, l_harmonics=2, n_radial=4, E0s=E0S, seed=seed)


def labelled(atoms, teacher, keys=("energy", "forces"), shift=0.0):
    r = teacher.compute(atoms.positions, atoms.numbers, cell=atoms.cell.array, pbc=atoms.pbc)
    results = {"energy": r.energy + shift, "forces": r.forces}
    if "stress" in keys:
        s = r.stress
        results["stress"] = np.array([s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]])
    atoms.calc = SinglePointCalculator(atoms, **{k: results[k] for k in keys if k in results})
    return atoms


def molecules(teacher, n, rattle, **kwargs):
    frames = []
    for k in range(n):
        atoms = molecule("CH3OH" if k % 2 else "H2CO")
        atoms.rattle(rattle, seed=k)
        atoms.info["config_type"] = "alcohol" if k % 2 else "aldehyde"
        frames.append(labelled(atoms, teacher, **kwargs))
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model and files labelled by another: molecules, a crystal with stress; without labels; with a constant."""
    folder = tmp_path_factory.mktemp("evaluate ä")
    pot, teacher = small(3), small(4)
    pot.annotate(shortest_distances=SHORTEST)
    pot.annotate(about={"reference": "another random model"})
    pot.save(folder / "m.nbcore")
    ase.io.write(folder / "cold.xyz", molecules(teacher, 6, 0.03))
    ase.io.write(folder / "hot.xyz", molecules(teacher, 5, 0.12))
    crystals = []
    for k in range(3):
        atoms = bulk("C", "diamond", a=3.6, cubic=True)
        atoms.rattle(0.1, seed=k)
        crystals.append(labelled(atoms, teacher, ("energy", "forces", "stress")))
    ase.io.write(folder / "crystal.xyz", crystals)
    bare = [Atoms(a.numbers, positions=a.positions) for a in molecules(teacher, 3, 0.05)]
    ase.io.write(folder / "bare.xyz", bare)
    ase.io.write(folder / "shifted.xyz", molecules(pot, 6, 0.05, shift=2.5) + molecules(teacher, 1, 0.05, shift=2.5))
    return folder


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def run_json(capsys, *arguments):
    capsys.readouterr()
    assert main(["evaluate", "m.nbcore", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def by_hand(*names):
    """The figures of the brief, from ASE and the potential, with loops."""
    pot = Potential.load("m.nbcore")
    de, n, df, ds = [], [], [], []
    for name in names:
        for a in ase.io.read(name, ":"):
            r = pot.compute(a.positions, a.numbers, cell=a.cell.array, pbc=a.pbc)
            known = a.calc.results if a.calc else {}
            if "energy" in known:
                de.append(r.energy - known["energy"])
                n.append(len(a))
            if "forces" in known:
                df += [r.forces[i][c] - known["forces"][i][c] for i in range(len(a)) for c in range(3)]
            if "stress" in known:
                pairs = zip([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)], known["stress"], strict=True)
                ds += [r.stress[ij] - s for ij, s in pairs]
    per_atom = [e / m for e, m in zip(de, n, strict=True)]
    figures = {}
    for key, x in (("energy_{}", de), ("energy_{}_per_atom", per_atom), ("forces_{}", df), ("stress_{}", ds)):
        figures[key.format("rmse")] = (sum(v * v for v in x) / len(x)) ** 0.5 if x else None
        figures[key.format("mae")] = sum(map(abs, x)) / len(x) if x else None
    return figures


@pytest.mark.parametrize("names", [("cold.xyz",), ("cold.xyz", "hot.xyz", "crystal.xyz"), ("bare.xyz",)])
def test_json_against_sums_by_hand(folder, capsys, names):
    got = run_json(capsys, *names)
    assert got["n_structures"] == sum(len(ase.io.read(name, ":")) for name in names)
    for part, expected in [(got, by_hand(*names))] + [(got["files"][name], by_hand(name)) for name in names]:
        for key, value in expected.items():
            assert part[key] == (None if value is None else pytest.approx(value, rel=1e-9)), key


def test_by_element_and_config_type_against_sums_by_hand(folder, capsys):
    got = run_json(capsys, "cold.xyz", "hot.xyz", "--by", "config_type")
    pot = Potential.load("m.nbcore")
    frames = ase.io.read("cold.xyz", ":") + ase.io.read("hot.xyz", ":")
    deltas = [pot.compute(a.positions, a.numbers).forces - a.get_forces() for a in frames]
    for symbol, value in got["forces_rmse_by_element"].items():
        own = np.concatenate([d[np.array(a.symbols) == symbol] for a, d in zip(frames, deltas, strict=True)])
        assert value == pytest.approx(np.sqrt(np.mean(own**2)), rel=1e-9)
    assert set(got["forces_rmse_by_element"]) == {"H", "C", "O"}
    for kind in ("aldehyde", "alcohol"):
        own = np.concatenate([d for a, d in zip(frames, deltas, strict=True) if a.info["config_type"] == kind])
        assert got["config_types"][kind]["forces_mae"] == pytest.approx(np.mean(np.abs(own)), rel=1e-9)
    assert main(["evaluate", "m.nbcore", "cold.xyz", "--by", "config_type"]) == 0
    assert re.search(r"^  cold alcohol +3 ", capsys.readouterr().out, re.M)


def test_structures_outside_training_by_brute_force(folder, capsys):
    outside = {"cold.xyz": 0, "hot.xyz": 0}
    for name in outside:
        for a in ase.io.read(name, ":"):
            closer = False
            for i, j in itertools.combinations(range(len(a)), 2):
                pair = "-".join(sorted((a[i].symbol, a[j].symbol)))
                closer = closer or np.linalg.norm(a.positions[i] - a.positions[j]) < SHORTEST.get(pair, np.inf)
            outside[name] += closer
    assert 0 < outside["hot.xyz"] and sum(outside.values()) < 11
    got = run_json(capsys, *outside)
    assert {name: got["files"][name]["outside_train"] for name in outside} == outside
    assert main(["evaluate", "m.nbcore", *outside]) == 0
    assert f"{outside['hot.xyz']} of 5 in hot" in capsys.readouterr().out


def test_table_shows_the_same_figures(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    got = run_json(capsys, "cold.xyz", "hot.xyz", "crystal.xyz")
    assert main(["evaluate", "m.nbcore", "cold.xyz", "hot.xyz", "crystal.xyz"]) == 0
    out = capsys.readouterr().out
    rows = {
        line.split()[0]: line.split()[1:] for line in out.splitlines() if re.match("  (cold|hot|crystal|all) ", line)
    }
    for name in ("cold", "hot", "crystal", "all"):
        e = got if name == "all" else got["files"][f"{name}.xyz"]
        meV = [e["energy_rmse"], e["energy_mae"], e["energy_rmse_per_atom"], e["energy_mae_per_atom"]]
        meV += [e["forces_rmse"], e["forces_mae"], e["forces_max"]]
        row = rows[name]
        assert int(row[0]) == e["n_structures"]
        np.testing.assert_allclose([float(x) for x in row[1:8]], 1e3 * np.array(meV), atol=0.51, rtol=0)
        assert float(row[8]) == pytest.approx(e["forces_percent"], abs=0.051)
    assert rows["cold"][9:] == ["-", "-"]  # no cell, no stress
    stress = got["files"]["crystal.xyz"]["stress_rmse"]
    assert float(rows["crystal"][9]) == pytest.approx(EV_TO_GPA * stress, abs=6e-4)
    assert "another random model" in out and "µs/atom" in out


def test_worst_structures_by_name(folder, capsys):
    assert main(["evaluate", "m.nbcore", "cold.xyz", "hot.xyz", "--worst", "3"]) == 0
    out = capsys.readouterr().out
    pot, found = Potential.load("m.nbcore"), []
    for name in ("cold", "hot"):
        for k, a in enumerate(ase.io.read(f"{name}.xyz", ":")):
            r = pot.compute(a.positions, a.numbers)
            d = np.abs(r.forces - a.get_forces())
            atom = int(d.max(axis=1).argmax())
            line = f"{name} {k}  E {1e3 * (r.energy - a.get_potential_energy()):+.0f} meV  F {1e3 * d.max():.0f} meV/Å "
            found.append((d.max(), f"{line}(atom {atom}, {a[atom].symbol})"))
    at = [out.index(line) for _, line in sorted(found, reverse=True)[:3]]
    assert at == sorted(at)
    assert len(re.findall(r"\(atom \d+, \w+\)", out)) == 3


def test_constant_in_the_energy_is_reported_not_removed(folder, capsys):
    got = run_json(capsys, "shifted.xyz")
    assert got["energy_mae"] > 2.0
    assert got["energy_offset"]["rmse"] < 0.5 * got["energy_rmse"]
    assert main(["evaluate", "m.nbcore", "shifted.xyz"]) == 0
    captured = capsys.readouterr()
    assert "! The energies of shifted are off by a constant" in captured.err
    assert f"{1e3 * got['energy_rmse']:.1f}" in captured.out


def test_offsets_of_elements_are_found():
    """Errors that are sums over elements: the sums come back; noise alone is no constant."""
    rng = np.random.default_rng(0)
    frames = [("H2O", 3), ("CO", 2), ("CH4", 3), ("CO2", 4), ("C2H6", 3)]
    truth = {1: 0.31, 6: -1.2, 8: 7.0}
    atoms = [molecule(name) for name, n in frames for _ in range(n)]
    noise = rng.normal(0, 0.003, len(atoms))
    for shift, found in ((truth, True), (dict.fromkeys(truth, 0.0), False)):
        structures, predictions = [], []
        for a, e in zip(atoms, noise, strict=True):
            structures.append(Structure(a.positions, a.numbers, None, np.zeros(3, bool), energy=-10.0))
            predictions.append(Prediction(-10.0 + e + sum(shift[z] for z in a.numbers), np.zeros((len(a), 3))))
        offset = compare("x", structures, predictions).offset
        assert (offset is not None) == found
    structures = structures[:3]
    offset = compare("water", structures, [Prediction(-8.0 + e, None) for e in noise[:3]]).offset
    assert offset.per_structure == pytest.approx(2.0, abs=0.01) and offset.per_element is None


def test_output_folder_and_file(folder, capsys, tmp_path):
    assert main(["evaluate", "m.nbcore", "cold.xyz", "crystal.xyz", "bare.xyz", "--output", str(tmp_path / "out")]) == 0
    assert str(tmp_path / "out" / "cold.xyz") in capsys.readouterr().out.replace("\n  ", "")
    assert main(["evaluate", "m.nbcore", "cold.xyz", "crystal.xyz", "--output", str(tmp_path / "all.xyz")]) == 0
    pot = Potential.load("m.nbcore")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["bare.xyz", "cold.xyz", "crystal.xyz"]
    for name in ("cold", "crystal", "bare"):
        was, now = ase.io.read(f"{name}.xyz", ":"), ase.io.read(tmp_path / "out" / f"{name}.xyz", ":")
        for a, b in zip(was, now, strict=True):
            r = pot.compute(a.positions, a.numbers, cell=a.cell.array, pbc=a.pbc)
            np.testing.assert_allclose(b.arrays["nbcore_forces"], r.forces, atol=1e-8)
            np.testing.assert_allclose(b.arrays["nbcore_energies"].sum(), b.info["nbcore_energy"], atol=1e-6)
            assert b.info["nbcore_energy"] == pytest.approx(r.energy, rel=1e-12)
            assert ("REF_energy" in b.info) == (name != "bare")
            if name == "crystal":
                np.testing.assert_allclose(b.info["nbcore_stress"], r.stress, atol=1e-8)
                np.testing.assert_allclose(b.info["REF_stress"], a.get_stress(voigt=False), atol=1e-8)
    assert len(ase.io.read(tmp_path / "all.xyz", ":")) == 9
    # what was written can be evaluated again: the labels are still the labels
    capsys.readouterr()
    again = run_json(capsys, str(tmp_path / "out" / "cold.xyz"))
    assert again["energy_rmse"] == pytest.approx(by_hand("cold.xyz")["energy_rmse"], rel=1e-6)


def test_plots_are_written(folder, tmp_path, capsys):
    assert main(["evaluate", "m.nbcore", "cold.xyz", "--plot", "--output", str(tmp_path / "p")]) == 0
    for name in ("parity.png", "errors.png"):
        assert (tmp_path / "p" / name).read_bytes().startswith(b"\x89PNG")


def test_missing_labels(folder, capsys, tmp_path):
    """A mixture of labelled, unlabelled and one-atom frames: counted, what is not labelled does not count."""
    frames = ase.io.read("cold.xyz", ":")
    frames[1].calc = None
    frames.append(labelled(Atoms("O"), Potential.load("m.nbcore"), ("energy",), shift=0.25))
    ase.io.write(tmp_path / "mixed.xyz", frames)
    name = str(tmp_path / "mixed.xyz")
    got = run_json(capsys, name)
    assert got["n_structures"] == 7
    expected = by_hand(name)
    assert got["energy_rmse"] == pytest.approx(expected["energy_rmse"], rel=1e-9)
    assert got["forces_rmse"] == pytest.approx(expected["forces_rmse"], rel=1e-9)
    assert main(["evaluate", "m.nbcore", "bare.xyz"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  bare"))
    assert row.split() == ["bare", "3"] + 8 * ["-"]


@pytest.mark.parametrize("columns", [60, 100])
def test_fits_the_terminal_and_says_nothing_more(folder, columns):
    """As a stranger runs it, into a pipe: no line wider than the terminal, nothing on stderr but remarks."""
    command = [sys.executable, "-m", "nbcore", "evaluate", "m.nbcore", "cold.xyz", "hot.xyz", "crystal.xyz"]
    paths = [os.path.dirname(os.path.dirname(__import__("nbcore").__file__)), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "COLUMNS": str(columns), "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert "\x1b" not in done.stdout
    assert not done.stderr or done.stderr.startswith("! ")


def test_wrong_input(folder, capsys, tmp_path, monkeypatch):
    sulphur = molecule("CH3SH")
    ase.io.write(tmp_path / "s.xyz", [*ase.io.read("bare.xyz", ":"), sulphur])
    (tmp_path / "junk.nbcore").write_bytes(b"PK\x03\x04 nothing")
    close = molecule("H2CO")
    close.positions[1] = close.positions[0] + 1e-4
    ase.io.write(tmp_path / "close.xyz", close)
    cases = [
        (["m.nbcore", f"{tmp_path}/s.xyz"], 3, r"s\.xyz, frame 3.*S .*H C O"),
        (["m.nbcore", f"{tmp_path}/close.xyz"], 5, r"close\.xyz, frame 0.*atoms 0 and 1"),
        (["m.nbcore", "absent.xyz"], 6, "absent.xyz"),
        (["absent.nbcore", "cold.xyz"], 6, "absent.nbcore"),
        ([f"{tmp_path}/junk.nbcore", "cold.xyz"], 4, "junk.nbcore"),
        (["m.nbcore", "cold.xyz", "--by", "colour"], 2, "config_type"),
        (
            ["m.nbcore", "cold.xyz", "--threads", "1000000"],
            2,
            "^error: argument --threads: .* from 1 to 1024, got 1000000",
        ),
        (["m.nbcore", "cold.xyz", "--threads", "two"], 2, "^error: argument --threads: .* a whole number, got two"),
        (["m.nbcore", "cold.xyz", "--energy-key", "dft_energy"], 3, "dft_energy"),
        (["m.nbcore", "cold.xyz", "--output", "m.nbcore/x"], 6, "m.nbcore"),
        (["m.nbcore"], 2, "DATA"),
    ]
    before = sorted(os.listdir(folder))
    for arguments, code, text in cases:
        assert main(["evaluate", *arguments]) == code, arguments
        err = capsys.readouterr().err
        assert "error: " in err and "Traceback" not in err and re.search(text, err.replace("\n       ", " "), re.S), err
    monkeypatch.setenv("NBCORE_NUM_THREADS", "many")
    assert main(["evaluate", "m.nbcore", "cold.xyz"]) == 2
    assert capsys.readouterr().err.startswith("error: NBCORE_NUM_THREADS must be a whole number")
    assert sorted(os.listdir(folder)) == before
