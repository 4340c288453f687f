"""`nbcore train` with [heads.NAME] as a stranger uses it: what is said and kept, refusals, interruptions."""

import csv
import re
import signal
from pathlib import Path

import pytest
from ase import Atoms
from ase.io import read, write
from interruption import interrupt_training
from shell import blocks
from test_cli_train import structures

import nbcore
from nbcore.cli import main
from nbcore.config import ConfigError, from_dict, load
from nbcore.results import plots

CONFIG = """
name = "two"
[data]
valid = 0.25
energy_key = "total"
[about]
author = "me"
reference = "many"
[heads.pbe]
train = "pbe.xyz"
energy_key = "auto"
[heads."ccsd(t)"]
train = "cc.xyz"
valid = "judge.xyz"
test = "far.xyz"
energy_unit = "Hartree"
forces_unit = "eV/Angstrom"
weight = 2.0
reference = "CCSD(T)"
[model]
cutoff = 3.0
channels = 4
l_states = 0
[training]
max_epochs = 4
batch_size = 4
threads = 1
"""
ROOT = Path(__file__).parents[2]
HARTREE = 27.211386245988


def of_other_method(frames):
    """Total energies under another key, in hartree."""
    for atoms in frames:
        other = Atoms(
            atoms.symbols, atoms.positions, info={"total": atoms.get_potential_energy() / HARTREE + len(atoms)}
        )
        other.arrays["forces"] = atoms.get_forces()
        yield other


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "_save", lambda figure, path: None)
    write("pbe.xyz", list(structures(16, 1)), format="extxyz")
    for name, n, seed in (("cc", 6, 2), ("judge", 3, 3), ("far", 3, 4)):
        write(f"{name}.xyz", list(of_other_method(structures(n, seed))), format="extxyz")
    Path("train.toml").write_text(CONFIG)
    return tmp_path


def run(*arguments):
    return main(["train", "train.toml", *arguments])


def test_what_is_said_and_written(folder, capsys):
    assert run() == 0
    out, err = capsys.readouterr()
    assert re.search(r"Data pbe\n +pbe.xyz +16 structures +12 train \+ 4 valid", out)
    assert re.search(r"Data ccsd\(t\)\n +cc.xyz +6 structures +train\n +judge.xyz +3 structures +valid\n +far.xyz", out)
    assert "heads pbe, ccsd(t) with" in " ".join(out.split())
    assert "epoch      loss valid E, meV/atom    valid F, meV/Å" in out
    for name, n in (
        ("pbe train", 12),
        ("pbe valid", 4),
        ("ccsd(t) train", 6),
        ("ccsd(t) valid", 3),
        ("ccsd(t) far", 3),
    ):
        assert re.search(rf"\n  {re.escape(name)} +{n} ", out), name
    assert "two/two_pbe.nbcore" in out and "two/two_ccsd(t).nbcore" in out
    rows = list(csv.DictReader(Path("two/history.csv").read_text().splitlines()))
    assert len(rows) == 4 and all(float(rows[-1][f"forces_{head}_valid"]) > 0 for head in ("pbe", "ccsd(t)"))
    pbe, cc = (nbcore.Potential.load(f"two/two_{name}.nbcore") for name in ("pbe", "ccsd(t)"))
    assert (pbe.description["about"]["reference"], cc.description["about"]["reference"]) == ("many", "CCSD(T)")
    assert pbe.description["about"]["author"] == cc.description["about"]["author"] == "me"
    frames = read("far.xyz", ":")
    energies = [r.energy for r in cc.compute_many(frames)]
    errors = [e - HARTREE * a.info["total"] for e, a in zip(energies, frames, strict=True)]
    assert max(map(abs, errors)) < 3.0  # hartrees per atom were 27 eV
    assert [f["name"] for f in cc.description["training"]["files"]] == ["pbe.xyz", "cc.xyz", "judge.xyz", "far.xyz"]
    assert main(["inspect", "two/two_ccsd(t).nbcore"]) == 0
    assert "head          ccsd(t), beside pbe: 6 of 18 structures" in capsys.readouterr().out
    config, again = load("train.toml"), load("two/config.toml")
    assert again.heads["ccsd(t)"].energy_unit == "Hartree" and again.heads["ccsd(t)"].energy_key == "total"
    assert again.heads["pbe"].energy_key == "auto" and config.heads["pbe"].valid == again.heads["pbe"].valid == 0.25
    Path("cc.xyz").rename("moved.xyz")  # names of files may change, what is in them may not
    assert run("--set", 'heads.ccsd(t).train="moved.xyz"', "--quiet") == 0
    assert run("--set", 'heads.ccsd(t).train="moved.xyz"', "--set", "heads.pbe.weight=3") == 4
    assert "heads.pbe.weight = 1; train.toml says 3" in capsys.readouterr().err
    before = Path("two/two_pbe.nbcore").read_bytes()
    assert main(["train", "two/config.toml", "--set", 'heads.ccsd(t).train="../moved.xyz"', "--quiet"]) == 0
    assert Path("two/two_pbe.nbcore").read_bytes() == before


