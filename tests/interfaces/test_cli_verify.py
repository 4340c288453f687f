"""`nbcore verify`: its table, the certificate in the file, what is said where a check fails."""

import json

import pytest
from random_structures import network

import nbcore
from nbcore.certificate import machines
from nbcore.cli import main


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "a model.nbcore"
    network("nbody-pairs", ["H"]).save(path)
    return path


def inspected(path, capsys):
    capsys.readouterr()
    assert main(["inspect", str(path)]) == 0
    return next(line for line in capsys.readouterr().out.splitlines() if line.lstrip().startswith("certificate"))


def test_the_certificate_stays_in_the_file(model, tmp_path, capsys):
    assert "none" in inspected(model, capsys)
    before = model.read_bytes()
    assert main(["verify", str(model), "--dry-run"]) == 0
    table = capsys.readouterr().out
    assert model.read_bytes() == before and "FAIL" not in table
    for words in ("forces", "rotation", ">= 2", "H-H", "Å", "pass  against differences of the energy", "--dry-run"):
        assert words in table, words
    assert main(["verify", str(model)]) == 0
    assert "checks passed (kernel_set" in inspected(model, capsys)
    kept = nbcore.load(model).description["certificate"]
    assert kept["passed"] and "energies" not in kept["dimers"][0]
    written = model.stat().st_mtime_ns
    assert main(["verify", str(model), "--json"]) == 0  # the same once more is not written
    said = json.loads(capsys.readouterr().out)
    assert model.stat().st_mtime_ns == written and len(said["dimers"][0]["energies"]) == len(
        said["dimers"][0]["distances"]
    )
    assert said["checks"] == json.loads(json.dumps(kept["checks"], default=list))
    pot = nbcore.load(model)
    pot.parameters[0] += 0.1
    pot.save(model, overwrite=True)
    assert "anew" in inspected(model, capsys)


def test_what_fails_is_said_and_kept(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(machines, "single_precision", lambda model, samples: 0.5)
    output = tmp_path / "checked.nbcore"
    assert main(["verify", str(model), "--output", str(output)]) == 5
    out, err = capsys.readouterr()
    assert "FAIL" in out and "float32" in err and "Traceback" not in err
    assert not nbcore.load(output).description["certificate"]["passed"]
    assert "failed: float32" in inspected(output, capsys)


def test_committees_and_structures_of_a_user(tmp_path, capsys):
    path, structure = tmp_path / "committee.nbcore", tmp_path / "water.xyz"
    nbcore.Committee([network("nbody-pairs", ["H"], seed=k) for k in range(2)]).save(path)
    structure.write_text("3\n\nH 0 0 0\nH 0 0 1\nH 0.9 0 -0.3\n")
    assert main(["verify", str(path), str(structure)]) == 0
    assert "1 of yours" in capsys.readouterr().out
    assert "checks passed" in inspected(path, capsys)
    structure.write_text("1\n\nC 0 0 0\n")
    assert main(["verify", str(path), str(structure)]) == 3
    assert "C " in capsys.readouterr().err


def test_wrong_input(model, tmp_path, capsys):
    (tmp_path / "junk.nbcore").write_bytes(b"not a model")
    (tmp_path / "notes.txt").write_text("mine")
    for arguments, code in (
        ([str(tmp_path / "junk.nbcore")], 4), ([str(tmp_path / "absent.nbcore")], 6), ([], 2),
        ([str(model), "absent.xyz"], 6), ([str(model), "--output", str(tmp_path / "notes.txt")], 6),
    ):  # fmt: skip
        assert main(["verify", *arguments]) == code, arguments
        assert capsys.readouterr().err.startswith("error: ")
    assert (tmp_path / "notes.txt").read_text() == "mine"
