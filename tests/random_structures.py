"""Random structures without atoms on top of each other, and potentials of every kind, for tests of whole networks."""

import numpy as np

import nbcore

SYMBOLS = ["H", "C", "O"]
TRICLINIC = np.array([[4.1, 0, 0], [1.3, 3.7, 0], [-0.8, 0.9, 4.4]])  # sheared, smaller than twice the cutoff


def positions(rng, n, shortest=0.9, cell=None, density=0.12):
    """n points in a cell, or in a box of that density (per cubic Angstrom), no two or their images closer."""
    box = np.eye(3) * (n / density) ** (1 / 3) if cell is None else cell
    shifts = np.zeros((1, 3)) if cell is None else np.array(list(np.ndindex(3, 3, 3))) - 1
    chosen = np.zeros((0, 3))
    while len(chosen) < n:
        r = rng.random(3) @ box
        if len(chosen) == 0 or np.linalg.norm(chosen[None] + (shifts @ box)[:, None] - r, axis=2).min() > shortest:
            chosen = np.vstack([chosen, r])
    return chosen


def molecule(rng, n, symbols=SYMBOLS):
    """(positions, species)"""
    return positions(rng, n), rng.choice(symbols, n).tolist()


def crystal(rng, n, symbols=SYMBOLS, cell=TRICLINIC):
    """(positions, species, cell, pbc)"""
    return positions(rng, n, cell=cell), rng.choice(symbols, n).tolist(), cell, True


#: name -> preset and options: every kind of network the presets can make
NETWORKS = {
    "nbody": ("nbody", dict(channels=6)),
    "nbody-1": ("nbody", dict(channels=5, levels=1, l_harmonics=4)),
    "nbody-3": ("nbody", dict(channels=4, levels=3, l_states=2, l_harmonics=2)),
    "nbody-scalars": ("nbody", dict(channels=9, l_states=0, correlation=2, n_radial=5)),
    "nbody-pairs": ("nbody", dict(channels=8, correlation=1, l_harmonics=1, n_radial=9)),
    "nbody-so3": ("nbody", dict(channels=4, parity="so3", l_states=1, l_harmonics=2)),
    "nbody-l6": ("nbody", dict(channels=2, l_harmonics=6, l_states=2, correlation=2)),
    "nbody-radial": ("nbody", dict(channels=4, l_harmonics=2, radial_layers=[9, 5])),
    "kondor": ("kondor", dict(channels=4)),
    "kondor-o3": ("kondor", dict(channels=3, parity="o3", l_states=1)),
    "kondor-3": ("kondor", dict(channels=2, levels=3, l_states=1)),
    "kondor-complex": ("kondor", dict(channels=2, l_states=1, algebra="complex")),
    "kondor-scalars": ("kondor", dict(channels=5, l_states=0, parity="o3")),
    "cormorant": ("cormorant", dict(channels=3, levels=3, n_radial=5)),
    "cormorant-radial": ("cormorant", dict(channels=2, levels=2, l_harmonics=2, l_states=2, radial_layers=[7])),
    "cormorant-so3": ("cormorant", dict(channels=2, levels=2, l_harmonics=2, l_states=2, parity="so3")),
    "nequip": ("nequip", dict(channels=[3, 2], levels=4, l_harmonics=1, l_states=1, radial_layers=[4],
                              parities="all", readout_layers=[3])),
}  # fmt: skip


def network(name, symbols=SYMBOLS, cutoff=3.2, seed=3):
    """A random potential whose energies and forces are of order one."""
    preset, options = NETWORKS[name]
    potential = getattr(nbcore.presets, preset)(species=symbols, cutoff=cutoff, seed=seed, **options)
    rng = np.random.default_rng(9)
    forces = [potential.compute(*molecule(rng, 8, symbols)).forces for _ in range(2)]
    potential.scale = 1 / np.sqrt(np.mean(np.square(forces)))
    return potential
