"""benchmarks/accuracy/fine_tuning.py on data of its own: three trainings, tests once, what it says of them."""

import lzma
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nbcore
from nbcore.data import read

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "accuracy" / "fine_tuning.py"
MOLECULE = ROOT / "examples" / "molecule"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the source distribution has no benchmarks")


def pack(source, target, n=None):
    """The first n frames of an extended XYZ file, compressed."""
    lines, at = source.read_text().splitlines(keepends=True), 0
    for _ in range(n or 10**9):
        if at >= len(lines):
            break
        at += int(lines[at]) + 2
    target.write_bytes(lzma.compress("".join(lines[:at]).encode()))


def run(folder, *more):
    command = [
        sys.executable,
        str(SCRIPT),
        "--data",
        folder,
        "--runs",
        folder / "runs",
        "--log",
        folder / "log.md",
    ]
    command += ["--set", "training.max_epochs=1", *more]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done


def test_start_tuned_and_alone(tmp_path):
    (tmp_path / "acac").mkdir()
    places = {
        "train_300K": ("train", 20),
        "train_600K": ("test_800K", 10),
        "isolated_atoms": ("isolated_atoms", None),
    }
    for name, (source, n) in {
        **places,
        "test_MD_300K": ("test_300K", 5),
        "test_MD_600K": ("test_800K", 6),
    }.items():
        pack(MOLECULE / f"{source}.xyz", tmp_path / "acac" / f"{name}.xyz.xz", n)
    assert run(tmp_path, "--no-test").returncode == 0 and not (tmp_path / "log.md").exists()
    done = run(tmp_path)
    rows = [line for line in (tmp_path / "log.md").read_text().splitlines() if "fine_tuning.py" in line]
    assert len(rows) == 6
    forces = {}
    for name in ("start", "tuned", "alone"):
        potential = nbcore.Potential.load(tmp_path / "runs" / "fine_tuning-1" / name / f"{name}.nbcore")
        for test in ("300 K", "600 K"):
            structures = read([str(tmp_path / "acac" / f"test_MD_{test.replace(' ', '')}.xyz.xz")])
            results = potential.compute_many(structures)
            errors = [r.forces - s.forces for r, s in zip(results, structures, strict=True)]
            forces[name, test] = 1e3 * np.sqrt(np.mean(np.concatenate(errors) ** 2))
            (row,) = [row for row in rows if f": {name} | acac {test}" in row]
            assert float(row.split("|")[6]) == pytest.approx(forces[name, test], rel=6e-3)
    learned = forces["tuned", "600 K"] < forces["alone", "600 K"]
    forgotten = forces["tuned", "300 K"] / forces["start", "300 K"] - 1
    assert f"50 alone: {'yes' if learned else 'NO'}; forgotten at 300 K: {forgotten:.0%}" in done.stdout
    assert done.returncode == (0 if learned and forgotten <= 0.2 else 1)
    run(tmp_path)  # again: nothing is evaluated twice
    assert sum("fine_tuning.py" in line for line in (tmp_path / "log.md").read_text().splitlines()) == 6
