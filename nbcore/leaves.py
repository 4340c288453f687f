"""Leaf states beside the elements: per-atom data that a network reads (charges, dipoles, spins, an external field)."""

import numpy as np

from nbcore.errors import InputError


def leaf_types(potential) -> dict[str, tuple[int, int]]:
    """{name: (l, channels)} of the leaf states that a potential's program reads."""
    gates = potential.description["program"]["gates"]
    return {g["name"]: (g.get("l", 0), g.get("channels", 1)) for g in gates if g["gate"] == "leaf"}


def leaves_of(potential, arrays, n: int) -> dict[str, np.ndarray]:
    """The leaf states among per-atom arrays as the C++ core wants them, {name: (N, 2l+1, channels)}.

    l = 0: (N,) or (N, channels). l = 1: vectors (N, 3) or (N, 3, channels), Cartesian x, y, z; the core's order is
    y, z, x. Larger l: (N, 2l+1, channels), m = -l..l. Names that the network does not read are passed over. Raises
    InputError for a wrong shape; what is missing is the core's to say.
    """
    found = {}
    for name, (l, channels) in leaf_types(potential).items():
        if name not in arrays:
            continue
        array = np.asarray(arrays[name], dtype=float)
        if array.size != n * (2 * l + 1) * channels or len(array) != n:
            raise InputError(
                f'leaf state "{name}": expected {2 * l + 1} x {channels} numbers for each of {n} atoms, '
                f"got an array of shape {array.shape}"
            )
        array = array.reshape(n, 2 * l + 1, channels)
        found[name] = array[:, [1, 2, 0]] if l == 1 else array
    return found
