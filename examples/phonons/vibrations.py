"""Vibrations of a molecule from the exact Hessian:  python vibrations.py molecule.nbcore molecule.xyz

The molecule is relaxed; ASE makes modes, zero-point energy and a trajectory of each mode from the Hessian
(ase.vibrations.VibrationsData), which `ase.vibrations.Vibrations` would take from 6 N displaced structures.
"""

import argparse

import ase.io
from ase.optimize import BFGS
from ase.vibrations import VibrationsData

import nbcore
from nbcore.ase import NBCoreCalculator


def main():
    """Relaxes, computes, prints the table of modes."""
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("model")
    p.add_argument("structure", help="a molecule, any file ASE reads")
    args = p.parse_args()
    potential, atoms = nbcore.load(args.model), ase.io.read(args.structure)
    atoms.calc = NBCoreCalculator(potential)
    BFGS(atoms, logfile=None).run(fmax=1e-5, steps=1000)
    hessian = potential.hessian(atoms.positions, atoms.numbers)
    modes = VibrationsData(atoms, hessian)
    print(modes.tabulate())


if __name__ == "__main__":
    main()
