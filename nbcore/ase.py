"""Potentials in ASE: `atoms.calc = NBCoreCalculator("acac.nbcore")`."""

import os

import numpy as np

from nbcore import _extras

_extras.require("nbcore.ase", ["ase"])

from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from nbcore import threads as number_of_threads
from nbcore.cell import volume
from nbcore.evaluator import Evaluator
from nbcore.model_file import read_description
from nbcore.potential import Potential


class NBCoreCalculator(Calculator):
    """Energy, forces, stress and energies per atom of an nbcore potential, for ASE.

    potential: the path of a model file, evaluated over the C interface; or a nbcore.Potential, whose parameters may go
    on changing. threads: at most so many; default `nbcore.threads()`. max_bytes: memory that an evaluation may take,
    see `nbcore.Potential.bytes_per_atom`; None for no bound.

    For potentials given by their path (TypeError for others). precision: "float64", the default, or "float32" for about
    twice the speed; a nbcore.Potential has a precision of its own. skin: Angstrom, 0.5 by default; neighbours are
    searched for within cutoff + skin and kept while atoms move less than half of it. The results have the same bits
    with any skin; 0 searches at every step.

    scheme: the composition scheme of a potential that works on one. It is made from the atoms of the first calculation
    (and their labels, `atoms.arrays`) and held while they move; `calculator.scheme = None` makes it anew.

    Leaf states that a potential reads are per-atom arrays of their names, `atoms.new_array("charge", q)`.

    Units are eV, Angstrom, eV/Angstrom^3; the energy holds the E0s, and free_energy is the same number. The stress has
    the sign and the Voigt order of ASE and refers to the volume of the cell, periodic or not; without one,
    PropertyNotImplementedError. An element that the potential does not know raises nbcore.errors.SpeciesError.
    Copies and pickles of a calculator that was made from a path read that file again.

    >>> atoms.calc = NBCoreCalculator("molecule.nbcore")
    >>> atoms.get_potential_energy(), atoms.get_forces()
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]
    ignored_changes = {"initial_charges", "initial_magmoms"}

    def __init__(self, potential, threads=None, precision=None, skin=None, max_bytes=None):
        super().__init__()
        is_path = isinstance(potential, (str, os.PathLike))
        given = {name: x for name, x in (("precision", precision), ("skin", skin)) if x is not None}
        for name, x in given.items() if not is_path else ():
            raise TypeError(
                f"NBCoreCalculator: {name}={x!r} goes with the path of a model file; got a "
                f"{type(potential).__name__}" + ("" if name == "skin" else ", whose own `precision` can be set")
            )
        self.potential = Evaluator(potential, max_bytes=max_bytes, **given) if is_path else potential
        program = read_description(potential)["program"] if is_path else {}
        if program.get("sets") or any(gate["gate"] == "leaf" for gate in program.get("gates", [])):
            self.potential = Potential.load(potential)
            self.potential.precision = given.get("precision", "float64")
        self.threads, self.max_bytes = threads, max_bytes
        self.scheme = None
        self._parameters = None

    def check_state(self, atoms, tol=0.0):
        """What has changed since the last calculation: anything in the atoms, or the parameters of the potential."""
        changes = super().check_state(atoms, tol=tol)
        if self._parameters is not None and not np.array_equal(self._parameters, self.potential.parameters):
            changes = changes or ["parameters"]
        return changes

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Evaluates the potential; called by ASE when a result is asked for that is not there."""
        super().calculate(atoms, properties, system_changes)
        v = volume(self.atoms.cell.array)
        if "stress" in properties and not v:
            raise PropertyNotImplementedError(
                "stress needs a cell with a volume: three vectors that do not lie in a plane, periodic or not."
            )
        energy, energies, forces, virial = self._evaluate(self.atoms)
        self.results = {"energy": energy, "free_energy": energy, "energies": energies, "forces": forces}
        if v:
            self.results["stress"] = full_3x3_to_voigt_6_stress(-virial / v)

    def _evaluate(self, atoms):
        """Energy, energies per atom, forces, virial of a structure."""
        positions, cell, threads = atoms.positions, atoms.cell.array, number_of_threads(self.threads)
        if isinstance(self.potential, Evaluator):
            energies, forces, virial = np.empty(len(atoms)), np.empty((len(atoms), 3)), np.empty((3, 3))
            numbers = atoms.numbers.astype(np.intc)
            pbc = atoms.pbc.tolist()
            energy = self.potential.evaluate(positions, numbers, cell, pbc, forces, virial, energies, threads)
            return energy, energies, forces, virial
        if self.potential.has_parts and (self.scheme is None or self.scheme.n_atoms != len(atoms)):
            self.scheme = self.potential.scheme(positions, cell, atoms.pbc, atoms.arrays)
        r = self.potential.compute(
            positions, atoms.numbers, cell=cell, pbc=atoms.pbc, threads=threads, scheme=self.scheme,
            leaves=atoms.arrays, max_bytes=self.max_bytes,
        )  # fmt: skip
        self._parameters = self.potential.parameters.copy()
        return r.energy, r.energies, r.forces, r.virial
