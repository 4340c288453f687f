"""kill -9 during training: the run must go on, and end with the same bits as one that was never interrupted.

    python benchmarks/kill9.py examples/molecule/train.toml --kills 10 --writing 2 --set training.max_epochs=20

Trains once without interruption and once with: `--writing` kills fall into the writing of a checkpoint (its temporary
file is left behind as the proof), one comes before the first checkpoint, the others at random times after it. Then
compares, byte by byte, the model file, history.csv, and everything in the checkpoint but the times. Exit code 0 if all
is the same.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from nbcore.train import checkpoint


def command(args, folder):
    every = ["--set", f"training.checkpoint_minutes={args.checkpoint_seconds / 60}"]
    settings = [word for pair in args.overrides for word in ("--set", pair)]
    return [sys.executable, "-m", "nbcore", "train", args.config, "--output", str(folder), *settings, *every]


def start(args, folder):
    with open(f"{folder}.log", "a") as log:
        return subprocess.Popen(command(args, folder), stdout=log, stderr=log)


def strays(folder):
    return list(folder.glob(".*.ckpt.*.tmp"))


def kill(process, args, folder, when):
    """Kills at a moment of the kind `when`; True if it was met, False if the run had ended before."""
    begin, last = time.monotonic(), folder / checkpoint.LAST
    old = last.stat().st_mtime_ns if last.exists() else None
    armed = None  # when to kill
    while process.poll() is None:
        if when == "writing" and strays(folder):
            break
        if when == "before" and folder.exists():
            break
        if when == "after" and armed is None and last.exists() and last.stat().st_mtime_ns != old:
            armed = time.monotonic() + random.random() * 3 * args.checkpoint_seconds
        if armed is not None and time.monotonic() >= armed:
            break
        time.sleep(0.0001 if when == "writing" else 0.002)
    process.send_signal(signal.SIGKILL)
    code = process.wait()
    met = code == -signal.SIGKILL and (when != "writing" or bool(strays(folder)))
    print(f"  {when:<8} after {time.monotonic() - begin:6.2f} s  {'killed' if met else 'missed'}", flush=True)
    return met


def differences(one, two):
    """Names of what is not the same, bit for bit."""
    found = [n for n in (f"{args.name}.nbcore", "history.csv") if (one / n).read_bytes() != (two / n).read_bytes()]
    (arrays, plain, _), (other_arrays, other_plain, _) = checkpoint.read(one), checkpoint.read(two)
    found += [name for name, a in arrays.items() if a.tobytes() != other_arrays[name].tobytes()]
    return found + [key for key in plain if key != "elapsed" and plain[key] != other_plain[key]]


def main():
    random.seed(args.seed)
    later = ["writing"] * args.writing + ["after"] * max(0, args.kills - args.writing - 1)
    kills = ["before", *random.sample(later, len(later))]
    with tempfile.TemporaryDirectory() as scratch:
        whole, broken = Path(scratch) / "whole", Path(scratch) / "broken"
        print("uninterrupted run", flush=True)
        if code := start(args, whole).wait():
            sys.exit(f"exit code {code}:\n{Path(f'{whole}.log').read_text()}")
        print(f"{len(kills)} kills", flush=True)
        done = 0
        for when in kills:
            for _attempt in range(20):
                process = start(args, broken)
                if kill(process, args, broken, when):
                    done += 1
                    break
                if process.returncode == 0:
                    sys.exit("the run ended before all kills: give it more epochs")
        if code := start(args, broken).wait():
            sys.exit(f"exit code {code}:\n{Path(f'{broken}.log').read_text()}")
        found = differences(whole, broken)
        epochs = len(np.genfromtxt(whole / "history.csv", delimiter=",", skip_header=1, ndmin=2))
    print(
        f"{done} of {len(kills)} kills, {epochs} epochs: {'DIFFERENT: ' + ', '.join(found) if found else 'same bits'}"
    )
    return 1 if found or done < len(kills) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--writing", type=int, default=2, help="how many of them while a checkpoint is written")
    parser.add_argument("--checkpoint-seconds", type=float, default=0.3)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    from nbcore.config import load

    args.name = load(args.config, args.overrides).name
    sys.exit(main())
