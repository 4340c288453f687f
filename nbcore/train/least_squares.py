"""Potentials that are linear in their last layer, such as linear ACE: the best weights at once, by least squares.

Energies, forces and stresses are linear in the weights w of the readouts, so that a loss of squares has one minimum:

    min over w of  |X w - y|^2 + prior mean(diag X^T X) |w|^2

A row of X stands for a label, with the root of its weight in the loss. Rows go by one structure after another into the
triangle R of X = Q R, which is all that is kept: X^T X, whose condition is the square of that of X, is never formed.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import lstsq, qr

from nbcore import _core
from nbcore._threads import threads as number_of_threads
from nbcore.data.atoms import as_structures
from nbcore.data.reference_energies import reference_energies
from nbcore.errors import InputError
from nbcore.leaves import leaves_of
from nbcore.prepared import compute_one
from nbcore.scheme import scheme_of
from nbcore.train.learnable import check_labels
from nbcore.train.loss import Loss

if TYPE_CHECKING:
    from nbcore.potential import Potential

ROWS = 4096  # that are gathered before they go into the triangle, at least


class LeastSquares(NamedTuple):
    """What a fit by least squares says of itself."""

    loss: float  #: of `nbcore.train.Loss`, mean over structures, without the prior
    n_labels: int  #: energies, components of forces and stresses
    rank: int  #: of the weights that the labels and the prior determine


def least_squares(potential: "Potential", structures: Iterable, *, loss: Loss | None = None, prior: float = 1e-10,
                  E0s: dict | str | None = "auto", threads: int | None = None) -> LeastSquares:  # fmt: skip
    """Sets the weights of the readouts, in place, to the exact minimum of a loss of squares: one pass over the data.

    Whatever stands below the readouts stays as it is. For linear ACE (`nbcore.presets.ace` with embedding "linear" and
    channels 0) that is everything. structures: labelled, or ase.Atoms. loss: weights of energies, forces and stresses;
    None: those of a training. prior: a weight on the squares of the weights, in units of the mean square of their
    columns; with the option `smoothness` of radial functions it is one for smooth energies. E0s: as in
    `nbcore.data.reference_energies`; None: the E0s of the potential.

    Raises InputError where the energy is not linear in a last layer, the loss is none of squares, or a label is missing
    or no number.

    >>> data = nbcore.data.read(["train.xyz", "isolated_atoms.xyz"])
    >>> pot = nbcore.presets.ace(species=data.species, cutoff=4.0, l_max=[0, 1], n_max=[4, 2])
    >>> fit = nbcore.train.least_squares(pot, data[:20])
    >>> fit.n_labels, pot.compute(data[0].positions, data[0].numbers).energy < -6000
    (500, True)
    """
    structures, loss = as_structures(structures, missing="mask"), loss or Loss()
    weights = _weights_of(loss)
    slices = _readouts(potential)
    if prior < 0 or not np.isfinite(prior):
        raise InputError(f"least_squares: prior must be a number of at least 0, got {prior!r}")
    check_labels(structures, ())
    if E0s is not None:
        potential.E0s = {**potential.E0s, **reference_energies(structures, E0s).energies}
    parameters = np.array(potential.parameters)
    without = parameters.copy()
    for where in slices:
        without[where] = 0.0
    potential.parameters[:] = without  # what is left: E0s, repulsion
    triangle = _Triangle(potential._core.n_features + 1)
    try:
        for s in structures:
            triangle.add(*_rows(potential, s, weights, loss.element_weights, number_of_threads(threads)))
        if not triangle.n_rows:
            raise InputError("least_squares: no structure has energy, forces or stress of a weight above 0")
        w, rank, squares = triangle.solve(prior)
    except BaseException:
        potential.parameters[:] = parameters
        raise
    first = 0
    for where in slices:
        n = where.stop - where.start
        without[where] = w[first : first + n]
        first += n
    potential.parameters[:] = without
    return LeastSquares(squares / len(structures), triangle.n_rows, rank)


def _weights_of(loss) -> dict:
    weights = {}
    for term in ("energy", "forces", "stress"):
        weights[term], kind, _ = loss.of_term(term)
        if weights[term] and kind != "l2":
            raise InputError(f'least_squares: the loss of {term} is "{kind}", and squares are "l2"')
    if loss.hierarchicality_weight:
        raise InputError("least_squares: hierarchicality_weight is not zero, and hierarchicality is no sum of squares")
    return weights


def _readouts(potential) -> list[slice]:
    """Where the weights of the readouts stand among the parameters, in the order of the features."""
    if not potential._core.n_features:
        raise InputError("least_squares: the energy of this potential is not linear in its last layer")
    slices = []
    for gate in potential.description["program"]["readout"]:
        of_gate = [
            (name, where) for name, (where, _) in potential.parameter_slices.items() if name.startswith(f"{gate}.")
        ]
        if any(name.endswith(".bias") for name, _ in of_gate):
            raise InputError(f"least_squares: the readout {gate} has a bias, which no label of forces determines")
        slices += [where for _, where in of_gate]
    if sum(where.stop - where.start for where in slices) != potential._core.n_features:
        raise InputError("least_squares: the readouts have more parameters than one matrix each")
    return slices


def _rows(potential, s, weights, of_elements, threads):
    """(X, y) of a structure, each row times the root of its weight."""
    base, n = compute_one(potential, s, threads, None), len(s.numbers)
    cell = np.asarray(s.cell if s.cell is not None else np.zeros((3, 3)), dtype=float)
    w = {term: weight * s.weight_of(term) for term, weight in weights.items()}
    X, y, scale = [], [], []
    scheme, leaves = scheme_of(potential, s), getattr(s, "leaves", None)
    if s.energy is not None and w["energy"] > 0:
        features = potential.features(s.positions, s.numbers, cell, s.pbc, threads, scheme, leaves)
        X.append(features.sum(axis=0)[None])
        y.append([s.energy - base.energy])
        scale.append([np.sqrt(w["energy"]) / n])
    directions, strains = [], []
    if s.forces is not None and w["forces"] > 0:
        directions.append(-np.eye(3 * n).reshape(3 * n, n, 3))
        strains.append(np.zeros((3 * n, 3, 3)))
        y.append((s.forces - base.forces).ravel())
        f = np.array([of_elements.get(symbol, 1.0) for symbol in s.symbols])
        scale.append(np.repeat(np.sqrt(w["forces"] * f / (3 * n)), 3))
    if s.stress is not None and w["stress"] > 0:
        volume = abs(np.linalg.det(cell))
        units = np.eye(9).reshape(9, 3, 3)
        directions.append(np.zeros((9, n, 3)))
        strains.append((units + units.transpose(0, 2, 1)) / (2 * volume))
        y.append((s.stress - base.stress).ravel())
        scale.append(np.full(9, np.sqrt(w["stress"] / 9)))
    if directions:
        X.append(_core.feature_derivatives(
            potential._core, np.asarray(s.positions, dtype=float), [int(z) for z in s.numbers], cell,
            [bool(p) for p in np.broadcast_to(s.pbc, 3)], np.concatenate(directions), np.concatenate(strains), threads,
            None if scheme is None else scheme.core, leaves_of(potential, leaves or {}, n),
        ))  # fmt: skip
    if not X:
        return np.zeros((0, potential._core.n_features)), np.zeros(0)
    scale = np.concatenate(scale)
    return np.concatenate(X) * scale[:, None], np.concatenate(y) * scale


class _Triangle:
    """The triangle of the rows (X, y) that have come."""

    def __init__(self, width):
        self.R, self.n_rows = np.zeros((0, width)), 0
        self._waiting, self._n_waiting = [], 0

    def add(self, X, y):
        self._waiting.append(np.column_stack([X, y]))
        self.n_rows, self._n_waiting = self.n_rows + len(y), self._n_waiting + len(y)
        if self._n_waiting >= max(ROWS, self.R.shape[1]):
            self._reduce()

    def _reduce(self):
        R = qr(np.concatenate([self.R, *self._waiting]), mode="r", overwrite_a=True, check_finite=True)[0]
        self.R, self._waiting, self._n_waiting = R[: self.R.shape[1]], [], 0

    def solve(self, prior):
        """(weights, rank, sum of squares that is left)"""
        self._reduce()
        X, y = self.R[:, :-1], self.R[:, -1]
        n = X.shape[1]
        scale = np.sqrt(prior * np.sum(X**2) / n)
        w, _, rank, _ = lstsq(np.concatenate([X, scale * np.eye(n)]), np.concatenate([y, np.zeros(n)]))
        return w, int(rank), float(np.sum((X @ w - y) ** 2))
