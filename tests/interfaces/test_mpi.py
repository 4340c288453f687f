"""`mpiexec nbcore train`: the bits of one process, through signals, deaths and other numbers of ranks."""

from pathlib import Path

import pytest
from mpi import needs_mpi, on_ranks

import nbcore
from nbcore.cli import main

pytestmark = needs_mpi
EXAMPLE = Path(__file__).resolve().parents[2] / "examples/molecule"
CONFIG = """
name = "small"
[data]
train = "data.xyz"
valid = 0.25
isolated_atoms = "atoms.xyz"
[model]
cutoff = 3.0
channels = 4
levels = 1
[training]
max_epochs = 5
batch_size = 12
"""
#: in step K of this process rank 1 gets a signal; the other arguments are those of nbcore
INTERRUPTED = """
import signal, sys
from nbcore import cli
from nbcore.train.trainer import Trainer
at, number, step, steps = int(sys.argv[1]), int(sys.argv[2]), Trainer.step, []
def interrupted(self, *wish):
    steps.append(1)
    if len(steps) == at and self.ranks.rank == 1:
        signal.raise_signal(number)
    return step(self, *wish)
Trainer.step = interrupted
sys.exit(cli.main(sys.argv[3:]))
"""
EVALUATE = "import sys; from nbcore.cli import main; sys.exit(main(['evaluate', *sys.argv[1:]]))"
DIFFERENT = """
import sys
from mpi4py import MPI
from nbcore import cli
sys.exit(cli.main(sys.argv[1:] + ["--set", f"model.channels={4 + MPI.COMM_WORLD.rank}"]))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    frames = (EXAMPLE / "train.xyz").read_text().splitlines(keepends=True)[: 48 * 10]
    (tmp_path / "data.xyz").write_text("".join(frames))
    (tmp_path / "atoms.xyz").write_bytes((EXAMPLE / "isolated_atoms.xyz").read_bytes())
    (tmp_path / "train.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_signals_and_deaths_and_other_numbers_of_ranks_change_no_bit(folder):
    assert main(["train", "train.toml", "--output", "alone"]) == 0
    shared = ["train", "train.toml", "--output", "shared"]
    stopped = on_ranks(3, INTERRUPTED, 4, 10, *shared, cwd=folder)  # SIGUSR1
    assert stopped.returncode == 138, stopped.stderr
    assert "3 ranks on 1 host" in stopped.stdout and "Stopped at epoch 1" in stopped.stdout
    assert stopped.stdout.count("Data") == 1 and "The same command continues" in stopped.stdout
    killed = on_ranks(2, INTERRUPTED, 4, 9, *shared, cwd=folder)  # mpiexec ends, so all have ended
    assert killed.returncode != 0
    finished = on_ranks(2, INTERRUPTED, 0, 0, *shared, cwd=folder)
    assert finished.returncode == 0, finished.stderr
    for name in ("small.nbcore", "history.csv"):
        assert (folder / "alone" / name).read_bytes() == (folder / "shared" / name).read_bytes()


def test_ranks_that_differ_are_refused_at_the_start(folder):
    refused = on_ranks(2, DIFFERENT, "train", "train.toml", cwd=folder)
    assert refused.returncode == 3 and not (folder / "small").exists()
    for part in ("ranks differ in model.channels", "rank 0 on", "has 4,", "rank 1 on", "has 5."):
        assert part in " ".join(refused.stderr.split())
    assert refused.stderr.count("error:") == 1 and "Traceback" not in refused.stderr


def test_an_evaluation_is_shared_and_printed_once(folder, capfd):
    potential = nbcore.presets.nbody(["H", "C", "O"], 3.0, channels=4, levels=1)
    potential.save("random.nbcore")
    assert main(["evaluate", "random.nbcore", "data.xyz", "--json"]) == 0
    alone = capfd.readouterr().out
    shared = on_ranks(2, EVALUATE, "random.nbcore", "data.xyz", "--json", cwd=folder)
    assert shared.returncode == 0 and shared.stdout == alone, shared.stderr
