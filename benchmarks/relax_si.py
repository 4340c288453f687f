"""Does a silicon model relax atoms and cell?  python benchmarks/relax_si.py MODEL [--fmax 1e-4]

Diamond silicon, eight atoms, strained (triclinic) and rattled, relaxed with ASE's BFGS over FrechetCellFilter until
every component of the forces and of the generalised force on the cell is below fmax (eV/Angstrom); then the cubic cell
and the perfect positions must be back. Exit code 1 if not.
"""

import argparse
import sys

import numpy as np
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from nbcore.ase import NBCoreCalculator
from nbcore.results.comparison import GPA


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--element", default="Si")
    p.add_argument("--lattice", default="diamond", help="structure type, as in ase.build.bulk")
    p.add_argument("--constant", type=float, default=5.43, help="lattice constant at the start, in Angstrom")
    p.add_argument("--fmax", type=float, default=1e-4, help="eV/Angstrom")
    p.add_argument("--steps", type=int, default=500)
    args = p.parse_args()

    atoms = bulk(args.element, args.lattice, a=args.constant, cubic=True)
    strain = np.array([[0.02, 0.015, 0.0], [0.015, -0.02, 0.01], [0.0, 0.01, 0.01]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = NBCoreCalculator(args.model)
    print(
        f"start   E {atoms.get_potential_energy():.6f} eV, largest force {np.abs(atoms.get_forces()).max():.3f} eV/Å, ",
        end="",
    )
    print(f"largest stress {GPA * np.abs(atoms.get_stress()).max():.3f} GPa")
    relaxation = BFGS(FrechetCellFilter(atoms), logfile=None)
    converged = relaxation.run(fmax=args.fmax, steps=args.steps)
    force, stress = np.abs(atoms.get_forces()).max(), np.abs(atoms.get_stress()).max()
    print(f"end     E {atoms.get_potential_energy():.6f} eV after {relaxation.nsteps} steps")
    lengths, angles = atoms.cell.lengths(), atoms.cell.angles()
    print(f"        cell {' '.join(f'{x:.4f}' for x in lengths)} Å, {' '.join(f'{x:.3f}' for x in angles)} degrees")
    ok = bool(converged) and force <= args.fmax and np.ptp(lengths) < 1e-2
    print(f"largest force   {force:.1e} eV/Å   <= {args.fmax:g}   {'ok' if force <= args.fmax else 'FAILED'}")
    print(f"largest stress  {GPA * stress:.1e} GPa")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
