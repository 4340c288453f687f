"""Potentials in ASE: `atoms.calc = NBCoreCalculator("acac.nbcore")`."""

import os
from collections.abc import Sequence

import numpy as np

from nbcore import _extras

_extras.require("nbcore.ase", ["ase"])

from typing import TYPE_CHECKING

from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from nbcore import threads as number_of_threads
from nbcore.cell import volume
from nbcore.committee import Committee, load
from nbcore.errors import InputError
from nbcore.evaluator import Evaluator
from nbcore.leaves import leaf_types
from nbcore.model_file import read_description
from nbcore.potential import Potential
from nbcore.result import Uncertainty
from nbcore.scheme import labels_of

if TYPE_CHECKING:
    from ase import Atoms

    from nbcore.scheme import CompositionScheme


UNCERTAINTIES = {"energy_uncertainty", "forces_uncertainty", "grades"}


class NBCoreCalculator(Calculator):
    """Energy, forces, stress and energies per atom of an nbcore potential, for ASE.

    potential: the path of a model file, of a potential or a committee, evaluated over the C interface; or a
    nbcore.Potential or nbcore.Committee, whose parameters may go on changing. threads: at most so many; default
    `nbcore.threads()`. max_bytes: memory that an evaluation may take, see `nbcore.Potential.bytes_per_atom`; None for
    no bound.

    For potentials given by their path (TypeError for others). precision: "float64", the default, or "float32" for about
    twice the speed; a nbcore.Potential has a precision of its own. skin: Angstrom, 0.5 by default; neighbours are
    searched for within cutoff + skin and kept while atoms move less than half of it. The results have the same bits
    with any skin; 0 searches at every step.

    scheme: the composition scheme of a potential that works on one. It is made from the atoms of the first calculation
    (and their labels, `atoms.arrays`) and held while they move; other elements, labels or boundary conditions make it
    anew, and so does `calculator.scheme = None`. One that is assigned is held.

    Leaf states that a potential reads are per-atom arrays of their names, `atoms.new_array("charge", q)`.

    Units are eV, Angstrom, eV/Angstrom^3; the energy holds the E0s, and free_energy is the same number. The stress has
    the sign and the Voigt order of ASE and refers to the volume of the cell, periodic or not; without one,
    PropertyNotImplementedError. `atoms.get_stresses()` are those of the atoms, (N, 6), -virial / volume of each: their
    sum is the stress, as of ase.calculators.lj (the ideal-gas part that ASE adds on demand is per V / N, and does not
    add up so). An element that the potential does not know raises nbcore.errors.SpeciesError.
    A calculator made from a path keeps to that model, whatever the current folder becomes; its pickles read the file
    again and raise ModelFileError if another model stands there.

    Results are kept until something that decides them changes: positions, cell, periodicity, elements, arrays that the
    potential reads, or the potential itself, by one bit. Energies, forces and stress are computed together, stresses of
    atoms and uncertainties when they are first asked for. A calculator serves one thread at a time, as all of ASE's do;
    copies (`copy.deepcopy`) may work side by side, over one model where it was given by its path; pickles go to
    other processes.

    Models that know their errors (`nbcore uncertainty`) have the properties energy_uncertainty (eV), forces_uncertainty
    (N,), the RMS error expected of a component on each atom, eV/Angstrom, and, unless they are committees, grades (N,),
    which are larger than 1 beyond the training data. With uncertainty=True they are in the results of every
    calculation, else they are computed when they are asked for; others raise PropertyNotImplementedError.

    >>> atoms.calc = NBCoreCalculator("molecule.nbcore")
    >>> atoms.get_potential_energy(), atoms.get_forces()
    """

    implemented_properties = [
        "energy", "free_energy", "energies", "forces", "stress", "stresses", "energy_uncertainty", "forces_uncertainty",
        "grades",
    ]  # fmt: skip
    ignored_changes = {"initial_charges", "initial_magmoms"}

    def __init__(
        self,
        potential: "str | os.PathLike | Potential | Committee",
        threads: int | None = None,
        precision: str | None = None,
        skin: float | None = None,
        max_bytes: float | None = None,
        uncertainty: bool = False,
    ):
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
            self.potential = load(potential)
            self.potential.precision = given.get("precision", "float64")
        self.threads, self.max_bytes, self.uncertainty = threads, max_bytes, bool(uncertainty)
        self._scheme, self._made_for = None, None  # what a scheme was made for; None: it was given
        self._computed = None

    @property
    def scheme(self) -> "CompositionScheme | None":
        """The composition scheme at work, None before the first calculation; assign one, or None to have it made."""
        return self._scheme

    @scheme.setter
    def scheme(self, scheme):
        self._scheme, self._made_for = scheme, None

    def check_state(self, atoms: "Atoms", tol: float = 0.0) -> list[str]:
        """What has changed since the last calculation, in the atoms, in what the potential reads of them, or in it."""
        # ASE asks twenty times a step, and np.allclose of each array takes longer than a small molecule's forces
        changes = super().check_state(atoms, tol=tol) if tol or self.atoms is None else self._differences(atoms)
        if self.atoms is not None:
            before, now = self.atoms.arrays, atoms.arrays
            changes += [name for name in self._inputs() if not np.array_equal(before.get(name), now.get(name))]
        return changes if self._computed == self._state() else [*changes, "potential"]

    def _differences(self, atoms):
        """What ase's compare_atoms finds with a tolerance of 0."""
        before = {"cell": self.atoms.cell.array, "pbc": self.atoms.pbc, **self.atoms.arrays}
        now = {"cell": atoms.cell.array, "pbc": atoms.pbc, **atoms.arrays}
        return [name for name in ("positions", "numbers", "cell", "pbc") if not np.array_equal(before[name], now[name])]

    def _inputs(self):
        """Names of the per-atom arrays that the potential reads beside positions and numbers."""
        if isinstance(self.potential, Evaluator):
            return []
        label = (self.potential.description.get("scheme") or {}).get("labels")
        return [*leaf_types(self.potential), *([label] if label else [])]

    def _state(self):
        """What decides results beside the atoms."""
        return self.potential, getattr(self.potential, "version", None), self.max_bytes, self._scheme

    def _update_scheme(self, atoms):
        """Makes the scheme where there is none, or where it was made for other atoms."""
        if self._scheme is not None and self._made_for is None:
            if self._scheme.n_atoms != len(atoms):
                raise InputError(
                    f"the calculator's scheme is of {self._scheme.n_atoms} atoms, the structure has {len(atoms)}; "
                    "`calculator.scheme = None` makes one for it"
                )
            return
        labels = [(name, atoms.arrays[name].tolist()) for name in self._inputs() if name in labels_of(atoms.arrays)]
        now = self.potential, atoms.numbers.tolist(), atoms.pbc.tolist(), labels
        if self._made_for != now:
            self._scheme = self.potential.scheme(atoms.positions, atoms.cell.array, atoms.pbc, atoms.arrays)
            self._made_for = now

    def __getstate__(self):
        state = self.__dict__.copy()
        if self._computed != self._state():
            state["results"] = {}
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._computed = self._state()  # numbers of versions are those of a process

    def calculate(
        self,
        atoms: "Atoms | None" = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluates the potential; called by ASE when a result is asked for that is not there."""
        super().calculate(atoms, properties, system_changes)
        v = volume(self.atoms.cell.array)
        if not v and not {"stress", "stresses"}.isdisjoint(properties):
            raise PropertyNotImplementedError(
                "stress needs a cell with a volume: three vectors that do not lie in a plane, periodic or not."
            )
        version = getattr(self.potential, "version", None)  # before: another thread may change it meanwhile
        trust = self.uncertainty or not UNCERTAINTIES.isdisjoint(properties)
        known = self._knows() if trust else None
        if trust and not known:
            raise PropertyNotImplementedError(
                "this model knows nothing of its errors: `nbcore uncertainty MODEL TRAIN --calibrate VALID` adds it."
            )
        if "grades" in properties and known == "committee":
            raise PropertyNotImplementedError("grades are of the last layer of one potential; a committee has none.")
        energy, energies, forces, virial, uncertainty, virials = self._evaluate(
            self.atoms, bool(known), "stresses" in properties
        )
        self._computed = self.potential, version, self.max_bytes, self._scheme
        self.results = {"energy": energy, "free_energy": energy, "energies": energies, "forces": forces}
        if v:
            self.results["stress"] = full_3x3_to_voigt_6_stress(-virial / v)
        if virials is not None:
            self.results["stresses"] = full_3x3_to_voigt_6_stress(-virials / v)
        if uncertainty is not None:
            self.results |= {"energy_uncertainty": uncertainty.energy, "forces_uncertainty": uncertainty.forces}
            self.results |= {} if uncertainty.grades is None else {"grades": uncertainty.grades}

    def _knows(self):
        """What the model knows of its errors: "last_layer", "committee" or None."""
        known = self.potential.uncertainty
        return known["kind"] if isinstance(known, dict) else known

    def _evaluate(self, atoms, uncertainty, of_atoms):
        """Energy, energies per atom, forces, virial of a structure; its Uncertainty, virials of atoms, or None."""
        positions, cell, threads = atoms.positions, atoms.cell.array, number_of_threads(self.threads)
        if isinstance(self.potential, Evaluator):
            energies, forces, virial = np.empty(len(atoms)), np.empty((len(atoms), 3)), np.empty((3, 3))
            numbers = atoms.numbers.astype(np.intc)
            pbc = atoms.pbc.tolist()
            virials = np.empty((len(atoms), 3, 3)) if of_atoms else None
            if not uncertainty or of_atoms:
                energy = self.potential.evaluate(
                    positions, numbers, cell, pbc, forces, virial, energies, threads, virials
                )
            if not uncertainty:
                return energy, energies, forces, virial, None, virials
            of_forces = np.empty(len(atoms))
            grades = np.empty(len(atoms)) if self.potential.uncertainty == "last_layer" else None
            energy, of_energy = self.potential.evaluate_uncertainty(
                positions, numbers, cell, pbc, forces, virial, energies, threads, of_forces, grades
            )
            return energy, energies, forces, virial, Uncertainty(of_energy, of_forces, grades), virials
        if self.potential.has_parts:
            self._update_scheme(atoms)
        r = self.potential.compute(
            positions, atoms.numbers, cell=cell, pbc=atoms.pbc, threads=threads, scheme=self.scheme,
            leaves=atoms.arrays, max_bytes=self.max_bytes, uncertainty=uncertainty, virials=of_atoms,
        )  # fmt: skip
        return r.energy, r.energies, r.forces, r.virial, r.uncertainty, r.virials
