"""Memory per parameter of a potential that computes: parameters, packed weights, their copies, tables of kernels.

    python benchmarks/memory_of_parameters.py [--channels 1024] [--precision float64]

nbody of one level and l = 0: almost all of its parameters are matrices of mix gates. Measured is the growth of the
resident memory of a process from before the potential is made, or loaded, to after its second evaluation of two atoms;
what a smaller potential takes (the library, workspaces) is measured first and not counted.
"""

import argparse
import gc
import tempfile
from pathlib import Path

import nbcore


def resident():
    """Resident memory of this process, bytes."""
    gc.collect()
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def potential_of(channels):
    """Two matrices of channels^2 numbers, and what is linear in channels."""
    return nbcore.presets.nbody(species=["H"], cutoff=3.0, channels=channels, levels=2, l_states=0, l_harmonics=0,
                                correlation=1)  # fmt: skip


def run(potential, precision):
    """Computes twice."""
    potential.precision = precision
    for _ in range(2):
        potential.compute([[0, 0, 0], [0, 0, 1.0]], ["H", "H"])


def main():
    """Prints bytes per parameter of a potential from a file."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--channels", type=int, default=1024)
    p.add_argument("--precision", choices=["float64", "float32"], default="float64")
    args = p.parse_args()
    run(potential_of(8), args.precision)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.nbcore"
        potential_of(args.channels).save(path)
        gc.collect()
        before = resident()
        potential = nbcore.Potential.load(path)
        run(potential, args.precision)
        n = len(potential.parameters)
        print(f"{n} parameters, {args.precision}: {(resident() - before) / n:.1f} bytes per parameter")


if __name__ == "__main__":
    main()
