"""What a potential says of a structure."""

from typing import NamedTuple

import numpy as np

from nbcore.cell import volume


class Uncertainty(NamedTuple):
    """How large the errors of a Result are expected to be."""

    energy: float  #: eV
    forces: np.ndarray  #: (N,) eV/Angstrom, root mean square over the components of an atom
    grades: np.ndarray | None  #: (N,) extrapolation grades, 1 at the edge of the training data; None for a committee


class Result(NamedTuple):
    """What a potential says of a structure. All arrays are the caller's own; without an energy five are None."""

    energy: float | None  #: eV, reference energies E0 included
    forces: np.ndarray | None  #: (N, 3) eV/Angstrom, -dE/dr
    virial: np.ndarray | None  #: (3, 3) eV, -dE/d(strain) = sum of r (x) f
    stress: (
        np.ndarray | None
    )  #: (3, 3) eV/Angstrom^3, -virial/volume, tension positive; None where the cell has no volume
    energies: np.ndarray | None  #: (N,) eV per atom, E0 included
    outputs: dict[str, np.ndarray] = {}  #: covariant outputs, Cartesian: "dipole" (3,); (N, 3, 3) for one per atom
    uncertainty: Uncertainty | None = None  #: where it was asked for
    virials: np.ndarray | None = None  #: (N, 3, 3) eV per atom, where they were asked for; their sum is `virial`


def result_of(potential, computed, cell) -> Result:
    """A Result from what the core computed: energy, forces, virial, energies, components of outputs."""
    energy, forces, virial, energies, components, of_errors, _, virials = computed
    outputs = potential.cartesian(components, len(energies))
    if not potential.has_energy:
        return Result(None, None, None, None, None, outputs)
    v = volume(cell)
    stress = -virial / v if v else None
    uncertainty = None
    if of_errors is not None:
        of_energy, of_forces, grades = of_errors
        uncertainty = Uncertainty(of_energy, of_forces, grades if len(grades) == len(of_forces) else None)
    return Result(energy, forces, virial, stress, energies, outputs, uncertainty, virials)
