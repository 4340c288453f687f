"""examples/active_learning: the loop goes round, and what it labels is what the reference says."""

import importlib.util
from pathlib import Path

import ase.io
import numpy as np
from ase.calculators.emt import EMT

import nbcore

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "active_learning" / "loop.py"


def test_the_loop(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("loop", SCRIPT)
    loop = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loop)
    monkeypatch.setattr(loop, "RUNS", 4)
    monkeypatch.setattr(loop, "STEPS", 20)
    errors = loop.main(["--rounds", "2", "--epochs", "4", "--output", str(tmp_path / "out")])
    assert len(errors) == 2 and np.isfinite(errors).all()
    known = ase.io.read(tmp_path / "out" / "train.xyz", ":")
    assert 9 < len(known) <= 15  # nine, and three of four in each round, if all runs ended early
    for atoms in known[-2:]:
        forces = atoms.get_forces()
        atoms.calc = EMT()
        assert np.allclose(atoms.get_forces(), forces, atol=1e-6)
    assert nbcore.load(tmp_path / "out" / "copper.nbcore").uncertainty["kind"] == "last_layer"
    assert "steps until lost" in capsys.readouterr().out
