"""Structures with labels, ready for training: neighbour lists made once, loss and exact gradient in C++."""

import contextlib
import math
import operator
import threading
import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nbcore import _core
from nbcore._threads import threads as number_of_threads
from nbcore.arguments import check_precision
from nbcore.cell import volume
from nbcore.data.atoms import as_structures
from nbcore.data.shard_set import Shards
from nbcore.data.whole_sets import sample, sizes
from nbcore.errors import Error, InputError, NumericsError
from nbcore.leaves import leaf_types, leaves_of
from nbcore.scheme import core_scheme
from nbcore.train.loss import REGULARISERS, TERMS, Loss
from nbcore.train.partials import Partial, Tree, costs, cut

if TYPE_CHECKING:
    from nbcore.data.structure import Structure
    from nbcore.potential import Potential


NO_CELL = np.zeros((3, 3))
TERM_LABELS = tuple(TERMS.values())


class BatchResult(NamedTuple):
    """Loss, gradient and predictions of a batch, in its order."""

    loss: float  #: mean over the structures
    gradient: np.ndarray | None  #: (n_parameters,)
    energies: np.ndarray  #: (n,) eV
    forces: list  #: of (N, 3) eV/Angstrom
    stress: list  #: of (3, 3) eV/Angstrom^3 or None
    virials: list  #: of (3, 3) eV
    losses: np.ndarray  #: (n,) per structure
    outputs: list  #: of {output: Cartesian tensor}, as in Result


