"""What weights of e3nn mean, in nbcore's terms: its linear layers, its couplings, its functions of unit second moment.

e3nn (MIT) keeps the real harmonics that nbcore has, of axes (y, z, x): a rotation apart, which no energy sees.
"""

import functools
from collections.abc import Mapping

import numpy as np

from nbcore.errors import InputError
from nbcore.so3 import real_clebsch_gordan

#: the factors of nbcore's own functions (ops/activations.hpp)
OURS = {"silu": 1.6790, "tanh": 1.5925, "ssp": 1.8756, "softplus": 1.0419}
#: 1 / RMS of f(x), x normal, as e3nn estimates them from a million random numbers, seed 0
THEIRS = {"silu": 1.6791767923989418, "tanh": 1.5937334472592695, "ssp": 1.878204668541552}

Irreps = list[tuple[int, int, int]]  #: (multiplicity, l, parity)


def irreps(text: str) -> Irreps:
    """The parts that e3nn writes as "6x0e+4x1o", in this order.

    >>> irreps("6x0e+1o")
    [(6, 0, 1), (1, 1, -1)]
    """
    found = []
    for part in text.replace(" ", "").split("+"):
        number, _, kind = part.rpartition("x")
        if not (kind[:-1].isdigit() and kind[-1:] in ("e", "o") and (number or "1").isdigit()):
            raise InputError(f"{text!r}: expected irreps such as 32x0e+16x1o")
        found.append((int(number or 1), int(kind[:-1]), 1 if kind[-1] == "e" else -1))
    return found


def linear(where: str, weights: np.ndarray, inputs: Irreps, outputs: Irreps) -> dict:
    """{(l, parity): matrix (channels in, channels out)} of `o3.Linear`, its factors included; parts of one type joined.

    Channels stand in the order of the parts. Raises InputError for another number of weights.
    """
    return tensor_linear(where, weights, inputs, 1, outputs, lambda w, _: w[:, 0])


def fully_connected(where: str, weights: np.ndarray, inputs: Irreps, attributes: np.ndarray, outputs: Irreps) -> dict:
    """{(l, parity): (classes, channels in, channels out)} of a tensor product with scalars that each class has its own
    of, `attributes` (classes, scalars): an element's embedding, or its place in a one-hot row."""
    n = attributes.shape[1]
    return tensor_linear(where, weights, inputs, n, outputs, lambda w, _: np.einsum("za,uav->zuv", attributes, w))


def tensor_linear(where, weights, inputs, n, outputs, of_path) -> dict:
    """Matrices of all parts from weights (channels in, n, channels out) of each pair of equal parts, in order."""
    pairs = [(i, o) for i, a in enumerate(inputs) for o, b in enumerate(outputs) if a[1:] == b[1:]]
    sizes = [inputs[i][0] * n * outputs[o][0] for i, o in pairs]
    if weights.size != sum(sizes):
        raise InputError(f"{where}: expected {sum(sizes)} weights, got {weights.size}")
    rows = {key: _places(inputs, key) for key in {p[1:] for p in inputs}}
    columns = {key: _places(outputs, key) for key in {p[1:] for p in outputs}}
    result, at = {}, 0
    for (i, o), size in zip(pairs, sizes, strict=True):
        key = inputs[i][1:]
        fan_in = n * sum(inputs[k][0] for k, other in pairs if other == o)
        block = of_path(weights[at : at + size].reshape(inputs[i][0], n, outputs[o][0]), key) / np.sqrt(fan_in)
        at += size
        if key not in result:
            result[key] = np.zeros((*block.shape[:-2], rows[key][-1], columns[key][-1]))
        (r, r_end), (c, c_end) = _range(inputs, i), _range(outputs, o)
        result[key][..., r:r_end, c:c_end] = block
    return result


def _places(parts, key):
    return np.cumsum([0] + [part[0] for part in parts if part[1:] == key])


def _range(parts, index):
    """Where a part begins and ends among those of its type."""
    begin = sum(part[0] for part in parts[:index] if part[1:] == parts[index][1:])
    return begin, begin + parts[index][0]


def sign(l1: int, l2: int, l3: int, couplings: Mapping[tuple, np.ndarray]) -> float:
    """1 or -1: e3nn's coupling tensor, from the file (`couplings`: (l1, l2, l3) -> array), against nbcore's.

    A tensor with an l of zero is not in files: e3nn has a positive unit matrix there. Raises InputError where the two
    differ by more than a sign, or the file lacks one.
    """
    ours = _coupling(l1, l2, l3)
    if 0 in (l1, l2, l3):
        theirs = np.eye(max(2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1)).reshape(ours.shape)
        theirs = theirs / np.linalg.norm(theirs)
    elif (l1, l2, l3) in couplings:
        theirs = np.asarray(couplings[l1, l2, l3], dtype=float)
    else:
        raise InputError(f"the coupling tensor of l = {l1}, {l2} and {l3} is not in the file, and its sign not known")
    for factor in (1.0, -1.0):
        if theirs.shape == ours.shape and np.allclose(theirs, factor * ours, atol=1e-6):
            return factor
    raise InputError(f"the coupling tensor of l = {l1}, {l2} and {l3} in the file is none that nbcore knows")


@functools.cache
def _coupling(l1, l2, l3):
    return real_clebsch_gordan(l1, l2, l3) / np.sqrt(2 * l3 + 1)
