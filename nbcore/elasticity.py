"""Elastic constants: how the stress of a crystal answers to strain, from second derivatives of the energy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nbcore.arguments import check_structure
from nbcore.errors import InputError

if TYPE_CHECKING:
    from nbcore.committee import Committee
    from nbcore.potential import Potential
    from nbcore.scheme import CompositionScheme

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # xx, yy, zz, yz, xz, xy, as in ASE
SOFT = 1e-10  # of the largest eigenvalue of the Hessian: what is softer does not bind atoms to their places


class ElasticConstants(NamedTuple):
    """d sigma_a / d eps_b in Voigt order xx, yy, zz, yz, xz, xy, shears eps_yz counted twice; (6, 6) eV/Angstrom^3."""

    relaxed: np.ndarray  #: atoms follow the strain to where their forces are again what they were: what is measured
    clamped: np.ndarray  #: atoms keep their fractions of the cell


def elastic_constants(potential: "Potential | Committee", positions: ArrayLike, species: Sequence | np.ndarray,
                      cell: ArrayLike, pbc: ArrayLike = True, threads: int | None = None,
                      scheme: "CompositionScheme | None" = None,
                      leaves: dict | None = None) -> ElasticConstants:  # fmt: skip
    """Elastic constants of a crystal, exact second derivatives: 6 strains, and the Hessian for the relaxed ones.

    With the Hessian H, the forces F and the Cauchy stress sigma = -W / V, atoms move along u(b) under the strain b, and

        C_ab = (d sigma_a / d eps_b) + (d sigma_a / d r) . u(b),      H u(b) = d F / d eps_b

    (M. Born and K. Huang, Dynamical Theory of Crystal Lattices, 1954, section 11). They are the elastic constants where
    forces and stress are zero: relax atoms and cell first. Under stress they are the stress-strain coefficients, which
    say how the stress changes, and are not symmetric. A crystal of N atoms takes 3 N + 12 tangent sweeps.

    Raises InputError where the crystal is not periodic in three directions, where H does not determine how the atoms
    follow (they can move at no cost, other than together), and what `Potential.hvp` raises.

    >>> pot = nbcore.presets.nbody(species=["Si"], cutoff=4.5, channels=8)
    >>> cell = 2.7 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    >>> C = elastic_constants(pot, [[0, 0, 0], [1.35, 1.35, 1.35]], ["Si", "Si"], cell)
    >>> C.relaxed.shape, bool(np.isclose(C.relaxed[0, 1], C.relaxed[2, 0]))
    ((6, 6), True)
    """
    positions, numbers, cell, pbc = check_structure(positions, species, cell, pbc)
    if not all(pbc):
        raise InputError("elastic constants are those of a crystal, periodic in three directions")
    n = len(positions)
    if n == 0:
        raise InputError("elastic constants of a crystal without atoms")
    volume = abs(np.linalg.det(cell))
    structure = {"cell": cell, "pbc": pbc, "threads": threads, "scheme": scheme, "leaves": leaves}
    more = {key: value for key, value in structure.items() if key not in ("cell", "pbc")}
    strains = np.zeros((6, 3, 3))
    for k, (i, j) in enumerate(VOIGT):
        strains[k, i, j] += 0.5
        strains[k, j, i] += 0.5
    virial = potential.compute(positions, numbers, cell, pbc, **more).virial
    of_strain = potential.hvp(positions, numbers, None, strain=strains, **structure)
    clamped = -of_strain.virial + virial * np.trace(strains, axis1=1, axis2=2)[:, None, None]
    H = potential.hessian(positions, numbers, cell, pbc, **more).reshape(3 * n, 3 * n)
    u = _displacements(H, of_strain.product.reshape(6, 3 * n))
    relaxed = clamped - potential.hvp(positions, numbers, u.reshape(6, n, 3), **structure).virial
    return ElasticConstants(*(np.stack([x[:, i, j] for i, j in VOIGT]) / volume for x in (relaxed, clamped)))


def _displacements(H, forces):
    """u of H u = -forces, row by row, that do not move all atoms together."""
    n = len(H) // 3
    values, vectors = np.linalg.eigh((H + H.T) / 2)
    largest = np.abs(values).max(initial=0)
    together = np.tile(np.eye(3), n) / np.sqrt(n)
    soft = np.abs(values) <= SOFT * largest
    if soft.sum() > 3:
        raise InputError(
            f"{int(soft.sum()) - 3} motions of the atoms cost no energy, other than those of all together: relaxed "
            "elastic constants do not exist for this structure"
        )
    components = np.where(soft, 0, forces @ vectors / np.where(soft, 1, values))
    u = -(components @ vectors.T)
    return u - u @ together.T @ together
