"""Makes small.xyz.xz and larger.xyz.xz in data/: molecules of H, C, O, to train on small ones and test on larger ones.

    python benchmarks/zoo/molecules.py [--folder DIR]       needs tblite and ase; some minutes of one core

The closed-shell molecules of the G2 set (ASE) with carbon and no other elements, relaxed, then sampled by Langevin
dynamics at 500 K and labelled, all with GFN2-xTB (tblite). Up to three heavy atoms are small. Energies in eV, forces in
eV/Angstrom; `molecule` is the name in the G2 set. Everything is drawn with fixed seeds.
"""

import argparse
import lzma
from io import StringIO
from pathlib import Path

import numpy as np
from ase import units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.collections import g2
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS
from tblite.ase import TBLite

ELEMENTS, HEAVY = set("HCO"), 3
FRAMES = {"small": 25, "larger": 10}  # of each molecule
TEMPERATURE, STEP, BETWEEN, FIRST = 500.0, 1.0, 15, 100  # K, fs, steps


def molecules():
    """{small or larger: names}."""
    found = {"small": [], "larger": []}
    for name in g2.names:
        atoms = molecule(name)
        symbols = atoms.get_chemical_symbols()
        if (
            not ({"C"} <= set(symbols) <= ELEMENTS)
            or np.any(atoms.get_initial_magnetic_moments())
            or name.startswith("CH2_")
        ):
            continue
        found["small" if sum(s != "H" for s in symbols) <= HEAVY else "larger"].append(name)
    return found


def frames(name, n, seed):
    """n labelled structures of a molecule."""
    atoms, rng = molecule(name), np.random.default_rng(seed)
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    BFGS(atoms, logfile=None).run(fmax=0.02, steps=300)
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Langevin(
        atoms, STEP * units.fs, temperature_K=TEMPERATURE, friction=0.02 / units.fs, fixcm=False, rng=rng
    )
    dynamics.run(FIRST)
    found = []
    for _ in range(n):
        dynamics.run(BETWEEN)
        frame = atoms.copy()
        frame.calc = SinglePointCalculator(frame, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        frame.info = {"molecule": name}
        found.append(frame)
    return found


def main():
    """Writes both files."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--folder", default=Path(__file__).resolve().parent / "data", type=Path)
    folder = p.parse_args().folder
    for kind, names in molecules().items():
        print(f"{kind}: {' '.join(names)}", flush=True)
        text = StringIO()
        for k, name in enumerate(names):
            for frame in frames(name, FRAMES[kind], 1000 * len(kind) + k):
                del frame.arrays["momenta"]
                write(text, frame, format="extxyz")
            print(f"  {name}", flush=True)
        (folder / f"{kind}.xyz.xz").write_bytes(lzma.compress(text.getvalue().encode()))


if __name__ == "__main__":
    main()
