"""Which components of positions a structure file holds fixed: FixAtoms, FixCartesian, selective dynamics, move_mask."""

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian, FixScaled

from nbcore.errors import InputError


def fixed_components(atoms: Atoms) -> np.ndarray:
    """(N, 3) booleans, True for components that the constraints of `atoms` hold.

    Raises InputError for constraints of another kind (bond lengths, planes, lines, symmetry): none is dropped.

    >>> from ase.build import molecule
    >>> water = molecule("H2O")
    >>> water.set_constraint([FixAtoms([0]), FixCartesian([1], mask=[False, False, True])])
    >>> fixed_components(water).astype(int).tolist()
    [[1, 1, 1], [0, 0, 1], [0, 0, 0]]
    """
    fixed = np.zeros((len(atoms), 3), dtype=bool)
    for constraint in atoms.constraints:
        kind = type(constraint).__name__
        if isinstance(constraint, FixAtoms):
            fixed[constraint.index] = True
        elif isinstance(constraint, FixCartesian):
            fixed[constraint.index] |= constraint.mask
        elif isinstance(constraint, FixScaled) and (constraint.mask.all() or _along_axes(atoms.cell.array)):
            fixed[constraint.index] |= constraint.mask
        elif isinstance(constraint, FixScaled):
            raise InputError(
                "the structure fixes atoms along vectors of a cell that is not orthogonal to x, y, z (selective "
                "dynamics); nbcore holds whole atoms and Cartesian components. Fix all three, or none."
            )
        else:
            raise InputError(
                f"the structure has a constraint {kind}; nbcore holds FixAtoms and FixCartesian. Remove it "
                "(atoms.set_constraint()), or use ASE with nbcore.ase.NBCoreCalculator."
            )
    return fixed


def constraints_of(fixed: np.ndarray) -> list:
    """The constraints of ASE that hold these components, each atom in one of them.

    >>> constraints_of(np.array([[True, True, True], [False, False, True], [False, False, False]]))
    [FixAtoms(indices=[0]), FixCartesian(indices=[1], [False, False, True])]
    """
    kinds = [mask for mask in np.unique(fixed, axis=0)[::-1] if mask.any()]
    atoms = [np.flatnonzero((fixed == mask).all(axis=1)) for mask in kinds]
    return [
        FixAtoms(indices=index) if mask.all() else FixCartesian(index, mask=mask)
        for mask, index in zip(kinds, atoms, strict=True)
    ]


def fixed_text(atoms: Atoms) -> str:
    """ "4 of 12 atoms are fixed, 2 more in some directions", "" where nothing is fixed."""
    count = fixed_components(atoms).sum(axis=1)
    whole, partly = int(np.sum(count == 3)), int(np.sum((count > 0) & (count < 3)))
    if not whole + partly:
        return ""
    if not whole:
        return f"{partly} of {len(atoms)} atoms are fixed in some directions"
    return f"{whole} of {len(atoms)} atoms are fixed" + (f", {partly} more in some directions" if partly else "")


def _along_axes(cell):
    return np.count_nonzero(np.abs(cell - np.diag(np.diag(cell))) > 1e-12) == 0
