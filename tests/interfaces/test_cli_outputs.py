"""Tensors from the command line: from `init` to `evaluate`, and what a model without an energy refuses."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from nbcore.cli import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "tensors"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder, test data): a short training on a part of the example's data, as a user would start it."""
    folder = tmp_path_factory.mktemp("tensors")
    made = runpy.run_path(str(EXAMPLE / "label.py"))
    (folder / "train.xyz").write_text("".join(made["frames"](60, 1)))
    (folder / "test.xyz").write_text("".join(made["frames"](9, 2)))
    (folder / "train.toml").write_text((EXAMPLE / "train.toml").read_text())
    small = ["--set", "training.max_epochs=8", "--set", "model.channels=6", "--quiet"]
    assert main(["train", str(folder / "train.toml"), "--output", str(folder / "run"), *small]) == 0
    return folder


def test_run_folder(trained):
    header = (trained / "run" / "history.csv").read_text().splitlines()[0]
    assert "dipole_valid" in header and "polarizability_train" in header
    report, log = [(trained / "run" / f).read_text() for f in ("report.html", "train.log")]
    assert "e bohr/atom" in report and "bohr^3" in log
    for plot in ("parity.png", "errors.png", "learning_curve.png"):
        assert (trained / "run" / "plots" / plot).stat().st_size > 1000


def test_evaluate(trained, capsys):
    model, data = str(trained / "run" / "tensors.nbcore"), str(trained / "test.xyz")
    assert main(["evaluate", model, data, "--json", "--output", str(trained / "predicted.xyz")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["energy_rmse"] is None and 0 < found["dipole_percent"] < 100
    from nbcore import Potential
    from nbcore import data as reference

    frames = reference.read(data, outputs=["dipole", "polarizability"], require=())
    results = Potential.load(model).compute_many(frames)
    errors = np.array(
        [(r.outputs["dipole"] - s.outputs["dipole"]) / len(s) for r, s in zip(results, frames, strict=True)]
    )
    assert found["dipole_rmse_per_atom"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-12)
    predicted = reference.read(trained / "predicted.xyz", outputs={"dipole": {"key": "nbcore_dipole"}}, require=())
    np.testing.assert_allclose(predicted[3].outputs["dipole"], results[3].outputs["dipole"], atol=1e-7)
    assert main(["evaluate", model, data]) == 0
    assert "bohr^3/atom" in capsys.readouterr().out
    assert main(["evaluate", model, data, "--output-key", "charge=q"]) == 2


def test_inspect_and_md(trained, capsys):
    model = str(trained / "run" / "tensors.nbcore")
    assert main(["inspect", model]) == 0
    assert "rank 2, l = 0 and 2, per structure, bohr^3" in capsys.readouterr().out
    assert main(["md", model, str(trained / "test.xyz"), "--time", "1fs", "--output", str(trained / "md")]) == 4
    assert "covariant outputs alone" in " ".join(capsys.readouterr().err.split())


def test_init_finds_them(trained, capsys, monkeypatch):
    monkeypatch.chdir(trained)
    assert main(["init", "train.xyz", "--output", "own.toml"]) == 0
    text = (trained / "own.toml").read_text()
    assert "[outputs.dipole]" in text and "[outputs.polarizability]" in text
    assert "outputs: dipole, polarizability" in capsys.readouterr().out
    assert main(["train", "own.toml", "--dry-run", "--quiet"]) == 0
