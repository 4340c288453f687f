"""The volume of a cell, to which a stress refers."""

import numpy as np

FLAT = 1e-12  # of the product of the vectors' lengths: below it a cell is flat


def volume(cell) -> float:
    """Of a cell (3, 3) whose rows are its vectors, periodic or not, as in ASE: |det|, Angstrom^3.

    0 for None, for vectors that span no volume, and where it is beyond the range of numbers.

    >>> round(volume([[2, 0, 0], [0, 1, 0], [0, 0, -4]]), 9), volume([[2, 0, 0], [0, 3, 0], [1, 1, 0]]), volume(None)
    (8.0, 0.0, 0.0)
    """
    if cell is None:
        return 0.0
    cell = np.asarray(cell, dtype=float)
    unit = np.abs(cell).max(initial=0.0)
    if not 0 < unit < np.inf:
        return 0.0
    with np.errstate(over="ignore", under="ignore"):
        size = float(abs(np.linalg.det(cell)))
        lengths = np.linalg.norm(cell / unit, axis=1)
        flat = abs(np.linalg.det(cell / unit)) <= FLAT * np.prod(lengths)
    return 0.0 if flat or not np.isfinite(size) else size
