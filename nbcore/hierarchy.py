"""Energies by level, as HIP-NN has them: which potentials have them, and how they fall from level to level."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nbcore._threads import threads as number_of_threads
from nbcore.arguments import check_max_bytes, check_structure
from nbcore.errors import InputError
from nbcore.leaves import leaves_of

if TYPE_CHECKING:
    from nbcore.potential import Potential


def check_levels(potential: "Potential", who: str) -> None:
    """InputError, in the name of `who`, where the energy of an atom is not a sum over levels."""
    if potential._core.has_energies_by_level:
        return
    preset = potential.description.get("preset")
    raise InputError(
        f"{who}: {'the network' if preset is None else preset} has no energies by level: that takes two readouts or "
        "more, each of the atoms, each of a level of its own, as hipnn, hipnn_ts and hiphop have from levels = 2 on"
    )


def hierarchicality(potential: "Potential", positions: ArrayLike, species: Sequence | np.ndarray,
                    cell: ArrayLike | None = None, pbc: ArrayLike = False, threads: int | None = None,
                    leaves: dict | None = None, max_bytes: float | None = None) -> np.ndarray:  # fmt: skip
    """How far the energy of each atom is from falling from level to level, (N,), without unit: an uncertainty.

    r_i = sum over n = 1 ... L of E_in^2 / (E_in^2 + E_i(n-1)^2), 0/0 = 0, with E_in the energy of level n of L of atom
    i, and E_i0 its E0 (Lubbers, Smith, Barros, J. Chem. Phys. 148 (2018) 241715). It lies between 0 and L; near 0 each
    level is a small correction to the one before. The sum over atoms is the R of a structure, the mean what
    `nbcore.train.Loss.hierarchicality_weight` is for. It has no scale of errors, unlike `compute` with uncertainty.

    Arguments and errors as of `compute`; InputError where a network has no energies by level.

    >>> pot = nbcore.presets.hipnn(species=["H", "O"], cutoff=4.0, channels=8, E0s={"H": -13.6, "O": -2041.0})
    >>> pot.hierarchicality([[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24]], ["O", "H", "H"]).shape
    (3,)
    """
    check_levels(potential, "hierarchicality")
    positions, numbers, cell, pbc = check_structure(positions, species, cell, pbc)
    more = None, leaves_of(potential, leaves or {}, len(positions)), check_max_bytes(max_bytes)
    return potential._core.hierarchicality(positions, numbers, cell, pbc, number_of_threads(threads), *more)
