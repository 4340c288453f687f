"""Questions to a whole set, with the same answers whether it is in memory or in shards.

Of shards they are answered from columns, without a structure being made.
"""

from collections.abc import Iterable

import numpy as np

from nbcore.data import distances
from nbcore.data.shard_set import Shards
from nbcore.data.structure import Structure, Structures, counted


def sizes(structures: Iterable[Structure]) -> np.ndarray:
    """(n,) how many atoms each structure has."""
    if isinstance(structures, Shards):
        return structures.atoms.astype(np.int64)
    return np.array([len(s.numbers) for s in structures], dtype=np.int64)


def sample(structures: Structures, most: int) -> Structures:
    """At most so many of the structures, evenly spaced, in memory; the structures themselves where they are no more."""
    if len(structures) > most:
        structures = structures[evenly(len(structures), most)]
    return structures.in_memory() if isinstance(structures, Shards) else structures


def evenly(n: int, most: int) -> np.ndarray:
    """At most so many of the numbers 0 .. n-1, evenly spaced.

    >>> evenly(9, 3).tolist()
    [0, 4, 8]
    """
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).astype(int)


def copies(structures: Iterable[Structure]) -> np.ndarray:
    """For each structure the index of the first that is the same up to symmetry, its own if there is none before.

    Raises InputError where too many structures of shards look alike.
    """
    return structures.copies() if isinstance(structures, Shards) else distances.copies(structures)


def refuse_overlaps(structures: Iterable[Structure]) -> None:
    """InputError for two atoms on top of each other: no potential has an energy there. Names file, frame and atoms."""
    if isinstance(structures, Shards):
        structures = structures[np.flatnonzero(structures.column("nearest") < distances.OVERLAP)[:1]]
    distances.refuse_overlaps(structures)


def shortest_distances(structures: Structures) -> dict[str, float]:
    """Shortest distance of each pair of elements over many structures, sorted by distance.

    Of shards it is that of their whole files, from which structures for validation may be cut.

    >>> {pair: round(float(d), 3) for pair, d in shortest_distances(data).items()}
    {'H-O': 0.877, 'C-H': 0.992, 'C-O': 1.146, 'C-C': 1.401, 'H-H': 1.593, 'O-O': 2.411}
    """
    if not isinstance(structures, Shards):
        return distances.shortest_distances(structures)
    return {pair: d for pair, (d, _) in shortest_pairs(structures).items()}


def shortest_pairs(shards: Shards) -> dict[str, tuple[float, str]]:
    """{pair: (Å, where)} of the files of shards, sorted by distance."""
    found = {}
    for file in shards.files:
        for pair, (d, where) in file.summary.shortest.items():
            found[pair] = min((d, where), found.get(pair, (np.inf, "")))
    return dict(sorted(found.items(), key=lambda item: item[1][0]))


def counting(structures: Iterable[Structure], labels: Iterable[str]) -> list[str]:
    """Those of the labels that some structure has with a weight above zero; of stress, only with three periods."""
    if isinstance(structures, Shards):
        here = {x: structures.has(x) & (structures.weight_of(x) > 0) for x in labels}
        return [x for x in here if np.any(here[x] & structures.periodic if x == "stress" else here[x])]
    structures, found = counted(structures), []
    for label in labels:
        if label in ("energy", "forces", "stress"):
            having = [s for s in structures if getattr(s, label) is not None]
            there = any(label != "stress" or np.all(s.pbc) for s in having)
        else:
            there = any(label in s.outputs for s in structures)
        found += [label] if there else []
    return found


def energies_per_atom(structures: Structures, numbers: np.ndarray, rows: int):
    """Portions of (fractions of the elements (n, k), energies per atom (n,)), at most so many rows each.

    Of the structures with an energy that counts, or of all with an energy where none counts.
    """
    if isinstance(structures, Shards):
        has, counts = structures.has("energy"), structures.weight_of("energy") > 0
        chosen = np.flatnonzero(has & counts if np.any(has & counts) else has)
        kinds, of_kind = structures.compositions()
        table = np.array([[np.count_nonzero(one == z) / len(one) for z in numbers] for one in of_kind])
        per_atom = structures.column("energy") / structures.atoms
        for first in range(0, len(chosen), rows):
            part = chosen[first : first + rows]
            yield table[kinds[part]], per_atom[part]
        return
    labelled = [s for s in structures if s.energy is not None]
    labelled = [s for s in labelled if s.weight_of("energy") > 0] or labelled  # what is to be left out is left out
    for first in range(0, len(labelled), rows):
        part = labelled[first : first + rows]
        fractions = [[np.count_nonzero(s.numbers == z) / len(s) for z in numbers] for s in part]
        yield np.array(fractions), np.array([s.energy / len(s) for s in part])
