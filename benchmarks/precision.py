"""What a training in single precision gains: steps in float64 and float32 by turns, in one run.

    taskset -c 0 python benchmarks/precision.py [--size medium]

Whole steps (gradient, clipping, Muon, averages) of `nbody` on five molecules of fifteen atoms and on two crystals of
silicon with 64 atoms. CPU time of the one thread; the median of each, and the median and quartiles of their ratio.
"""

import argparse
import sys
import time

import numpy as np

import nbcore
from nbcore.bench.models import batch, silicon
from nbcore.presets import PRESETS
from nbcore.train import Settings, TrainingSet
from nbcore.train.trainer import Trainer

PRECISIONS = ("float64", "float32")


def crystals(n=2):
    """The same crystal n times, with random labels."""
    made, rng = [silicon(2) for _ in range(n)], np.random.default_rng(4)
    for s in made:
        s.energy, s.forces, s.stress = rng.standard_normal(), rng.standard_normal(s.positions.shape), np.eye(3)
    return made


def seconds(trainers, steps):
    """{precision: times of `steps` steps}, by turns."""
    times = {precision: [] for precision in trainers}
    for _ in range(steps):
        for precision, trainer in trainers.items():
            start = time.thread_time()
            trainer.step()
            times[precision].append(time.thread_time() - start)
    return {precision: np.array(t[len(t) // 10 :]) for precision, t in times.items()}  # the first grow their memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=PRESETS["nbody"].sizes, default="medium")
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    for name, structures, cutoff in (("molecules", batch(), 4.0), ("crystals", crystals(), 5.0)):
        trainers = {}
        for precision in PRECISIONS:
            symbols = sorted({symbol for s in structures for symbol in s.symbols})
            potential = nbcore.presets.nbody(symbols, cutoff, seed=1, **PRESETS["nbody"].sizes[args.size])
            settings = Settings(max_epochs=10**9, patience=10**9, batch_size=len(structures), precision=precision)
            trainers[precision] = Trainer(TrainingSet(potential, structures * 16), None, settings, threads=1)
        times = seconds(trainers, args.steps)
        double, single = (1e3 * np.median(times[p]) for p in PRECISIONS)
        low, ratio, high = np.quantile(times["float64"] / times["float32"], [0.25, 0.5, 0.75])
        print(
            f"{name}: {double:.2f} ms a step in float64, {single:.2f} in float32: {ratio:.2f} ({low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    sys.exit(main())
