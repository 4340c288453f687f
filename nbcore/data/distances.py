"""Distances between atoms: all pairs, the shortest per pair of elements, and fingerprints that find duplicates."""

import numpy as np

from nbcore import _core
from nbcore.data.structure import Structure, Structures, _symbols
from nbcore.errors import Error, InputError

RADIUS = 5.0  # Å, for periodic structures; in others every pair is looked at
VETO = (0.03, 0.05)  # eV/Å, and parts of the largest force, by which forces of the same structure may differ
OVERLAP = 1e-3  # Å, nearer than which two atoms are refused, as by potentials
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
    return neighbours(structure, min(radius, RADIUS))


def neighbours(structure: Structure, cutoff: float):
    """Parents i, children j and vectors r_j - r_i (Å) of all pairs nearer than `cutoff`, images included.

    Raises InputError that names the structure where the cell is too thin or positions are too far out.
    """
    try:
        i, j, _, vectors = _core.neighbours(structure.positions, structure.cell, structure.pbc, cutoff, r_min=0.0)
    except Error as e:
        raise InputError(f"{structure.where}: {e}" if structure.file else str(e)) from None
    return i, j, vectors


def pair_name(first: str, second: str) -> str:
    """Two elements in alphabetical order: "C-H"."""
    return "-".join(sorted((first, second)))


def shortest(structure: Structure, found: dict | None = None) -> dict[str, float]:
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


def refuse_overlaps(structures) -> None:
    """InputError for two atoms on top of each other: no potential has an energy there. Names file, frame and atoms."""
    for s in structures:
        i, j, vectors = pairs(s, 1.0)
        d = np.linalg.norm(vectors, axis=1)
        if len(d) and d.min() < OVERLAP:
            k = int(np.argmin(d))
            image = " (an image of it)" if i[k] == j[k] else ""
            two = f"atoms {i[k]} ({s.symbols[i[k]]}) and {j[k]} ({s.symbols[j[k]]}){image}"
            raise InputError(f"{s.where}: {two} are {d[k]:.2g} Å apart, on top of each other. Remove this frame.")


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
    """Numbers that a shift, a rotation, a mirror and another order of the atoms leave as they are.

    For each element, over its atoms: sums, squares and products of what is around an atom, told apart by element: two
    smooth densities and the length of the first moment of one. And the volume of the cell. Elements that change places
    change some of them.
    """
    i, j, vectors = found or pairs(structure)
    d = np.linalg.norm(vectors, axis=1)
    near = structure.pbc.any() or len(structure) > MANY
    fade = (1.0 - (d / RADIUS) ** 2) ** 2 if near else 1.0 / (1.0 + d)
    kinds, of = np.unique(structure.numbers, return_inverse=True)
    n, k = len(structure), len(kinds)
    at, weights = i * k + of[j], (fade / (1.0 + d / 0.7), fade / (1.0 + d**2))
    unit = vectors / np.maximum(d, 1e-9)[:, None]
    moments = [np.bincount(at, weights[0] * component, n * k) for component in unit.T]
    lengths = np.sqrt(np.sum(np.square(moments), axis=0) + 0.01)  # smooth where a moment vanishes
    around = np.hstack([np.reshape(x, (n, k)) for x in (*[np.bincount(at, w, n * k) for w in weights], lengths)])
    parts = [around[of == one] for one in range(k)]
    sums = [np.concatenate([x.sum(0), (x**2).sum(0), (x[:, :1] * x[:, 1:]).sum(0)]) for x in parts]
    return np.concatenate([*sums, [structure.volume if structure.periodic else 0.0]])


def lopsided(structure: Structure, found=None) -> bool:
    """True if some atom has clearly more on one side than on the other, so that no symmetry makes its force vanish."""
    i, _, vectors = found or pairs(structure)
    d = np.linalg.norm(vectors, axis=1)
    pull = vectors / np.maximum(d, 1e-9)[:, None] ** 4 * (1.0 - (np.minimum(d, RADIUS) / RADIUS) ** 2)[:, None]
    sums = np.array([np.bincount(i, component, len(structure)) for component in pull.T])
    of_one = np.bincount(i, np.linalg.norm(pull, axis=1), len(structure))
    return bool(np.any(np.linalg.norm(sums, axis=0) > 0.01 * of_one))


def duplicates(structures, prints=None) -> list[tuple[int, int]]:
    """Pairs (first, later) of structures that are the same up to symmetry; `prints` are their fingerprints.

    Same means: equal up to the rounding of copies that went through text files. Where forces are known, those of the
    same elements must have the same lengths, to what another computation of the same structure may change.
    """
    prints = [fingerprint(s) for s in structures] if prints is None else prints
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
                one, two = sorted((members[a], members[b]))
                if first_of.get(two, two) <= one or np.any(np.abs(values[a] - values[b]) > tolerance):
                    continue
                if _same_forces(structures[one], structures[two]):
                    first_of[two] = one
        result += [(one, two) for two, one in first_of.items()]
    return sorted(result, key=lambda pair: pair[1])


def copies(structures) -> np.ndarray:
    """For each structure the index of the first that is the same up to symmetry, its own if there is none before."""
    first = np.arange(len(structures))
    for one, two in duplicates(structures):
        first[two] = first[one]
    return first


def _same_forces(a, b):
    """Sorted lengths of the forces of each element agree, or are not known."""
    if a.forces is None or b.forces is None:
        return True
    lengths = [
        np.concatenate([np.sort(np.linalg.norm(s.forces[s.numbers == z], axis=1)) for z in np.unique(s.numbers)])
        for s in (a, b)
    ]
    return bool(np.abs(lengths[0] - lengths[1]).max() <= VETO[0] + VETO[1] * np.max(lengths))
