"""Phonons of a crystal from exact force constants:  python dispersion.py si.nbcore crystal.xyz --output si.png

The cell and its atoms are relaxed, then repeated; the atoms of one cell are moved in turn, each a product with the
Hessian of the repeated crystal (`Potential.hvp`), without a step size. The cells repeated must span twice the range of
the model in each direction for force constants that are exact, too; the range is levels x cutoff.
"""

import argparse
import itertools

import ase.io
import matplotlib
import numpy as np
from ase import units
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

import nbcore
from nbcore.ase import NBCoreCalculator

THZ = 1e-12 * units._e / units._hplanck  # of a quantum of 1 eV
ENERGY = units._hbar * 1e10 / np.sqrt(units._e * units._amu)  # eV of a frequency^2 of 1 eV/Angstrom^2/u


def relaxed(atoms, potential):
    """Atoms and cell where forces and stress are zero."""
    atoms = atoms.copy()
    atoms.calc = NBCoreCalculator(potential)
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-5, steps=500)
    return atoms


def force_constants(potential, atoms, repeats):
    """(vectors of the cells (M, 3), H[cell, i, a, j, b] between atom j of the first cell and atom i of each)."""
    crystal, n = atoms.repeat(repeats), len(atoms)
    moved = np.zeros((3 * n, len(crystal), 3))
    moved[np.arange(3 * n), np.arange(3 * n) // 3, np.arange(3 * n) % 3] = 1
    structure = crystal.positions, crystal.numbers, moved, crystal.cell.array, True
    product = potential.hvp(*structure).product  # [j b][cell i][a]
    cells = np.array(list(np.ndindex(*repeats)))
    return cells, product.reshape(n, 3, len(cells), n, 3).transpose(2, 3, 4, 0, 1)


def frequencies(atoms, repeats, cells, H, q):
    """THz at q, in units of the reciprocal vectors; imaginary ones as negative numbers.

    A cell is where its images are nearest, shared among those that are equally near.
    """
    n, mass = len(atoms), atoms.get_masses()
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3))) * repeats
    D = np.zeros((n, 3, n, 3), dtype=complex)
    for cell, block in zip(cells, H, strict=True):
        for i, j in np.ndindex(n, n):
            far = (cell + images) @ atoms.cell.array + atoms.positions[i] - atoms.positions[j]
            length = np.linalg.norm(far, axis=1)
            near = length < length.min() + 1e-5
            phase = np.exp(-2j * np.pi * (cell + images[near]) @ q).mean()
            D[i, :, j] += phase * block[i, :, j] / np.sqrt(mass[i] * mass[j])
    D = D.reshape(3 * n, 3 * n)
    squares = np.linalg.eigvalsh((D + D.conj().T) / 2)
    return THZ * ENERGY * np.sign(squares) * np.sqrt(np.abs(squares))


def main():
    """Relaxes, computes, draws."""
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("model")
    p.add_argument("structure", help="a primitive cell, any file ASE reads")
    p.add_argument("--repeats", type=int, help="cells in each direction (twice the range of the model)")
    p.add_argument("--path", help="points of the zone, as GXUKGL (the usual path of the lattice)")
    p.add_argument("--points", type=int, default=120)
    p.add_argument("--output", default="phonons.png")
    args = p.parse_args()
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    potential = nbcore.load(args.model)
    atoms = relaxed(ase.io.read(args.structure), potential)
    heights = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    needed = np.ceil(2 * potential.levels * potential.cutoff / heights).astype(int)
    repeats = tuple(needed.tolist()) if args.repeats is None else (args.repeats,) * 3
    cells, H = force_constants(potential, atoms, repeats)
    path = atoms.cell.bandpath(args.path, npoints=args.points)
    bands = np.array([frequencies(atoms, repeats, cells, H, q) for q in path.kpts])
    x, ticks, names = path.get_linear_kpoint_axis()
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    axis.plot(x, bands, color="0.2", linewidth=1)
    axis.set_xticks(ticks, [name.replace("G", "Γ") for name in names])
    for tick in ticks:
        axis.axvline(tick, color="0.8", linewidth=0.6, zorder=0)
    axis.set_ylabel("frequency, THz")
    axis.margins(x=0)
    figure.savefig(args.output, dpi=130)
    print(f"{atoms.get_chemical_formula()}, {repeats[0]} x {repeats[1]} x {repeats[2]} cells", end="; ")
    print(f"frequencies from {bands.min():.2f} to {bands.max():.2f} THz; {args.output}")


if __name__ == "__main__":
    main()
