# SPDX-License-Identifier: BSD-3-Clause
"""Draw geometries of glycolaldehyde (HOCH2-CHO, 8 atoms) for training and testing.

Every frame comes from GFN2-xTB (tblite) run through ASE; energies are not kept, label.py computes them.

  train           10 Langevin trajectories at 500 K, 30 frames each, shuffled
  test_300K       4 separate trajectories at 300 K, 25 frames each, taking turns, in time order
  test_800K       4 separate trajectories at 800 K, 25 frames each, taking turns, in time order
  scan            O-C-C=O torsion from 0 to 350 degrees in steps of 10, the rest relaxed at each angle
  isolated_atoms  one H, one C and one O

Each trajectory starts from its own pair of torsions (O-C-C=O, H-O-C-C) and has its own seed, so a second run
gives the same frames on the same machine. Each set is written to NAME_geometry.xyz.
"""

import argparse
import os
import sys

import numpy as np
from ase import Atoms, units
from ase.constraints import FixInternals
from ase.io import write
from ase.md.langevin import Langevin
from ase.optimize import BFGS
from tblite.ase import TBLite

# Planar cis form. Order: C (aldehyde), C (alcohol), O (aldehyde), O (alcohol), H (aldehyde), H, H, H (hydroxyl).
START = Atoms(
    "C2O2H4",
    [
        [0.00, 0.02, 0.00],
        [1.49, 0.03, 0.00],
        [-0.66, 1.03, 0.00],
        [2.00, 1.33, 0.00],
        [-0.47, -0.98, 0.00],
        [1.84, -0.52, 0.89],
        [1.84, -0.52, -0.89],
        [1.25, 1.93, 0.00],
    ],
)
OCCO = (3, 1, 0, 2)  # O-C-C=O
HOCC = (7, 3, 1, 0)  # H-O-C-C
BONDS = [(0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (1, 6), (3, 7)]

TRAIN_STARTS = [
    (0, 0),
    (0, 180),
    (60, 60),
    (60, 180),
    (120, -60),
    (-60, -60),
    (-120, 60),
    (180, 180),
    (180, 60),
    (180, 0),
]
TEST_STARTS = [(0, 0), (180, 180), (150, 60), (-30, 120)]

# name: (temperature in K, starting torsions in degrees, frames per trajectory, first seed)
MD_SETS = {
    "train": (500.0, TRAIN_STARTS, 30, 1000),
    "test_300K": (300.0, TEST_STARTS, 25, 2000),
    "test_800K": (800.0, TEST_STARTS, 25, 3000),
}


def conformer(occo, hocc):
    """The starting molecule with its two torsions set (degrees)."""
    atoms = START.copy()
    atoms.set_dihedral(*OCCO, occo, indices=[2, 4])
    atoms.set_dihedral(*HOCC[::-1], hocc, indices=[7])
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    return atoms


def snapshot(atoms, **info):
    """A bare copy, centred on its centre of mass, with the torsions and `info` in its comment line."""
    frame = Atoms(atoms.get_chemical_symbols(), atoms.positions - atoms.get_center_of_mass())
    frame.info.update(info)
    frame.info["torsion"] = round(float(atoms.get_dihedral(*OCCO)), 2) % 360.0
    return frame


def trajectory(name, run, args):
    """Langevin dynamics from one starting conformer."""
    temperature, starts, count, seed = MD_SETS[name]
    atoms = conformer(*starts[run])
    rng = np.random.default_rng(seed + run)
    BFGS(atoms, logfile=None).run(fmax=0.5, steps=10)  # takes out clashes, keeps the torsions roughly
    spread = np.sqrt(units.kB * temperature * atoms.get_masses())[:, None]
    atoms.set_momenta(spread * rng.standard_normal((len(atoms), 3)))
    md = Langevin(
        atoms, args.timestep * units.fs, temperature_K=temperature, friction=0.01 / units.fs, rng=rng, fixcm=False
    )
    md.run(round(args.equilibrate / args.timestep))
    frames = []
    for _ in range(count):
        md.run(round(args.every / args.timestep))
        if any(atoms.get_distance(i, j) > 2.0 for i, j in BONDS):
            sys.exit(f"sample.py: a bond broke in {name}, trajectory {run}; lower the temperature or the time step")
        frames.append(
            snapshot(atoms, temperature_K=temperature, trajectory=run, time_fs=round(md.get_time() / units.fs, 1))
        )
    print(f"{name}: trajectory {run + 1} of {len(starts)} done", flush=True)
    return frames


def torsion_scan():
    """Relax with O-C-C=O held at 0, 10 ... 350 degrees, each angle starting from the one before."""
    atoms = conformer(0, 0)
    frames = []
    for angle in range(0, 360, 10):
        atoms.set_constraint()
        atoms.set_dihedral(*OCCO, angle, indices=[2, 4])
        atoms.set_constraint(FixInternals(dihedrals_deg=[[angle, OCCO]], epsilon=1e-9))
        if not BFGS(atoms, logfile=None).run(fmax=0.02, steps=500):
            print(f"scan: not fully relaxed at {angle} degrees", file=sys.stderr)
        frames.append(snapshot(atoms))
    return frames


def isolated_atoms():
    frames = [Atoms(symbol, [[0.0, 0.0, 0.0]]) for symbol in "HCO"]
    for frame in frames:
        frame.info["config_type"] = "IsolatedAtom"
    return frames


def main():
    names = [*MD_SETS, "scan", "isolated_atoms"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sets", nargs="*", metavar="SET", help=f"which sets to write: {', '.join(names)} (default: all)"
    )
    parser.add_argument("--out-dir", default=".", help="folder to write to (default: here)")
    parser.add_argument("--timestep", type=float, default=0.5, help="time step in fs (default: 0.5)")
    parser.add_argument("--every", type=float, default=75.0, help="time between frames in fs (default: 75)")
    parser.add_argument("--equilibrate", type=float, default=300.0, help="time before the first in fs (default: 300)")
    args = parser.parse_args()
    for name in args.sets:
        if name not in names:
            parser.error(f"unknown set '{name}'; there are {', '.join(names)}")
    os.makedirs(args.out_dir, exist_ok=True)

    for name in args.sets or names:
        if name == "scan":
            frames = torsion_scan()
        elif name == "isolated_atoms":
            frames = isolated_atoms()
        else:
            runs = [trajectory(name, run, args) for run in range(len(MD_SETS[name][1]))]
            if name == "train":
                frames = [frame for run in runs for frame in run]
                frames = [frames[i] for i in np.random.default_rng(0).permutation(len(frames))]
            else:
                frames = [frame for at_once in zip(*runs, strict=True) for frame in at_once]
        path = os.path.join(args.out_dir, f"{name}_geometry.xyz")
        write(path, frames, format="extxyz")
        print(f"{path}: {len(frames)} frames", flush=True)


if __name__ == "__main__":
    main()
