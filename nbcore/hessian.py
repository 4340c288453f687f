"""Second derivatives of the energy: how forces and virial change when atoms move and space is strained."""

from typing import NamedTuple

import numpy as np

from nbcore import _core
from nbcore._threads import threads as number_of_threads
from nbcore.arguments import numbers_of
from nbcore.errors import InputError
from nbcore.leaves import leaves_of


class HessianProduct(NamedTuple):
    """What `Potential.hvp` says of one direction, or of K directions with K as the first axis."""

    product: np.ndarray  #: (N, 3) or (K, N, 3): H v, eV/Angstrom^2 times the unit of v; forces change by -H v
    virial: np.ndarray  #: (3, 3) or (K, 3, 3): the change of the virial


def hessian_product(potential, structure, vectors, strain, threads, scheme, leaves) -> HessianProduct:
    """The products of a checked structure (positions, numbers, cell, pbc), see `Potential.hvp`."""
    positions, numbers, cell, pbc = structure
    n = len(positions)
    if vectors is None and strain is None:
        raise InputError("hvp needs vectors (N, 3), a strain (3, 3), or both")
    vectors = np.zeros((n, 3)) if vectors is None else _finite("vectors", vectors)
    strain = np.zeros((3, 3)) if strain is None else _finite("strain", strain)
    if vectors.ndim not in (2, 3) or vectors.shape[-2:] != (n, 3):
        raise InputError(f"vectors must have shape ({n}, 3) or (K, {n}, 3), got {vectors.shape}")
    if strain.ndim not in (2, 3) or strain.shape[-2:] != (3, 3):
        raise InputError(f"strain must have shape (3, 3) or (K, 3, 3), got {strain.shape}")
    single = vectors.ndim == 2 and strain.ndim == 2
    vectors = vectors[None] if vectors.ndim == 2 else vectors
    strain = strain[None] if strain.ndim == 2 else strain
    if len(vectors) != len(strain) and 1 not in (len(vectors), len(strain)):
        raise InputError(f"as many strains as vectors are needed, or one: got {len(strain)} and {len(vectors)}")
    count = max(len(vectors), len(strain)) if len(vectors) and len(strain) else 0
    forces, virials = _core.hessian_products(
        potential._core,
        positions,
        numbers,
        cell,
        pbc,
        np.broadcast_to(vectors, (count, n, 3)),
        np.broadcast_to(strain, (count, 3, 3)),
        number_of_threads(threads),
        None if scheme is None else scheme.core,
        leaves_of(potential, leaves or {}, n),
    )
    return HessianProduct(-forces[0], virials[0]) if single else HessianProduct(-forces, virials)


def hessian(potential, structure, threads, scheme, leaves) -> np.ndarray:
    """(N, 3, N, 3), see `Potential.hessian`."""
    n = len(structure[0])
    directions = np.eye(3 * n).reshape(3 * n, n, 3)
    return hessian_product(potential, structure, directions, None, threads, scheme, leaves).product.reshape(n, 3, n, 3)


def _finite(name, array) -> np.ndarray:
    array = numbers_of(name, array)
    if not np.all(np.isfinite(array)):
        raise InputError(f"{name}: a number is not finite")
    return array
