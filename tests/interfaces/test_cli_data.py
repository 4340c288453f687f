"""nbcore data: audit, gather, convert, split, on files a user could have."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import units

from nbcore import cli
from nbcore.data import read

ROOT = Path(cli.__file__).parents[2]
FIXTURES = Path(__file__).parents[1] / "data" / "fixtures"


def frames(n, seed=0, columns="forces", key="energy"):
    generator = np.random.default_rng(seed)
    text = ""
    for _ in range(n):
        rows = np.hstack([[[0, 0, 0], [0, 0, 1]] + 0.05 * generator.normal(size=(2, 3)), generator.normal(size=(2, 3))])
        rows[1, 3:] = -rows[0, 3:]
        text += f"2\nProperties=species:S:1:pos:R:3:{columns}:R:3 {key}={-10 + 0.1 * generator.normal()}\n"
        text += "".join(f"{s} {' '.join(map(repr, row.tolist()))}\n" for s, row in zip("OH", rows, strict=True))
    return text


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "a.xyz").write_text(frames(20))
    return tmp_path


def test_what_is_in_a_file(folder, capsys):
    assert cli.main(["data", "a.xyz", "--cutoff", "3"]) == 0
    captured = capsys.readouterr()
    assert "a.xyz                    20 structures" in captured.out
    assert "energy [energy]   forces [forces]   no stress (no cell)" in captured.out
    assert "HO, 2 atoms;  1.0 neighbours within 3.0 Å" in captured.out
    assert "no duplicates, no outliers" in captured.out
    assert captured.err.startswith("! E0 fit: all structures have the same composition, so only 1 of 2 numbers")


def test_gather_everything_with_one_command(folder, capsys):
    """A folder of VASP OUTCARs, a CP2K pair in Hartree and an ORCA output become one training file."""
    files = [f"{FIXTURES}/vasp/*/OUTCAR", f"{FIXTURES}/cp2k/*.xyz", f"{FIXTURES}/orca/*.out"]
    assert cli.main(["data", *files, "--output", "all.xyz"]) == 0
    gathered, originals = read("all.xyz", missing="mask"), read(files, missing="mask")
    assert len(gathered) == len(originals) == 9
    for a, b in zip(gathered, originals, strict=True):
        assert a.energy == b.energy and (a.stress is None) == (b.stress is None)
        np.testing.assert_allclose(a.forces, b.forces, rtol=0, atol=1e-10)
        np.testing.assert_allclose(a.positions, b.positions, rtol=0, atol=1e-10)
    assert gathered[4].energy == pytest.approx(-76.2681909147 * 27.211386024367243, rel=1e-14)
    captured = capsys.readouterr()
    assert "the free energy is used" in " ".join(captured.err.split()) and "wrote all.xyz: 9 structures" in captured.err


def test_conversion(folder):
    arguments = ["--energy-unit", "kcal/mol", "--forces-unit", "Hartree/Bohr"]
    assert cli.main(["data", "a.xyz", "--output", "b.xyz", *arguments]) == 0
    a, b = read("a.xyz"), read("b.xyz")
    np.testing.assert_allclose(
        [s.energy for s in b], np.array([s.energy for s in a]) * units.kcal / units.mol, rtol=1e-12
    )
    np.testing.assert_allclose(b[3].forces, a[3].forces * units.Hartree / units.Bohr, rtol=0, atol=1e-10)


def test_split(folder):
    (folder / "atoms.xyz").write_text("1\nenergy=-13.6\nH 0 0 0\n")
    assert cli.main(["data", "a.xyz", "atoms.xyz", "--output", "all.xyz", "--split", "0.8,0.1,0.1"]) == 0
    assert sorted(p.name for p in folder.iterdir()) == [
        "a.xyz",
        "all_test.xyz",
        "all_train.xyz",
        "all_valid.xyz",
        "atoms.xyz",
    ]
    parts = [read(f"all_{role}.xyz") for role in ("train", "valid", "test")]
    assert [len(p) for p in parts] == [16, 2, 2] and [len(p.isolated) for p in parts] == [1, 0, 0]
    assert sorted(s.energy for p in parts for s in p) == sorted(s.energy for s in read("a.xyz"))


@pytest.mark.parametrize("arguments, code, message", [
    (["a.xyz", "--split", "0.8,0.2"], 2, "--split needs --output"),
    (["a.xyz", "--output", "o.xyz", "--split", "0.8,0.1"], 2, "--split 0.8,0.1: expected two or three fractions"),
    (["a.xyz", "--output", "o.xyz", "--split", "most"], 2, "--split most: expected two or three fractions"),
    (["a.xyz", "--cutoff", "-1"], 2, "--cutoff: expected a length > 0"),
    (["a.xyz", "--output", "a.xyz"], 6, "a.xyz exists already; --force overwrites it"),
    (["a.xyz", "--output", "none/o.xyz"], 6, "none: no such folder"),
    (["absent.xyz"], 6, "absent.xyz: no such file"),
    (["*.traj"], 6, "*.traj: no file has such a name"),
    (["."], 6, ". is a folder"),
    (["a.xyz", "--energy-unit", "cal"], 3, "energy_unit: expected one of eV, Hartree"),
    (["a.xyz", "--forces-key", "REF_forces"], 3, "a.xyz: no frame has forces"),
    (["broken.xyz"], 3, "broken.xyz:3: frame 0, atom 0: expected 7 columns"),
    (["broken.xyz", "--output", "o.xyz"], 3, "broken.xyz:3"),
    (["mixed.xyz", "--missing", "error"], 3, "mixed.xyz, frame 20 (line 81): no forces, although 20 other frames have"),
])  # fmt: skip
def test_errors(folder, capsys, arguments, code, message):
    (folder / "broken.xyz").write_text(frames(1).replace("O ", "O"))
    (folder / "mixed.xyz").write_text(frames(20) + "2\nenergy=-9.9\nO 0 0 0\nH 0 0 1\n")
    assert cli.main(["data", *arguments]) == code
    text = " ".join(capsys.readouterr().err.split())
    assert text.startswith("error: ") and message in text
    assert not (folder / "o.xyz").exists() and not list(folder.glob("*tmp*"))


def test_masked_frames_are_accepted_and_said(folder, capsys):
    (folder / "mixed.xyz").write_text(frames(20) + "2\nenergy=-9.9\nO 0 0 0\nH 0 0 1\n")
    assert cli.main(["data", "mixed.xyz"]) == 0
    captured = capsys.readouterr()
    assert "forces [forces] (20 of 21)" in captured.out
    assert "1 of 21 structures has no forces (the first: mixed.xyz, frame 20 (line 81))" in " ".join(
        captured.err.split()
    )


def test_data_without_labels_and_only_atoms(folder, capsys):
    (folder / "bare.xyz").write_text("2\n\nO 0 0 0\nH 0 0 1\n")
    assert cli.main(["data", "bare.xyz"]) == 0
    captured = capsys.readouterr()
    assert "no energy   no forces" in captured.out
    assert (
        "! bare.xyz: no frame has an energy.\n  Looked for REF_energy, energy. The frames hold positions"
        in captured.err
    )
    (folder / "atom.xyz").write_text("1\nenergy=-13.6\nH 0 0 0\n")
    assert cli.main(["data", "atom.xyz"]) == 0
    assert "H -13.6000" in capsys.readouterr().out


def test_quiet(folder, capsys):
    assert cli.main(["data", "a.xyz", "--output", "b.xyz", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert not captured.out and not captured.err and (folder / "b.xyz").exists()


def test_in_a_file_at_sixty_columns(folder):
    """No terminal, NO_COLOR, umlauts and spaces in the path, plain ASCII locale."""
    path = folder / "Größen und [Maße].xyz"
    path.write_text(frames(12))
    arguments = [sys.executable, "-m", "nbcore", "data", path.name]
    environment = {**os.environ, "COLUMNS": "60", "NO_COLOR": "1", "PYTHONPATH": str(ROOT), "LC_ALL": "C", "LANG": "C"}
    result = subprocess.run(arguments, capture_output=True, env=environment)
    assert result.returncode == 0 and b"\x1b" not in result.stdout + result.stderr
    lines = (result.stdout + result.stderr).decode().splitlines()
    assert max(map(len, lines)) <= 60 and any("12 structures" in line for line in lines)
    ascii_only = subprocess.run(arguments, capture_output=True, env={**environment, "PYTHONIOENCODING": "ascii"})
    assert ascii_only.returncode == 0 and b"eV/?" in ascii_only.stdout


EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "your_data"


def test_the_example_does_what_its_readme_says(tmp_path, monkeypatch, capsys):
    """Every command of the README runs, and every line shown beneath it is printed."""
    shutil.copytree(EXAMPLE, tmp_path / "your_data")
    monkeypatch.chdir(tmp_path / "your_data")
    monkeypatch.setenv("COLUMNS", "100")
    printed, commands = "", 0
    for block in (EXAMPLE / "README.md").read_text(encoding="utf-8").split("```")[1::2]:
        for line in block.strip().splitlines():
            if line.startswith("$ nbcore "):
                cli.main(shlex.split(line)[2:])
                captured = capsys.readouterr()
                printed, commands = captured.out + captured.err, commands + 1
            else:
                assert line in printed.splitlines()
    assert commands == 5
    for path in FIXTURES.rglob("*"):  # the example shows the files that the tests of the reader use
        if path.is_file():
            assert path.read_bytes() == (EXAMPLE / path.relative_to(FIXTURES)).read_bytes()
