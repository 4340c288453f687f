"""Which structures of a large set may be copies of others: four numbers of each, compared all at once.

A shift, a rotation, a mirror and another order of the atoms leave the numbers as they are, so copies have the same
ones to rounding. Those that are found alike are then compared by `distances.duplicates`, which decides.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from nbcore.data import distances
from nbcore.data.structure import Structure
from nbcore.errors import InputError

KEYS = 4
ROUNDING = 1e-6  # of the sums over pairs, as in `distances.duplicates`
MOST = 100_000  # structures that look alike, beyond which it is given up


def keys_of(structures: Sequence[Structure]) -> tuple[np.ndarray, np.ndarray, list[dict[str, float]]]:
    """Kinds (n,) and keys (n, 4) of structures, and the shortest distance of each pair of elements in each.

    Structures of one kind have the same elements and the same periodic directions. Molecules with the same atoms in
    the same order are worked on together.
    """
    n = len(structures)
    kinds, keys, shortest = np.zeros(n, np.uint64), np.zeros((n, KEYS)), [{}] * n
    groups = {}
    for k, s in enumerate(structures):
        together = not np.any(s.pbc) and len(s) <= distances.MANY
        groups.setdefault((np.asarray(s.numbers).tobytes(), together, tuple(np.asarray(s.pbc).tolist())), []).append(k)
    for (_, together, pbc), members in groups.items():
        numbers = np.asarray(structures[members[0]].numbers)
        kinds[members] = kind_of(numbers, pbc)
        if together:
            keys[members], found = keys_of_molecules(numbers, np.array([structures[k].positions for k in members]))
            for k, one in zip(members, found, strict=True):
                shortest[k] = one
            continue
        for k in members:
            i, j, vectors = found = distances.pairs(structures[k])
            d = np.linalg.norm(vectors, axis=1)
            fade = (1.0 - (d / distances.RADIUS) ** 2) ** 2
            keys[k] = _sums(numbers, i, j, fade / (1.0 + d / 0.7), fade / (1.0 + d**2))
            shortest[k] = distances.shortest(structures[k], found)
    return kinds, keys, shortest


def kind_of(numbers: np.ndarray, pbc: Sequence[bool]) -> int:
    """A number for the elements of a structure, whatever their order, and its periodic directions."""
    text = np.sort(np.asarray(numbers, dtype="<i8")).tobytes() + bytes(map(bool, pbc))
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def keys_of_molecules(numbers: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Keys (n, 4), and the shortest distances, of n molecules of the same atoms; positions (n, N, 3)."""
    n_atoms, names = len(numbers), distances._symbols(numbers)
    i, j = np.triu_indices(n_atoms, 1)
    keys, shortest = np.zeros((len(positions), KEYS)), []
    of_pair = {}
    for pair, (a, b) in enumerate(zip(i, j, strict=True)):
        of_pair.setdefault(distances.pair_name(names[a], names[b]), []).append(pair)
    portion = max(1, 2**18 // max(1, len(i)))
    for first in range(0, len(positions), portion):
        part = slice(first, first + portion)
        d = np.linalg.norm(positions[part, j] - positions[part, i], axis=2)
        fade = 1.0 / (1.0 + d)
        keys[part] = 2 * np.stack(_sums(numbers, i, j, fade / (1.0 + d / 0.7), fade / (1.0 + d**2)), axis=-1)
        columns = {name: d[:, pairs].min(axis=1).tolist() for name, pairs in of_pair.items()}
        shortest += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [
            {} for _ in d
        ]
    return keys, shortest


def _sums(numbers, i, j, one, two):
    """Two densities summed over pairs, plain and with the elements in it."""
    z = np.sqrt(numbers.astype(float))
    product, total = 0.1 * z[i] * z[j], 0.1 * (z[i] + z[j])
    return [np.sum(one, -1), np.sum(two, -1), np.sum(one * product, -1), np.sum(two * total, -1)]


def alike(kinds: np.ndarray, keys: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """Indices, ascending, of the structures whose keys are those of another one of the same kind, to rounding.

    atoms (n,): how many each has. Two that are closer than the rounding in every key share a cell of at least one of
    the sixteen grids that are tried. Raises InputError where too many look alike.
    """
    _, kind = np.unique(kinds, return_inverse=True)
    largest = np.zeros((kind.max(initial=-1) + 1, KEYS))
    np.maximum.at(largest, kind, np.abs(keys))
    n = atoms.astype(float)
    # one key after another, for the sake of memory
    cells = [keys[:, k] / (2 * 10 * ROUNDING * np.sqrt(n * (n + largest[kind, k]))) for k in range(KEYS)]
    found = np.zeros(len(kinds), bool)
    factors = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64)
    for shift in np.ndindex(*(2,) * KEYS):
        code = kinds.copy()
        for k in range(KEYS):
            code ^= np.floor(cells[k] + 0.5 * shift[k]).astype(np.int64).view(np.uint64) * factors[k]
        order = np.argsort(code, kind="stable")
        same = code[order[1:]] == code[order[:-1]]
        found[order[1:][same]] = found[order[:-1][same]] = True
    if found.sum() > MOST:
        raise InputError(
            f"{found.sum()} structures look like copies of others, too many to tell which are: remove the copies, or "
            "give the validation data as files of their own."
        )
    return np.flatnonzero(found)
