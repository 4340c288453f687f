"""A scan of eight settings that is killed in the middle and started again: one table, no setting trained twice.

    python benchmarks/scans.py [--jobs 2]
    python benchmarks/scans.py --slurm        # as a job array, under a Slurm that runs here: examples/batch/array.sh

Pool: `nbcore scan --jobs N` and all its trainings are killed with -9 when three settings are finished and others under
way; the same command ends the scan. Slurm: tasks that wait are cancelled, those that run are killed; submitted again.
What was finished before must be untouched, every history has one row for each epoch, the table a row for each setting.
"""

import argparse
import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nbcore import scan

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """
name = "small"
[data]
train = "{root}/examples/molecule/train.xyz"
valid = 0.1
[model]
cutoff = 3.0
channels = 4
[training]
max_epochs = {epochs}
batch_size = 16
checkpoint_minutes = 0.02
[uncertainty]
last_layer = false
"""
SCAN = """
name = "rates"
config = "train.toml"
[vary]
seed = [1, 2]
"training.lr" = [0.005, 0.01, 0.02, 0.04]
"""


def begin(folder, args):
    """The scan under way, in the folder."""
    if args.slurm:
        command = [
            "sbatch",
            "--parsable",
            f"--array=1-8%{args.jobs}",
            str(ROOT / "examples/batch/array.sh"),
            "scan.toml",
        ]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    command = [sys.executable, "-m", "nbcore", "scan", "scan.toml", "--jobs", str(args.jobs)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True)


def running(started):
    """True until the scan has ended."""
    if isinstance(started, str):
        return bool(subprocess.run(["squeue", "-h", "-j", started], capture_output=True, text=True, check=False).stdout)
    return started.poll() is None


def kill(started, folder):
    """Ends the scan with -9, and its trainings, which outlive it: they have sessions of their own."""
    if isinstance(started, str):
        subprocess.run(["scancel", "--state=PENDING", started], check=True)  # no other task begins meanwhile
        subprocess.run(["scancel", "--signal=KILL", "--full", started], check=True)
    else:
        started.kill()
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if path.resolve() == folder and b"nbcore" in path.with_name("cmdline").read_bytes():
                os.kill(int(path.parent.name), signal.SIGKILL)
        except OSError:
            continue


def main(args):
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        (folder / "train.toml").write_text(CONFIG.format(root=ROOT, epochs=args.epochs))
        (folder / "scan.toml").write_text(SCAN)
        settings = [folder / s.folder for s in scan.load(folder / "scan.toml").settings]
        started = begin(folder, args)
        while sum((s / scan.DONE).exists() for s in settings) < 3 or not under_way(settings, args.epochs):
            if not running(started):
                sys.exit("the scan ended before it could be killed: give it more epochs")
            time.sleep(0.02)
        kill(started, folder)
        while running(started):
            time.sleep(0.1)
        done = {s: (s / "last.ckpt").stat().st_mtime_ns for s in settings if (s / scan.DONE).exists()}
        broken = {s.name: rows(s) for s in under_way(settings, args.epochs)}
        print(f"killed when {len(done)} of {len(settings)} were finished; under way: {broken}", flush=True)
        started = begin(folder, args)
        while running(started):
            time.sleep(0.2)
        if args.slurm:  # the last of an array writes the table, when all are finished
            begin_table = [sys.executable, "-m", "nbcore", "scan", "scan.toml"]
            subprocess.run(begin_table, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        table = list(csv.DictReader((folder / "rates/table.csv").read_text().splitlines()))
        untouched = all((s / "last.ckpt").stat().st_mtime_ns == before for s, before in done.items())
        whole = all(rows(s) == args.epochs for s in settings)
        print(f"table of {len(table)}; what was finished is untouched: {untouched}; {args.epochs} epochs each: {whole}")
        return int(len(table) != len(settings) or not untouched or not whole)


def rows(setting):
    return len((setting / "history.csv").read_text().splitlines()) - 1


def under_way(settings, epochs):
    """Those with a checkpoint and an epoch in their history that are not finished."""
    begun = [s for s in settings if (s / "last.ckpt").exists() and not (s / scan.DONE).exists()]
    return [s for s in begun if (s / "history.csv").exists() and 0 < rows(s) < epochs]


def parsed(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--epochs", type=int, default=30, help="of each training")
    parser.add_argument("--slurm", action="store_true", help="a job array instead of a pool")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(parsed()))
