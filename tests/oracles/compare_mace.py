"""nbcore's import of a MACE model beside what MACE computed:  python compare_mace.py FILE.model FRAMES.npz [HEAD]

FRAMES.npz is of `make_mace.py --frames`. Prints the largest differences, without and with splines of radial networks.
"""

import sys

import numpy as np

import nbcore

INPUTS = {"total_charge": -1, "total_spin": 2}  #: of make_mace.py, for models that ask


def imported(path, head):
    try:
        return nbcore.import_model(path, head)
    except nbcore.errors.InputError as e:
        if "--input" not in str(e):
            raise
        return nbcore.import_model(path, head, INPUTS)


def main(path, frames, head=None):
    potential = imported(path, head)
    with np.load(frames) as file:
        found = {name: file[name] for name in file.files}
    count = len({name.partition("/")[0] for name in found})
    for splines in (False, True):
        potential.radial_splines = splines
        worst = dict(energy=0.0, forces=0.0, stress=0.0)
        for k in range(count):
            frame = {name.partition("/")[2]: value for name, value in found.items() if name.startswith(f"{k}/")}
            cell = frame["cell"]
            r = potential.compute(frame["positions"], frame["numbers"], cell, bool(cell.any()), threads=1)
            worst["energy"] = max(worst["energy"], abs(r.energy / frame["energy"] - 1))
            worst["forces"] = max(worst["forces"], np.abs(r.forces - frame["forces"]).max())
            if cell.any():
                worst["stress"] = max(worst["stress"], np.abs(r.stress - frame["stress"]).max())
        print(f"{count} frames, {'splines' if splines else 'networks'}: energy {worst['energy']:.1e} relative, "
              f"forces {worst['forces']:.1e} eV/A, stress {worst['stress']:.1e} eV/A^3")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:4])