class TrainingSet:
    """Structures and a potential, with everything that depends on positions alone made once.

    potential: nbcore.Potential; its parameters may change between calls, its E0s, cutoff and elements may not.
    structures: sequence of nbcore structures, as `nbcore.train.read` gives them, or of ase.Atoms. block: atoms of a
    block at most, the unit of work of a thread; by default half a structure, 32 at most. Another value gives the same
    to rounding. Of Shards (`nbcore.data.open_shards`) nothing is kept: graphs are made for each batch and dropped, with
    the bits of a set in memory; `input_seconds` is what this has taken so far.

    Raises SpeciesError (an element the potential lacks), NumericsError (atoms on top of each other), InputError;
    they name the structure.
    """

    def __init__(self, potential: "Potential", structures: Iterable, block: int | None = None):
        if not hasattr(potential, "_core"):
            raise InputError(
                f"expected a potential, got {type(potential).__name__}; of Heads, nbcore.train.HeadsTrainingSet"
            )
        self.potential = potential
        self.structures = as_structures(structures, apart=False, missing="mask")
        self._streamed = isinstance(self.structures, Shards)
        self._lock = threading.Lock()
        self.input_seconds = 0.0
        if block is not None and block < 1:
            raise InputError(f"block must be at least 1, got {block!r}")
        block = min(block or 0, 2**31 - 1)
        # what does not change while parameters do, and would be asked for each structure
        self._leaves, self._parts, self._outputs = bool(leaf_types(potential)), potential.has_parts, potential.outputs
        try:
            self._core = _core.TrainingSet(
                potential._core, [] if self._streamed else self._items(self.structures), block
            )
        except Error:
            for k, s in enumerate(self.structures):
                self._named(k, s, lambda s: _core.TrainingSet(potential._core, [self._item(s)], block))
            raise

    def __len__(self) -> int:
        return len(self.structures)

    @property
    def average_neighbours(self) -> float:
        """Mean number of neighbours of an atom within the cutoff; of shards over a sample."""
        if self._streamed:
            return TrainingSet(self.potential, sample(self.structures, 200)).average_neighbours
        return self._core.average_neighbours()

    def _items(self, structures):
        """What the core is told of structures; an error names the one that it belongs to."""
        try:
            return [self._item(s) for s in structures]
        except Error:
            for k, s in enumerate(structures):
                self._named(k, s, self._item)
            raise

    def _item(self, s):
        """What the core is told of a structure: it is done for every batch of shards, so nothing is asked twice."""
        cell = NO_CELL if s.cell is None else np.asarray(s.cell, dtype=float)
        outputs = self._outputs.items()
        return {
            "positions": s.positions,
            "numbers": np.asarray(s.numbers).tolist(),
            "cell": cell,
            "pbc": np.asarray(s.pbc, dtype=bool).tolist(),
            "energy": s.energy,
            "forces": s.forces,
            "stress": s.stress if s.stress is not None and volume(cell) else None,
            "weights": [*(s.weight_of(label) for label in TERM_LABELS), *(s.weight for _ in REGULARISERS)],
            "output_weights": [s.weight_of(name) for name, _ in outputs],
            "scheme": core_scheme(self.potential, s) if self._parts else None,
            "leaves": leaves_of(self.potential, getattr(s, "leaves", {}), len(s.numbers)) if self._leaves else {},
            "outputs": [
                None if (tensor := s.outputs.get(name)) is None else output.spherical(tensor).ravel()
                for name, output in outputs
            ],
        }

    def _named(self, k, structure, make):
        """make(structure), with the structure's name before the message of an error."""
        try:
            return make(structure)
        except Error as e:
            where = structure.where if structure.file else f"structure {k}"
            raise type(e)(f"{where}: {e}") from None

    def _hold(self, batch, structures):
        """Graphs of the structures of a batch in the place of those before."""
        try:
            self._core.hold(self._items(structures))
        except Error:
            for k, s in zip(batch, structures, strict=True):
                self._named(k, s, lambda s: self._core.hold([self._item(s)]))
            raise

    @cached_property
    def _costs(self):
        """(atoms, cost) of each structure."""
        return sizes(self.structures), costs(self.structures, self.potential.cutoff)

    def trees(self, batch: np.ndarray) -> list[Tree]:
        """The partials of a batch of structures, one tree of sums (`nbcore.train.partials`)."""
        return [cut(*(column[batch] for column in self._costs))]

    def sums(
        self,
        batch: np.ndarray,
        loss: Loss,
        threads: int | None,
        precision: str,
        parts: list[list[list[Partial]]],
        rows: list[np.ndarray] | None = None,
    ) -> tuple[BatchResult, list[np.ndarray]]:
        """(predictions, sums over groups of partials) for those partials of a batch that are given.

        parts: of each tree the groups [[Partial, ...], ...]. Predictions are those of the structures of all partials,
        one partial after another, without loss and gradient; sums (groups, n) of each tree add up to what `gradient`
        takes, when those of the whole batch are added. rows: where sums are written, of each tree.
        """
        groups = parts[0]
        own = np.empty((len(groups), *self.widths(precision))) if rows is None else rows[0]
        some = [partial for group in groups for partial in group]
        return self._evaluate(batch, some, loss, threads, precision, groups, own), [own]

    def widths(self, precision: str) -> list[int]:
        """How many numbers the sums of each tree have."""
        return [self._core.n_sums(precision == "float32")]

    def gradient(self, totals: list[np.ndarray], precision: str, out: np.ndarray | None = None) -> np.ndarray:
        """The gradient by all parameters, (n_parameters,), from the sum over each tree, None of an empty one."""
        gradient = np.empty(len(self.potential.parameters)) if out is None else out
        if totals[0] is None:
            gradient[:] = 0
        else:
            self._core.gradient(totals[0], precision == "float32", gradient)
        return gradient

    def _evaluate(self, batch, partials, loss, threads, precision, groups=(), rows=None):
        """Predictions for the structures of some partials of a batch, in their order; rows: for sums of the groups."""
        single = check_precision(precision) == "float32"
        loss.check_names(self.potential)
        spreads = self.potential.spreads
        terms = [loss.of_term(name) for name in (*TERMS, *REGULARISERS)]
        output_terms = [(loss.of_term(name), spreads.get(name, 1.0)) for name in self.potential.outputs]
        elements = [loss.element_weights.get(symbol, 1.0) for symbol in self.potential.species]
        arguments = terms, output_terms, elements, single, number_of_threads(threads)
        indices = [int(batch[place]) for partial in partials for place in partial.places]
        with self._holding(indices) as (structures, local):
            places = iter(local)
            chosen = [([next(places) for _ in partial.places], partial.buffers) for partial in partials]
            energies, forces, virials, losses, components = self._core.evaluate(
                chosen, [len(group) for group in groups], 1 / max(1, len(batch)), *arguments,
                None if rows is None else rows.ravel(),
            )  # fmt: skip
        outputs = [self.potential.cartesian(y, len(s.numbers)) for s, y in zip(structures, components, strict=True)]
        volumes = [0.0 if s.cell is None else volume(s.cell) for s in structures]
        stress = [-w / v if v else None for v, w in zip(volumes, virials, strict=True)]
        bad = [s for s, x, e in zip(structures, losses, energies, strict=True) if not np.isfinite(x + e)]
        if bad:
            raise not_finite(bad)
        if not self.potential.has_energy:
            energies, forces, stress, virials = ([None] * len(indices) for _ in range(4))
        return BatchResult(math.nan, None, energies, forces, stress, virials, losses, outputs)

    @contextlib.contextmanager
    def _holding(self, indices):
        """(structures, their numbers in the core) while these are held."""
        if not self._streamed:
            yield [self.structures[k] for k in indices], indices
            return
        with self._lock:  # the core holds one batch at a time
            start = time.perf_counter()
            structures = [self.structures[k] for k in indices]
            self._hold(indices, structures)
            self.input_seconds += time.perf_counter() - start
            yield structures, range(len(indices))

    def _indices(self, indices):
        """Numbers of structures, checked: all of them for None."""
        batch = np.arange(len(self)) if indices is None else np.array([operator.index(k) for k in indices], dtype=int)
        return batch if self._streamed else checked(batch, len(self))

    def loss_and_gradient(
        self,
        indices: ArrayLike | None = None,
        loss: Loss | None = None,
        threads: int | None = None,
        precision: str = "float64",
    ) -> BatchResult:
        """Loss and its exact gradient by all parameters, for the structures `indices` (all by default).

        precision: "float32" computes states, weights and their adjoints in single precision; distances, energies,
        forces and sums over structures stay double. The same bits for any number of threads. Raises NumericsError,
        naming structures, where something is not finite; InputError for another precision.
        """
        return whole_batch(self, self._indices(indices), loss or Loss(), threads, precision)

    def predict(
        self,
        indices: ArrayLike | None = None,
        threads: int | None = None,
        loss: Loss | None = None,
        precision: str = "float64",
    ) -> BatchResult:
        """Energies, forces, stresses (and the loss, no gradient) of the structures `indices`, all by default."""
        batch = self._indices(indices)
        everything = [Partial(np.arange(len(batch)), 1, 0.0)]
        result = self._evaluate(batch, everything, loss or Loss(), threads, precision)
        return result._replace(loss=mean_of(result.losses))


