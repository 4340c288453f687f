"""The neighbour list beside vesin and ASE on one core: the same pairs, and the time per atom.

    taskset -c 0 python benchmarks/neighbours.py [--quick]

Perturbed diamond silicon, 4096 atoms, cutoff 5 Angstrom, full list with shifts and vectors, from Python. Peers that are
not installed are left out. CPU time: median (smallest to largest) of the repetitions. --quick: 64 atoms, untimed.
"""

import argparse
import os
import statistics
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.neighborlist import primitive_neighbor_list  # noqa: E402

from nbcore._core import neighbours  # noqa: E402

CUTOFF = 5.0


def pairs(i, j, shift):
    """Pairs in one order, for comparing."""
    rows = np.column_stack([i, j, shift]).astype(int)
    return rows[np.lexsort(rows.T[::-1])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    atoms = bulk("Si", "diamond", a=5.43, cubic=True) * ((2,) * 3 if quick else (8,) * 3)
    atoms.rattle(0.05, seed=1)
    positions, cell = atoms.positions, atoms.cell.array
    programs = {"nbcore": lambda: neighbours(positions, cell, True, CUTOFF)[:3]}
    try:
        import vesin

        lists = vesin.NeighborList(cutoff=CUTOFF, full_list=True)
        programs["vesin"] = lambda: lists.compute(points=positions, box=cell, periodic=True, quantities="ijSD")[:3]
    except ImportError:
        pass
    programs["ASE"] = lambda: primitive_neighbor_list("ijSD", atoms.pbc, cell, positions, CUTOFF)[:3]

    expected = pairs(*programs["nbcore"]())
    times = {name: [] for name in programs}
    for _ in range(1 if quick else 11):
        for name, f in programs.items():
            for _ in range(1 if quick or name == "ASE" else 5):
                start = time.process_time()
                f()
                times[name].append(1e6 * (time.process_time() - start) / len(atoms))
    print(f"# {len(atoms)} Si, {CUTOFF} Angstrom, {len(expected)} pairs")
    print("| program | us/atom | same pairs |\n|---|---|---|")
    for name, f in programs.items():
        t, same = sorted(times[name]), np.array_equal(pairs(*f()), expected)
        print(f"| {name} | {statistics.median(t):.3g} ({t[0]:.3g}-{t[-1]:.3g}) | {'yes' if same else 'NO'} |")
        assert same, name


if __name__ == "__main__":
    main()
