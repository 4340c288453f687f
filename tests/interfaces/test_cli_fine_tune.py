"""`nbcore train` with [fine_tune] as a stranger uses it: what is said and kept, refusals, interruptions, `init`."""

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from interruption import interrupt_training
from test_cli_train import CONFIG, structures

import nbcore
from nbcore.cli import main
from nbcore.identity import digest
from nbcore.parameter_groups import select
from nbcore.results import plots

TUNE = """
name = "tuned"
[data]
train = "new.xyz"
valid = 0.25
test = "far.xyz"
[fine_tune]
model = "argon/argon.nbcore"
replay = "train.xyz"
replay_fraction = 0.5
freeze = ["readout"]
[training]
max_epochs = 4
batch_size = 4
threads = 1
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with data and the model of a first training."""
    folder, here = tmp_path_factory.mktemp("trained"), os.getcwd()
    os.chdir(folder)
    atoms = [Atoms("Ar", info={"energy": -1.0}), Atoms("Ne", info={"energy": -2.0})]
    write("train.xyz", [*structures(20, 1), *atoms], format="extxyz")
    write("far.xyz", list(structures(5, 2, spread=0.2)), format="extxyz")
    write("new.xyz", list(structures(8, 3, spread=0.12)), format="extxyz")
    Path("train.toml").write_text(CONFIG)
    save, plots._save = plots._save, lambda figure, path: None
    try:
        assert main(["train", "train.toml", "--quiet", "--set", "training.max_epochs=80"]) == 0
    finally:
        plots._save = save
        os.chdir(here)
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tune.toml").write_text(TUNE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "_save", lambda figure, path: None)
    return tmp_path


def train(*arguments):
    return main(["train", "tune.toml", *arguments])


def flat(text):
    return re.sub(r"\s+", " ", text)


def test_a_whole_run(folder, capsys):
    before = Path("argon/argon.nbcore").read_bytes()
    assert train() == 0
    screen = capsys.readouterr()
    said = flat(screen.out)
    start, tuned = (nbcore.Potential.load(f"{name}/{name}.nbcore") for name in ("argon", "tuned"))
    order = "new.xyz 8 structures 6 train + 2 valid|train.xyz 20 structures 2 isolated atoms replay|"
    order += "(of the model)|Start argon.nbcore, trained on 16 structures|frozen: 16 of 248|"
    order += "replay: 6 of 18 old structures in each epoch, 2 more in valid|"
    order += "its errors: valid E|Model|Plan 4 epochs x 3 steps|Best:|train 6|valid 2|replay 2|far 5"
    place = 0
    for words in order.split("|"):
        assert words in said[place:], (words, said[place:])
        place = said.index(words, place)
    found = re.search(r"valid F (\S+) -> (\S+) meV/Å, .* replay F (\S+) -> (\S+) meV/Å", flat(screen.err))
    errors = tuned.description["errors"]
    assert float(found[2]) == pytest.approx(1e3 * errors["valid"]["forces_rmse"], rel=6e-3)
    assert float(found[4]) == pytest.approx(1e3 * errors["replay"]["forces_rmse"], rel=6e-3)
    assert Path("argon/argon.nbcore").read_bytes() == before
    assert tuned.scale == start.scale and tuned.E0s == start.E0s
    for name, (where, _) in start.parameter_slices.items():
        same = np.array_equal(start.parameters[where], tuned.parameters[where])
        assert same == name.startswith("energy"), name
    of_start = tuned.description["training"]["start"]
    assert of_start["file"] == "argon.nbcore" and of_start["files"] == start.description["training"]["files"]
    roles = {f["name"]: f["role"] for f in tuned.description["training"]["files"]}
    assert roles["train.xyz"] == "replay" and roles["far.xyz"] == "test"
    # the copy of the configuration in the run folder continues it, too
    again = Path("tuned/tuned.nbcore").read_bytes()
    assert main(["train", "tuned/config.toml", "--quiet"]) == 0 and Path("tuned/tuned.nbcore").read_bytes() == again