def checked(batch: np.ndarray, n: int) -> np.ndarray:
    """Numbers of structures; InputError for one that is not among n."""
    wrong = batch[(batch < 0) | (batch >= n)]
    if len(wrong):
        raise InputError(f"training set: no structure {wrong[0]} among {n}")
    return batch


def not_finite(structures: "Sequence[Structure]") -> NumericsError:
    """The error that names the first of some structures whose loss, or its gradient, is not finite."""
    names = ", ".join(f"{getattr(s, 'file', '')} frame {getattr(s, 'frame', '?')}" for s in structures[:3])
    return NumericsError(f"the loss is not finite ({names})")


def mean_of(losses: ArrayLike) -> float:
    """The loss of a batch, from those of its structures; zero of none."""
    return float(np.sum(losses)) / len(losses) if len(losses) else 0.0


def whole_batch(training_set, batch, loss, threads, precision) -> BatchResult:
    """Loss, gradient and predictions of a batch, in its order, of a training set with trees, sums and gradient."""
    check_precision(precision)
    trees = training_set.trees(batch)
    result, rows = training_set.sums(batch, loss, threads, precision, [[tree] if len(tree) else [] for tree in trees])
    totals = [of_tree[0] if len(of_tree) else None for of_tree in rows]
    gradient = training_set.gradient(totals, precision)
    if not np.all(np.isfinite(gradient)):
        raise not_finite([training_set.structures[k] for k in batch])
    places = [place for tree in trees for partial in tree for place in partial.places]
    back = np.argsort(places, kind="stable")
    ordered = {field: reordered(getattr(result, field), back) for field in BatchResult._fields[2:]}
    return BatchResult(mean_of(ordered["losses"]), gradient, **ordered)


def part_of(result: BatchResult, first: int, last: int) -> BatchResult:
    """What a result says of some structures that follow each other; no loss, no gradient."""
    return BatchResult(math.nan, None, *(getattr(result, field)[first:last] for field in BatchResult._fields[2:]))


def reordered(values, order):
    """An array or a list in another order."""
    return values[order] if isinstance(values, np.ndarray) else [values[k] for k in order]
