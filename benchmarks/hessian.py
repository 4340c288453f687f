"""The Hessian of a model: how exact, how symmetric, what it costs.  python benchmarks/hessian.py MODEL STRUCTURE

It is compared with differences of forces (seven points, an error of sixth order) in some columns, and must agree to
1e-6 of its largest element and be symmetric to 1e-12 of it. Its cost is CPU time on one core: that of all 3 N tangent
sweeps per atom, in evaluations of energy and forces, measured turn by turn; at most 8. Exit code 1 if one fails.
"""

import argparse
import sys
import time

import numpy as np

from nbcore.data.start import read_structure
from nbcore.potential import Potential

COLUMNS, STEP = 6, 1e-3  # of the differences, Angstrom


def differences(potential, x, rest, atom, axis):
    """d F / d x of one coordinate."""
    step = np.zeros_like(x)
    step[atom, axis] = STEP
    forces = {k: potential.compute(x + k * step, *rest, threads=1).forces for k in (-3, -2, -1, 1, 2, 3)}
    return sum(c * (forces[k] - forces[-k]) for k, c in ((1, 45), (2, -9), (3, 1))) / (60 * STEP)


def seconds(f, least):
    """CPU seconds of a call, the smallest of some."""
    best, begin = np.inf, time.thread_time()
    while best == np.inf or time.thread_time() - begin < least:
        t = time.thread_time()
        f()
        best = min(best, time.thread_time() - t)
    return best


def main():
    """Measures, prints, judges."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("model")
    p.add_argument("structure", help="any file ASE reads; FILE@3 is its frame 3")
    p.add_argument("--least", type=float, default=2.0, metavar="S", help="measure each for at least so long")
    args = p.parse_args()
    potential = Potential.load(args.model)
    atoms, _, _ = read_structure(args.structure)
    x, rest = atoms.positions, (atoms.numbers, atoms.cell.array, atoms.pbc)
    H, n = potential.hessian(x, *rest, threads=1), len(atoms)
    largest = np.abs(H).max()
    asymmetry = np.abs(H - H.transpose(2, 3, 0, 1)).max() / largest
    rng = np.random.default_rng(0)
    some = [(int(k) // 3, int(k) % 3) for k in rng.choice(3 * n, min(COLUMNS, 3 * n), replace=False)]
    error = max(np.abs(H[:, :, i, a] + differences(potential, x, rest, i, a)).max() for i, a in some) / largest
    of_hessian = of_one = np.inf
    for _ in range(3):
        of_one = min(of_one, seconds(lambda: potential.compute(x, *rest, threads=1), args.least / 6))
        of_hessian = min(of_hessian, seconds(lambda: potential.hessian(x, *rest, threads=1), args.least / 6))
    cost = of_hessian / of_one / n
    print(f"{n} atoms, {len(potential.parameters)} parameters")
    print(f"against differences of forces {error:.1e} of the largest element (must be 1e-6)")
    print(f"asymmetry {asymmetry:.1e} of the largest element (must be 1e-12)")
    print(
        f"{cost:.2f} evaluations per atom (must be 8): {1e3 * of_hessian:.1f} ms, an evaluation {1e3 * of_one:.3f} ms"
    )
    return int(not (error < 1e-6 and asymmetry < 1e-12 and cost <= 8))


if __name__ == "__main__":
    sys.exit(main())
