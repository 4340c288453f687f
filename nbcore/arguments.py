"""Arguments of public functions: structures and bounds, converted or refused by name."""

from numbers import Real

import numpy as np

from nbcore.errors import InputError
from nbcore.species import atomic_numbers


def check_structure(positions, species, cell, pbc):
    """The four as arrays of the right kind, or an error that says which is not."""
    positions = numbers_of("positions", positions)
    if positions.size == 0 and positions.ndim < 2:
        positions = positions.reshape(0, 3)
    numbers = atomic_numbers(species)
    cell = np.zeros((3, 3)) if cell is None else numbers_of("cell", cell)
    if cell.shape == (3,):
        cell = np.diag(cell)
    flags = np.asarray(pbc)
    if flags.dtype.kind not in "biu" or flags.shape not in ((), (3,)):
        raise InputError(f"pbc must be one or three booleans, got {pbc!r}")
    return positions, numbers, cell, [bool(b) for b in np.broadcast_to(flags, 3)]


def check_max_bytes(value) -> float:
    """A bound on memory, bytes; 0 for None, no bound."""
    if value is None:
        return 0.0
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"max_bytes must be a number of bytes, or None, got {value!r}")
    if not 1 <= value < np.inf:
        raise InputError(f"max_bytes must be a positive number of bytes, or None, got {value!r}")
    return float(min(value, 2**62))  # an int64 in the C ABI


def numbers_of(name, array) -> np.ndarray:
    """A contiguous array of doubles; TypeError where they are no numbers."""
    array = np.asarray(array)
    if array.dtype.kind not in "fiu" and array.size:
        raise TypeError(f"{name} must be numbers, got {array.dtype}")
    return np.ascontiguousarray(array, dtype=float)
