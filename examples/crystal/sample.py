# SPDX-License-Identifier: BSD-3-Clause
"""Draw strained and rattled cells of cubic silicon carbide (zincblende, 8 atoms) for training and testing.

Four kinds of strain take turns, amplitudes drawn evenly:

  hydrostatic   all lengths by -6 to 6 %
  uniaxial      one axis by -4 to 4 %
  shear         one symmetric shear component of -0.04 to 0.04
  mixed         all of the above at once, hydrostatic -5 to 5 %, the others halved

Then every atom is moved at random, with a standard deviation per frame between 0.02 and 0.15 Angstrom.

  train_geometry.xyz   80 frames
  test_geometry.xyz    20 frames, another seed
  eos_geometry.xyz     13 frames, hydrostatic only, -6 to 6 %, atoms on their sites
"""

import argparse
import os

import numpy as np
from ase.build import bulk
from ase.io import write

A0 = 4.52  # Angstrom; where GFN1-xTB puts the minimum for this cell (experiment: 4.36)
KINDS = ("hydrostatic", "uniaxial", "shear", "mixed")


def strain(kind, rng):
    """A 3x3 strain of the given kind."""
    axis, (i, j) = rng.integers(3), rng.permutation(3)[:2]
    hydrostatic, uniaxial, shear = (np.zeros((3, 3)) for _ in range(3))
    np.fill_diagonal(hydrostatic, rng.uniform(-0.06, 0.06))
    uniaxial[axis, axis] = rng.uniform(-0.04, 0.04)
    shear[i, j] = shear[j, i] = rng.uniform(-0.04, 0.04)
    if kind == "mixed":
        return hydrostatic * 5 / 6 + (uniaxial + shear) / 2
    return {"hydrostatic": hydrostatic, "uniaxial": uniaxial, "shear": shear}[kind]


def deformed(epsilon, **info):
    atoms = bulk("SiC", "zincblende", A0, cubic=True)
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + epsilon), scale_atoms=True)
    atoms.info.update(info)
    return atoms


def random_frames(count, seed):
    rng = np.random.default_rng(seed)
    frames = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        rattle = round(rng.uniform(0.02, 0.15), 3)
        atoms = deformed(strain(kind, rng), strain_kind=kind, rattle=rattle)
        atoms.positions += rng.normal(0.0, rattle, (len(atoms), 3))
        frames.append(atoms)
    return frames


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out-dir", default=".", help="folder to write to (default: here)")
    parser.add_argument("--train", type=int, default=80, metavar="N", help="training frames (default: 80)")
    parser.add_argument("--test", type=int, default=20, metavar="N", help="test frames (default: 20)")
    args = parser.parse_args()
    if args.train < 0 or args.test < 0:
        parser.error("frame counts cannot be negative")
    os.makedirs(args.out_dir, exist_ok=True)

    sets = {
        "train": random_frames(args.train, seed=1),
        "test": random_frames(args.test, seed=2),
        "eos": [deformed(np.eye(3) * x / 100, length_change=x / 100) for x in range(-6, 7)],
    }
    for name, frames in sets.items():
        path = os.path.join(args.out_dir, f"{name}_geometry.xyz")
        write(path, frames, format="extxyz")
        print(f"{path}: {len(frames)} frames")


if __name__ == "__main__":
    main()
