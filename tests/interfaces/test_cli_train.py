"""`nbcore train` as a stranger uses it: a whole run, interruptions of every kind, other settings, full disks."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import write

import nbcore
from nbcore.cli import main
from nbcore.results import plots
from nbcore.train import checkpoint

ROOT = Path(__file__).parents[2]
SAVE_PLOT = plots._save
CONFIG = """
name = "argon"
[data]
train = "train.xyz"
valid = 0.2
test = "far.xyz"
[model]
cutoff = 3.0
levels = 1
channels = 4
l_harmonics = 1
l_states = 0
correlation = 2
[training]
max_epochs = 4
lr = 0.02
threads = 1
[stage_two]
start = 0.5
"""


def structures(n, seed, spread=0.1, periodic=False):
    rng = np.random.default_rng(seed)
    corners = 1.3 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    for _ in range(n):
        atoms = Atoms(
            "Ar3Ne", corners + spread * rng.normal(size=(4, 3)), cell=5 * np.eye(3) if periodic else None, pbc=periodic
        )
        atoms.calc = LennardJones(rc=2.4, smooth=True)
        atoms.get_potential_energy()
        if periodic:
            atoms.get_stress()
        yield atoms


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with train.toml and its data, entered; runs in this process write no plots."""
    atoms = [Atoms("Ar", info={"energy": -1.0}), Atoms("Ne", info={"energy": -2.0})]
    write(tmp_path / "train.xyz", [*structures(20, 1), *atoms], format="extxyz")
    write(tmp_path / "far.xyz", list(structures(5, 2, spread=0.2)), format="extxyz")
    (tmp_path / "train.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "_save", lambda figure, path: None)  # they take longer than the training
    return tmp_path


def train(*arguments):
    return main(["train", "train.toml", *arguments])


def process(*arguments, **options):
    environment = {**os.environ, "COLUMNS": "100"}
    command = [sys.executable, "-m", "nbcore", "train", "train.toml", *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def model_bytes(run="argon"):
    return (Path(run) / "argon.nbcore").read_bytes()


def rows(run="argon"):
    return (Path(run) / "history.csv").read_text().splitlines()


def test_a_whole_run(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(plots, "_save", SAVE_PLOT)
    assert train() == 0
    screen = capsys.readouterr()
    assert max(map(len, (screen.out + screen.err).splitlines())) <= 60
    expected = "argon.nbcore report.html config.toml train.log history.csv plots last.ckpt previous.ckpt".split()
    assert sorted(n for n in os.listdir("argon") if n != ".lock") == sorted(expected)
    assert sorted(os.listdir("argon/plots")) == ["errors.png", "learning_curve.png", "parity.png"]
    order = "nbcore 0.1.0|-> argon/|Data|16 train + 4 valid|Model|parameters|Plan|4 epochs x 4 steps|epoch|"
    order += "stage two: energy weight 1 -> 100|Best: epoch|train|valid|far|the potential (|Next:"
    place = 0
    for words in order.split("|"):
        place = screen.out.index(words, place)

    log = Path("argon/train.log").read_text()
    for word in re.findall(r"\S*\d\S*", screen.out + screen.err):  # every number
        assert word in log
    assert len(rows()) == 5 and rows()[0].startswith("epoch,stage,lr,loss_train,energy_train")
    used = Path("argon/config.toml").read_text()
    assert "max_epochs = 4" in used and "ema_decay = 0.99" in used and 'train = "../train.xyz"' in used

    potential = nbcore.Potential.load("argon/argon.nbcore")
    d = potential.description
    assert d["training"]["n_train"] == 16 and d["training"]["n_valid"] == 4 and d["training"]["epochs"] == 4
    assert {f["name"] for f in d["training"]["files"]} == {"train.xyz", "far.xyz"}
    assert len(d["training"]["files"][0]["sha256"]) == 64 and d["shortest_distances"].keys() == {"Ar-Ne", "Ar-Ar"}
    assert d["seeds"]["training"] == 1 and d["versions"]["numpy"] == np.__version__
    # the errors in the file, on the screen and in the model are those of the model
    far = list(structures(5, 2, spread=0.2))
    found = potential.compute_many(far)
    errors = np.concatenate([r.forces - a.get_forces() for r, a in zip(found, far, strict=True)])
    assert d["errors"]["far"]["forces_rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-6)
    assert f"{1e3 * np.sqrt(np.mean(errors**2)):.1f}" in screen.out
    assert f"{1e3 * np.sqrt(np.mean(errors**2)):.1f}" in Path("argon/report.html").read_text()


def test_the_same_command_again_changes_nothing(folder, capsys):
    assert train() == 0
    before, table = model_bytes(), capsys.readouterr().out
    assert train() == 0
    again = capsys.readouterr().out
    assert model_bytes() == before and "Continuing argon/last.ckpt: epoch 4 of 4" in again
    assert table[table.index("Best:") :] == again[again.index("Best:") :]


def test_ten_epochs_are_five_and_five(folder, capsys):
    stage_one = ["--set", "stage_two.start=1.0", "--set", "training.schedule=plateau", "--quiet"]
    assert train("--set", "training.max_epochs=6", "--output", "six", *stage_one) == 0
    for epochs in (3, 6):
        assert train("--set", f"training.max_epochs={epochs}", "--output", "three", *stage_one) == 0
    assert rows("six") == rows("three")
    assert capsys.readouterr() == ("", "")
    (a, p, _), (b, q, _) = checkpoint.read("six"), checkpoint.read("three")
    assert p["trainer"] == q["trainer"] and all(a[k].tobytes() == b[k].tobytes() for k in a)
    six, three = (nbcore.Potential.load(f"{n}/argon.nbcore") for n in ("six", "three"))
    assert np.array_equal(six.parameters, three.parameters) and six.E0s == three.E0s and six.scale == three.scale


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_same_command_ends_with_the_same_bits(folder, number):
    epochs = ["--set", "training.max_epochs=400"]
    assert train("--output", "whole", "--quiet", *epochs) == 0
    run = process(*epochs)
    while not Path("argon/history.csv").exists() or len(rows()) < 3:
        time.sleep(0.001)
        assert run.poll() is None
    run.send_signal(number)
    out, err = run.communicate(timeout=300)
    assert run.returncode == 128 + number, err
    stopped = re.search(r"\nStopped at epoch (\d+)\. Saved argon/last.ckpt; argon/argon.nbcore holds epoch \d+", out)
    assert out.endswith("The same command continues.\n") and "Traceback" not in err
    assert int(stopped[1]) == len(rows()) - 1 < 400
    assert train("--quiet", *epochs) == 0
    assert rows() == rows("whole") and model_bytes() == model_bytes("whole")


def test_kill_9(folder):
    """The script of benchmarks/ in small: the benchmark itself kills ten times."""
    script = [sys.executable, ROOT / "benchmarks" / "kill9.py", "train.toml", "--kills", "3", "--writing", "1"]
    settings = ["--set", "training.max_epochs=300", "--checkpoint-seconds", "0.15"]
    environment = dict(os.environ)
    result = subprocess.run([*script, *settings], env=environment, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0 and "3 of 3 kills, 300 epochs: same bits" in result.stdout, (
        result.stdout + result.stderr
    )


def test_other_settings_are_refused_until_restart(folder, capsys):
    assert train("--quiet") == 0
    before = model_bytes()
    assert train("--set", "model.channels=8") == 4
    error = capsys.readouterr().err
    assert "argon/last.ckpt was made with model.channels = 4; train.toml says 8." in error.replace("\n       ", " ")
    assert "--restart begins again (the old run is kept as argon.1/)" in error.replace("\n       ", " ")
    assert model_bytes() == before
    assert train("--set", "model.channels=8", "--restart", "--quiet") == 0
    assert (Path("argon.1") / "argon.nbcore").read_bytes() == before and model_bytes() != before


def test_other_data_is_refused(folder, capsys):
    assert train("--quiet") == 0
    write(
        "train.xyz", list(structures(20, 7)) + [Atoms("Ar", info={"energy": -1.0}), Atoms("Ne", info={"energy": -2.0})]
    )
    assert train("--quiet") == 4
    error = capsys.readouterr().err.replace("\n       ", " ")
    assert "made with other data, E0s or another release: train has changed" in error


def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(folder, capsys):
    assert train("--quiet") == 0
    before = model_bytes()
    last = Path("argon/last.ckpt")
    last.write_bytes(last.read_bytes()[:-100])
    assert train() == 0
    assert "! argon/last.ckpt is damaged" in capsys.readouterr().err
    assert model_bytes() == before
    for name in ("last.ckpt", "previous.ckpt"):
        (Path("argon") / name).write_bytes(b"")
    assert train() == 4 and "--restart" in capsys.readouterr().err


def test_a_second_run_in_the_folder_is_refused(folder, capsys):
    run = process("--set", "training.max_epochs=100000")
    while not Path("argon/last.ckpt").exists():
        time.sleep(0.01)
        assert run.poll() is None
    assert train() == 6
    error = capsys.readouterr().err.replace("\n       ", " ")
    assert re.search(rf"argon/ is in use by process {run.pid} on \S+ \(since \d\d:\d\d\)\.", error)
    run.kill()
    run.communicate()
    assert train("--set", "training.max_epochs=100000", "--set", "training.max_time=1s", "--quiet") == 0


def test_a_full_disk_is_met_before_the_first_epoch(folder, capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 2**20}))
    assert train() == 6
    assert re.search(r"error: argon: needs \d+ MB of free disk, has 1 MB", capsys.readouterr().err)


def test_files_that_cannot_grow(folder):
    """A limit on the size of files: the checkpoint does not fit, the message names it, nothing is half written."""
    small = process(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)))
    _, err = small.communicate(timeout=300)
    assert small.returncode == 6 and "error: argon/last.ckpt: file too large" in err and "Traceback" not in err
    assert not list(Path("argon").glob("*.ckpt*")) and not list(Path("argon").glob("*.tmp*"))


def test_a_disk_that_fills_up_later(folder):
    """The first checkpoint fits; with the moments of the optimizer it does not. Room is made, and the run goes on."""
    assert train("--output", "whole", "--quiet") == 0
    limit = Path("whole/last.ckpt").stat().st_size - 500
    small = process("--quiet", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    _, err = small.communicate(timeout=300)
    error = err.replace("\n       ", " ")
    assert small.returncode == 6 and "argon/last.ckpt: file too large. Saved is epoch 0; the same command" in error
    assert checkpoint.read("argon")[1]["trainer"]["epoch"] == 0
    assert train("--quiet") == 0 and model_bytes() == model_bytes("whole")


def test_a_loss_that_is_not_finite(folder, capsys):
    assert train("--set", "training.lr=1e200", "--set", "training.schedule=constant") == 5
    error = capsys.readouterr().err.replace("\n       ", " ")
    assert re.search(r"loss is not finite at epoch 1, step \d \(structures [\d, ]+ of train.xyz\)\.", error)
    assert 'Last good checkpoint: epoch 0. Try a smaller lr, or precision = "float64".' in error
    assert checkpoint.read("argon")[1]["trainer"]["epoch"] == 0


def test_dry_run_leaves_nothing(folder, capsys):
    assert train("--dry-run") == 0
    out = capsys.readouterr().out
    assert (
        "Plan" in out and "4 epochs x 4 steps, batch 5; stage two from epoch 2; measured" in out and "Best" not in out
    )
    assert not Path("argon").exists()


def test_periodic_data_with_stress(folder, capsys):
    write("train.xyz", list(structures(12, 3, periodic=True)), format="extxyz")
    text = CONFIG.replace('test = "far.xyz"\n', "E0s = {Ar = 0.0, Ne = 0.0}\n")
    Path("train.toml").write_text(text)
    assert train() == 0
    out = capsys.readouterr().out
    assert "stress, GPa" in out
    d = nbcore.Potential.load("argon/argon.nbcore").description["errors"]["valid"]
    last = dict(zip(rows()[0].split(","), rows()[-1].split(","), strict=True))
    assert d["stress_rmse"] > 0 and float(last["stress_valid"]) > 0
    assert json.dumps(d)
