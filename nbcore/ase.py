"""Potentials in ASE: `atoms.calc = NBCoreCalculator("acac.nbcore")`."""

import os

import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from nbcore.potential import Potential


class NBCoreCalculator(Calculator):
    """Energy, forces, stress and energies per atom of an nbcore potential, for ASE.

    potential: the path of a model file, or a nbcore.Potential, whose parameters may go on changing.
    threads: at most so many; default `nbcore.threads()`.

    Units are eV, Angstrom, eV/Angstrom^3; the energy holds the E0s, and free_energy is the same number. The stress has
    the sign and the Voigt order of ASE; asking for it raises PropertyNotImplementedError unless the structure is
    periodic in all three directions. An element that the potential does not know raises nbcore.errors.SpeciesError.

    >>> atoms.calc = NBCoreCalculator("acac.nbcore")
    >>> atoms.get_potential_energy(), atoms.get_forces()
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]
    ignored_changes = {"initial_charges", "initial_magmoms"}

    def __init__(self, potential, threads=None):
        super().__init__()
        self.threads = threads
        self.path = os.path.abspath(potential) if isinstance(potential, (str, os.PathLike)) else None
        self.potential = potential if self.path is None else Potential.load(self.path)
        self._parameters = None

    def check_state(self, atoms, tol=0.0):
        """What has changed since the last calculation: anything in the atoms, or the parameters of the potential."""
        changes = super().check_state(atoms, tol=tol)
        if self.path is None and self._parameters is not None:
            if not np.array_equal(self._parameters, self.potential.parameters):
                changes = changes or ["parameters"]
        return changes

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Evaluates the potential; called by ASE when a result is asked for that is not there."""
        super().calculate(atoms, properties, system_changes)
        periodic = bool(self.atoms.pbc.all())
        if "stress" in properties and not periodic:
            pbc = " ".join("FT"[int(p)] for p in self.atoms.pbc)
            raise PropertyNotImplementedError(
                f"stress needs a cell that is periodic in all three directions; this structure has pbc = {pbc}."
            )
        a = self.atoms
        r = self.potential.compute(a.positions, a.numbers, cell=a.cell.array, pbc=a.pbc, threads=self.threads)
        if self.path is None:
            self._parameters = self.potential.parameters.copy()
        self.results = {
            "energy": r.energy,
            "free_energy": r.energy,
            "energies": np.array(r.energies),
            "forces": np.array(r.forces),
        }
        if periodic:
            self.results["stress"] = full_3x3_to_voigt_6_stress(r.stress)

    def __getstate__(self):
        """A calculator made from a path is that path again where it is unpickled; one of a Potential takes it along."""
        state = self.__dict__.copy()
        if self.path is not None:
            del state["potential"]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        if self.path is not None:
            self.potential = Potential.load(self.path)
