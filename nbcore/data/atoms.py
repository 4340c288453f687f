"""Structures from ase.Atoms in memory: labels by the same rules as from files."""

from collections.abc import Iterable

from ase import Atoms

from nbcore.data.labels import Frame, Options, find_keys, structure_of
from nbcore.data.read import is_isolated
from nbcore.data.reading import Reading, Tally, check_missing
from nbcore.data.structure import Structure, Structures
from nbcore.errors import InputError


def as_structures(items: Iterable, *, apart: bool = True, **keys: str | None) -> Structures:
    """Structures as they are, or of any sequence of structures and ase.Atoms.

    Labels of Atoms come from the results of their calculator, from `info` and from `arrays`, under the keys and in the
    units of `nbcore.data.read`, whose keywords are taken here too. apart: isolated atoms among the Atoms are set apart,
    as the reader does. Raises InputError that names the place in the sequence.

    >>> from ase.build import molecule
    >>> atoms = molecule("H2O")
    >>> atoms.info["REF_energy"] = -14.2
    >>> as_structures([atoms])[0].energy
    -14.2
    """
    if isinstance(items, Structures):
        return items
    if isinstance(items, (Atoms, Structure)) or not isinstance(items, Iterable):
        raise InputError(f"expected a sequence of structures or ase.Atoms, got {type(items).__name__}.")
    items = list(items)
    wrong = next((k for k, item in enumerate(items) if not isinstance(item, (Atoms, Structure))), None)
    if wrong is not None:
        raise InputError(f"place {wrong}: expected a structure or ase.Atoms, got {type(items[wrong]).__name__}.")
    frames = {k: _frame(item, k) for k, item in enumerate(items) if isinstance(item, Atoms)}
    if not frames:
        return Structures(items)
    options = Options(**keys)
    found, reading = find_keys(list(frames.values()), options), Reading(options)
    structures = [structure_of(frames[k], found, options) if k in frames else item for k, item in enumerate(items)]
    isolated = [s for k, s in enumerate(structures) if apart and k in frames and is_isolated(s)]
    rest = [s for s in structures if not any(s is other for other in isolated)]
    check_missing(Tally(options.outputs, rest), options, reading)
    return Structures(rest, isolated, reading)


def from_ase(atoms: Atoms, **keys) -> Structure:
    """`Structure.from_ase`."""
    if not isinstance(atoms, Atoms):
        raise TypeError(f"Structure.from_ase takes ase.Atoms, got {type(atoms).__name__}")
    return as_structures([atoms], apart=False, **keys)[0]


def _frame(atoms, number):
    frame = Frame.of(atoms, "atoms", number, keyed=True)
    if not len(atoms):
        raise InputError(f"{frame.where}: no atoms in it.")
    if getattr(atoms.calc, "results", None) and getattr(atoms.calc, "atoms", None) is not None:
        changes = atoms.calc.check_state(atoms)
        if changes:
            raise InputError(
                f"{frame.where}: the results of its calculator belong to other {', '.join(changes)}. Give every Atoms "
                "a SinglePointCalculator of its own, or compute it again."
            )
    return frame
