"""Reference data: read from every format ASE reads, checked, converted to eV and Angstrom, audited, written."""

from nbcore import _extras

_extras.require("nbcore.data", ["ase"])

from nbcore.data.atoms import as_structures
from nbcore.data.audit import Audit, audit, neighbours_per_atom
from nbcore.data.audit_text import audit_text
from nbcore.data.convert import write_shards
from nbcore.data.distances import shortest
from nbcore.data.files import expand
from nbcore.data.open_shards import open_shards
from nbcore.data.read import read
from nbcore.data.reading import Reading
from nbcore.data.reference_energies import ReferenceEnergies, reference_energies
from nbcore.data.repulsion import repulsion_radii
from nbcore.data.sets import Sets, read_sets, split
from nbcore.data.shard_set import Shards
from nbcore.data.shards import ShardWriter
from nbcore.data.structure import Structure, Structures
from nbcore.data.whole_sets import shortest_distances
from nbcore.data.write import write_extxyz

__all__ = [
    "Audit", "Reading", "ReferenceEnergies", "Sets", "ShardWriter", "Shards", "Structure",
    "Structures", "as_structures", "audit", "audit_text", "expand",
    "neighbours_per_atom", "open_shards", "read",
    "read_sets", "reference_energies", "repulsion_radii", "shortest", "shortest_distances", "split", "write_extxyz",
    "write_shards",
]  # fmt: skip
