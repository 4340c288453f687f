"""The functions of the distance that a radial network spans, and the few of them that matter.

A network of 64 hidden numbers weighs hundreds of paths and channels, w(r) = h(r) M. On the distances that occur these
are combinations of some dozen functions g = h U, with U from a singular-value decomposition of h M and its slopes: M is
nearly U V. Gates then contract a dozen functions in the place of 64.
"""

import numpy as np

from nbcore.errors import InputError

FROM, POINTS = 0.1, 600  # of the cutoff: where distances begin that count; how many are looked at


def principal_functions(layers: list[np.ndarray], basis, cutoff: float, error: float) -> tuple[list, float]:
    """A network with a linear last layer of as few functions as `error` allows, and the error that is left.

    layers: matrices with silu between them, the last one to the weights. basis: function r -> (functions,), complex r
    too. error: largest difference of a weight, and of its slope times the cutoff, relative to the largest of all at
    this or a larger distance (the outer half at least). Raises InputError where error is no number above 0.
    """
    if not error > 0:
        raise InputError(f"error must be above 0, got {error}")
    r = np.linspace(FROM * cutoff, cutoff, POINTS)[:-1]
    h = _hidden(layers[:-1], np.array([basis(x) for x in r + 1e-20j]))
    values, slopes = h.real, h.imag / 1e-20 * cutoff
    last = layers[-1]
    both = np.concatenate([values @ last, slopes @ last])
    # each row in units of the largest number from there on, so that far away counts as much as near
    size = np.concatenate([_outward(part, r > 0.5 * cutoff) for part in np.split(np.abs(both).max(axis=1), 2)])
    _, _, V = np.linalg.svd(both / size[:, None], full_matrices=False)
    for n in range(1, len(V) + 1):
        left = both - (both @ V[:n].T) @ V[:n]
        found = float((np.abs(left).max(axis=1) / size).max())
        if n == len(last) or found <= error:
            break
    return [*layers[:-1], last @ V[:n].T, V[:n]], found


def _outward(size, outer):
    largest = np.maximum.accumulate(size[::-1])[::-1]
    return np.maximum(largest, largest[outer].max())


def _hidden(layers, h):
    for matrix in layers:
        h = h @ matrix
        h = h / (1 + np.exp(-h))
    return h
