"""Training on ranks of MPI: the same bits whatever happens, and what the fixed order costs.

    python benchmarks/ranks.py bits examples/molecule/train.toml --set training.max_epochs=50
    python benchmarks/ranks.py kills examples/molecule/train.toml --kills 20 --set training.max_epochs=50
    python benchmarks/ranks.py speed

bits: for each number of ranks (--ranks) and threads (--threads) a training that gets SIGTERM, goes on with the next
number of ranks, is killed there with -9, and goes on to its end; model, history and checkpoint are compared with those
of one process without MPI. kills: as many kills with -9 of a random rank at random times, another number of ranks after
each. speed: steps of batches of 16 molecules on one and two ranks, and the sum in the fixed order beside MPI's own
Allreduce. How it scales to many: ranks_scaling.py.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from nbcore.train import checkpoint

WORKERS = "import runpy, sys; sys.argv = [sys.argv[1], 'worker']; runpy.run_path(sys.argv[0], run_name='__main__')"
#: ranks that wait leave their core to others, of which there may be more than cores: Open MPI, MPICH
YIELDING = {"OMPI_MCA_mpi_yield_when_idle": "1", "MPIR_CVAR_POLLS_BEFORE_YIELD": "1"}
TERMINATED = 128 + signal.SIGTERM

# ---- bits ----


def start(args, folder, ranks, threads):
    """A training in a session of its own; ranks = 0: without MPI."""
    overrides = [*args.overrides, f"training.checkpoint_minutes={args.checkpoint_seconds / 60}"]
    command = [sys.executable, "-m", "nbcore", "train", args.config, "--output", str(folder)]
    command += [word for pair in overrides for word in ("--set", pair)] + ["--threads", str(threads)]
    launcher = [args.mpiexec, "-n", str(ranks)] if ranks else []
    with open(f"{folder}.log", "a") as log:
        return subprocess.Popen(
            launcher + command, stdout=log, stderr=log, start_new_session=True, env=os.environ | YIELDING
        )


def processes(folder):
    """The ranks of a training, by what they were started with."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in words and b"-n" not in words:
            found.append(int(path.parent.name))
    return found


def interrupt(process, folder, number, after):
    """Sends a signal to a random rank, `after` seconds after the next checkpoint; the exit code, and the seconds until
    all had ended; None where the run had ended before."""
    last = folder / checkpoint.LAST
    before = last.stat().st_mtime_ns if last.exists() else None
    while process.poll() is None and not (last.exists() and last.stat().st_mtime_ns != before):
        time.sleep(0.01)
    time.sleep(after)
    ranks = processes(folder)
    if process.poll() is not None or not ranks:
        return None
    begin = time.monotonic()
    os.kill(random.choice(ranks), number)
    code = process.wait()
    while processes(folder):
        time.sleep(0.01)
    return code, time.monotonic() - begin


def ended(process, folder):
    if code := process.wait():
        sys.exit(f"exit code {code}:\n{Path(f'{folder}.log').read_text()}")


def differences(one, two):
    """Names of what is not the same, bit for bit."""
    (model,) = one.glob("*.nbcore")
    found = [n for n in (model.name, "history.csv") if (one / n).read_bytes() != (two / n).read_bytes()]
    (arrays, plain, _), (other_arrays, other_plain, _) = checkpoint.read(one), checkpoint.read(two)
    found += [name for name, a in arrays.items() if a.tobytes() != other_arrays[name].tobytes()]
    return found + [key for key in ("trainer", "data") if plain[key] != other_plain[key]]


def said(folder, whole, interruptions):
    found = differences(whole, folder)
    words = "   ".join(f"{kind} {code}, {seconds:.1f} s" for kind, code, seconds in interruptions)
    print(f"{folder.name:<24}{words}   {'DIFFERENT: ' + ', '.join(found) if found else 'same bits'}", flush=True)
    return bool(found)


def bits(args):
    with tempfile.TemporaryDirectory() as scratch:
        whole, wrong = Path(scratch) / "whole", 0
        ended(start(args, whole, 0, 1), whole)
        for k, ranks in enumerate(args.ranks):
            other = args.ranks[(k + 1) % len(args.ranks)]
            for threads in args.threads:
                folder, met = Path(scratch) / f"{ranks} ranks x {threads}", []
                for kind, n in (("TERM", ranks), ("KILL", other)):
                    process = start(args, folder, n, threads)
                    number = getattr(signal, f"SIG{kind}")
                    if result := interrupt(process, folder, number, random.random() * args.checkpoint_seconds):
                        met.append((kind, *result))
                    else:
                        wrong += 1
                        print(f"{folder.name}: ended before {kind}: give it more epochs")
                ended(start(args, folder, ranks, threads), folder)
                wrong += said(folder, whole, met)
                wrong += any(seconds > 30 for *_, seconds in met)
                wrong += any(kind == "TERM" and code != TERMINATED for kind, code, _ in met)
    return int(wrong > 0)


