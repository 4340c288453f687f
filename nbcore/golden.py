"""Golden cases: structures whose results a model file keeps, on which any machine can check what it computes."""

import numpy as np

from nbcore.leaves import leaf_types
from nbcore.result import result_of
from nbcore.species import atomic_numbers


def structures(potential):
    """A cluster and a crystal of all elements: (positions, numbers, cell, pbc) each.

    None for a network on composition schemes or leaf states of the user's own: nobody else knows them.
    """
    if leaf_types(potential) or (potential.has_parts and "scheme" not in potential.description):
        return
    numbers = np.array([atomic_numbers(potential.species)[k % len(potential.species)] for k in range(5)])
    d = 0.45 * potential.cutoff
    corners = d * np.array([[0, 0, 0], [1, 0.1, 0], [0.2, 1, 0.1], [0.1, 0.3, 1.1], [1.2, 1, 0.9]])
    yield corners, numbers, np.zeros((3, 3)), (False,) * 3
    yield corners[:3], numbers[:3], d * np.array([[2.1, 0, 0], [0.3, 1.9, 0], [-0.2, 0.4, 2.3]]), (True,) * 3


def labels(potential, numbers) -> dict:
    """Labels of the atoms of a golden case, where the parts of the model go by a label."""
    key = (potential.description.get("scheme") or {}).get("labels")
    return {key: np.arange(len(numbers)) % 2} if key else {}


def result(potential, positions, numbers, cell, pbc):
    """The result of a golden case: double, by radial networks themselves, the same in every build to rounding."""
    scheme = potential.scheme(positions, cell, pbc, labels(potential, numbers))
    return result_of(potential, *potential._computed(positions, numbers, cell, pbc, 1, scheme, None, None, golden=True))


def tensors(potential) -> dict[str, np.ndarray]:
    """The arrays of the golden cases as a model file has them: "golden.0.positions", "golden.0.energy", ..."""
    found = {}
    for k, (positions, numbers, cell, pbc) in enumerate(structures(potential)):
        r = result(potential, positions, numbers, cell, pbc)
        case = dict(positions=positions, numbers=numbers, cell=cell, pbc=pbc, energy=r.energy, forces=r.forces)
        case |= {"virial": r.virial, **r.outputs}
        found |= {f"golden.{k}.{n}": np.asarray(v, dtype=float) for n, v in case.items() if v is not None}
    return found
