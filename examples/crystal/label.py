# SPDX-License-Identifier: BSD-3-Clause
"""Label crystals (or molecules) with GFN1-xTB energies, forces and stresses (tblite, Gamma point only).

Reads any file ASE can read and writes extended XYZ with `energy` (total, eV), `forces` (eV/Angstrom) and, for
frames periodic in all three directions, `stress` (eV/Angstrom^3, positive when the cell is under tension, as in
ASE), keeping what else the comment lines hold. OUT appears once all frames are done. A frame whose
self-consistent charges do not converge is reported and left out.
"""

import argparse
import os
import sys
import time

import numpy as np
from ase.calculators.calculator import CalculationFailed, InputError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from tblite.ase import TBLite


def fail(message):
    sys.exit(f"label.py: {message}")


def compute(atoms, args):
    """Energy (eV), forces (eV/Angstrom) and stress (3x3, eV/Angstrom^3; None without three periodic directions)."""
    atoms = atoms.copy()
    atoms.calc = TBLite(method=args.method, accuracy=args.accuracy, max_iterations=500, verbosity=0)
    stress = atoms.get_stress(voigt=False) if atoms.pbc.all() else None
    return float(atoms.get_potential_energy()), atoms.get_forces(), stress


def check(atoms, args, step=0.002):
    """Print forces and stress of one frame against central differences of its energy."""
    _, forces, stress = compute(atoms, args)

    def slope(move):
        pair = []
        for size in (step, -step):
            moved = atoms.copy()
            move(moved, size)
            pair.append(compute(moved, args)[0])
        return (pair[0] - pair[1]) / (2 * step)

    numeric = np.zeros_like(forces)
    for i, axis in np.ndindex(*forces.shape):

        def shift(moved, size, i=i, axis=axis):
            moved.positions[i, axis] += size

        numeric[i, axis] = -slope(shift)
    worst = abs(numeric - forces).max()
    print(f"forces: largest difference {worst:.2e} eV/A, largest force {abs(forces).max():.3f} eV/A")
    if stress is None:
        return
    numeric = np.zeros((3, 3))
    for i, j in zip(*np.triu_indices(3), strict=True):

        def deform(moved, size, i=i, j=j):
            epsilon = np.zeros((3, 3))
            epsilon[i, j] += size / 2
            epsilon[j, i] += size / 2
            moved.set_cell(moved.cell[:] @ (np.eye(3) + epsilon), scale_atoms=True)

        numeric[i, j] = numeric[j, i] = slope(deform) / atoms.get_volume()
    worst = abs(numeric - stress).max()
    print(f"stress: largest difference {worst:.2e} eV/A^3, largest component {abs(stress).max():.4f} eV/A^3")


def read_frames(path):
    try:
        frames = read(path, ":")
    except Exception as error:  # ASE raises whatever its readers meet
        fail(f"cannot read {path}: {error or type(error).__name__}")
    if not frames:
        fail(f"{path} holds no frames")
    for number, atoms in enumerate(frames):
        if len(atoms) == 0 or not np.isfinite(atoms.positions).all() or (atoms.numbers < 1).any():
            fail(f"{path}: frame {number} is empty, has an unknown element or a position that is not a number")
        if atoms.pbc.all() and not abs(atoms.cell.volume) > 1e-3:
            fail(f"{path}: frame {number} is periodic but its cell has no volume")
        if atoms.pbc.any() and not atoms.pbc.all():
            fail(f"{path}: frame {number} is periodic in one or two directions only")
    return frames


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", metavar="IN.xyz", help="frames to label, positions and cells in Angstrom")
    parser.add_argument("output", metavar="OUT.xyz", nargs="?", help="labelled frames")
    parser.add_argument("--method", default="GFN1-xTB", help="GFN1-xTB, GFN2-xTB or IPEA1-xTB (default: GFN1-xTB)")
    parser.add_argument("--accuracy", type=float, default=0.01, help="tblite accuracy, less is tighter (default: 0.01)")
    parser.add_argument("--check", type=int, metavar="N", help="only compare frame N with finite differences")
    args = parser.parse_args()
    if args.method not in ("GFN1-xTB", "GFN2-xTB", "IPEA1-xTB"):
        parser.error(f"unknown method '{args.method}'")

    frames = read_frames(args.input)
    if args.check is not None:
        if not 0 <= args.check < len(frames):
            fail(f"--check {args.check}: {args.input} has frames 0 to {len(frames) - 1}")
        return check(frames[args.check], args)
    if args.output is None:
        parser.error("OUT.xyz is missing")
    if os.path.realpath(args.input) == os.path.realpath(args.output):
        fail("IN.xyz and OUT.xyz are the same file")

    print(f"{args.method}, Gamma point, accuracy {args.accuracy}, {len(frames)} frames", flush=True)
    begin = time.perf_counter()
    labelled = []
    for number, frame in enumerate(frames):
        try:
            energy, forces, stress = compute(frame, args)
        except CalculationFailed as error:
            print(f"frame {number}: left out: {error}", flush=True)
            continue
        frame.calc = SinglePointCalculator(frame, energy=energy, forces=forces, stress=stress)
        labelled.append(frame)
        print(f"frame {number}: {energy:.5f} eV", flush=True)
    part = args.output + ".part"
    write(part, labelled, format="extxyz")
    os.replace(part, args.output)
    spent = time.perf_counter() - begin
    print(f"{args.output}: {len(labelled)} of {len(frames)} frames, {spent / len(frames):.2f} s per frame")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (InputError, RuntimeError, OSError, ValueError) as error:
        fail(error)
