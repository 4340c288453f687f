"""Python beside C, C++, Fortran, Cython and ASE on the frames of a file: the largest differences, and the golden cases.

    python tests/interfaces/languages/frames.py MODEL FRAMES.xyz [--count 100] [--tilted 10] [--threads 1 2 5]

Frames are drawn at random; some of them are sheared before (--tilted), molecules in a narrow periodic cell that they
are put into. Exit code 1 where a difference is larger than 1e-12, relative to the largest number of its kind in the
frame, or where a language did not run.
"""

import argparse
import io
import lzma
import sys
import tempfile
from pathlib import Path

import ase.io
import language_programs as programs
import numpy as np


def read(path):
    """ase.Atoms of all frames; compressed ones as a whole, since ASE goes back and forth in its file."""
    if not path.endswith(".xz"):
        return ase.io.read(path, ":")
    with lzma.open(path, "rt") as file:
        return ase.io.read(io.StringIO(file.read()), ":", format="extxyz")


def structure(atoms, rng, tilted):
    """(positions, numbers, cell, pbc); sheared by up to a tenth in every direction where it is to be tilted."""
    if tilted and not atoms.pbc.all():
        atoms.set_cell(np.diag(np.ptp(atoms.positions, axis=0) + 4.0))  # images within the cutoff, none too near
        atoms.pbc = True
    if tilted:
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-0.1, 0.1, (3, 3))), scale_atoms=True)
    return atoms.positions, atoms.numbers, atoms.cell.array, atoms.pbc


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("frames")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--tilted", type=int, default=10)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 5])
    args = parser.parse_args()
    rng, all_ = np.random.default_rng(0), read(args.frames)
    chosen = rng.permutation(len(all_))[: args.count]
    structures = [structure(all_[k], rng, n < args.tilted) for n, k in enumerate(chosen)]
    tilted = min(args.tilted, len(structures))
    print(f"{args.model}: {len(structures)} frames of {args.frames}, {tilted} of them tilted; threads {args.threads}")
    cases, expected = programs.run_python(args.model, structures, 1)
    print(f"{'Python':<8} {cases[0]} golden cases: {cases[1]:.1e}")
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for language in [*programs.COMPILERS, "ase"]:
            if language != "ase" and programs.compiler(language) is None:
                print(f"{language:<8} not run: there is no compiler for it here")
                good = False
                continue
            worst = dict.fromkeys(("energy", "forces", "virial"), 0.0)
            for threads in args.threads:
                if language == "ase":
                    cases, results = programs.run_ase(args.model, structures, threads)
                else:
                    cases, results = programs.run(language, Path(folder), args.model, structures, threads)
                for name, value in programs.difference(results, expected).items():
                    worst[name] = max(worst[name], value)
            said = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
            print(f"{language:<8} {said}; {cases[0]} golden cases: {cases[1]:.1e}")
            good &= max(worst.values()) <= 1e-12
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
