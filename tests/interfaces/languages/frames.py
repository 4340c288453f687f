"""Python beside C, C++, Fortran, Cython and ASE on the frames of a file: the largest differences, and the golden cases.

    python tests/interfaces/languages/frames.py MODEL FRAMES.xyz [--count 100] [--tilted 10] [--threads 1 2 5]

Frames are drawn at random; some of the periodic ones are sheared before (--tilted). Exit code 1 where a difference is
larger than 1e-12, relative to the largest number of its kind in the frame, or where a language did not run.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import ase.io
import language_programs as programs
import numpy as np


def structure(atoms, rng, tilted):
    """(positions, numbers, cell, pbc); sheared by up to a tenth in every direction where it is to be tilted."""
    if tilted and atoms.pbc.all():
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
    rng, all_ = np.random.default_rng(0), ase.io.read(args.frames, ":")
    chosen = rng.permutation(len(all_))[: args.count]
    structures = [structure(all_[k], rng, n < args.tilted) for n, k in enumerate(chosen)]
    periodic = sum(bool(np.all(pbc)) for *_, pbc in structures[: args.tilted])
    print(f"{args.model}: {len(structures)} frames of {args.frames}, {periodic} of them tilted; threads {args.threads}")
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
