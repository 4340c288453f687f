"""Data of several heads: which structures each learns from, and none of them in the validation data of another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from nbcore.data.reference_energies import ReferenceEnergies
from nbcore.data.structure import Structures
from nbcore.data.whole_sets import copies
from nbcore.errors import InputError


@dataclass
class HeadSets:
    """train and valid of one head; `cut`: valid was cut off train at random; tests; what to tell the user."""

    train: Structures
    valid: Structures
    cut: bool
    test: dict[str, Structures] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def with_head(structures: Structures, head: str) -> Structures:
    """Copies that belong to a head; as they are for no head (""). InputError, naming it, for one of another head."""
    if not head:
        return structures
    for k, s in enumerate(structures):
        if s.head not in ("", head):
            where = s.where if s.file else f"structure {k}"
            raise InputError(f"{where}: given for the head {head}, it belongs to the head {s.head}")
    named = [replace(s, head=head) for s in structures]
    return Structures(named, structures.isolated, structures.reading, structures.name)


def joined(parts: Iterable[Structures]) -> Structures:
    """One set after the other; a single one as it is."""
    first, *others = parts
    return sum(others, first)


def keep_apart(sets: Mapping[str, HeadSets]) -> None:
    """Takes care that what one head is validated on, no other has learned from, by whatever method it is labelled.

    The same structure, up to symmetry, in train of one head and in valid of another moves to valid in both, where both
    were cut off at random; else, and for test data, a remark says what is in both. Changes `sets`, in place.
    """
    if len(sets) < 2:
        return
    everything = [s for one in sets.values() for part in _parts(one).values() for s in part]
    unlabelled = [replace(s, energy=None, forces=None) for s in everything]  # labels differ, as methods do
    groups, at, of = copies(Structures(unlabelled)), 0, {}
    for head, one in sets.items():
        for name, part in _parts(one).items():
            of[head, name] = groups[at : at + len(part)]
            at += len(part)
    for head, one in sets.items():
        mine, moved = of[head, "train"], np.zeros(len(one.train), dtype=bool)
        for (other, name), theirs in of.items():
            if other == head or name == "train":
                continue
            shared = np.isin(mine, theirs)
            if name == "valid" and one.cut and sets[other].cut and not (moved | shared).all():
                moved |= shared
            elif shared.any():
                where = f"{name} of {other}" if name == "valid" else f"{name} ({other})"
                one.remarks.append(
                    f"{_structures(shared.sum())} in train of {head} and in {where}, up to symmetry: errors there will "
                    "look better than they are."
                )
        if moved.any():
            one.remarks.append(
                f"{_structures(moved.sum())} moved from train of {head} to its valid: other heads have them in valid."
            )
            one.valid = one.valid + one.train[np.flatnonzero(moved)]
            one.train = one.train[np.flatnonzero(~moved)]


def _parts(one):
    return {"train": one.train, "valid": one.valid, **one.test}


def _structures(n):
    return f"{n} structure is" if n == 1 else f"{n} structures are"


def fill_energies(of_heads: Mapping[str, ReferenceEnergies], isolated: Mapping[str, Mapping[str, float]]) -> None:
    """Gives every head an E0 for every element of all: of its isolated atoms, or that of the first head that has one.

    of_heads: what the data of each decide, changed in place. isolated: {head: {element: eV}} of its own for elements
    that its structures lack. What is borrowed is said.
    """
    known = {head: dict(own.energies) for head, own in of_heads.items()}
    every = dict.fromkeys(x for energies in known.values() for x in energies)
    for head, own in of_heads.items():
        borrowed = []
        for x in (x for x in every if x not in known[head]):
            lender = next(name for name, energies in known.items() if x in energies)
            if x in isolated.get(head, {}):
                own.energies[x] = isolated[head][x]
            else:
                own.energies[x] = known[lender][x]
                borrowed.append((x, lender))
        if borrowed:
            said = ", ".join(f"{own.energies[x]:.4f} eV for {x}, from {lender}" for x, lender in borrowed)
            own.remarks.append(
                f"{head} has no structure with {' '.join(x for x, _ in borrowed)}: the E0 is borrowed, {said}. "
                "Energies of such structures will be off by a constant per atom. Give isolated atoms or a table of E0s."
            )
