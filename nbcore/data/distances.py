"""Distances between atoms: all pairs, the shortest per pair of elements, and fingerprints that find duplicates."""

import numpy as np

from nbcore import _core
from nbcore.data.structure import Structure, Structures, _symbols

RADIUS = 5.0  # Å, for periodic structures; in others every pair is looked at
MANY = 400  # atoms, from which a structure without periods is searched within the radius too


def pairs(structure: Structure, radius: float = np.inf):
    """Parents i, children j and vectors r_j - r_i (Å) of all pairs nearer than `radius`, both directions, with images.

    Without a radius: every pair of a molecule, pairs within 5 Å of what is periodic or large.

    >>> i, j, vectors = pairs(molecule, 5.0)
    """
    positions, n = structure.positions, len(structure)
    if not structure.pbc.any() and n <= MANY:
        i, j = np.nonzero(~np.eye(n, dtype=bool))
        vectors = positions[j] - positions[i]
        near = np.einsum("ek,ek->e", vectors, vectors) < radius**2
        return i[near], j[near], vectors[near]
    i, j, _, vectors = _core.neighbours(positions, structure.cell, structure.pbc, min(radius, RADIUS), r_min=0.0)
    return i, j, vectors


def pair_name(first: str, second: str) -> str:
    """Two elements in alphabetical order: "C-H"."""
    return "-".join(sorted((first, second)))


def shortest(structure: Structure, found=None) -> dict[str, float]:
    """Shortest distance of each pair of elements in one structure: {"C-H": 1.09, ...} in Å."""
    i, j, vectors = found or pairs(structure)
    d = np.linalg.norm(vectors, axis=1)
    kinds, index = np.unique(structure.numbers, return_inverse=True)
    table = np.full(len(kinds) ** 2, np.inf)
    a, b = index[i], index[j]
    np.minimum.at(table, np.minimum(a, b) * len(kinds) + np.maximum(a, b), d)
    names = _symbols(kinds)
    found_at = np.flatnonzero(np.isfinite(table))
    return {pair_name(names[k // len(kinds)], names[k % len(kinds)]): float(table[k]) for k in found_at}


def shortest_distances(structures: Structures) -> dict[str, float]:
    """Shortest distance of each pair of elements over many structures, sorted by distance.

    >>> {pair: round(float(d), 3) for pair, d in shortest_distances(data).items()}
    {'H-O': 0.877, 'C-H': 0.992, 'C-O': 1.146, 'C-C': 1.401, 'H-H': 1.593, 'O-O': 2.411}
    """
    smallest = {}
    for structure in structures:
        for pair, d in shortest(structure).items():
            smallest[pair] = min(d, smallest.get(pair, np.inf))
    return dict(sorted(smallest.items(), key=lambda item: item[1]))


def fingerprint(structure: Structure, found=None) -> np.ndarray:
    """Five numbers that a shift, a rotation, a mirror and another order of the atoms leave as they are.

    Sums over pairs of smooth functions of the distance, weighted by the atomic numbers; and the volume of the cell.
    """
    i, j, vectors = found or pairs(structure)
    d = np.linalg.norm(vectors, axis=1)
    fade = (1.0 - (d / RADIUS) ** 2) ** 2 if structure.pbc.any() or len(structure) > MANY else 1.0
    z = structure.numbers.astype(float)
    sums = [np.sum(fade * (z[i] * z[j]) ** power / (1.0 + d / scale)) for power, scale in ((0.0, 0.7), (0.5, 2.0))]
    sums += [np.sum(fade * (z[i] + z[j]) ** power / (1.0 + d**2)) for power in (0.5, 1.0)]
    return np.array([*sums, abs(np.linalg.det(structure.cell)) if structure.periodic else 0.0])


def duplicates(structures, prints) -> list[tuple[int, int]]:
    """Pairs (first, later) of structures that are the same up to symmetry; `prints` are their fingerprints.

    Same means: equal up to the rounding of copies that went through text files.
    """
    groups = {}
    for k, s in enumerate(structures):
        groups.setdefault((tuple(np.sort(s.numbers).tolist()), tuple(s.pbc.tolist())), []).append(k)
    result = []
    for members in groups.values():
        values = np.array([prints[k] for k in members])
        tolerance = 1e-6 * np.sqrt(len(structures[members[0]].numbers)) * (1.0 + np.abs(values).max(axis=0)) ** 0.5
        order = np.argsort(values[:, 0], kind="stable")
        first_of = {}
        for at, a in enumerate(order):
            for b in order[at + 1 :]:
                if values[b, 0] - values[a, 0] > tolerance[0]:
                    break
                if np.all(np.abs(values[a] - values[b]) <= tolerance):
                    one, two = sorted((members[a], members[b]))
                    first_of[two] = min(one, first_of.get(two, one))
        result += [(one, two) for two, one in first_of.items()]
    return sorted(result, key=lambda pair: pair[1])
