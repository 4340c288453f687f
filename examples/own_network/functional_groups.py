"""A network of one's own: glycolaldehyde as three functional groups, and the molecule that they make.

    python functional_groups.py [EPOCHS]        # 100 epochs, half a minute

Nothing here is a preset. The composition scheme is written by hand: groups that share the atoms of the bonds between
them (an atom has several parents), each of a class with weights of its own, and the molecule as the root. Atoms see
their neighbours, groups their atoms, the molecule its groups.
"""

import sys
from pathlib import Path

import numpy as np

import nbcore
from nbcore import train

folder = Path(__file__).parent.parent / "molecule"
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 100

# ---- the scheme: atoms 0 C 1 C 2 O 3 O 4 H 5 H 6 H 7 H, as in examples/molecule ----
scheme = nbcore.CompositionScheme(8)
scheme.add(
    "groups",
    [[0, 2, 4, 1], [1, 5, 6, 0, 3], [3, 7, 1]],  # O=CH-(C), (C)-CH2-(O), (C)-OH
    classes=[0, 1, 2],
)
scheme.add("molecule", [[0, 1, 2]], children="groups")
print(scheme)

# ---- the network: gates of each set, as data ----
near = {"basis": "bessel", "n": 8, "cutoff": 4.0, "power": 5, "smoothness": 1}
moments = {"basis": "solid", "n": 5, "cutoff": 2.0, "envelope": "none"}  # (r/2)^(l + 2n) Y_lm: smooth at the centre
distance = {"basis": "chebyshev", "n": 6, "cutoff": 5.0, "envelope": "none"}
program = {
    "sets": [{"name": "groups", "classes": 3}, {"name": "molecule", "children": "groups"}],
    "gates": [
        # atoms: one local level, eqs. (10) and (11) with three factors
        dict(gate="density", name="neighbours", l_max=3, radial=near),
        dict(gate="mix", name="a", inputs=["neighbours"], channels=24),
        dict(gate="self_product", name="b", inputs=["a"], l_max=1, correlation=3),
        dict(gate="mix", name="atom", inputs=["b"], channels=24),
        dict(gate="mix", name="atom_energy", inputs=["atom"], channels=1, l_max=0),
        # groups: their atoms about the centre
        dict(gate="zeroth_order", name="atoms", nodes="groups", inputs=["atom"], l_max=3, l_out=3, radial=moments),
        dict(gate="mix", name="A", nodes="groups", inputs=["atoms"], channels=24, share="species"),
        dict(gate="self_product", name="B", nodes="groups", inputs=["A"], l_max=3, correlation=3),
        dict(gate="mix", name="group", nodes="groups", inputs=["B"], channels=24, l_max=3, share="species"),
        dict(gate="mix", name="group_energy", nodes="groups", inputs=["group"], channels=1, l_max=0),
        # the molecule: groups about its centre, and, eq. (12), all pairs of groups
        dict(gate="zeroth_order", name="sum", nodes="molecule", inputs=["group"], l_max=3, l_out=3, radial=moments),
        dict(gate="mix", name="of_groups", nodes="molecule", inputs=["sum"], channels=24),
        dict(
            gate="first_order_relative",
            name="pairs",
            nodes="molecule",
            inputs=["group"],
            l_max=2,
            l_out=2,
            radial=distance,
        ),
        dict(gate="mix", name="of_pairs", nodes="molecule", inputs=["pairs"], channels=24),
        dict(gate="mix", name="both", nodes="molecule", inputs=["of_groups", "of_pairs"], channels=24),
        dict(gate="self_product", name="products", nodes="molecule", inputs=["both"], l_max=0, correlation=3),
        dict(gate="mix", name="hidden", nodes="molecule", inputs=["products", "both"], channels=16, l_max=0),
        dict(gate="activation", name="activated", nodes="molecule", inputs=["hidden"]),
        dict(gate="mix", name="molecule_energy", nodes="molecule", inputs=["activated"], channels=1, l_max=0),
    ],
    "readout": ["atom_energy", "group_energy", "molecule_energy"],
}

data = train.read(folder / "train.xyz", isolated_atoms=folder / "isolated_atoms.xyz")
test = train.read(folder / "test_300K.xyz")
for s in [*data, *test]:
    s.scheme = scheme  # all structures are the same molecule with its atoms in the same order

potential = nbcore.Potential({"species": data.species, "program": program}, seed=1)
train.fit(potential, data, valid=0.1, test={"test_300K": test}, max_epochs=epochs, optimizer="amsgrad")

predicted = np.concatenate([r.forces for r in potential.compute_many(test)])
error = np.sqrt(np.mean((predicted - np.concatenate([s.forces for s in test])) ** 2))
print(f"forces on the 300 K frames: {1000 * error:.1f} meV/Å with {len(potential.parameters)} parameters")
potential.save("functional_groups.nbcore")