def test_an_interrupted_run_ends_with_the_same_bits(folder, monkeypatch, capsys):
    assert train("--output", "whole", "--quiet") == 0
    interrupt_training(monkeypatch, at=8, number=signal.SIGTERM)
    assert train("--quiet") == 128 + signal.SIGTERM
    os.rename("argon", "moved")  # the model is known by what is in it
    Path("tune.toml").write_text(TUNE.replace("argon/", "moved/"))
    assert train("--quiet") == 0
    assert Path("tuned/history.csv").read_bytes() == Path("whole/history.csv").read_bytes()
    one, two = (nbcore.Potential.load(f"{name}/tuned.nbcore") for name in ("whole", "tuned"))
    assert np.array_equal(one.parameters, two.parameters)


def test_another_start_is_refused(folder, capsys):
    assert train("--quiet") == 0
    potential = nbcore.Potential.load("argon/argon.nbcore")
    potential.parameters[0] = np.nextafter(potential.parameters[0], 9)
    potential.save("argon/argon.nbcore", overwrite=True)
    assert train("--quiet", "--set", "training.max_epochs=6") == 4
    assert "other parameters" in capsys.readouterr().err


@pytest.mark.parametrize("written, code, said", [
    ("[model]\nchannels = 8", 2, "[model] channels = 8, but argon/argon.nbcore has channels = 4"),
    ("[data2]", 2, "data2"),
], ids=["model", "table"])  # fmt: skip
def test_refusals(folder, capsys, written, code, said):
    Path("tune.toml").write_text(TUNE + written)
    assert train() == code
    error = flat(capsys.readouterr().err)
    assert said in error and "Traceback" not in error and not Path("tuned").exists()


def test_more_refusals(folder, capsys):
    assert train("--set", "fine_tune.model=none.nbcore") == 6
    assert "none.nbcore" in capsys.readouterr().err
    assert train("--set", "fine_tune.freeze=['psi9']") == 3
    assert "freeze: no parameters are called psi9" in flat(capsys.readouterr().err)
    assert train("--set", "name=argon") != 0  # its model would be replaced while it is read
    assert nbcore.Potential.load("argon/argon.nbcore")
    capsys.readouterr()
    write("odd.xyz", [Atoms("ArXe", [[0, 0, 0], [0, 0, 2.0]], info={"energy": 1.0})], format="extxyz")
    assert train("--set", "fine_tune.replay=odd.xyz", "--restart") == 3
    error = flat(capsys.readouterr().err)
    assert "Xe is in replay but not in the model (Ne Ar)" in error
    assert train("--set", "fine_tune.replay=new.xyz", "--restart") == 3
    assert "a file belongs to one set" in flat(capsys.readouterr().err)


def test_a_new_element_and_energies_of_another_method(folder, capsys):
    frames = list(structures(10, 5))
    for k, atoms in enumerate(frames):
        results = atoms.calc.results
        atoms.calc = None
        atoms.info["energy"] = results["energy"] + 0.7 * 4 + (30.0 if k >= 6 else 0.0)
        atoms.arrays["forces"] = results["forces"]
        if k >= 6:
            atoms.numbers[0] = 36
    write("new.xyz", frames, format="extxyz")
    assert train("--set", "data.valid=0.2", "--set", "data.test=[]") == 0
    screen = capsys.readouterr()
    said = flat(screen.err)
    assert "The energies are of another method than the model's: E0s shifted by" in said
    assert "Kr is new to the model: its weights begin as those of Ar; its E0 is" in said
    assert "the energies of the old structures are shifted with the E0s" in said
    tuned, start = nbcore.Potential.load("tuned/tuned.nbcore"), nbcore.Potential.load("argon/argon.nbcore")
    assert tuned.species == ["Ne", "Ar", "Kr"]
    assert sum(tuned.E0s[x] - start.E0s[x] for x in ("Ar", "Ar", "Ar", "Ne")) == pytest.approx(4 * 0.7, abs=0.5)


def test_dry_run(folder, capsys):
    assert train("--dry-run") == 0
    said = flat(capsys.readouterr().out)
    assert "Start argon.nbcore" in said and "Plan" in said and not Path("tuned").exists()