def kills(args):
    with tempfile.TemporaryDirectory() as scratch:
        whole, broken, met = Path(scratch) / "whole", Path(scratch) / "broken", []
        ended(start(args, whole, 0, 1), whole)
        for k in range(args.kills):
            process = start(args, broken, args.ranks[k % len(args.ranks)], 1)
            result = interrupt(process, broken, signal.SIGKILL, random.random() * 3 * args.checkpoint_seconds)
            if result is None:
                sys.exit("the run ended before all kills: give it more epochs")
            met.append(("KILL", *result))
        ended(start(args, broken, args.ranks[0], 1), broken)
        wrong = said(broken, whole, met)
    return int(wrong or any(seconds > 30 for *_, seconds in met))


# ---- speed ----


def worker():
    """On ranks: seconds of steps and of sums, printed by the first."""
    from mpi4py import MPI

    import nbcore
    from nbcore.bench.models import batch
    from nbcore.ranks import Ranks
    from nbcore.train import Settings, TrainingSet
    from nbcore.train.step_sums import StepSums
    from nbcore.train.trainer import Trainer

    comm = MPI.COMM_WORLD
    ranks = Ranks(comm)
    potential = nbcore.presets.nbody(species=["H", "C", "O"], cutoff=5.0, channels=64, l_states=1)
    molecules = batch() * 64  # twenty steps an epoch
    settings = Settings(batch_size=16, max_epochs=10_000, precision="float64", optimizer="amsgrad", lr=1e-6)
    trainer = Trainer(TrainingSet(potential, molecules), None, settings, 1, ranks=ranks)
    step = StepSums(trainer.train_set, np.arange(16), ranks, "float64")
    errors = step.nothing(len(trainer.sums.vector))
    flat = np.zeros(step.rows[0].shape[1] + errors[0].shape[1])
    whole = np.empty_like(flat)

    def median(call, times):
        seconds = []
        for _ in range(times):
            comm.barrier()
            begin = time.perf_counter()
            call()
            seconds.append(max(comm.allgather(time.perf_counter() - begin)))
        return statistics.median(seconds)

    median(trainer.step, 5)
    found = {
        "parameters": len(potential.parameters),
        "step": median(trainer.step, 60),
        "fixed": median(lambda: step.added(errors, 0), 100),
        "allreduce": median(lambda: comm.Allreduce(flat, whole), 100),
    }
    if ranks.first:
        print(json.dumps(found))


def on_ranks(args, n):
    command = [args.mpiexec, "-n", str(n), sys.executable, "-c", WORKERS, __file__]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def speed(args):
    """Two ranks at least 1.9 times one; the fixed order under a twentieth of a step beside Allreduce."""
    rounds = [(on_ranks(args, 1), on_ranks(args, 2)) for _ in range(args.rounds)]
    ratio = statistics.median(one["step"] / two["step"] for one, two in rounds)
    two = rounds[-1][1]
    cost = statistics.median((two["fixed"] - two["allreduce"]) / two["step"] for _, two in rounds)
    print(
        f"batch of 16 molecules of 15 atoms, {two['parameters']} parameters: step {1e3 * two['step']:.2f} ms on 2 ranks"
    )
    print(f"two ranks: {ratio:.2f} times one")
    print(f"sum in the fixed order {1e3 * two['fixed']:.3f} ms, Allreduce {1e3 * two['allreduce']:.3f} ms: ", end="")
    print(f"{cost:.1%} of a step more")
    return int(ratio < 1.9 or cost > 0.05)


def parsed(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mpiexec", default=str(Path(sys.executable).with_name("mpiexec")))
    commands = parser.add_subparsers(required=True)
    for name, work in (("bits", bits), ("kills", kills)):
        p = commands.add_parser(name)
        p.set_defaults(work=work)
        p.add_argument("config")
        p.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 3, 4])
        p.add_argument("--threads", type=int, nargs="+", default=[1, 2])
        p.add_argument("--kills", type=int, default=20)
        p.add_argument("--checkpoint-seconds", type=float, default=0.5)
        p.add_argument("--set", dest="overrides", action="append", default=[])
    p = commands.add_parser("speed")
    p.set_defaults(work=speed)
    p.add_argument("--rounds", type=int, default=3)
    commands.add_parser("worker").set_defaults(work=lambda args: worker())
    return parser.parse_args(words)


if __name__ == "__main__":
    args = parsed()
    sys.exit(args.work(args))
