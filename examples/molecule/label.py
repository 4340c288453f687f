# SPDX-License-Identifier: BSD-3-Clause
"""Label molecules with energies and forces from density-functional theory (PySCF, density fitting).

Reads any file ASE can read and writes extended XYZ with `energy` (total, eV) and `forces` (eV/Angstrom), keeping
what else the comment lines hold. Forces include the response of the integration grid, so they are the exact
derivative of the energy that is written.

The run can be stopped at any time: each frame is appended and synced to disk as it is done, and the same command
goes on after the frames OUT already has; a half-written last frame is dropped and done again. A frame whose
self-consistent field does not converge is reported and left out. A frame of one atom is an isolated atom and
gets the spin of its ground state (H 1, C 2, O 2 ... unpaired electrons).
"""

import argparse
import fcntl
import io
import os
import sys
import time

import numpy as np
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from pyscf import dft, gto
from pyscf.dft.numint import NumInt

# Unpaired electrons of the neutral free atoms, H to Kr.
ATOM_SPIN = [int(c) for c in "10" + "10123210" + "10123210" + "10" + "1236543210" + "123210"]


class KeepBasisValues(NumInt):
    """Keeps the basis functions on the grid between SCF cycles (about 200 MB here; large molecules go without)."""

    limit = 2e9 / 8  # numbers kept at most

    def __init__(self):
        super().__init__()
        self.kept = {}
        self.size = 0

    def eval_ao(self, mol, coords, deriv=0, *args, **kwargs):
        key = (deriv, len(coords), coords[0].tobytes())
        if key in self.kept:
            return self.kept[key]
        if self.size > self.limit:
            return super().eval_ao(mol, coords, deriv, *args, **kwargs)
        kwargs["out"] = None  # not in a buffer that is used again
        self.kept[key] = super().eval_ao(mol, coords, deriv, *args, **kwargs)
        self.size += self.kept[key].size
        return self.kept[key]


def fail(message):
    sys.exit(f"label.py: {message}")


def converge(mf, dm=None):
    """Run the SCF; if plain DIIS fails, try again to second order. Returns the energy or None."""
    energy = mf.kernel(dm)
    if not mf.converged:
        newton = mf.newton()
        newton.max_cycle = 100
        energy = newton.kernel(mf.mo_coeff, mf.mo_occ)
        mf.mo_coeff, mf.mo_occ, mf.mo_energy = newton.mo_coeff, newton.mo_occ, newton.mo_energy
        mf.converged, mf.e_tot = newton.converged, newton.e_tot
    return energy if mf.converged else None


def compute(atoms, args):
    """Energy (eV) and forces (eV/Angstrom) of one frame, or None if the SCF does not converge."""
    spin, charge = args.spin, args.charge
    if spin is None:
        z = atoms.numbers.sum() - charge
        spin = ATOM_SPIN[z - 1] if len(atoms) == 1 and 0 < z <= len(ATOM_SPIN) else z % 2
    mol = gto.M(
        atom=list(zip(atoms.get_chemical_symbols(), atoms.positions / units.Bohr, strict=True)),
        unit="Bohr",
        basis=args.basis,
        charge=charge,
        spin=int(spin),
        verbose=0,
    )
    mf = (dft.UKS if spin else dft.RKS)(mol, xc=args.xc).density_fit()
    mf.max_cycle = 100
    dm = None
    if len(atoms) > 1:  # a cheap start on a coarse grid saves about a third of the time
        mf._numint = KeepBasisValues()
        mf.grids.level, mf.conv_tol, mf.conv_tol_grad = 0, 1e-5, 1e-3
        mf.kernel()
        dm = mf.make_rdm1()
        mf.grids.reset()
        mf._numint = KeepBasisValues()
    mf.grids.level, mf.conv_tol, mf.conv_tol_grad = args.grid, args.tol, 3e-5  # forces to 0.1 meV/A
    energy = converge(mf, dm)
    if energy is None:
        return None
    forces = np.zeros((len(atoms), 3))
    if len(atoms) > 1:
        mf._numint = NumInt()
        gradient = mf.nuc_grad_method()
        gradient.grid_response = True
        forces = -gradient.kernel() * (units.Hartree / units.Bohr)
    return float(energy) * units.Hartree, forces


def check(atoms, args, step=0.002):
    """Print up to six force components of one frame against central differences of its energy."""
    forces = compute(atoms, args)[1]
    worst = 0.0
    for k in np.unique(np.linspace(0, forces.size - 1, 6).astype(int)):
        i, axis = divmod(int(k), 3)
        pair = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[i, axis] += sign * step
            pair.append(compute(moved, args)[0])
        numeric = (pair[1] - pair[0]) / (2 * step)
        worst = max(worst, abs(numeric - forces[i, axis]))
        print(f"{atoms.symbols[i]}{i} {'xyz'[axis]}  {forces[i, axis]:10.5f}  {numeric:10.5f} eV/A", flush=True)
    print(f"largest difference {1000 * worst:.3f} meV/A, step {step} A; sum of forces {abs(forces.sum(0)).max():.1e}")


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
        if atoms.pbc.any():
            fail(f'{path}: frame {number} is periodic; this script is for molecules (set pbc="F F F" if it is one)')
    return frames


