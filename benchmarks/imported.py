"""Imported models beside the programs that they come from, one core, one run, by turns.

    taskset -c 0 python benchmarks/imported.py --mace PEER/bin/python [--symmetrix PEER/bin/python] [--cells 4]
    taskset -c 0 python benchmarks/imported.py --sevenn PEER/bin/python

A peer is a Python that has mace-torch 0.3.16, for Symmetrix also symmetrix-xl 0.1.1, or sevenn 0.13.0, from PyPI; each
runs in a process of its own (imported_peer.py) and computes when it is told to. --mace: a MACE of 128x0e + 128x1o, two
levels, cutoff 5 Angstrom, elements H O Si (--elements all: 89) and random weights is written by mace-torch, imported,
and compared on silicon and on water, in double precision. Symmetrix compiles at its first evaluation, for minutes,
which is left out. --sevenn: SevenNet-0, whose checkpoint is in sevenn's package, on silicon and on crystals of carbon
dioxide, sevenn in its single precision.

CPU time with neighbour lists, the fastest of --rounds, and how far energies and forces agree.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
from speed import machine_line  # noqa: E402

import nbcore  # noqa: E402
from nbcore.bench.models import silicon  # noqa: E402
from nbcore.data import Structure  # noqa: E402
from nbcore.importing import import_model  # noqa: E402

PEER = Path(__file__).with_name("imported_peer.py")


def water(n: int) -> Structure:
    """n^3 molecules on a cubic lattice of the density of water, turned at random."""
    rng, edge = np.random.default_rng(3), 3.1035
    centres = edge * np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), -1).reshape(-1, 3)
    molecule = np.array([[0, 0, 0], [0.757, 0.586, 0], [-0.757, 0.586, 0]])
    turns = np.linalg.qr(rng.standard_normal((len(centres), 3, 3)))[0]
    positions = (centres[:, None] + molecule @ turns).reshape(-1, 3)
    return Structure(positions, np.tile([8, 1, 1], len(centres)), n * edge * np.eye(3), np.ones(3, bool))


def carbon_dioxide(n: int) -> Structure:
    """n^3 cubic cells of the molecular crystal (Pa-3), 12 atoms each, displaced by 0.02 Angstrom."""
    edge, bond = 5.624, 1.155
    sites = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    axes = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    cell = np.concatenate(
        [[edge * s, edge * s + bond * a, edge * s - bond * a] for s, a in zip(sites, axes, strict=True)]
    )
    corners = edge * np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), -1).reshape(-1, 3)
    positions = (corners[:, None] + cell).reshape(-1, 3)
    positions += np.random.default_rng(4).normal(0, 0.02, positions.shape)
    return Structure(positions, np.tile([6, 8, 8], len(positions) // 3), n * edge * np.eye(3), np.ones(3, bool))


class Peer:
    """A process of another Python that evaluates a structure again and again."""

    def __init__(self, python, kind, *arguments):
        self.process = subprocess.Popen(
            [python, str(PEER), kind, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.name = self.answer()["name"]

    def answer(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self.process.args[0]}: the peer ended")

    def __call__(self):
        """CPU seconds, energy, forces"""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        found = self.answer()
        return found["seconds"], found["energy"], np.array(found["forces"])

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def own(potential, structure, precision):
    def run():
        potential.precision = precision
        start = time.process_time()
        found = potential.compute(structure.positions, structure.numbers, structure.cell, structure.pbc, threads=1)
        return time.process_time() - start, found.energy, found.forces

    return run


def compare(title, structure, runs, rounds):
    """A table of microseconds per atom, by turns; `runs` {name: function}, nbcore in double precision first."""
    n = len(structure.numbers)
    first, best, found = {}, {}, {}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            seconds, *found[name] = run()
            if turn == 0:
                first[name] = seconds
            else:
                best[name] = min(best.get(name, np.inf), seconds)
    exact = next(iter(runs))
    print(f"\n{title}, {n} atoms")
    print("| code | µs/atom | times nbcore | first call, s | energy differs, eV/atom | forces, eV/Å |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, seconds in best.items():
        (energy, forces), (true, true_forces) = found[name], found[exact]
        differs = f"{abs(energy - true) / n:.0e} | {np.abs(forces - true_forces).max():.0e}" if name != exact else " | "
        print(
            f"| {name} | {1e6 * seconds / n:.4g} | {seconds / best[exact]:.3g} | {first[name]:.2g} | {differs} |",
            flush=True,
        )


def load(path, output):
    """A model imported and loaded again, and what that takes of CPU time."""
    start = time.process_time()
    import_model(path).save(output)
    middle = time.process_time()
    potential = nbcore.Potential.load(output)
    loaded = time.process_time() - middle
    print(f"\n{Path(path).name}: imported in {middle - start:.2g} s, loaded in {loaded:.2g} s")
    for gate, network in potential.radial_networks.items():
        print(f"  {gate}: {network.spline}")
    return potential


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mace", metavar="PYTHON")
    parser.add_argument("--symmetrix", metavar="PYTHON")
    parser.add_argument("--sevenn", metavar="PYTHON")
    parser.add_argument("--elements", choices=["few", "all"], default="few", help="of the MACE model: H O Si, or 89")
    parser.add_argument("--first", default="RealAgnosticInteractionBlock", help="block of MACE's first level")
    parser.add_argument(
        "--cells", type=int, default=4, help="cubic cells of silicon along an edge, molecules of water too"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a small network beside itself, for the tests")
    args = parser.parse_args()
    print(f"# {nbcore.build_info()}, one thread\n# {machine_line()}")
    n = args.cells
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)

        def table(title, structure, potential, peers):
            at = folder / "structure.npz"
            np.savez(at, **{k: getattr(structure, k) for k in ("positions", "numbers", "cell", "pbc")})
            runs = {f"nbcore, {p}": own(potential, structure, p) for p in ("float64", "float32")}
            running = [Peer(python, kind, file, at, *more) for python, kind, file, *more in peers]
            compare(title, structure, runs | {peer.name: peer for peer in running}, args.rounds)
            for peer in running:
                peer.end()

        if args.quick:
            quick, path = nbcore.presets.mace(["Si"], 4.0, channels=4, l_harmonics=2), folder / "quick.nbcore"
            quick.save(path)
            table("silicon", silicon(n), quick, [(sys.executable, "nbcore", path)])
        if args.mace:
            file = folder / "mace.model"
            numbers = [1, 8, 14] if args.elements == "few" else range(1, 90)
            subprocess.run([args.mace, str(PEER), "make", str(file), args.first, *map(str, numbers)], check=True)
            potential = load(file, folder / "mace.nbcore")
            peers = [(args.mace, "mace", file, "float64")]
            if args.symmetrix:
                converted = folder / "symmetrix.json"
                subprocess.run(
                    [args.symmetrix, str(PEER), "convert", str(file), str(converted), "1", "8", "14"], check=True
                )
                peers.append((args.symmetrix, "symmetrix", converted))
            table("silicon", silicon(n), potential, peers)
            table("water", water(n), potential, peers)
        if args.sevenn:
            where = subprocess.run([args.sevenn, str(PEER), "where"], check=True, capture_output=True, text=True)
            potential = load(where.stdout.split()[-1], folder / "sevennet.nbcore")
            peers = [(args.sevenn, "sevenn", "7net-0")]
            table("silicon", silicon(n), potential, peers)
            table("carbon dioxide", carbon_dioxide(max(n // 2, 1)), potential, peers)


if __name__ == "__main__":
    main()
