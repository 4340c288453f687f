"""Reference data: read from every format ASE reads, checked, converted to eV and Angstrom, audited, written."""

from nbcore import _extras

_extras.require("nbcore.data", ["ase"])

from nbcore.data.atoms import as_structures
from nbcore.data.audit import Audit, audit, neighbours_per_atom
from nbcore.data.audit_text import audit_text
from nbcore.data.distances import shortest, shortest_distances
from nbcore.data.files import expand
from nbcore.data.read import Reading, read
from nbcore.data.reference_energies import ReferenceEnergies, reference_energies
from nbcore.data.sets import Sets, read_sets, split
from nbcore.data.structure import Structure, Structures
from nbcore.data.write import write_extxyz

__all__ = [
    "Audit", "Reading", "ReferenceEnergies", "Sets", "Structure", "Structures", "as_structures", "audit",
    "audit_text", "expand",
    "neighbours_per_atom", "read",
    "read_sets", "reference_energies", "shortest", "shortest_distances", "split", "write_extxyz",
]  # fmt: skip
