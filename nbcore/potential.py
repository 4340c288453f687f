"""The potential: energies, forces, virials and stresses of structures from a trained (or random) network."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nbcore import _core, golden, hierarchy
from nbcore._threads import threads as number_of_threads
from nbcore.arguments import by_element, check_max_bytes, check_names, check_structure, gain_place, real
from nbcore.description import frozen, to_json
from nbcore.errors import InputError
from nbcore.files import MODEL, check_output
from nbcore.hessian import HessianProduct, hessian, hessian_product
from nbcore.leaves import leaves_of
from nbcore.model_file import check_description, check_written
from nbcore.outputs import Output, cartesian_outputs
from nbcore.prepared import PreparedStructure, compute_all
from nbcore.radial_networks import RadialNetwork, RadialSpline
from nbcore.repulsion import radii_of, set_radii
from nbcore.result import Result, result_of
from nbcore.saving import arrays_of, check_finite, put_state, state_of
from nbcore.scheme import scheme_of
from nbcore.species import symbols

if TYPE_CHECKING:
    from nbcore.scheme import CompositionScheme


class Potential:
    """A potential: elements, a network (a program of gates) and its parameters.

    Made by a preset, `nbcore.presets.nbody(...)`, or read from a file, `Potential.load(path)`.

    description: dict with "species" (symbols), "program", and what else is to be kept with the model: preset and
    options, E0s (eV per element), about, training, errors, shortest_distances. What the potential shows of it later,
    `description`, is read-only: scales and energies are assigned, notes go through `annotate`.
    seed: initial parameters are normal random numbers from it.

    >>> import nbcore
    >>> pot = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=8)
    >>> r = pot.compute([[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24]], ["O", "H", "H"])
    >>> r.forces.shape, r.stress is None
    ((3, 3), True)
    """

    def __init__(self, description: dict, seed: int = 0):
        self._core = _core.Potential(to_json("description", description))
        check_written(self.description)
        self.initialize(seed)

    def initialize(self, seed: int = 0) -> None:
        """New random parameters, the same for the same seed."""
        rng = np.random.default_rng(seed)
        theta = self.parameters
        for _, begin, shape, deviation in self._core.slices():
            size = int(np.prod(shape))
            theta[begin : begin + size] = deviation * rng.standard_normal(size)
        self.annotate(seeds={**self.description.get("seeds", {}), "parameters": int(seed)})

    # ---- what it is ----

    @property
    def description(self) -> dict:
        """All that is known of the potential beside its parameters, as `save` writes it; read-only.

        E0s, scale, offsets and spreads are assigned, gains set by `set_gain`, notes by `annotate`.
        `copy.deepcopy(description)` is an ordinary dict, from which another potential can be made.

        >>> pot = nbcore.presets.nbody(species=["H"], cutoff=4.0, channels=4)
        >>> pot.scale = 2.0
        >>> pot.description["scale"]
        2.0
        """
        version = self._core.description_version
        known = getattr(self, "_description", (None, None))
        if known[0] != version:
            known = self._description = version, frozen(json.loads(self._core.description))
        return known[1]

    def annotate(self, **notes: object) -> None:
        """Notes to be kept with the model, that computing does not depend on: about, training, errors, ...

        Each takes the place of the note of that name, whole; None removes it. Raises InputError, and changes nothing,
        for names that belong to the potential itself (species, program, E0s, ...) and what JSON cannot hold.

        >>> pot = nbcore.presets.nbody(species=["H"], cutoff=4.0, channels=4)
        >>> pot.annotate(about={"author": "me"})
        >>> pot.description["about"]
        {'author': 'me'}
        """
        text = to_json("notes", notes)
        check_written({**self.description, **{name: note for name, note in notes.items() if note is not None}})
        self._core.annotate(text)

    @property
    def version(self) -> int:
        """A number that every change of what is computed advances: parameters, scale, E0s, offsets, gains, precision.

        No two states of potentials in one process have the same: caches compare it.
        """
        return self._core.version

    @property
    def species(self) -> list[str]:
        """Symbols of the elements, by atomic number."""
        return symbols(self._core.species)

    @property
    def cutoff(self) -> float:
        """Radius of a neighbourhood, Angstrom; the range of the potential is levels x cutoff."""
        return self._core.cutoff

    @property
    def has_parts(self) -> bool:
        """Does it work on a composition scheme above the atoms?"""
        return len(self._core.sets) > 1

    @property
    def levels(self) -> int:
        """How often atoms look at their neighbours."""
        return self._core.levels

    @property
    def parameters(self) -> np.ndarray:
        """The flat parameter vector (n_parameters,), a view: what is written to it counts from then on."""
        return self._core.parameters

    @property
    def parameter_slices(self) -> dict:
        """name -> (slice of the flat vector, shape)."""
        return {
            name: (slice(begin, begin + int(np.prod(shape))), tuple(shape))
            for name, begin, shape, _ in self._core.slices()
        }

    @property
    def E0s(self) -> dict[str, float]:
        """Reference energy of each element, eV. Assign a dictionary to change them."""
        return dict(zip(self.species, self._core.E0s, strict=True))

    @E0s.setter
    def E0s(self, energies: dict) -> None:
        self._core.E0s = by_element(self.species, "E0s", energies, "energy")

    @property
    def scale(self) -> float:
        """Factor of the network's energies, eV; the RMS of the training forces usually."""
        return self._core.scale

    @scale.setter
    def scale(self, value: float) -> None:
        self._core.scale = real("scale", value)

    repulsion = property(radii_of, set_radii)
    hierarchicality = hierarchy.hierarchicality

    @property
    def precision(self) -> str:
        """Of evaluations, "float64" or "float32"; assign to change it. A training has its own.

        With float32 states and weights are single, distances, forces and sums over atoms and edges double; forces then
        agree with float64 to some 1e-6 of the largest force. Raises InputError for other values.
        """
        return "float32" if self._core.single_precision else "float64"

    @precision.setter
    def precision(self, value: str) -> None:
        if value not in ("float64", "float32"):
            raise InputError(f'precision must be "float64" or "float32", got {value!r}')
        self._core.single_precision = value == "float32"

    @property
    def radial_splines(self) -> bool:
        """Whether evaluations take splines in the place of radial networks (`radial_layers`); True unless changed.

        A spline agrees with its network to 1e-11 of the largest value and 1e-9 of the largest slope (tables in single
        precision 1e-8, 1e-7), see `radial_networks`; forces are its derivatives. Training runs the networks.
        """
        return self._core.radial_splines

    @radial_splines.setter
    def radial_splines(self, on: bool) -> None:
        self._core.radial_splines = bool(on)

    @property
    def radial_networks(self) -> dict[str, RadialNetwork]:
        """{gate: its radial network, and how closely the spline in its place agrees with it}.

        >>> pot = nbcore.presets.nbody(species=["Si"], cutoff=5.0, channels=8, radial_layers=[16, 8])
        >>> network = pot.radial_networks["sum2"]
        >>> network.layers, network.spline.error < 1e-11
        ([16, 8], True)
        """
        return {
            gate: RadialNetwork(n_basis, widths, RadialSpline(*spline) if spline else None)
            for gate, n_basis, widths, spline in self._core.radial_networks()
        }

    @property
    def has_energy(self) -> bool:
        """False for a network of covariant outputs alone: it gives no energy and no forces."""
        return bool(self.description["program"].get("readout"))

    @property
    def outputs(self) -> dict[str, Output]:
        """Covariant outputs by name, see `nbcore.outputs`."""
        return {
            name: Output(name, **{key: value for key, value in spec.items() if key != "slot"})
            for name, spec in sorted(self.description["program"].get("outputs", {}).items())
        }

    @property
    def offsets(self) -> dict[str, dict[str, float]]:
        """{output: {element: what each of its atoms adds to the l = 0 component}}, as E0s are to the energy.

        Assign a dictionary to change all of them; outputs that it does not name have none.
        """
        return {name: dict(values) for name, values in self.description.get("offsets", {}).items()}

    @offsets.setter
    def offsets(self, values: dict) -> None:
        check_names("output", values, self.outputs)
        self._core.set_offsets(
            [by_element(self.species, f"offsets of {k}", values[k]) if k in values else [] for k in self.outputs]
        )

    @property
    def spreads(self) -> dict[str, float]:
        """{output: spread of its labels in training, per atom}: the unit of its loss. Assign a dictionary to change."""
        return dict(self.description.get("spreads", {}))

    @spreads.setter
    def spreads(self, values: dict) -> None:
        check_names("output", values, self.outputs)
        for name in values:
            if not real(f"the spread of {name}", values[name]) > 0:
                raise InputError(f"the spread of {name} must be a positive number, got {values[name]!r}")
        self._core.set_spreads([float(values.get(name, 0.0)) for name in self.outputs])

    def set_gain(self, gate: str, part: int, factor: float) -> None:
        """Multiplies part `part` of a mix gate's output by a constant, which the program keeps.

        Raises InputError for a gate that does not exist or has no gain, a part it has not, a factor that is not finite.
        """
        self._core.rescale(*gain_place(self, gate, part), real("factor", factor))

    def __repr__(self) -> str:
        preset = self.description.get("preset", "own program")
        return (
            f"<nbcore.Potential {preset}: {' '.join(self.species)}, {self.levels} levels, cutoff {self.cutoff:g} Å, "
            f"{len(self.parameters)} parameters>"
        )

    # ---- what it does ----

    def compute(self, positions: ArrayLike, species: Sequence | np.ndarray,
                cell: ArrayLike | None = None, pbc: ArrayLike = False, threads: int | None = None,
                scheme: "CompositionScheme | None" = None, leaves: dict | None = None, max_bytes: float | None = None,
                uncertainty: bool = False, virials: bool = False) -> Result:  # fmt: skip
        """Energy, forces, virial, stress, energies per atom and covariant outputs of one structure.

        positions: (N, 3) Angstrom. species: N symbols or atomic numbers. cell: (3, 3), rows are the cell vectors,
        Angstrom. pbc: one or three booleans. threads: see `nbcore.threads`; any number gives the same bits. scheme:
        CompositionScheme, for networks that work on one. leaves: {name: per-atom array}, for networks that read leaf
        states beside the elements: charges (N,), dipoles or an external field (N, 3), see `nbcore.leaves`.
        max_bytes: memory that the evaluation may take; larger systems are evaluated in parts, see `bytes_per_atom`.
        uncertainty: how large errors are expected to be, for a potential that knows (`nbcore.train.add_uncertainty`;
        InputError for others). virials: those of the atoms, too, (N, 3, 3) eV, see docs/conventions.md.

        Raises InputError (shapes, NaN, singular cell), SpeciesError (unknown element), NumericsError (atoms on top of
        each other), TypeError (not numbers).
        """
        how = {"max_bytes": max_bytes, "uncertainty": bool(uncertainty), "virials": bool(virials)}
        return result_of(self, *self._computed(positions, species, cell, pbc, threads, scheme, leaves, **how))

    def _computed(self, positions, species, cell, pbc, threads, scheme, leaves, max_bytes, **wanted):
        """What the core says, and the cell; wanted: golden, uncertainty, features, virials."""
        positions, numbers, cell, pbc = check_structure(positions, species, cell, pbc)
        how = None if scheme is None else scheme.core, leaves_of(self, leaves or {}, len(positions))
        how = number_of_threads(threads), *how, check_max_bytes(max_bytes)
        return self._core.compute(positions, numbers, cell, pbc, *how, **wanted), cell

    def features(self, positions: ArrayLike, species: Sequence | np.ndarray, cell: ArrayLike | None = None,
                 pbc: ArrayLike = False, threads: int | None = None, scheme: "CompositionScheme | None" = None,
                 leaves: dict | None = None) -> np.ndarray:  # fmt: skip
        """Features of the last layer, (N, K): derivatives of the energies of the atoms by the weights of the readouts.

        Energies without E0s and repulsion are features @ weights, K of them, in the order of the flat parameters.
        Arguments and errors as of `compute`; InputError where a readout is more than a mixing.

        >>> pot = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=8)
        >>> water = [[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24]], ["O", "H", "H"]
        >>> weights = [pot.parameters[where] for name, (where, _) in pot.parameter_slices.items() if "energy" in name]
        >>> bool(np.allclose(pot.features(*water) @ np.concatenate(weights), pot.compute(*water).energies))
        True
        """
        if not self._core.n_features:
            raise InputError("the energy of this potential is not linear in its last layer")
        computed, _ = self._computed(positions, species, cell, pbc, threads, scheme, leaves, None, features=True)
        return computed[6].reshape(-1, self._core.n_features)

    @property
    def uncertainty(self) -> dict | None:
        """What the potential knows of its errors, as the description has it; None if nothing, or not any more.

        It belongs to the parameters: where they change it is gone. See `nbcore.train.add_uncertainty`.
        """
        return self.description.get("uncertainty")

    def prepare(self, positions: ArrayLike, species: Sequence | np.ndarray, cell: ArrayLike | None = None,
                pbc: ArrayLike = False, scheme: "CompositionScheme | None" = None,
                leaves: dict | None = None) -> PreparedStructure:  # fmt: skip
        """A structure with its neighbours, for `compute_many` of this potential and of all that look at the same ones.

        Members of a committee share neighbour list and blocks, with the same bits. Elements, cutoff, r_min, parts and
        leaf states must be the same; `compute_many` raises InputError with what differs. Others as of `compute`.

        >>> pots = [nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=8, seed=k) for k in range(4)]
        >>> water = pots[0].prepare([[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24]], ["O", "H", "H"])
        >>> energies = [pot.compute_many([water])[0].energy for pot in pots]
        >>> len(set(energies))
        4
        """
        positions, numbers, cell, pbc = check_structure(positions, species, cell, pbc)
        how = None if scheme is None else scheme.core, leaves_of(self, leaves or {}, len(positions))
        return PreparedStructure(self._core.prepare(positions, numbers, cell, pbc, *how), cell, len(positions))

    def bytes_per_atom(self, positions: ArrayLike, species: Sequence | np.ndarray,
                       cell: ArrayLike | None = None, pbc: ArrayLike = False,
                       scheme: "CompositionScheme | None" = None, leaves: dict | None = None,
                       repeated: bool = False) -> float:  # fmt: skip
        """Memory per atom, bytes, at the peak of an evaluation of a large system of which this structure is a piece.

        Arguments, units and errors as of `compute`. Counted are the graph and the states of whole levels in the
        precision at hand; Python itself and what a thread works with, some 0.1 GB, come on top. repeated: of the second
        evaluation and later ones, which search for neighbours while the states of the one before are kept.

        A system for which this is too much can be evaluated in parts, with `max_bytes`: one part of the atoms after the
        other, with the atoms around it that it depends on. Energies, forces and virials agree to rounding, with the
        same bits for any number of threads. The surroundings cost time (`docs/performance.md`). Where the whole fits,
        nothing changes; where parts of 64 atoms do not, or a network has parts, InputError says what is needed.

        >>> a = 4.0 * np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 3)
        >>> potential = nbcore.presets.nbody(species=["Si"], cutoff=4.5, channels=4, l_states=0)
        >>> potential.bytes_per_atom(a, ["Si"] * 64, 16 * np.eye(3), True) > 256
        True
        >>> positions = np.concatenate([a + [16 * k, 0, 0] for k in range(20)])
        >>> system = positions, ["Si"] * 1280, np.diag([320, 16, 16]), True
        >>> parts, whole = potential.compute(*system, max_bytes=2e6), potential.compute(*system)
        >>> bool(np.allclose(parts.forces, whole.forces, rtol=0, atol=1e-12))
        True
        """
        positions, numbers, cell, pbc = check_structure(positions, species, cell, pbc)
        how = None if scheme is None else scheme.core, leaves_of(self, leaves or {}, len(positions))
        return self._core.bytes_per_atom(positions, numbers, cell, pbc, *how, repeated)

    def hvp(self, positions: ArrayLike, species: Sequence | np.ndarray,
            vectors: ArrayLike | None = None, cell: ArrayLike | None = None, pbc: ArrayLike = False,
            strain: ArrayLike | None = None, threads: int | None = None,
            scheme: "CompositionScheme | None" = None, leaves: dict | None = None) -> HessianProduct:  # fmt: skip
        """The Hessian times vectors, and how the virial changes: exact second derivatives, one sweep per direction.

        Atoms move to r + t v in a space strained by 1 + t S, the cell too; at t = 0 forces change by -product and the
        virial by `virial`. vectors: v, (N, 3) or (K, N, 3), zero by default. strain: S, (3, 3) or (K, 3, 3), zero by
        default. Other arguments as of `compute`; radial networks run themselves, without splines, in double precision.
        Raises InputError (shapes, numbers that are not finite, no energy), and what `compute` raises.

        >>> pot = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=8)
        >>> water = [[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24]], ["O", "H", "H"]
        >>> v = np.array([[0, 0, 0], [0, 0, 1.0], [0, 0, 0]])
        >>> before, after = (pot.compute(water[0] + t * v, water[1]).forces for t in (-1e-4, 1e-4))
        >>> bool(np.allclose(pot.hvp(*water, v).product, (before - after) / 2e-4, rtol=1e-5, atol=1e-6))
        True
        """
        structure = check_structure(positions, species, cell, pbc)
        return hessian_product(self, structure, vectors, strain, threads, scheme, leaves)

    def hessian(self, positions: ArrayLike, species: Sequence | np.ndarray,
                cell: ArrayLike | None = None, pbc: ArrayLike = False, threads: int | None = None,
                scheme: "CompositionScheme | None" = None, leaves: dict | None = None) -> np.ndarray:  # fmt: skip
        """Second derivatives of the energy by positions, H[i, a, j, b] = d^2 E / dr_ia dr_jb.

        Returns (N, 3, N, 3), eV/Angstrom^2. Of a crystal: of the atoms of the cell with all their images (the Gamma
        point). Arguments and errors as of `hvp`; 3 N directions, each a tangent sweep.

        >>> pot = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=8)
        >>> H = pot.hessian([[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24]], ["O", "H", "H"])
        >>> H.shape, bool(np.allclose(H, H.transpose(2, 3, 0, 1), rtol=0, atol=1e-12 * abs(H).max()))
        ((3, 3, 3, 3), True)
        """
        return hessian(self, check_structure(positions, species, cell, pbc), threads, scheme, leaves)

    def cartesian(self, components: Sequence, n_atoms: int) -> dict[str, np.ndarray]:
        """{output: Cartesian tensor} from flat components in the order of the names, without what a structure lacks."""
        return cartesian_outputs(self.outputs, components, n_atoms)

    def compute_many(self, structures: Iterable, threads: int | None = None, max_bytes: float | None = None,
                     uncertainty: bool = False, virials: bool = False, comm: object = None) -> list:  # fmt: skip
        """`compute` of ase.Atoms, (positions, species, cell, pbc), ..., in order; MPI ranks of `comm` share them."""
        return compute_all(self, structures, threads, max_bytes, uncertainty, virials, comm)

    def scheme(self, positions: ArrayLike, cell: ArrayLike | None = None, pbc: ArrayLike = False,
               labels: dict | None = None) -> "CompositionScheme | None":  # fmt: skip
        """The composition scheme of a structure for this potential, None if it works on atoms alone.

        It belongs to the structure: make it once, from a reference geometry, and keep it while the atoms move. labels:
        {name: (N,) integers or texts}, if the potential's parts go by a label.
        """
        from types import SimpleNamespace

        return scheme_of(self, SimpleNamespace(positions=positions, cell=cell, pbc=pbc, labels=labels or {}))

    # ---- where it is kept ----

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> None:
        """Writes the model file: description, parameters, golden cases. Whole or not at all.

        A model is replaced, a file of another kind only with `overwrite`. Raises FileExistsError where one is in the
        way, OSError where the file cannot be written, InputError where parameters are not finite.
        """
        check_output(path, MODEL, force=overwrite)
        check_finite(self, path)
        _core.write_model_file(str(path), self._core.description, arrays_of(self) | golden.tensors(self))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Potential":
        """A potential from its file. Raises ModelFileError (damaged, not a model, of a newer release) and OSError."""
        self = cls.of_core(_core.Potential.load(str(path)))
        check_description(json.loads(self._core.description), path)
        return self

    @classmethod
    def of_core(cls, core: _core.Potential) -> "Potential":
        """The potential around one of the core."""
        self = cls.__new__(cls)
        self._core = core
        return self

    def __reduce__(self):
        return _restore, state_of(self)


def _restore(description, *state):
    potential = Potential.of_core(_core.Potential(description))
    put_state(potential, description, *state)
    return potential
