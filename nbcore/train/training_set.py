"""Structures with labels, ready for training: neighbour lists made once, loss and exact gradient in C++."""

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nbcore import _core
from nbcore._threads import threads as number_of_threads
from nbcore.cell import volume
from nbcore.data.atoms import as_structures
from nbcore.errors import Error, InputError, NumericsError
from nbcore.leaves import leaves_of
from nbcore.scheme import core_scheme
from nbcore.train.loss import TERMS, Loss

if TYPE_CHECKING:
    from nbcore.potential import Potential


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
    to rounding.

    Raises SpeciesError (an element the potential lacks), NumericsError (atoms on top of each other), InputError;
    they name the structure.
    """

    def __init__(self, potential: "Potential", structures: Iterable, block: int | None = None):
        self.potential = potential
        structures = as_structures(structures, apart=False, missing="mask")
        self.structures = structures
        self._cells = [np.zeros((3, 3)) if s.cell is None else np.asarray(s.cell, dtype=float) for s in structures]
        self._volumes = [volume(cell) for cell in self._cells]
        with_volume = zip(structures, self._cells, self._volumes, strict=True)
        items = [_named(k, s, _item, potential, s, cell, v) for k, (s, cell, v) in enumerate(with_volume)]
        if block is not None and block < 1:
            raise InputError(f"block must be at least 1, got {block!r}")
        block = min(block or 0, 2**31 - 1)
        try:
            self._core = _core.TrainingSet(potential._core, items, block)
        except Error:
            for k, (s, item) in enumerate(zip(structures, items, strict=True)):
                _named(k, s, _core.TrainingSet, potential._core, [item], block)
            raise

    def __len__(self) -> int:
        return len(self._cells)

    @property
    def average_neighbours(self) -> float:
        """Mean number of neighbours of an atom within the cutoff."""
        return self._core.average_neighbours()

    def _evaluate(self, indices, loss, threads, gradient):
        batch = list(range(len(self))) if indices is None else [operator.index(k) for k in indices]
        loss.check_names(self.potential)
        spreads = self.potential.spreads
        terms = [loss.of_term(name) for name in TERMS]
        output_terms = [(loss.of_term(name), spreads.get(name, 1.0)) for name in self.potential.outputs]
        elements = [loss.element_weights.get(symbol, 1.0) for symbol in self.potential.species]
        value, energies, forces, virials, losses, components = self._core.evaluate(
            batch, terms, output_terms, elements, number_of_threads(threads), gradient
        )
        outputs = [
            self.potential.cartesian(y, len(self.structures[k].numbers)) for k, y in zip(batch, components, strict=True)
        ]
        stress = [-w / v if (v := self._volumes[k]) else None for k, w in zip(batch, virials, strict=True)]
        bad = [self.structures[k] for k, x, e in zip(batch, losses, energies, strict=True) if not np.isfinite(x + e)]
        if bad or (gradient is not None and not np.all(np.isfinite(gradient))):
            bad = bad or [self.structures[k] for k in batch]
            names = ", ".join(f"{getattr(s, 'file', '')} frame {getattr(s, 'frame', '?')}" for s in bad[:3])
            raise NumericsError(f"the loss is not finite ({names})")
        if not self.potential.has_energy:
            energies, forces, stress, virials = ([None] * len(batch) for _ in range(4))
        return BatchResult(value, gradient, energies, forces, stress, virials, losses, outputs)

    def loss_and_gradient(
        self, indices: ArrayLike | None = None, loss: Loss | None = None, threads: int | None = None
    ) -> BatchResult:
        """Loss and its exact gradient by all parameters, for the structures `indices` (all by default).

        The same bits for any number of threads. Raises NumericsError, naming structures, where something is not finite.
        """
        gradient = np.empty(len(self.potential.parameters))
        return self._evaluate(indices, loss or Loss(), threads, gradient)

    def predict(
        self, indices: ArrayLike | None = None, threads: int | None = None, loss: Loss | None = None
    ) -> BatchResult:
        """Energies, forces, stresses (and the loss, no gradient) of the structures `indices`, all by default."""
        return self._evaluate(indices, loss or Loss(), threads, None)


def _item(potential, s, cell, v):
    """What the core is told of a structure."""
    return {
        "positions": s.positions,
        "numbers": [int(z) for z in s.numbers],
        "cell": cell,
        "pbc": [bool(b) for b in s.pbc],
        "energy": s.energy,
        "forces": s.forces,
        "stress": s.stress if v else None,
        "weights": [s.weight_of(label) for label in TERMS.values()],
        "output_weights": [s.weight_of(name) for name in potential.outputs],
        "scheme": core_scheme(potential, s),
        "leaves": leaves_of(potential, getattr(s, "leaves", {}), len(s.numbers)),
        "outputs": [
            None if (tensor := s.outputs.get(name)) is None else output.spherical(tensor).ravel()
            for name, output in potential.outputs.items()
        ],
    }


def _named(k, structure, make, *args):
    """make(*args), with the structure's name before the message of an error."""
    try:
        return make(*args)
    except Error as e:
        where = structure.where if structure.file else f"structure {k}"
        raise type(e)(f"{where}: {e}") from None
