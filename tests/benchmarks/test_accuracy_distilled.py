"""benchmarks/accuracy --distil: a committee, the structures that it labels, one model of both."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nbcore
from nbcore.data import read

ROOT = Path(__file__).resolve().parents[2]
ACCURACY = ROOT / "benchmarks" / "accuracy"
pytestmark = pytest.mark.skipif(not ACCURACY.exists(), reason="the source distribution has no benchmarks")


def test_a_committee_teaches_one_model(tmp_path):
    options = ["--size", "small", "--structures", "60", "--least", "0", "--no-test", "--distil", "2", "1.5", "6"]
    for key in (
        "training.max_epochs=20",
        "model.channels=16",
        "model.l_harmonics=2",
        "model.levels=1",
        "model.repulsion=zbl",
    ):
        options += ["--set", key]
    command = [sys.executable, ACCURACY, "molecule", *options, "--runs", tmp_path / "runs", "--log", tmp_path / "log"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (entry,) = map(json.loads, (tmp_path / "log" / "validations.jsonl").read_text().splitlines())
    assert "distilled from 2, 6 structures stretched up to 1.5" in entry["set"]
    student = tmp_path / "runs" / entry["run"]
    teacher = tmp_path / "runs" / entry["run"].partition("-distilled")[0]
    (teacher,) = [folder for folder in (tmp_path / "runs").iterdir() if folder not in (student, teacher)]
    members = [nbcore.Potential.load(path) for path in sorted(teacher.glob("run/member_*/molecule.nbcore"))]
    labelled = read(student / "train.xyz")
    assert len(members) == 2 and len(labelled) == 54 + 6 and entry["train"]["n_structures"] == 60
    for s in labelled[54:]:
        results = [member.compute(s.positions, s.numbers) for member in members]
        assert s.energy == pytest.approx(np.mean([r.energy for r in results]), abs=1e-5)
        np.testing.assert_allclose(s.forces, np.mean([r.forces for r in results], axis=0), atol=1e-6)
    original = {s.positions.tobytes(): s.energy for s in read(ROOT / "examples" / "molecule" / "train.xyz")}
    kept = [*labelled[:54], *read(student / "valid.xyz")]
    assert len(kept) == len({s.positions.tobytes() for s in kept}) == 60
    assert all(original[s.positions.tobytes()] == s.energy for s in kept)
    seconds = [json.loads((folder / "run.json").read_text())["wall_seconds"] for folder in (student, teacher)]
    assert entry["wall_seconds"] == seconds[0] > seconds[1] > 0
