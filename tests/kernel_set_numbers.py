"""What the kernel set of this process computes: every gate alone, every preset as a network. It compares two sets.

python kernel_set_numbers.py FILE writes name -> array. Inputs are the same whatever the set.
"""

import sys
from dataclasses import replace

import numpy as np

import nbcore
from nbcore import gates
from nbcore.data import Structure
from nbcore.options import declared
from nbcore.presets import PRESETS
from nbcore.scheme import scheme_of
from nbcore.train import Loss, TrainingSet

SEEDS = {"float64": 3, "float32": 1}  #: examples of a gate
PAIRS = 12  #: edges of gates of pairs: sums over lanes, which take long where these are emulated, are many
#: what makes networks small; options that a preset does not have are left out
SMALL = dict(cutoff=3.2, channels=3, levels=2, l_harmonics=2, l_states=1, n_radial=5, radial_layers=[6, 4], layers=[5],
             filters=4, hidden=4, angular_cutoff=3.0, n_shifts=2, n_angles=2)  # fmt: skip


def of_gate(name, seed, dtype):
    """Forward and adjoints of one example, plain and dual: name of the sweep -> numbers."""
    from test_gate_battery import make_case

    case = make_case(name, seed, dtype)
    if case.partner.size:
        species, *ends = case.edges
        case = replace(case, edges=(species, *(end[-PAIRS:] for end in ends)), partner=case.partner[-PAIRS:],
                       r=case.r[-PAIRS:], r_dot=case.r_dot[-PAIRS:])  # fmt: skip
    run, out = case.run, {}

    def adjoint(sweep, bar, **wanted):
        inputs, r, theta = run.adjoint(bar, **wanted)
        arrays = [*inputs, *([r] if wanted["edges"] else []), *([theta] if wanted["parameters"] else [])]
        out[sweep] = [a for x in arrays for a in (x if isinstance(x, tuple) else (x,)) if a is not None]

    out["forward"] = [case.forward()]
    adjoint("adjoint", case.out_bar, edges=True, parameters=True)
    case.forward()
    adjoint("adjoint of edges", case.out_bar, edges=True, parameters=False)
    bar = (case.out_bar, case.out_bar_dot)
    for edges in (True, False):
        out["dual forward"] = list(case.forward_dual())
        adjoint("dual adjoint of " + ("edges" if edges else "parameters"), bar, edges=edges, parameters=not edges)
    return out


def of_network(potential, precision):
    """Energy, forces, virial and loss gradient."""
    from random_structures import crystal

    potential.precision = precision
    random = np.random.default_rng(5)
    positions, species, cell, pbc = crystal(random, 6)
    numbers = [nbcore.species.NUMBERS[s] for s in species]
    data = Structure(positions, numbers, cell, [pbc] * 3, random.standard_normal(), random.standard_normal((6, 3)))
    r = potential.compute(positions, species, cell, pbc, scheme=scheme_of(potential, data))
    gradient = TrainingSet(potential, [data]).loss_and_gradient(None, Loss()).gradient
    return {"energy": [np.array([r.energy])], "forces": [r.forces], "virial": [r.virial], "gradient": [gradient]}


def potentials():
    """name -> potential, of the presets with few channels, and of the default as it is."""
    from random_structures import SYMBOLS

    made = {}
    for name in PRESETS:
        known = {option.name for option in declared(PRESETS[name].make)}
        options = {option: value for option, value in SMALL.items() if option in known}
        made[name] = getattr(nbcore.presets, name)(species=SYMBOLS, seed=3, **options)
    made["nbody of its usual size"] = nbcore.presets.nbody(species=SYMBOLS, cutoff=3.2, seed=3)
    wide = SMALL | dict(radial_layers=[6, 16])  # tabulated, in evaluations
    known = {option.name for option in declared(nbcore.presets.nequip)}
    made["nequip by tables"] = nbcore.presets.nequip(SYMBOLS, seed=3, **{k: wide[k] for k in known & wide.keys()})
    return made


def everything():
    """(kind, name, precision, quantity) -> numbers."""
    numbers = {}
    for dtype, seeds in SEEDS.items():
        for name in sorted(gates.available()):
            for seed in range(seeds):
                for sweep, arrays in of_gate(name, seed, dtype).items():
                    numbers["gate", f"{name}-{seed}", dtype, sweep] = np.concatenate([np.ravel(a) for a in arrays])
        for name, potential in potentials().items():
            for quantity, arrays in of_network(potential, dtype).items():
                numbers["network", name, dtype, quantity] = np.concatenate([np.ravel(a) for a in arrays])
    return numbers


if __name__ == "__main__":
    numbers = {"|".join(key): array for key, array in everything().items()}
    np.savez(sys.argv[1], **numbers, **{"kernel set": nbcore.build_info()["kernel_set"]})
