"""Arrays of another program's network by its own names, each of which is taken once."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from nbcore.errors import InputError


class PeerWeights(dict):
    """{name: array of doubles}; what nobody takes is refused in the end, as nbcore does not know what it does.

    program: how messages name the program.
    """

    def __init__(self, program: str, weights: Mapping[str, ArrayLike]):
        super().__init__({key: np.asarray(value, dtype=float) for key, value in weights.items()})
        self.program = program

    def take(self, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """The array of this name, which is then gone; InputError where it is not there, or of another shape."""
        if name not in self:
            raise InputError(f"{self.program}: there are no weights {name}.")
        found = self.pop(name)
        if shape is not None and found.shape != shape:
            raise InputError(f"{self.program}: {name}: expected {shape}, got {found.shape}.")
        return found

    def finish(self) -> None:
        """InputError where something is left."""
        if self:
            raise InputError(f"{self.program}: weights {', '.join(self)}: nbcore does not know what they do.")
