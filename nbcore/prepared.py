"""Structures with their neighbours, for several potentials that look at the same neighbourhoods."""

from dataclasses import dataclass

import numpy as np

from nbcore import _core
from nbcore._threads import threads as number_of_threads
from nbcore.errors import InputError
from nbcore.identity import of_installation, of_potential, of_structures
from nbcore.ranks import ranks_of
from nbcore.result import Result, result_of
from nbcore.scheme import scheme_of


@dataclass(frozen=True)
class PreparedStructure:
    """A structure with its neighbours, blocks and parts, made by `Potential.prepare`; it does not change any more."""

    core: _core.PreparedStructure
    cell: np.ndarray  #: (3, 3) Angstrom, read-only
    n_atoms: int

    def __post_init__(self):
        cell = np.array(self.cell)  # of its own: the caller may go on writing to his
        cell.flags.writeable = False
        object.__setattr__(self, "cell", cell)

    def compute(self, core, threads, max_bytes, uncertainty=False, virials=False):
        """What the core of a potential says of it; InputError with max_bytes, as the whole graph is there already."""
        if max_bytes is not None:
            raise InputError("max_bytes: a prepared structure holds its whole graph already; give it as it is")
        return core.compute_prepared(self.core, number_of_threads(threads), bool(uncertainty), bool(virials))

    def __len__(self) -> int:
        return self.n_atoms


def compute_one(potential, s, threads, max_bytes, uncertainty=False, virials=False) -> Result:
    """The Result of a prepared structure, ase.Atoms, a structure, or a tuple (positions, species, cell, pbc)."""
    if isinstance(s, PreparedStructure):
        return result_of(potential, s.compute(potential._core, threads, max_bytes, uncertainty, virials), s.cell)
    scheme, leaves = None, getattr(s, "leaves", None)
    if hasattr(s, "get_positions"):
        leaves = s.arrays
        scheme = potential.scheme(s.get_positions(), s.cell[:], s.pbc, s.arrays) if potential.has_parts else None
        s = (s.get_positions(), s.numbers, s.cell[:], s.pbc)
    elif hasattr(s, "positions"):
        scheme = scheme_of(getattr(potential, "members", (potential,))[0], s)
        s = (s.positions, s.numbers, s.cell, s.pbc)
    return potential.compute(
        *s,
        threads=threads,
        scheme=scheme,
        leaves=leaves,
        max_bytes=max_bytes,
        uncertainty=uncertainty,
        virials=virials,
    )


def compute_all(potential, structures, threads, max_bytes, uncertainty, virials, comm) -> list[Result]:
    """The Results of many of them, in order; shared by the ranks of an mpi4py communicator, if there is one."""
    with ranks_of(comm) as ranks:
        structures = ranks.together(lambda: list(structures))
        if ranks.size > 1:
            same_work(ranks, potential, structures)
        return ranks.gathered_lists(
            lambda own: [compute_one(potential, s, threads, max_bytes, uncertainty, virials) for s in own], structures
        )


def same_work(ranks, potential, structures) -> None:
    """InputError on all ranks, with both values, where they do not compute the same structures in the same way."""

    def work():
        numbers = {"the number of structures": len(structures), "the structures": of_structures(structures)}
        return {**of_installation(), "the potential": of_potential(potential), **numbers}

    ranks.same(ranks.together(work))
