"""Structures with their neighbours, for several potentials that look at the same neighbourhoods."""

from dataclasses import dataclass

import numpy as np

from nbcore import _core
from nbcore._threads import threads as number_of_threads
from nbcore.errors import InputError


@dataclass(frozen=True)
class PreparedStructure:
    """A structure with its neighbours, blocks and parts, made by `Potential.prepare`; it does not change any more."""

    core: _core.PreparedStructure
    cell: np.ndarray  #: (3, 3) Angstrom, read-only
    n_atoms: int

    def __post_init__(self):
        cell = np.array(self.cell)  # of its own: the caller may go on writing to his
        cell.flags.writeable = False
        object.__setattr__(self, "cell", cell)

    def compute(self, core, threads, max_bytes):
        """What the core of a potential says of it; InputError with max_bytes, as the whole graph is there already."""
        if max_bytes is not None:
            raise InputError("max_bytes: a prepared structure holds its whole graph already; give it as it is")
        return core.compute_prepared(self.core, number_of_threads(threads))

    def __len__(self) -> int:
        return self.n_atoms
