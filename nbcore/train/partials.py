"""How a batch is cut into partials, and the order in which their sums are added: a matter of the batch alone.

A partial is some structures of the batch, whose gradients are added one after another. Partials are the leaves of a
binary tree: sums of neighbours are added, 0 + 1, 2 + 3, ..., then the sums of these, and so on. Whoever computes some
partials that follow each other, a rank or a thread, can add up the nodes of the tree that lie within them; the bits of
the whole depend neither on their number nor on who has which.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbcore.data.shard_set import Shards
from nbcore.data.whole_sets import sizes

if TYPE_CHECKING:
    from nbcore.data.structure import Structure

ATOMS = (
    30  # of a partial at least: a sum costs a pass or two over all parameters, about as much as an atom of a molecule
)
ATOMS_OF_BUFFER = 128  # of a partial of large structures, whose blocks threads share
MOST_BUFFERS = 8
ATOM, NEIGHBOUR = 12.0, 1.0  # cost, in edges
DENSITY = 0.05  # atoms per Angstrom^3, of what has no three periods


class Partial(NamedTuple):
    """Places in a batch, ascending; among how many buffers threads may share its blocks; what it costs."""

    places: np.ndarray
    buffers: int
    cost: float


def costs(structures: "Iterable[Structure]", cutoff: float) -> np.ndarray:
    """(n,) what the structures cost in a step, in units of an edge; from atoms, cells and the cutoff, without a list of
    neighbours, so that it is the same for shards, of which no structure is read for it."""
    atoms = sizes(structures).astype(float)
    if isinstance(structures, Shards):
        cells = structures.column("cell")
        cells = cells if cells.ndim == 3 else np.zeros((len(atoms), 3, 3))
        periodic = structures.periodic
    else:
        cells = np.array([np.zeros((3, 3)) if s.cell is None else s.cell for s in structures], dtype=float)
        periodic = np.array([bool(np.all(s.pbc)) for s in structures], dtype=bool)
    volumes = np.abs(np.linalg.det(cells.reshape(-1, 3, 3)))
    sphere = 4 / 3 * np.pi * cutoff**3
    bulk = periodic & (volumes > 0)
    neighbours = np.minimum(atoms - 1, DENSITY * sphere)
    neighbours[bulk] = atoms[bulk] / volumes[bulk] * sphere
    return atoms * (ATOM + NEIGHBOUR * neighbours)


def cut(atoms: np.ndarray, cost: np.ndarray) -> list[Partial]:
    """The partials of a batch of structures with so many atoms, (n,), and such costs, (n,).

    >>> [partial.places.tolist() for partial in cut(np.full(5, 15), np.full(5, 390.0))]
    [[0, 2, 4], [1, 3]]
    """
    n, total = len(atoms), int(np.sum(atoms))
    if n == 0:
        return []
    count = min(n, 1 << max(0, (total // ATOMS).bit_length() - 1))
    places, loads = [[] for _ in range(count)], [(0.0, k) for k in range(count)]
    for place in np.argsort(-cost, kind="stable").tolist():  # the largest first, each where there is least
        load, k = loads[0]
        places[k].append(place)
        heapq.heapreplace(loads, (load + float(cost[place]), k))
    load = {k: value for value, k in loads}
    buffers = [min(MOST_BUFFERS, max(1, int(atoms[p].sum()) // ATOMS_OF_BUFFER)) for p in places]
    # one structure more than two threads can share equally: they share its blocks
    more = [k for k in range(count) if load[k] > 1.2 * min(load.values())]
    if len(more) % 2:
        buffers[more[-1]] = max(2, buffers[more[-1]])
    return [Partial(np.array(sorted(p)), buffers[k], load[k]) for k, p in enumerate(places)]


def nodes(first: int, last: int, n: int) -> list[tuple[int, int]]:
    """(height, index) of the largest nodes of the tree over n leaves that cover the leaves first .. last - 1.

    >>> nodes(3, 8, 8)
    [(0, 3), (2, 1)]
    """
    found = []
    while first < last:
        height = (first & -first).bit_length() - 1 if first else max(0, n - 1).bit_length()
        while min(first + (1 << height), n) > last:
            height -= 1
        found.append((height, first >> height))
        first += 1 << height
    return found


def leaves(height: int, index: int, n: int) -> range:
    """The leaves under a node of the tree over n leaves."""
    return range(index << height, min((index + 1) << height, n))


def root(n: int) -> tuple[int, int]:
    """The node over all n leaves."""
    return max(0, n - 1).bit_length(), 0


def added(sums: Mapping[tuple[int, int], np.ndarray], node: tuple[int, int], n: int) -> np.ndarray:
    """The sum at a node of the tree over n leaves, from the sums at nodes below it that cover its leaves."""
    if node in sums:
        return sums[node]
    height, index = node
    left = added(sums, (height - 1, 2 * index), n)
    if (2 * index + 1) << (height - 1) >= n:
        return left
    return left + added(sums, (height - 1, 2 * index + 1), n)


def sum_of(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of the vectors at all leaves, which there must be.

    >>> sum_of([np.array([1.0]), np.array([2.0]), np.array([4.0])]).tolist()
    [7.0]
    """
    return added({(0, k): vector for k, vector in enumerate(vectors)}, root(len(vectors)), len(vectors))
