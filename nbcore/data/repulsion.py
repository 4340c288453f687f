"""How far the repulsion of cores reaches in a potential that is trained: no farther than the data begin."""

import itertools
from collections.abc import Sequence

from ase.data import atomic_numbers, covalent_radii

from nbcore.data.shard_set import Shards
from nbcore.data.structure import Structures


def is_periodic(structures: Structures | Shards) -> bool:
    """Is any of them periodic in three directions?"""
    if isinstance(structures, Shards):
        return bool(structures.periodic.any())
    return any(s.periodic for s in structures)


def repulsion_radii(species: Sequence[str], shortest_distances: dict[str, float], cutoff: float) -> dict[str, float]:
    """Radii for `Potential.repulsion`, {"H-O": Angstrom}, of every pair of the elements.

    The shortest distance of the pair in the training data, or the sum of the covalent radii where this is less or the
    pair was never seen (ase.data.covalent_radii: B. Cordero et al., Dalton Trans. 2008, 2832); the cutoff at most. What
    is trained on is left as it is.

    >>> radii = repulsion_radii(["H", "O"], {"H-O": 0.877, "O-O": 2.41}, cutoff=5.0)
    >>> {pair: round(radius, 3) for pair, radius in radii.items()}
    {'H-H': 0.62, 'H-O': 0.877, 'O-O': 1.32}
    """
    found = {}
    for a, b in itertools.combinations_with_replacement(sorted(species), 2):
        covalent = float(covalent_radii[atomic_numbers[a]] + covalent_radii[atomic_numbers[b]])
        found[f"{a}-{b}"] = float(min(covalent, cutoff, shortest_distances.get(f"{a}-{b}", cutoff)))
    return found
