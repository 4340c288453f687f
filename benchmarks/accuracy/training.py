"""A row as a run: train.toml, `nbcore train`, which a killed run continues, its times, and what came out.

RUNS/ROW-SIZE-SEED-DIGEST/
  train.toml    what the row, its size, its seed and --set say; `nbcore train train.toml` would do the same
  train.xyz     the structures, where they are not those of the row's files
  run/          the folder of `nbcore train`
  times.csv     epoch, wall, cpu: seconds since the beginning, over all continuations
  run.json      commit, date; at the end seconds
"""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
from rows import COMMON

from nbcore import config as configuration
from nbcore.bench.record import commit
from nbcore.cli.train import flat
from nbcore.config_values import to_toml
from nbcore.data.files import read_bytes
from nbcore.errors import InputError
from nbcore.train import checkpoint

ROOT = Path(__file__).resolve().parents[2]
POLL = 0.1  # seconds between two looks at the history
TICKS = os.sysconf("SC_CLK_TCK")


# ---- what is trained ----


def frames(text):
    """The frames of extended XYZ, as text."""
    lines, found, at = text.splitlines(keepends=True), [], 0
    while at < len(lines) and lines[at].strip():
        end = at + int(lines[at]) + 2
        found.append("".join(lines[at:end]))
        at = end
    return found


def chosen(row, base, structures=None):
    """The structures that are trained on, as text: the first of the file, or so many evenly over it; None for all."""
    if row.first is None and structures is None:
        return None
    found = [frame for file in row.train for frame in frames(read_bytes(base / file)[0].decode())][: row.first]
    if structures is None:
        return "".join(found)
    if not 2 <= structures <= len(found):
        raise InputError(f"--structures {structures}: {row.name} has 2 to {len(found)}.")
    return "".join(found[k] for k in np.linspace(0, len(found) - 1, structures).round().astype(int))


def settings(row, base, size, seed, overrides=(), train=None, valid=None):
    """The Config of a row. base: where its files are; train, valid: files in their place."""
    values = {
        "name": row.name,
        "seed": seed,
        "about.description": row.what,
        "data.train": str(train) if train else [str(base / file) for file in row.train],
        "data.valid": str(valid) if valid else row.valid,
        **({"data.isolated_atoms": str(base / row.isolated)} if row.isolated else {}),
        "model.size": size,
        **COMMON,
        **row.settings,
    }
    tables = {}
    for key, value in values.items():
        table, _, name = key.rpartition(".")
        tables.setdefault(table, []).append(f"{name} = {to_toml(value)}")
    text = "\n".join("\n".join([f"[{table}]"] * bool(table) + lines) for table, lines in tables.items())
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
        f.write(text)
        f.flush()
        return configuration.load(f.name, overrides)


def digest_of(config, structures, without=()):
    """Six characters that stand for all settings but the places of files, and but those of `without`."""
    values = {key: value for key, value in flat(config).items() if not key.startswith("about.")}
    for key in (
        *without,
        "data.train",
        "data.isolated_atoms",
        "training.threads",
        "training.checkpoint_minutes",
        "folder",
    ):
        values.pop(key, None)
    return hashlib.sha256(json.dumps([values, structures], sort_keys=True).encode()).hexdigest()[:6]


