"""Reference data: read from every format ASE reads, checked, converted to eV and Angstrom, audited, written."""

from nbcore.data.structure import Structure, Structures

__all__ = ["Structure", "Structures"]
