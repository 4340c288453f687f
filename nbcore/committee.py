"""Committees: several potentials, trained apart, over one neighbour list; their mean, and what their spread says."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from nbcore import _core
from nbcore._threads import threads as number_of_threads
from nbcore.arguments import check_max_bytes, check_structure
from nbcore.description import frozen
from nbcore.errors import InputError
from nbcore.files import MODEL, check_output
from nbcore.hessian import HessianProduct
from nbcore.leaves import leaves_of
from nbcore.model_file import check_description, committee_description
from nbcore.potential import Potential
from nbcore.prepared import PreparedStructure, compute_all
from nbcore.result import Result, result_of
from nbcore.saving import arrays_of, check_finite

if TYPE_CHECKING:
    from nbcore.scheme import CompositionScheme


class Committee:
    """Several potentials that look at the same neighbourhoods, with the face of one: what they compute is the mean.

    members: potentials of the same elements, cutoff and outputs; they may go on changing. InputError where they differ,
    or there are fewer than two. Energies, forces, virials, stresses and outputs are means over the members, forces the
    derivatives of the mean energy. The neighbour list and the graph are made once for all.

    Their spread, scaled on data (`nbcore.train.add_uncertainty`), is the uncertainty: of the forces on an atom, the RMS
    over components of the members' standard deviation (with n - 1), times a constant per element; of the energy, the
    root of the sum of the squares of these, times a constant.

    >>> pots = [nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=8, seed=k) for k in range(4)]
    >>> water = [[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24]], ["O", "H", "H"]
    >>> mean = nbcore.Committee(pots).compute(*water)
    >>> bool(np.isclose(mean.energy, np.mean([pot.compute(*water).energy for pot in pots])))
    True
    """

    def __init__(self, members: Iterable[Potential]):
        self.members = tuple(members)
        if len(self.members) < 2:
            raise InputError(f"a committee needs at least two members, got {len(self.members)}")
        self._core = _core.Committee([member._core for member in self.members])

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        return f"<nbcore.Committee of {len(self)}: {self.members[0]!r}>"

    # ---- what it is ----

    @property
    def uncertainty(self) -> dict | None:
        """What is known of errors: {"kind": "committee", "energy": factor, "forces": {element: factor}}, or None."""
        scales = self._core.scales
        if scales is None:
            return None
        return {"kind": "committee", "energy": scales[0], "forces": dict(zip(self.species, scales[1], strict=True))}

    @property
    def description(self) -> dict:
        """That of the first member, read-only, with "members", how many there are, and the committee's uncertainty."""
        return frozen(committee_description([member.description for member in self.members], self.uncertainty))

    def annotate(self, **notes: object) -> None:
        """Notes to be kept with every member, see `Potential.annotate`."""
        for member in self.members:
            member.annotate(**notes)

    @property
    def version(self) -> tuple:
        """Changes with everything that decides what is computed, see `Potential.version`."""
        return (*(member.version for member in self.members), self._core.scales)

    @property
    def precision(self) -> str:
        """Of evaluations, see `Potential.precision`; assigned to all members."""
        return self.members[0].precision

    @precision.setter
    def precision(self, value: str) -> None:
        for member in self.members:
            member.precision = value

    @property
    def parameters(self) -> np.ndarray:
        """The parameters of the members one after the other, a copy."""
        return np.concatenate([member.parameters for member in self.members])

    species = property(lambda self: self.members[0].species, doc="Symbols of the elements, by atomic number.")
    cutoff = property(lambda self: self.members[0].cutoff, doc="Radius of a neighbourhood, Angstrom.")
    levels = property(lambda self: self.members[0].levels, doc="How often atoms look at their neighbours.")
    E0s = property(lambda self: self.members[0].E0s, doc="Reference energies of the first member, eV.")
    outputs = property(lambda self: self.members[0].outputs, doc="Covariant outputs by name.")
    has_energy = property(lambda self: self.members[0].has_energy, doc="Does it give energies and forces?")
    has_parts = property(lambda self: self.members[0].has_parts, doc="Does it work on a composition scheme?")

    # ---- what it does ----

    def compute(self, positions: ArrayLike, species: Sequence | np.ndarray,
                cell: ArrayLike | None = None, pbc: ArrayLike = False, threads: int | None = None,
                scheme: "CompositionScheme | None" = None, leaves: dict | None = None,
                max_bytes: float | None = None, uncertainty: bool = False,
                virials: bool = False) -> Result:  # fmt: skip
        """The mean over the members; arguments and errors as of `Potential.compute`.

        uncertainty: what their spread says of errors, too; InputError where they were never compared with data.
        """
        positions, numbers, cell, pbc = check_structure(positions, species, cell, pbc)
        computed = self._core.compute(
            positions,
            numbers,
            cell,
            pbc,
            number_of_threads(threads),
            None if scheme is None else scheme.core,
            leaves_of(self.members[0], leaves or {}, len(positions)),
            check_max_bytes(max_bytes),
            bool(uncertainty),
            bool(virials),
        )
        return result_of(self, computed, cell)

    def compute_many(self, structures: Iterable, threads: int | None = None, max_bytes: float | None = None,
                     uncertainty: bool = False, virials: bool = False, comm: object = None) -> list:  # fmt: skip
        """`compute` of ase.Atoms, (positions, species, cell, pbc), ..., in order; MPI ranks of `comm` share them."""
        return compute_all(self, structures, threads, max_bytes, uncertainty, virials, comm)

    def hvp(self, *structure: Any, **options: Any) -> HessianProduct:
        """The mean of the members' products with their Hessians; arguments and errors as of `Potential.hvp`."""
        products = [member.hvp(*structure, **options) for member in self.members]
        return HessianProduct(*(np.mean(arrays, axis=0) for arrays in zip(*products, strict=True)))

    def hessian(self, *structure: Any, **options: Any) -> np.ndarray:
        """The mean of the members' Hessians; arguments and errors as of `Potential.hessian`."""
        return np.mean([member.hessian(*structure, **options) for member in self.members], axis=0)

    def prepare(self, *structure: Any, **options: Any) -> PreparedStructure:
        """A structure with its neighbours, as `Potential.prepare` makes it, for the committee and for each member."""
        return self.members[0].prepare(*structure, **options)

    def cartesian(self, components: Sequence, n_atoms: int) -> dict[str, np.ndarray]:
        """{output: Cartesian tensor} from flat components, see `Potential.cartesian`."""
        return self.members[0].cartesian(components, n_atoms)

    def scheme(self, *structure: Any, **options: Any) -> "CompositionScheme | None":
        """The composition scheme of a structure, see `Potential.scheme`."""
        return self.members[0].scheme(*structure, **options)

    # ---- where it is kept ----

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> None:
        """Writes all members into one model file; errors as of `Potential.save`."""
        check_output(path, MODEL, force=overwrite)
        arrays, descriptions = {}, []
        for k, member in enumerate(self.members):
            check_finite(member, path)
            arrays |= {f"member_{k}.{name}": array for name, array in arrays_of(member).items()}
            descriptions.append(json.loads(member._core.description))
        content = {"committee": descriptions} | ({"uncertainty": self.uncertainty} if self.uncertainty else {})
        _core.write_model_file(str(path), json.dumps(content, allow_nan=False), arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Committee":
        """A committee from its file. Raises ModelFileError (also for the file of one potential) and OSError."""
        found = load(path)
        if isinstance(found, Committee):
            return found
        raise InputError(f"{path} holds one potential, no committee: nbcore.Potential.load reads it")

    def __reduce__(self):
        return _restore, (self.members, self.uncertainty)


def load(path: str | os.PathLike) -> "Potential | Committee":
    """What a model file holds, a potential or a committee. Raises ModelFileError and OSError.

    >>> load("molecule.nbcore").species
    ['H', 'C', 'O']
    """
    core = _core.Committee.load(str(path))
    members = [Potential.of_core(member) for member in core.members]
    for member in members:
        check_description(json.loads(member._core.description), path)
    if len(members) == 1:
        return members[0]
    committee = Committee.__new__(Committee)
    committee.members, committee._core = tuple(members), core
    return committee


def _restore(members, uncertainty):
    committee = Committee(members)
    if uncertainty:
        committee._core.set_scales(json.dumps(uncertainty))
    return committee