class Run:
    """A row with size, seed and settings, in its folder below `runs`."""

    def __init__(self, row, data, runs, size="medium", seed=1, overrides=(), structures=None):
        self.row, self.size, self.seed, self.structures = row, size, seed, structures
        self.overrides = list(overrides)
        self.base = ROOT if row.shipped else Path(data).resolve()
        missing = [file for file in (*row.train, *row.tests.values()) if not (self.base / file).exists()]
        if missing:
            raise FileNotFoundError(f"{self.base / missing[0]}: no such file; --data DATA is the folder of the sets")
        self.config = settings(row, self.base, size, seed, overrides)
        if (self.config.model.size, self.config.seed, self.config.name) != (size, seed, row.name):
            raise InputError("--set model.size, seed and name: --size and --seed say them, and the row its name")
        self.name = f"{row.name}-{size}-{seed}-{digest_of(self.config, structures)}"
        self.folder = Path(runs).resolve() / self.name

    model = property(lambda self: self.folder / "run" / f"{self.row.name}.nbcore")
    about = property(lambda self: json.loads((self.folder / "run.json").read_text()))
    finished = property(lambda self: (self.folder / "run.json").exists() and "wall_seconds" in self.about)

    def begin(self):
        """Makes the folder with train.toml, if it is not there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / "run.json").exists():
            return
        config = settings(self.row, self.base, self.size, self.seed, self.overrides, *self.files())
        configuration.write_config(config, self.folder / "train.toml", overwrite=True)
        self._note(commit=commit(), date=date.today().isoformat())

    def files(self):
        """(structures to train on, structures for validation): files made for this run, or None."""
        text = chosen(self.row, self.base, self.structures)
        if text is None:
            return None, None
        (self.folder / "train.xyz").write_text(text)
        return self.folder / "train.xyz", None

    def _note(self, **more):
        old = self.about if (self.folder / "run.json").exists() else {}
        (self.folder / "run.json").write_text(json.dumps(old | more, indent=1) + "\n")

    def train(self, threads=1) -> int:
        """Trains to the end, or goes on; the exit code of `nbcore train`."""
        self.begin()
        command = [sys.executable, "-m", "nbcore", "train", str(self.folder / "train.toml")]
        command += ["--output", str(self.folder / "run"), "--threads", str(threads)]
        stopwatch = Stopwatch(self.folder)
        code = stopwatch.run(command)
        if code == 0:
            self._note(wall_seconds=round(stopwatch.wall, 2), cpu_seconds=round(stopwatch.cpu, 2), threads=threads)
        return code

    def history(self):
        """Rows of history.csv with the seconds of times.csv: epoch, wall, cpu, errors."""
        with open(self.folder / "run" / "history.csv", newline="") as f:
            rows = list(csv.DictReader(f))
        times = dict(read_times(self.folder / "times.csv"))
        wanted = ("loss", "energy", "forces", "stress")
        keys = [
            f"{name}_{part}" for name in wanted for part in ("train", "valid") if rows and f"{name}_{part}" in rows[0]
        ]
        joined = []
        for row in rows:
            wall, cpu = times.get(int(row["epoch"]), (None, None))
            joined.append({"epoch": int(row["epoch"]), "wall": wall, "cpu": cpu} | {k: _number(row[k]) for k in keys})
        return joined


def _number(text):
    return float(text) if text else None


# ---- seconds ----


def read_times(path):
    """(epoch, (wall, cpu)) for each row of times.csv."""
    if not path.exists():
        return []
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return [(int(row[0]), (float(row[1]), float(row[2]))) for row in rows if len(row) == 3]


class Stopwatch:
    """Runs `nbcore train` and writes down when each epoch ended, in wall and CPU seconds of the whole training.

    A run that goes on begins with the seconds that it had at its checkpoint.
    """

    def __init__(self, folder):
        self.folder, self.path, self.history = folder, folder / "times.csv", folder / "run" / "history.csv"
        found = checkpoint.read(folder / "run") if (folder / "run").exists() else None
        epoch = found[1]["trainer"]["epoch"] if found else 0
        self.rows = [row for row in read_times(self.path) if row[0] <= epoch]
        self.before = self.rows[-1][1] if self.rows else (0.0, 0.0)
        self.wall = self.cpu = 0.0

    def run(self, command) -> int:
        """The exit code; a SIGTERM or SIGINT is passed on, and the training saves itself."""
        self.path.write_text("epoch,wall,cpu\n" + "".join(f"{e},{w:.2f},{c:.2f}\n" for e, (w, c) in self.rows))
        self.started, begin = time.time_ns(), time.monotonic()
        child = subprocess.Popen(command)
        old = {number: signal.signal(number, lambda n, _: child.send_signal(n)) for number in (signal.SIGTERM,)}
        old[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)  # a terminal sends it to both
        try:
            while True:
                pid, status, used = os.wait4(child.pid, os.WNOHANG)
                self.wall = self.before[0] + time.monotonic() - begin
                if pid:
                    child.returncode = os.waitstatus_to_exitcode(status)
                    self.cpu = self.before[1] + used.ru_utime + used.ru_stime
                    self._look()
                    return child.returncode
                self.cpu = self.before[1] + cpu_seconds(child.pid)
                self._look()
                time.sleep(POLL)
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def _look(self):
        """Epochs that have ended since the last look get the seconds of now."""
        try:
            if self.history.stat().st_mtime_ns < self.started:
                return  # of before, and not yet cut to the checkpoint
            done = self.history.read_bytes().count(b"\n") - 1
        except FileNotFoundError:
            return
        last = self.rows[-1][0] if self.rows else 0
        with open(self.path, "a") as f:
            for epoch in range(last + 1, done + 1):
                self.rows.append((epoch, (self.wall, self.cpu)))
                f.write(f"{epoch},{self.wall:.2f},{self.cpu:.2f}\n")


def cpu_seconds(pid):
    """User and system seconds of a process of Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
