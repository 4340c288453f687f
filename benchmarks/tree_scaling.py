"""Cost of the preset tree from 1e3 to 1e5 atoms, one thread.  python benchmarks/tree_scaling.py [ATOMS ...]

Random H and O at the density of water, parts of 6 Angstrom and up, 7 levels. Exit code 1 if the cost per atom of the
largest system is more than 1.5 times that of the smallest.
"""

import sys
import time

import numpy as np

import nbcore


def main():
    potential = nbcore.presets.tree(["H", "O"], 4.0, channels=16, l_harmonics=2, tree_levels=7)
    costs = []
    for n in [int(n) for n in sys.argv[1:]] or (1000, 10_000, 100_000):
        rng, edge = np.random.default_rng(0), int(np.ceil(n ** (1 / 3)))
        grid = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), -1).reshape(-1, 3)[:n]
        positions = 2.15 * grid + 0.25 * rng.standard_normal((n, 3))
        species = np.where(rng.random(n) < 0.6, 1, 8)
        begin = time.perf_counter()
        scheme = potential.scheme(positions)
        scheme.check()
        building = time.perf_counter() - begin
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            potential.compute(positions, species, scheme=scheme, threads=1)
            times.append(time.perf_counter() - begin)
        costs.append(1e6 * min(times) / n)
        print(f"{n:7d} atoms: {costs[-1]:6.1f} us/atom (scheme once: {building:.2f} s)", flush=True)
    print(f"ratio {costs[-1] / costs[0]:.2f}, at most 1.5")
    return 0 if costs[-1] < 1.5 * costs[0] else 1


if __name__ == "__main__":
    sys.exit(main())