def finished(path):
    """The complete labelled frames in `path`; an unfinished frame at the end is cut off the file."""
    with open(path, "rb") as stream:
        lines = stream.read().splitlines(keepends=True)
    done, start = [], 0
    while start < len(lines):
        header = lines[start].strip()
        stop = start + int(header) + 2 if header.isdigit() else len(lines)
        whole = stop <= len(lines) and lines[stop - 1].endswith(b"\n")
        if not whole and (header.isdigit() or (done and start == len(lines) - 1)):
            print(f"{path}: dropping an unfinished frame after {len(done)} complete ones")
            os.truncate(path, sum(map(len, lines[:start])))
            break
        try:
            atoms = read(io.StringIO(b"".join(lines[start:stop]).decode()), format="extxyz")
            atoms.get_potential_energy(), atoms.get_forces()
        except Exception:
            fail(f"{path}: line {start + 1} does not begin a labelled frame; mend or move the file")
        done.append(atoms)
        start = stop
    return done


def same(a, b):
    return len(a) == len(b) and (a.numbers == b.numbers).all() and np.allclose(a.positions, b.positions, atol=2e-8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", metavar="IN.xyz", help="frames to label, positions in Angstrom")
    parser.add_argument("output", metavar="OUT.xyz", nargs="?", help="labelled frames, appended to")
    parser.add_argument("--xc", default="pbe0", help="functional by its PySCF name (default: pbe0)")
    parser.add_argument("--basis", default="def2-svp", help="basis set by its PySCF name (default: def2-svp)")
    parser.add_argument("--charge", type=int, default=0, help="total charge in e (default: 0)")
    parser.add_argument("--spin", type=int, help="unpaired electrons (default: 0 or 1; isolated atoms: ground state)")
    parser.add_argument("--grid", type=int, default=2, choices=range(10), help="PySCF grid level, 0 to 9 (default: 2)")
    parser.add_argument("--tol", type=float, default=1e-9, help="SCF energy tolerance in Hartree (default: 1e-9)")
    parser.add_argument("--check", type=int, metavar="N", help="only compare forces of frame N with finite differences")
    args = parser.parse_args()

    frames = read_frames(args.input)
    try:
        dft.libxc.parse_xc(args.xc)
    except Exception:
        fail(f"unknown functional '{args.xc}'")
    if args.check is not None:
        if not 0 <= args.check < len(frames):
            fail(f"--check {args.check}: {args.input} has frames 0 to {len(frames) - 1}")
        return check(frames[args.check], args)
    if args.output is None:
        parser.error("OUT.xyz is missing")
    if os.path.realpath(args.input) == os.path.realpath(args.output):
        fail("IN.xyz and OUT.xyz are the same file")

    with open(args.output, "ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail(f"another run is writing {args.output}")
        first = 0
        for done in finished(args.output):  # frames left out earlier are in IN but not in OUT
            while first < len(frames) and not same(frames[first], done):
                first += 1
            if first == len(frames):
                fail(f"{args.output} holds frames that are not in {args.input} in this order")
            first += 1
        print(f"{args.xc}/{args.basis}, density fitting, grid level {args.grid}, SCF to {args.tol} Ha", flush=True)
        print(f"{len(frames)} frames, going on at frame {first}", flush=True)

        spent = []
        for number in range(first, len(frames)):
            begin = time.perf_counter()
            result = compute(frames[number], args)
            spent.append(time.perf_counter() - begin)
            if result is None:
                print(f"frame {number}: SCF did not converge, left out", flush=True)
                continue
            frame = frames[number].copy()
            frame.calc = SinglePointCalculator(frame, energy=result[0], forces=result[1])
            text = io.StringIO()
            write(text, frame, format="extxyz")
            stream.write(text.getvalue().encode())
            stream.flush()
            os.fsync(stream.fileno())
            left = np.mean(spent) * (len(frames) - number - 1) / 60
            print(f"frame {number}: {result[0]:.5f} eV, {spent[-1]:.1f} s, about {left:.0f} min left", flush=True)
    if spent:
        print(f"{len(spent)} frames, {np.mean(spent):.2f} s per frame")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, KeyError, OSError, ValueError) as error:  # unknown basis, spin that does not fit, ...
        fail(str(error).strip("'\""))
