"""How a batch is cut into partials, and the order in which their sums are added: a matter of the batch alone.

A partial is some structures of the batch, whose gradients are added one after another. Partials are the leaves of a
binary tree: sums of neighbours are added, 0 + 1, 2 + 3, ..., then the sums of these, and so on. Whoever computes some
partials that follow each other, a rank or a thread, can add up the nodes of the tree that lie within them; the bits of
the whole depend neither on their number nor on who has which.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
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
LOOSE = 0.01  # of the work of a rank, by which shares may differ for the sake of whole nodes
DENSITY = 0.05  # atoms per Angstrom^3, of what has no three periods


class Partial(NamedTuple):
    """Places in a batch, ascending; among how many buffers threads may share its blocks; what it costs."""

    places: np.ndarray
    buffers: int
    cost: float


class Tree(Sequence):
    """The partials of a batch, in the order of the leaves; made one by one, as a rank looks at few of them.

    places: (n,) those in the batch, partial after partial, which begin at starts (k,); buffers and cost, (k,), of each.
    """

    def __init__(self, places: np.ndarray, starts: np.ndarray, buffers: np.ndarray, cost: np.ndarray):
        self.places, self.starts, self.buffers, self.cost = places, starts, buffers, cost
        self._ends = np.append(starts[1:], len(places))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, k):
        if not 0 <= k < len(self):
            raise IndexError(f"no partial {k} among {len(self)}")
        return Partial(self.places[self.starts[k] : self._ends[k]], int(self.buffers[k]), float(self.cost[k]))

    def within(self, places: np.ndarray) -> "Tree":
        """The same of a larger batch, in which what it is of stands at these places, ascending."""
        return Tree(places[self.places], self.starts, self.buffers, self.cost)


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


def cut(atoms: np.ndarray, cost: np.ndarray) -> Tree:
    """The partials of a batch of structures with so many atoms, (n,), and such costs, (n,).

    >>> [partial.places.tolist() for partial in cut(np.full(5, 15), np.full(5, 390.0))]
    [[0, 2, 4], [1, 3]]
    """
    n, total = len(atoms), int(np.sum(atoms))
    count = min(n, 1 << max(0, (total // ATOMS).bit_length() - 1))
    load, chosen = np.zeros(count), np.empty(n, dtype=int)
    for row in np.split(np.argsort(-cost, kind="stable"), range(count, n, count)) if n else []:
        least = np.argsort(load, kind="stable")[: len(row)]  # the largest that is left to whoever has least
        chosen[row] = least
        load[least] += cost[row]
    order = _folded(load)
    leaf = np.empty(count, dtype=int)
    leaf[order] = np.arange(count)
    load, chosen = load[order], leaf[chosen]
    places = np.argsort(chosen, kind="stable")
    starts = np.searchsorted(chosen[places], np.arange(count))
    buffers = np.add.reduceat(atoms[places], starts) // ATOMS_OF_BUFFER if n else np.zeros(0, dtype=int)
    buffers = np.clip(buffers, 1, MOST_BUFFERS)
    # one structure more than two threads can share equally: they share its blocks
    more = np.flatnonzero(load > 1.2 * np.min(load, initial=np.inf))
    if len(more) % 2:
        buffers[more[-1]] = max(2, buffers[more[-1]])
    return Tree(places, starts, buffers, load)


def _folded(load: np.ndarray) -> np.ndarray:
    """(n,) the order of leaves with such loads in which neighbours, and the nodes above them, have about the same: at
    each height the largest is the sibling of the smallest. What the leaves do not fill stands at the end."""
    order, size = np.arange(len(load)), 1
    while size < len(load):
        whole = len(load) // size
        groups, rest = order[: whole * size].reshape(whole, size), order[whole * size :]
        by_size = np.argsort(-load[groups].sum(axis=1), kind="stable")
        alone, by_size = (by_size[:1], by_size[1:]) if whole % 2 else (by_size[:0], by_size)
        half = len(by_size) // 2
        pairs = np.stack([by_size[:half], by_size[half:][::-1]], axis=1).ravel()
        order, size = np.concatenate([groups[pairs].ravel(), groups[alone].ravel(), rest]), 2 * size
    return order


def ranges(trees: Sequence[Tree], ranks: int) -> list[list[tuple[int, int]]]:
    """Of each tree (first, last) of the leaves of each rank: such that follow each other, of about the same cost, and
    where it makes no difference the whole of a node, which has one sum.

    >>> ranges([cut(np.full(16, 15), np.full(16, 390.0))], 2)
    [[(0, 4), (4, 8)]]
    """
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([tree.cost for tree in trees]))])
    starts = np.cumsum([0, *map(len, trees)])
    n, aims = len(sums) - 1, sums[-1] * np.arange(1, ranks) / ranks
    nearest = np.searchsorted((sums[:-1] + sums[1:]) / 2, aims)
    loose = LOOSE * sums[-1] / ranks
    lows, highs = np.searchsorted(sums, aims - loose), np.searchsorted(sums, aims + loose, side="right") - 1
    ends = [0]
    for near, low, high in zip(nearest.tolist(), lows.tolist(), highs.tolist(), strict=True):
        if low <= high:
            before = int(starts[np.searchsorted(starts[1:-1], high, side="right")])  # of the tree that has it
            low, high = max(low, before) - before, high - before
            zeros = max(0, (max(low - 1, 0) ^ high).bit_length() - 1)  # the number with most of them at its end
            near = before + (0 if low == 0 else high >> zeros << zeros)
        ends.append(max(near, ends[-1]))
    ends.append(n)
    own = [np.clip(np.subtract(ends, first), 0, len(tree)) for tree, first in zip(trees, starts[:-1], strict=True)]
    return [list(pairwise(of_tree.tolist())) for of_tree in own]


def shares(trees: Sequence[Tree], ranks: int) -> np.ndarray:
    """(ranks,) what the partials of each rank cost together."""
    return sum(
        np.array([tree.cost[first:last].sum() for first, last in of_tree])
        for tree, of_tree in zip(trees, ranges(trees, ranks), strict=True)
    )


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


def added(
    sums: Mapping[tuple[int, int], np.ndarray], node: tuple[int, int], n: int, out: np.ndarray | None = None
) -> np.ndarray:
    """The sum at a node of the tree over n leaves, from the sums at nodes below it that cover its leaves.

    out: where it is written; without it the sum may be one of those that were given.
    """
    if node not in sums:
        height, index = node
        right = (height - 1, 2 * index + 1)
        left = added(sums, (height - 1, 2 * index), n)
        if right[1] << right[0] < n:
            return np.add(left, added(sums, right, n), out=out)
    else:
        left = sums[node]
    if out is None:
        return left
    out[...] = left
    return out


def sum_of(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of the vectors at all leaves, which there must be.

    >>> sum_of([np.array([1.0]), np.array([2.0]), np.array([4.0])]).tolist()
    [7.0]
    """
    return added({(0, k): vector for k, vector in enumerate(vectors)}, root(len(vectors)), len(vectors))
