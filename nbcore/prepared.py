"""Structures with their neighbours, for several potentials that look at the same neighbourhoods."""

from dataclasses import dataclass

import numpy as np

from nbcore import _core


@dataclass(frozen=True)
class PreparedStructure:
    """A structure with its neighbours, blocks and parts, made by `Potential.prepare`; it does not change any more."""

    core: _core.PreparedStructure
    cell: np.ndarray  #: (3, 3) Angstrom
    n_atoms: int

    def __len__(self) -> int:
        return self.n_atoms
