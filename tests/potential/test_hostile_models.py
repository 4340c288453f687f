"""Model files that are intact as files and senseless as models: refused by name, at once."""

import copy
import json

import numpy as np
import pytest

import nbcore
from nbcore._core import read_model_file, write_model_file
from nbcore.errors import ModelFileError


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "good.nbcore"
    nbcore.presets.nbody(species=["H", "C"], cutoff=4.0, channels=2, correlation=2).save(path)
    description, tensors = read_model_file(path)
    return json.loads(description), tensors


def gates(kind, **changes):
    """Changes the options of all gates of a kind."""

    def change(description):
        for gate in description["program"]["gates"]:
            if gate["gate"] == kind:
                gate.update(changes)

    return change


def radial(**changes):
    def change(description):
        for gate in description["program"]["gates"]:
            if "radial" in gate:
                gate["radial"].update(changes)

    return change


def top(**changes):
    return lambda description: description.update(changes)


DESCRIPTIONS = [
    (top(species=[]), "at least one element"),
    (top(species=["H", "H"]), "once each"),
    (top(species=["H", "Xx"]), "Xx"),
    (top(species="HC"), "species"),
    (lambda d: d.pop("species"), "species"),
    (lambda d: d.pop("program"), "program"),
    (top(program=[]), "program must be an object"),
    (lambda d: d["program"].update(gates=[]), "no gates"),
    (lambda d: d["program"].update(readout=[]), "no readout"),
    (lambda d: d["program"].update(readout=["nobody"]), "nobody"),
    (gates("mix", gate="evil"), "evil"),
    (gates("mix", inputs=["nobody"]), "nobody"),
    (gates("mix", inputs=["A1"]), "A1"),
    (gates("mix", channels=0), "channels"),
    (gates("mix", channels=-1), "channels"),
    (gates("mix", channels=2**31), "channels"),
    (gates("mix", channels=1.5), "channels"),
    (gates("mix", channels="many"), "channels"),
    (gates("mix", channels=3), "readout"),
    (gates("density", l_max=51), "l_max"),
    (gates("density", l_max=-1), "l_max"),
    (gates("zeroth_order", l_out=10**9), "l_out"),
    (gates("self_product", correlation=10**9), "correlation"),
    (radial(n=0), "n_radial"),
    (radial(n=10**9), "n_radial"),
    (radial(cutoff=-1.0), "cutoff"),
    (radial(cutoff="far"), "radial"),
    (radial(basis="evil"), "evil"),
    (radial(power=10**9), "power"),
    (top(scale="large"), "number"),
    (top(r_min=-1.0), "r_min"),
    (top(E0s={"N": 1.0}), "N is not among the species"),
    (top(E0s={"H": "low"}), "number"),
]


def assert_refused(path, description, tensors, text):
    write_model_file(path, json.dumps(description), tensors)
    with pytest.raises(ModelFileError, match=text) as error:
        nbcore.Potential.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("change, text", DESCRIPTIONS)
def test_descriptions(good, tmp_path, change, text):
    description = copy.deepcopy(good[0])
    change(description)
    assert_refused(tmp_path / "bad.nbcore", description, good[1], text)


def test_arrays(good, tmp_path):
    """Each array of parameters missing, cut short, or of another shape, in turn."""
    description, tensors = good
    names = [name for name in tensors if name.startswith("parameters.")]
    assert len(names) > 5
    for name in names:
        others = {key: array for key, array in tensors.items() if key != name}
        assert_refused(tmp_path / "bad.nbcore", description, others, "missing")
        flat = tensors[name].ravel()
        for array in (flat[:-1].copy(), np.append(flat, 0.0), flat.reshape(1, 1, 1, -1)):
            assert_refused(tmp_path / "bad.nbcore", description, others | {name: array}, "shape")


def test_the_unchanged_one_loads(good, tmp_path):
    description, tensors = good
    write_model_file(tmp_path / "good.nbcore", json.dumps(description), tensors)
    assert nbcore.Potential.load(tmp_path / "good.nbcore").species == ["H", "C"]