def test_what_was_interrupted_goes_on_with_the_same_bits(folder, monkeypatch):
    assert run("--output", "whole", "--quiet") == 0
    interrupt_training(monkeypatch, at=8, number=signal.SIGTERM)
    assert run("--output", "broken", "--quiet") == 143
    assert Path("broken/two_pbe.nbcore").exists()
    assert run("--output", "broken", "--quiet") == 0
    for name in ("two_pbe.nbcore", "two_ccsd(t).nbcore", "history.csv"):
        assert Path("whole", name).read_bytes() == Path("broken", name).read_bytes(), name


def test_one_head_has_the_bits_of_data(folder):
    text = (
        CONFIG.partition("[data]")[0]
        + "[{}]\ntrain = 'pbe.xyz'\nvalid = 0.25\n[model]"
        + CONFIG.partition("[model]")[2]
    )
    for table in ("data", "heads.pbe"):
        Path("train.toml").write_text(text.format(table))
        assert run("--quiet", "--output", table) == 0
    one, other = (nbcore.Potential.load(p) for p in ("data/two.nbcore", "heads.pbe/two_pbe.nbcore"))
    assert (one.parameters == other.parameters).all() and one.E0s == other.E0s


def test_nothing_is_trained_in_a_dry_run_or_over_other_files(folder, capsys):
    assert run("--dry-run") == 0
    assert "Plan" in capsys.readouterr().out and not Path("two").exists()
    Path("two").mkdir()
    Path("two/two_pbe.nbcore").write_text("mine")
    assert run("--quiet") == 6
    assert "two/two_pbe.nbcore is not of a run of `nbcore train`" in capsys.readouterr().err
    assert Path("two/two_pbe.nbcore").read_text() == "mine"


HEAD = {"train": "a.xyz"}
REFUSED = [
    ({"data": {"train": "a.xyz"}, "heads": {"pbe": HEAD}}, r"[data] train: beside heads every file belongs to one"),
    ({"data": {"valid": "v.xyz"}, "heads": {"pbe": HEAD}}, r"[data] valid: beside heads every file belongs to one"),
    ({"heads": {"pbe": {"weight": 2.0}}}, 'train is needed: write  train = "pbe.xyz" under [heads.pbe].'),
    ({"heads": {"pbe": HEAD | {"trian": "b.xyz"}}}, "[heads.pbe] trian: no such key. Did you mean train?"),
    ({"heads": {"pbe": HEAD | {"train_file": "b.xyz"}}}, "[heads.pbe] train_file: no such key. Did you mean train?"),
    ({"heads": {"pbe": HEAD | {"weight": 0}}}, "[heads.pbe] weight: expected a number > 0, got 0."),
    ({"heads": {"pbe": HEAD | {"valid": 1.5}}}, "[heads.pbe] valid: expected a fraction between 0 and 1, or files"),
    ({"heads": {"pbe": HEAD | {"E0s": "best"}}}, '[heads.pbe] E0s: expected "auto", "isolated", "fit" or a table'),
    ({"heads": {"pbe": HEAD | {"weight": float("inf")}}}, "[heads.pbe] weight: expected a finite number, got inf."),
    ({"heads": {"a,b": HEAD}}, "'a,b' is no name of a head"),
    ({"heads": {"pbe": HEAD, "PBE": HEAD}}, "pbe and PBE would be the same file"),
    ({"heads": {"pbe": "a.xyz"}}, "heads are tables: write [heads.pbe] and its keys below"),
    ({"heads": "pbe"}, "heads are tables: write [heads.pbe] and its keys below"),
    ({"heads": {"pbe": HEAD}, "uncertainty": {"committee": 2}}, "[uncertainty] committee: heads are trained as one"),
    ({"heads": {"pbe": HEAD}, "fine_tune": {"model": 3}}, "[heads.pbe]: a fine-tuning goes on from one potential"),
    ({"heads": {}}, 'train is needed: write  train = "train.xyz"  under [data].'),
]  # fmt: skip


