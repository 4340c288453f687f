"""A set larger than memory: made, trained from for an epoch, killed and taken up again.

    taskset -c 0 python benchmarks/shards.py --structures 1000000

Copies of the example molecule are shaken at random, labelled with springs between its atoms (energies and forces that
belong together, and are learned), and written as shards; half of them hotter than the others. Then `nbcore train` runs
on them for an epoch, in a process of its own, whose largest resident memory is measured; the share of reading shards
and making their graphs is what the training itself says. With --kill a second run is killed (kill -9) in the midst of
its epoch, taken up again, and compared bit by bit with the first. Exit code 1 where memory, share or bits are not what
they must be.
"""

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from nbcore.data import ShardWriter, read
from nbcore.train import checkpoint

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "molecule" / "train.xyz"
STIFFNESS = 5.0  # eV/Å^2
PORTION = 20_000  # structures made at a time
TOML = """
name = "shards"
[data]
train = "{path}"
valid = 0.02
E0s = {{ H = 0.0, C = 0.0, O = 0.0 }}
[model]
cutoff = 4.0
levels = {levels}
channels = {channels}
[training]
max_epochs = 1
batch_size = {batch}
checkpoint_minutes = {minutes}
threads = 1
"""


def springs(positions, rest):
    """Energies (n,) and forces (n, N, 3) of springs between all pairs, as long at rest as in the molecule."""
    n_atoms = positions.shape[1]
    i, j = np.triu_indices(n_atoms, 1)
    vectors = positions[:, j] - positions[:, i]
    lengths = np.linalg.norm(vectors, axis=2)
    stretch = lengths - rest[i, j]
    soft = STIFFNESS / (1.0 + rest[i, j] ** 4)
    pull = (soft * stretch / lengths)[:, :, None] * vectors
    forces = np.zeros_like(positions)
    for k, (a, b) in enumerate(zip(i, j, strict=True)):
        forces[:, a] += pull[:, k]
        forces[:, b] -= pull[:, k]
    return 0.5 * np.sum(soft * stretch**2, axis=1), forces


def make(path, n):
    """A set of n shaken molecules; seconds."""
    start, random = time.perf_counter(), np.random.default_rng(1)
    molecule = read(EXAMPLE)[0]
    rest = np.linalg.norm(molecule.positions[:, None] - molecule.positions, axis=2)
    with ShardWriter(path, overwrite=True) as writer:
        for first in range(0, n, PORTION):
            some = min(PORTION, n - first)
            size = np.where(random.random(some) < 0.5, 0.05, 0.1)[:, None, None]
            positions = molecule.positions + size * random.standard_normal((some, *molecule.positions.shape))
            energies, forces = springs(positions, rest)
            writer.add_molecules(molecule.numbers, positions, energies, forces, file="shaken")
    return time.perf_counter() - start


def train(folder, name, **options):
    """Starts `nbcore train`."""
    settings = folder / f"{name}.toml"
    settings.write_text(TOML.format(**options))
    command = [sys.executable, "-m", "nbcore", "train", str(settings), "--output", str(folder / name)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(folder / f"{name}.err", "a"))


def finished(process, folder, name):
    """(largest resident memory of the process, its seconds) or the end of this program with what it said."""
    start = time.perf_counter()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"exit code {process.returncode}:\n{(folder / f'{name}.err').read_text()}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), time.perf_counter() - start


def input_percent(folder, name):
    """What the log of a training says of its input."""
    log = " ".join((folder / name / "train.log").read_text().split())
    return float(re.findall(r"making their graphs took ([0-9.]+) % of the time", log)[-1])


def kill_and_go_on(folder, options):
    """A run that is killed in the midst of an epoch, once a checkpoint of it is there, and taken up again."""
    process = train(folder, "killed", **options)
    last = folder / "killed" / checkpoint.LAST
    begun = None
    while process.poll() is None:
        if last.exists():
            begun = begun or last.stat().st_mtime_ns
            if last.stat().st_mtime_ns != begun:
                break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        sys.exit("the run ended before it was killed: more structures, or --minutes smaller")
    return finished(train(folder, "killed", **options), folder, "killed")


def differences(one, two):
    """Names of what is not the same, bit for bit."""
    found = [n for n in ("shards.nbcore", "history.csv") if (one / n).read_bytes() != (two / n).read_bytes()]
    (arrays, _, _), (others, _, _) = checkpoint.read(one), checkpoint.read(two)
    return found + [name for name, a in arrays.items() if a.tobytes() != others[name].tobytes()]


def main(args):
    folder = Path(args.folder or tempfile.mkdtemp(prefix="shards"))
    folder.mkdir(parents=True, exist_ok=True)
    path, failed = folder / "set.shards", False
    options = dict(path=path, levels=args.levels, channels=args.channels, batch=args.batch, minutes=args.minutes)
    try:
        seconds = make(path, args.structures)
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        print(
            f"{args.structures} structures, {path.stat().st_size / 1e6:.0f} MB, made in {seconds:.1f} s "
            f"({1e6 * seconds / args.structures:.1f} µs each), at most {own / 2**20:.0f} MiB resident",
            flush=True,
        )
        memory, seconds = finished(train(folder, "whole", **options), folder, "whole")
        percent = input_percent(folder, "whole")
        print(
            f"one epoch, start and end included: {seconds:.0f} s ({1e6 * seconds / args.structures:.0f} µs a structure)"
        )
        print(f"largest resident memory {memory / 1e9:.3f} GB (must be under {args.memory:g})")
        print(f"input {percent:.1f} % of the time (must be under {args.percent:g})", flush=True)
        failed = memory > args.memory * 1e9 or percent > args.percent
        if args.kill:
            memory, _ = kill_and_go_on(folder, options)
            found = differences(folder / "whole", folder / "killed")
            print(f"killed and taken up again: {'DIFFERENT: ' + ', '.join(found) if found else 'the same bits'}")
            failed = failed or bool(found) or memory > args.memory * 1e9
    finally:
        if not args.folder:
            shutil.rmtree(folder)
    return int(failed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=100_000)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--levels", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=0.5, help="between checkpoints")
    parser.add_argument("--kill", action="store_true", help="kill a second run, take it up again, compare the bits")
    parser.add_argument("--memory", type=float, default=1.0, help="GB that a training may take")
    parser.add_argument("--percent", type=float, default=5.0, help="of the time that input may take")
    parser.add_argument("--folder", help="where the set and the runs are kept (a temporary folder, removed)")
    sys.exit(main(parser.parse_args()))
