"""What a bound on memory costs: time and peak memory of an evaluation of silicon, whole and in parts, on one core.

    taskset -c 1 python benchmarks/parts.py [--cells 20] [--bounds 0,500,200,100,50] [--channels 64 --l 1 --levels 2]

nbody, cutoff 5 Angstrom, 28 neighbours; 8 atoms a cell, cells^3 of them. Bounds in MB, 0 for none. Every bound is
measured in a process of its own: CPU time of the second evaluation, growth of the resident memory over both.
"""

import argparse
import subprocess
import sys
import time

import nbcore
from nbcore.bench.models import silicon


def peak():
    """Largest resident memory of this process so far, bytes."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def measure(args, bound):
    """(seconds, bytes) of an evaluation within a bound in MB."""
    options = dict(cutoff=5.0, channels=args.channels, l_states=args.l, levels=args.levels)
    potential = nbcore.presets.nbody(species=["Si"], **options)
    piece, system = silicon(4), silicon(args.cells)
    potential.compute(piece.positions, piece.numbers, piece.cell, True, threads=1)
    before = peak()
    for _ in range(2):
        begin = time.process_time()
        potential.compute(system.positions, system.numbers, system.cell, True, threads=1, max_bytes=1e6 * bound or None)
    return time.process_time() - begin, peak() - before


def main():
    """Prints a line per bound."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--cells", type=int, default=20)
    p.add_argument("--bounds", default="0,500,200,100,50", help="MB, with commas between")
    p.add_argument("--channels", type=int, default=64)
    p.add_argument("--l", type=int, default=1)
    p.add_argument("--levels", type=int, default=2)
    p.add_argument("--one", type=float, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.one is not None:
        print(*measure(args, args.one))
        return
    atoms, whole = 8 * args.cells**3, None
    for bound in map(float, args.bounds.split(",")):
        run = subprocess.run(
            [sys.executable, *sys.argv, "--one", str(bound)], capture_output=True, text=True, check=True
        )
        seconds, taken = map(float, run.stdout.split())
        whole = whole or seconds
        given = f"{bound:g} MB" if bound else "no bound"
        print(
            f"{atoms} atoms, {given:>9}: {1e6 * seconds / atoms:6.1f} us/atom, {seconds / whole:.2f} times the first, "
            f"{taken / 1e6:.0f} MB taken",
            flush=True,
        )


if __name__ == "__main__":
    main()
