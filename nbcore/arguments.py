"""Arguments of public functions: structures and bounds, converted or refused by name."""

from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np

from nbcore.errors import InputError
from nbcore.species import atomic_numbers

PRECISIONS = ("float64", "float32")


def real(name: str, value) -> float:
    """A finite number, or InputError: not a text, a boolean or an array."""
    try:
        number = np.nan if isinstance(value, bool | np.bool_) or not isinstance(value, Real) else float(value)
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        raise InputError(f"{name} must be a finite number, got {value!r:.60}")
    return number


def by_element(species, name: str, values: dict, what: str = "number") -> list[float]:
    """One number per element, in the order of `species`, from {symbol: number}."""
    if not isinstance(values, Mapping):
        raise InputError(f"{name} must be a dict {{symbol: number}}, got {values!r}")
    missing = [s for s in species if s not in values]
    if missing:
        raise InputError(f"{name}: no {what} for {' '.join(missing)}")
    strangers = [str(s) for s in values if s not in species]
    if strangers:
        raise InputError(f"{name}: {' '.join(strangers)} not among the species ({' '.join(species)})")
    return [real(f"{name}: {s}", values[s]) for s in species]


def check_names(what: str, values: dict, known) -> None:
    """InputError for keys of `values` that are not known."""
    if not isinstance(values, Mapping):
        raise InputError(f"expected a dict {{{what}: ...}}, got {values!r}")
    for name in values:
        if name not in known:
            there = f"are {', '.join(known)}" if known else "is none"
            raise InputError(f"no {what} {name!r}; there {there}")


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


def check_precision(value) -> str:
    """ "float64" or "float32", else InputError."""
    if not isinstance(value, str) or value not in PRECISIONS:
        raise InputError(f'precision must be "float64" or "float32", got {value!r}')
    return value


def numbers_of(name, array) -> np.ndarray:
    """A contiguous array of doubles; TypeError where they are no numbers."""
    array = np.asarray(array)
    if array.dtype.kind not in "fiu" and array.size:
        raise TypeError(f"{name} must be numbers, got {array.dtype}")
    return np.ascontiguousarray(array, dtype=float)


def gain_place(potential, gate: str, part: int) -> tuple[int, int]:
    """(number of the gate, part) for a gain; InputError for a gate that does not exist, a part that it has not."""
    names = [g["name"] for g in potential.description["program"]["gates"]]
    if gate not in names:
        raise InputError(f"no gate {gate!r} in the program; there are {', '.join(names)}")
    if isinstance(part, bool) or not isinstance(part, Integral):
        raise InputError(f"part must be a whole number, got {part!r}")
    n_parts = len(potential._core.slots()[names.index(gate)][2])
    if not 0 <= part < n_parts:
        raise InputError(f"part must be from 0 to {n_parts - 1}, got {part!r}")
    return names.index(gate), int(part)
