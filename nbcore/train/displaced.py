"""Slightly displaced copies of structures: what a network will see as soon as atoms move."""

import dataclasses

import numpy as np

from nbcore import _core

AMPLITUDE = 0.05  # of the distance to the nearest neighbour: as at a third of the melting point (Lindemann)
FAR = 0.75  # of the cutoff: atoms farther from the nearest one hardly see each other
MANY = 400  # atoms, above which a cell is not repeated further


def displaced(potential, structures, seed: int = 0) -> list:
    """Copies without labels, every atom moved at random by a twentieth of the distance to its nearest neighbour.

    A small cell is repeated until its periods reach the cutoff: the image of an atom moves as it does itself, so that a
    displaced cell of one atom would be a perfect crystal still. Where parts go by a scheme or labels the cell stays as
    it is. Where even the nearest atoms stand close to the cutoff everything is drawn together.
    The same seed gives the same copies.

    >>> copies = displaced(potential, structures)
    """
    random = np.random.Generator(np.random.PCG64([seed, 2]))
    return [_displaced(potential, s, random) for s in structures]


def _displaced(potential, s, random):
    s = dataclasses.replace(s, energy=None, forces=None, stress=None, outputs={}, weight=1.0)
    if not potential.has_parts:  # then nothing reads these
        s = dataclasses.replace(s, scheme=None, labels={})
    if np.any(s.pbc) and s.scheme is None and not s.labels:
        s = _repeated(s, potential.cutoff)
    nearest = _nearest(s, potential.cutoff)
    if FAR * potential.cutoff < nearest.min(initial=np.inf) < np.inf:
        shrink = FAR * potential.cutoff / nearest.min()
        cell = None if s.cell is None else shrink * np.asarray(s.cell)
        s, nearest = dataclasses.replace(s, positions=shrink * s.positions, cell=cell), shrink * nearest
    nearest[np.isinf(nearest)] = 0.0
    steps = random.standard_normal((len(s.numbers), 3)) / np.sqrt(3.0)
    return dataclasses.replace(s, positions=s.positions + AMPLITUDE * nearest[:, None] * steps)


def _nearest(s, cutoff):
    """The distance of every atom to the nearest one within the cutoff, infinite where there is none."""
    cell = None if s.cell is None else np.asarray(s.cell, dtype=float)
    first, _, _, vectors = _core.neighbours(s.positions, cell, s.pbc, cutoff)
    nearest = np.full(len(s.numbers), np.inf)
    np.minimum.at(nearest, first, np.linalg.norm(vectors, axis=1))
    return nearest


def _repeated(s, cutoff):
    """The same crystal in a cell whose periods are at least the cutoff apart."""
    across = np.linalg.norm(np.linalg.pinv(s.cell), axis=0)  # one over the distance of opposite faces
    counts = np.where(s.pbc, np.clip(np.ceil(cutoff * across), 1, 8), 1).astype(int)
    while np.prod(counts) > 1 and np.prod(counts) * len(s.numbers) > MANY:
        counts[np.argmax(counts)] -= 1
    shifts = np.array(list(np.ndindex(*counts))) @ np.asarray(s.cell)
    n = len(shifts)
    return dataclasses.replace(
        s,
        positions=np.concatenate([s.positions + shift for shift in shifts]),
        numbers=np.tile(s.numbers, n),
        cell=counts[:, None] * np.asarray(s.cell),
        leaves={name: np.concatenate([x] * n) for name, x in s.leaves.items()},
    )