@pytest.mark.parametrize("content, words", REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused_in_the_words_of_the_file(content, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        from_dict({"name": "two", "model": {"cutoff": 5.0}, **content}, "train.toml")


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    """Both ways of its example, with files of the names that it uses and fewer epochs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "_save", lambda figure, path: None)
    frames = read(ROOT / "examples" / "molecule" / "train.xyz", ":24")
    write("pbe.xyz", frames[:20], format="extxyz")
    write("ccsd.xyz", frames[12:], format="extxyz")
    ran = {language: text for language, text in blocks(ROOT / "docs" / "heads.md")}
    Path("train.toml").write_text(ran["toml"])
    assert run("--quiet", "--set", "training.max_epochs=1") == 0
    assert nbcore.Potential.load("both/both_ccsd.nbcore").description["about"]["reference"] == "CCSD(T)/cc-pVTZ"
    assert "max_epochs=100" in ran["python"]
    exec(compile(ran["python"].replace("max_epochs=100", "max_epochs=1"), "heads.md", "exec"), {})
    assert float(capsys.readouterr().out.split()[-1]) > 0 and Path("ccsd.nbcore").exists()


def test_init_writes_a_table_for_each_head(folder, capsys):
    Path("train.toml").unlink()
    units = ["--energy-key", "auto"]
    assert main(["init", "--head", "pbe=pbe.xyz", "--head", "xtb=cheap_*.xyz", "--head", "xtb=test.xyz", *units]) == 6
    assert not Path("train.toml").exists()
    for name, n in (("cheap_1", 30), ("cheap_2", 30), ("test", 4)):
        write(f"{name}.xyz", list(structures(n, n)), format="extxyz")
    assert main(["init", "--head", "pbe=pbe.xyz", "--head", "xtb=cheap_*.xyz", "--head", "xtb=test.xyz", *units]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^pbe\n +pbe.xyz +16 structures", out, re.MULTILINE) and "cutoff 5 Å" in out
    assert "pbe: valid: 20% of train, at random" in out and "xtb: test: test.xyz (by name" in out
    c = load("train.toml")
    assert list(c.heads) == ["pbe", "xtb"] and c.heads["pbe"].train == "pbe.xyz" and c.heads["pbe"].valid == 0.2
    assert c.heads["xtb"].train == ["cheap_1.xyz", "cheap_2.xyz"] and c.heads["xtb"].test == ["test.xyz"]
    assert c.heads["xtb"].valid == 0.1
    assert run("--dry-run", "--set", "model.channels=4") == 0
    for arguments, words in (
        (["--head", "pbe"], "--head pbe: expected NAME=DATA"),
        (["--head", "a/b=pbe.xyz"], "'a/b' is no name of a head"),
        (["pbe.xyz", "--head", "pbe=pbe.xyz"], "DATA and --head: with heads all data belong to one of them"),
    ):
        capsys.readouterr()
        assert main(["init", "--output", "other.toml", *arguments]) == 2
        assert words in " ".join(capsys.readouterr().err.split()) and not Path("other.toml").exists()
