"""How a batch is cut into partials, and the order in which their sums are added: a matter of the batch alone.

A partial is some structures of the batch, whose gradients are added one after another. Partials are the leaves of a
binary tree: sums of neighbours are added, 0 + 1, 2 + 3, ..., then the sums of these, and so on. Whoever computes some
partials that follow each other, a rank or a thread, can add up the nodes of the tree that lie within them; the bits of
the whole depend neither on their number nor on who has which. Cutting and sharing out is done by the core
(`cpp/src/train/partials.cpp`), since every rank does it for every step.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbcore import _core
from nbcore.data.shard_set import Shards
from nbcore.data.whole_sets import sizes

if TYPE_CHECKING:
    from nbcore.data.structure import Structure

ATOM, NEIGHBOUR = 12.0, 1.0  # cost, in edges
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
    return Tree(*_core.cut(atoms, cost))


def ranges(trees: Sequence[Tree], ranks: int) -> list[list[tuple[int, int]]]:
    """Of each tree (first, last) of the leaves of each rank: such that follow each other, of about the same cost, and
    where it makes no difference the whole of a node, which has one sum.

    >>> ranges([cut(np.full(16, 15), np.full(16, 390.0))], 2)
    [[(0, 4), (4, 8)]]
    """
    return _core.ranges([tree.cost for tree in trees], ranks)


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
