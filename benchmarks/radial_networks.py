"""What radial networks cost: evaluations by the network and by its spline, training steps, beside linear weights.

    taskset -c 0 python benchmarks/radial_networks.py --data acac/train_300K.xyz [--channels 64]

`nbody`, two levels, states to l = 1, random weights; five structures of --data (cutoff 4 Angstrom) and 512 atoms of
silicon (5 Angstrom), neighbour lists included; a training step is the loss gradient of the five, without the optimizer.
CPU time, the fastest repetition.
"""

import argparse
import sys

from speed import measure

import nbcore
from nbcore.bench.models import silicon
from nbcore.data import read
from nbcore.train import Loss, TrainingSet

LAYERS = [[], [32, 32, 8], [64, 64, 8], [64, 64, 64]]


def evaluation_time(potential, structures, **options):
    """Microseconds per atom."""

    def run():
        for s in structures:
            potential.compute(s.positions, s.numbers, s.cell, s.pbc, threads=1)

    return 1e6 * measure(run, **options)[0] / sum(len(s.numbers) for s in structures)


def step_time(potential, structures, **options):
    """Milliseconds of a batch."""
    training_set = TrainingSet(potential, structures)
    return 1e3 * measure(lambda: training_set.loss_and_gradient(None, Loss(), threads=1), **options)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--least", type=float, default=0.05, help="seconds per repetition")
    args = parser.parse_args()
    options = dict(repetitions=args.repetitions, least=args.least)

    molecules, crystal = read(args.data)[:5], [silicon(4)]
    symbols = sorted({symbol for s in molecules for symbol in s.symbols})
    print(
        "| radial layers | in evaluations | parameters | molecules, µs/atom | Si512, µs/atom | step, ms | intervals |"
    )
    print("|---|---|---:|---:|---:|---:|---:|")
    for layers in LAYERS:
        kind = dict(channels=args.channels, l_states=1, radial_layers=layers)
        a = nbcore.presets.nbody(symbols, cutoff=4.0, **kind)
        b = nbcore.presets.nbody(["Si"], cutoff=5.0, **kind)
        for splines in (False, True) if layers else (True,):
            a.radial_splines = b.radial_splines = splines
            tables = [network.spline for network in a.radial_networks.values() if network.spline]
            cells = [
                str(layers or "none: linear"),
                ("spline" if splines else "network") if layers else "",
                len(a.parameters),
                f"{evaluation_time(a, molecules, **options):.1f}",
                f"{evaluation_time(b, crystal, **options):.1f}",
                "" if layers and splines else f"{step_time(a, molecules, **options):.2f}",  # runs the networks
                ", ".join(str(table.intervals) for table in tables),
            ]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