def test_init_from_a_model(folder, capsys):
    assert (
        main(
            [
                "init",
                "new.xyz",
                "far.xyz",
                "--from",
                "argon/argon.nbcore",
                "--replay",
                "train.xyz",
                "--output",
                "t.toml",
                "--name",
                "t",
            ]
        )
        == 0
    )
    screen = capsys.readouterr()
    assert "network, scales and E0s of argon/argon.nbcore: nbody, channels 4 correlation 2 cutoff 3.0" in flat(
        screen.out
    )
    text = Path("t.toml").read_text()
    assert "[model]" not in text.replace("no [model]", "") and 'model = "argon/argon.nbcore"' in text
    assert 'replay = ["train.xyz"]' in text
    assert main(["train", "t.toml", "--set", "training.max_epochs=1", "--quiet"]) == 0
    assert nbcore.Potential.load("t/t.nbcore").description["training"]["start"]["file"] == "argon.nbcore"
    assert len(read("new.xyz", ":")) == 8
    capsys.readouterr()
    for wrong, said in ((["--from", "argon/argon.nbcore", "--preset", "kondor"], "Leave out one of them"),
                        (["--replay", "train.xyz"], "--replay goes with --from")):  # fmt: skip
        assert main(["init", "new.xyz", "--output", "w.toml", *wrong]) == 2
        assert said in flat(capsys.readouterr().err)
    assert main(["init", "new.xyz", "--from", "new.xyz", "--output", "w.toml"]) == 4
    assert not Path("w.toml").exists()


def test_new_and_old_data_from_shards_give_the_same_bits(folder):
    for name in ("new", "train"):
        assert main(["data", f"{name}.xyz", "--output", f"{name}.shards", "--quiet"]) == 0
    shards = ["--set", 'data.train="new.shards"', "--set", 'fine_tune.replay="train.shards"']
    assert train("--quiet") == 0 and train("--quiet", "--output", "shards", *shards) == 0
    one, two = (nbcore.Potential.load(f"{name}/tuned.nbcore") for name in ("tuned", "shards"))
    assert np.array_equal(one.parameters, two.parameters) and one.E0s == two.E0s


def test_a_committee_is_tuned_member_by_member(folder, capsys):
    """Each begins with the parameters of its own; one potential becomes a committee, whose members begin alike."""
    first = nbcore.load("argon/argon.nbcore")
    other = nbcore.Potential.load("argon/argon.nbcore")
    other.parameters[:] *= 1.01
    nbcore.Committee([first, other]).save("two.nbcore")
    assert main(["init", "new.xyz", "--from", "two.nbcore", "--output", "two.toml", "--quiet"]) == 0
    assert "committee = 2" in Path("two.toml").read_text()
    options = ["train", "tune.toml", "--set", 'fine_tune.model="two.nbcore"', "--set"]
    assert main([*options, "uncertainty.committee=2"]) == 0
    assert "Member 2 of 2" in capsys.readouterr().out
    tuned = nbcore.load("tuned/tuned.nbcore")
    assert tuned.uncertainty["kind"] == "committee"
    for member, start in zip(tuned.members, (first, other), strict=True):
        assert member.description["training"]["start"]["parameters"] == digest(start.parameters)
        groups = {name: where for name, (where, _) in member.parameter_slices.items()}
        kept = np.concatenate([np.arange(len(start.parameters))[groups[g]] for g in select(member, "readout")])
        assert np.array_equal(member.parameters[kept], start.parameters[kept])
        assert not np.array_equal(member.parameters, start.parameters)
    before = Path("tuned/tuned.nbcore").read_bytes()
    assert main([*options, "uncertainty.committee=2", "--quiet"]) == 0  # nothing left to do
    assert Path("tuned/tuned.nbcore").read_bytes() == before
    assert main([*options, "uncertainty.committee=3", "--output", "three"]) == 3
    words = "two.nbcore is a committee of 2, each of which is tuned: write committee = 2 under [uncertainty]."
    assert words in " ".join(capsys.readouterr().err.split())
    assert main(["train", "tune.toml", "--set", "uncertainty.committee=2", "--output", "alike"]) == 0
    assert "All members begin as the same potential" in " ".join(capsys.readouterr().err.split())
    one, two = nbcore.load("alike/tuned.nbcore").members
    assert not np.array_equal(one.parameters, two.parameters)
