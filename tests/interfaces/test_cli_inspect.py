"""`nbcore inspect`: what it says is what is in the file."""

import hashlib
import json

import numpy as np
import pytest

from nbcore.cli import main
from nbcore.presets import nbody


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    potential = nbody(
        species=["H", "O"], cutoff=4.5, channels=8, l_harmonics=2, n_radial=4, E0s={"H": -13.5, "O": -2037.0}
    )
    about = {
        "description": "water",
        "reference": "PBE",
        "author": "A. Nother",
        "licence": "CC-BY",
        "cite": "doi:10.1/x",
    }
    training = {"n_train": 450, "n_valid": 50, "files": [{"name": "train.xyz", "n": 500, "sha256": "0" * 64}]}
    test = {"n_structures": 7, "energy_rmse_per_atom": 1.5e-3, "forces_rmse": 0.0213, "stress_rmse": None}
    errors = {"test": test, "a_longer_name": test}
    potential.annotate(about=about, training=training, errors=errors, shortest_distances={"H-O": 0.936})
    path = tmp_path_factory.mktemp("inspect") / "water.nbcore"
    potential.save(path)
    return path, potential


def test_what_it_is_and_where_it_comes_from(model, capsys):
    path, potential = model
    assert main(["inspect", str(path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for words in (
        f"{len(potential.parameters)} parameters", "elements H O", "4.5 Å, 2 levels: receptive field 9 Å", "8 channels",
        "H -13.5000 O -2037.0000 eV", "H-O 0.936 Å", "description water", "reference PBE", "author A. Nother",
        "licence CC-BY", "train.xyz (500); 450 train + 50 valid", "energy 1.50 meV/atom, forces 21.3 meV/Å",
        "errors, a_longer_name 7 structures",
        "µs/atom", "cite doi:10.1/x", "arXiv:1803.01588", hashlib.sha256(path.read_bytes()).hexdigest(),
    ):  # fmt: skip
        assert words in out, words


def test_parameters(model, capsys):
    path, potential = model
    assert main(["inspect", str(path), "--parameters"]) == 0
    out = capsys.readouterr().out
    for name, (where, shape) in potential.parameter_slices.items():
        line = next(line for line in out.splitlines() if line.split()[:1] == [name])
        assert line.split()[2:-2] == " x ".join(map(str, shape)).split()
        part = potential.parameters[where]
        assert int(line.split()[-2]) == part.size
        assert float(line.split()[-1]) == pytest.approx(np.sqrt(np.mean(part**2)), rel=1e-3)


def test_json(model, capsys):
    path, potential = model
    assert main(["inspect", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["n_parameters"] == len(potential.parameters) == sum(g["number"] for g in facts["parameter_groups"])
    assert facts["about"]["cite"] == "doi:10.1/x" and facts["species"] == ["H", "O"]
    assert facts["cost"]["seconds_per_atom"] > 0


def test_a_model_nothing_is_known_of(tmp_path, capsys):
    nbody(species=["Si"], cutoff=4.0, channels=8).save(tmp_path / "bare.nbcore")
    assert main(["inspect", str(tmp_path / "bare.nbcore")]) == 0
    out = capsys.readouterr().out
    assert "Si" in out and "None" not in out and "trained on" not in out


def test_wrong_input(tmp_path, capsys):
    (tmp_path / "junk.nbcore").write_bytes(b"not a model")
    for name, code in (("junk.nbcore", 4), ("absent.nbcore", 6), (".", 6)):
        assert main(["inspect", str(tmp_path / name)]) == code
        assert capsys.readouterr().err.startswith("error: ")
