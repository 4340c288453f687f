"""`nbcore scan`: which trainings a scan.toml means, that none is trained twice, the table in the end."""

import contextlib
import csv
import json
import os
from pathlib import Path

import pytest

from nbcore import files, scan
from nbcore.cli import main

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/molecule"
TRAIN = """
name = "small"
[data]
train = "data.xyz"
valid = 0.25
[model]
cutoff = 3.0
channels = 4
levels = 1
[training]
max_epochs = 1
batch_size = 12
[uncertainty]
last_layer = false
"""
SCAN = """
name = "rates"
config = "train.toml"
[vary]
"training.lr" = [0.01, 0.02]
[[settings]]
seed = 1
[[settings]]
seed = 2
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    frames = (EXAMPLE / "train.xyz").read_text().splitlines(keepends=True)[: 24 * 10]
    (tmp_path / "data.xyz").write_text("".join(frames))
    (tmp_path / "train.toml").write_text(TRAIN)
    (tmp_path / "scan.toml").write_text(SCAN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_lists_and_tables_are_combined(folder):
    found = scan.load("scan.toml")
    assert [s.values for s in found.settings] == [
        {"seed": seed, "training.lr": lr} for seed in (1, 2) for lr in (0.01, 0.02)
    ]
    assert str(found.settings[3].folder) == "rates/seed=2,lr=0.02"


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("[vary]", "[vari]", "vari: no such key"),
        ('"training.lr" = [0.01, 0.02]', '"training.lr" = 0.01', "training.lr: expected a list"),
        ("[0.01, 0.02]", "[0.01, 0.01]", "are the same"),
        ("train.toml", "absent.toml", "absent.toml: no such file"),
        ("training.lr", "training.rate", "rate"),
        ("seed = 2", "seed = [", "not a TOML file"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_trained(folder, capsys, old, new, words):
    (folder / "scan.toml").write_text(SCAN.replace(old, new))
    assert main(["scan", "scan.toml"]) == 2
    assert words in " ".join(capsys.readouterr().err.split()) and not (folder / "rates").exists()


@pytest.mark.slow
def test_nothing_is_trained_twice_and_one_table_is_left(folder, capsys):
    """One of four as a job array would do it, one that failed and is corrected, then all, two at a time."""
    assert main(["scan", "scan.toml", "--only", "2"]) == 0
    assert "1 of 4" in capsys.readouterr().out and not (folder / "rates/table.csv").exists()
    first = folder / "rates/seed=1,lr=0.02/last.ckpt"
    before = first.stat().st_mtime_ns
    in_the_way = folder / "rates/seed=2,lr=0.01"
    in_the_way.write_text("a file where a folder belongs")
    assert main(["scan", "scan.toml", "--jobs", "2"]) == 6
    assert not (folder / "rates/table.csv").exists()
    in_the_way.unlink()
    assert main(["scan", "scan.toml", "--jobs", "2"]) == 0
    assert first.stat().st_mtime_ns == before
    rows = list(csv.DictReader((folder / "rates/table.csv").read_text().splitlines()))
    assert {(row["seed"], row["training.lr"]) for row in rows} == {(s, lr) for s in "12" for lr in ("0.01", "0.02")}
    errors = [float(row["valid forces, meV/Å"]) for row in rows]
    assert errors == sorted(errors)
    done = json.loads((folder / "rates/seed=2,lr=0.01/setting.json").read_text())
    assert done["errors"][""]["valid"]["forces_rmse"] in [pytest.approx(e / 1e3, rel=1e-5) for e in errors]
    capsys.readouterr()
    assert main(["scan", "scan.toml", "--list"]) == 0
    assert capsys.readouterr().out.count("finished") == 4


def test_a_training_that_outlived_its_scan_is_waited_for(folder, capsys, monkeypatch):
    """A scan that is killed leaves trainings that go on; the next one does not enter their folders."""
    setting, started = scan.load("scan.toml").settings[0], []

    class Training:
        def __init__(self, command, **_):
            started.append(command[command.index("--output") + 1])
            assert not files.user_of(setting.folder)

        def wait(self):
            return 0

    held = contextlib.ExitStack()
    held.enter_context(files.lock(setting.folder, "nbcore train"))
    monkeypatch.setattr("nbcore.cli.scan.subprocess.Popen", Training)
    monkeypatch.setattr("nbcore.cli.scan.time.sleep", lambda _: held.close())  # the other one ends
    assert main(["scan", "scan.toml", "--only", "1"]) == 0
    assert f"is in use by process {os.getpid()}" in capsys.readouterr().err and started == [str(setting.folder)]
    assert setting.done
