"""The memory that `bytes_per_atom` predicts against what a process really takes."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.own_memory

MEASURE = """
import sys
import numpy as np, nbcore
from ase.build import bulk

potential = nbcore.presets.nbody(species=["Si"], cutoff=4.0, channels=64, l_harmonics=1, correlation=1)
potential.precision = sys.argv[1]

def peak():  # of this process: what the parent had would count in ru_maxrss
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))

piece, large = bulk("Si", cubic=True) * (4, 4, 4), bulk("Si", cubic=True) * (25, 25, 25)
potential.compute(piece.positions, piece.numbers, piece.cell.array, True, threads=1)
before = peak()
potential.compute(large.positions, large.numbers, large.cell.array, True, threads=1)
once = peak() - before
potential.compute(large.positions, large.numbers, large.cell.array, True, threads=1)
for taken, repeated in ((once, False), (peak() - before, True)):
    of_piece = piece.positions, piece.numbers, piece.cell.array, True
    print(taken / len(large) / potential.bytes_per_atom(*of_piece, repeated=repeated))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_predicted():
    """125,000 atoms, once and again, in both precisions, within 10 %."""
    for precision in ("float64", "float32"):
        out = subprocess.run([sys.executable, "-c", MEASURE, precision], capture_output=True, text=True, check=True)
        assert all(0.9 < float(x) < 1.1 for x in out.stdout.split()), f"{precision}: {out.stdout} of what was predicted"
