"""What kept neighbour lists save: the time of a step of dynamics with and without a skin, on one core.

    taskset -c 1 python benchmarks/skin.py [--skins 0,0.5] [--seconds 15] [--cases small-si512,small-acac,...]

Atoms swing about their places, an rms of 0.07 Angstrom along each direction, a period of 100 steps, as at room
temperature; every skin gives the same bits. Wall-clock time, smallest of many passes for each step, mean over steps.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import nbcore
from nbcore.bench.models import batch, silicon
from nbcore.evaluator import Evaluator

SMALL, MEDIUM = dict(channels=32, levels=1, l_states=0), dict(channels=64, l_states=1)
CASES = {
    "small-si512": (SMALL, 5.0, "Si"),
    "small-acac": (SMALL, 4.0, "H C O"),
    "64-l1-si512": (MEDIUM, 5.0, "Si"),
    "64-l1-acac": (MEDIUM, 4.0, "H C O"),
}


def trajectory(structure, steps):
    """Positions at each step."""
    rng = np.random.default_rng(3)
    amplitude = rng.normal(0, 0.1, structure.positions.shape)
    phase = rng.uniform(0, 2 * np.pi, structure.positions.shape)
    return [structure.positions + amplitude * np.sin(0.02 * np.pi * k + phase) for k in range(steps)]


def measure(path, structure, skins, seconds, steps):
    """{skin: (seconds per step, searches per step)}"""
    numbers, forces = structure.numbers.astype(np.intc), np.empty_like(structure.positions)
    cell, pbc = np.ascontiguousarray(structure.cell), structure.pbc.tolist()
    frames = trajectory(structure, steps)
    evaluators = {skin: Evaluator(path, skin=skin) for skin in skins}
    best, passes, end = {skin: np.full(steps, np.inf) for skin in skins}, 0, time.monotonic() + seconds
    while passes == 0 or time.monotonic() < end:
        for skin, evaluator in evaluators.items():
            for k, positions in enumerate(frames):
                begin = time.perf_counter()
                evaluator.evaluate(positions, numbers, cell, pbc, forces)
                best[skin][k] = min(best[skin][k], time.perf_counter() - begin)
        passes += 1
    return {skin: (best[skin].mean(), evaluators[skin].searches / passes / steps) for skin in skins}


def main(arguments=None):
    """Prints one line per case and skin."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--skins", default="0,0.5", help="Angstrom, with commas between")
    p.add_argument("--seconds", type=float, default=15, help="per case")
    p.add_argument("--steps", type=int, default=100)
    p.add_argument("--cases", default=",".join(CASES))
    args = p.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        for name in args.cases.split(","):
            options, cutoff, species = CASES[name]
            path = Path(folder) / "model.nbcore"
            nbcore.presets.nbody(species=species.split(), cutoff=cutoff, **options).save(path)
            structure = silicon(4) if "si512" in name else batch()[0]
            skins = [float(skin) for skin in args.skins.split(",")]
            for skin, (seconds, searches) in measure(path, structure, skins, args.seconds, args.steps).items():
                n = len(structure.positions)
                print(f"{name:12} skin {skin:3g}: {1e6 * seconds / n:6.2f} us/atom, {searches:.2f} searches a step")


if __name__ == "__main__":
    main()
