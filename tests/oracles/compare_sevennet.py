"""How a checkpoint of SevenNet and its import differ: RESULTS.npz is from `make_sevennet.py --published`.

python tests/oracles/compare_sevennet.py FILE.pth RESULTS.npz
"""

import sys

import numpy as np

import nbcore


def main(path, results):
    potential = nbcore.import_model(path)
    with np.load(results) as file:
        arrays = dict(file)
    for label in sorted({name.partition("/")[0] for name in arrays if "/" in name}):
        s = {key: arrays[f"{label}/{key}"] for key in ("positions", "numbers", "cell", "energy", "forces")}
        for splines in (True, False):
            potential.radial_splines = splines
            r = potential.compute(s["positions"], s["numbers"], s["cell"], bool(s["cell"].any()))
            energy, forces = abs(r.energy - s["energy"]), np.abs(r.forces - s["forces"]).max()
            print(f"{label:10s} {'splines ' if splines else 'networks'} energy {energy:.1e} eV of {s['energy']:.4f}, "
                  f"forces {forces:.1e} eV/Å of {np.abs(s['forces']).max():.3f}")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
