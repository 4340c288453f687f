"""What was read and what was assumed, and whether every structure has the labels that the others have."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from nbcore.data.labels import CANDIDATES, Options, candidates_of
from nbcore.data.structure import Structure
from nbcore.errors import InputError


@dataclass
class FileReading:
    """One file: how many structures and isolated atoms, its format and the keys of its labels."""

    name: str
    count: int
    isolated: int
    format: str
    keys: dict[str, str]
    kind: str = ""  # of its energies: "free", "plain" (the file does not say which), or "" where both are the same


@dataclass
class Reading:
    """What the reader found and assumed: files, remarks for the screen, and how many structures lack a label."""

    options: Options
    files: list[FileReading] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)


@dataclass
class Count:
    """How many structures can be expected to have a label, how many of these lack it, the first that does."""

    having: int = 0
    expected: int = 0
    lacking: int = 0
    first: Structure | None = None


class Tally:
    """Counts of labels, config types and weights over structures that come one portion after another."""

    def __init__(self, outputs: Iterable[str] = (), structures: Iterable[Structure] = ()):
        self.counts = {label: Count() for label in ("energy", "forces", "stress", *outputs)}
        self.types: Counter = Counter()
        self.n = 0
        self.own: dict[str, tuple[int, float, float]] = {}  # weights that are not one: how many, least and largest
        self.add(structures)

    def count(self, label: str) -> Count:
        """Of energy, forces, stress or an output."""
        return self.counts[label]

    def add(self, structures: Iterable[Structure]) -> None:
        """Counts some more."""
        for s in structures:
            self.types[s.config_type] += 1
            for label, count in self.counts.items():
                here, expected = _value(s, label) is not None, _may_have(s, label)
                count.having += here
                count.expected += expected
                count.lacking += expected and not here
                if expected and not here and count.first is None:
                    count.first = s
            for key, weight in s.weights.items():
                self.weigh(key, 1, weight, weight)
            self.n += 1

    def weigh(self, key: str, n: int, low: float, high: float) -> None:
        """Counts n weights under a key, the least and the largest."""
        before, least, largest = self.own.get(key, (0, np.inf, -np.inf))
        self.own[key] = (before + n, min(least, low), max(largest, high))


def mixed_kinds(files: list[FileReading]) -> list[str]:
    """A remark where some files give free energies and others an energy whose kind they do not say."""
    free = [f.name for f in files if f.kind == "free"]
    plain = [f.name for f in files if f.kind == "plain"]
    if not free or not plain:
        return []
    more = f" and {len(plain) - 1} more" if len(plain) > 1 else ""
    return [
        f"Two kinds of energy: free energies from {free[0]}, but {plain[0]}{more} has an energy alone and does not say "
        'whether it is the free one or E(sigma -> 0). They must be of one kind: energy_kind = "zero"  takes the other '
        "from every file that has it; or leave those files out."
    ]


def check_present(tally: Tally, options: Options, require, seen: list[str], files: list[str], reading: Reading) -> None:
    """A label that was asked for, or that training needs, must be in some frame; others are remarked on.

    seen: what the frames hold, for the message.
    """
    for label in (*CANDIDATES, *options.outputs):
        asked = options.asked(label)
        attribute = "stress" if label == "virial" else label
        needed = label in require or asked not in ("auto", "none")
        remarked = ("energy", "forces") if not options.outputs else tuple(options.outputs)
        if asked == "none" or not (needed or label in remarked):
            continue
        if tally.count(attribute).having or not tally.count(attribute).expected:
            continue
        file = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
        looked = ", ".join(CANDIDATES.get(label) or candidates_of(label)) if asked == "auto" else asked
        hold = f"The frames hold: {', '.join(seen)}." if seen else "The frames hold positions only."
        near = [word.split()[0] for word in seen if label in word.lower()]
        write = f'\nWrite  {options.key_word(label)} = "{near[0]}"  under [{options.table(label)}].' if near else ""
        if not near and label == "forces":
            write = '\nWrite  forces_key = "none"  under [data] to train on energies alone.'
        text = f"{file}: no frame has {_article(label)}.\nLooked for {looked}. {hold}"
        if needed:
            raise InputError(text + write)
        reading.remarks.append(text)


def _article(label):
    return {"energy": "an energy", "forces": "forces"}.get(label, f"a {label}")


def _value(structure, label):
    """A label of a structure, None if it has none."""
    return structure.outputs.get(label) if label not in ("energy", "forces", "stress") else getattr(structure, label)


def _may_have(structure, label):
    """Whether a label can be expected: forces on more than one atom, stress with three periods."""
    return {"forces": len(structure) > 1, "stress": structure.periodic}.get(label, True)


def check_missing(tally: Tally, options: Options, reading: Reading) -> None:
    """A label that some structures have and others lack: an error, or counted where `missing` is "mask"."""
    for label in ("energy", "forces", "stress", *options.outputs):
        count = tally.count(label)
        expected, lacking, first = count.expected, count.lacking, count.first
        if not lacking or lacking == expected:
            continue
        have = expected - lacking
        if options.missing == "error":
            others = f"{have} other frames have them" if label == "forces" else f"{have} other frames have one"
            more = f" So it is with {lacking - 1} more." if lacking > 1 else ""
            labels = ("energy", "forces", "stress", *options.outputs)
            rest = " and ".join(x for x in labels if _value(first, x) is not None)
            use = f"to use its {rest} alone" if rest else "to accept it"
            raise InputError(
                f"{first.where}: no {label}, although {others}.{more}\n"
                f'Remove {"it" if lacking == 1 else "them"}, or write  missing = "mask"  {use}.'
            )
        reading.missing[label] = lacking
        reading.remarks.append(
            f"{lacking} of {expected} structures {'has' if lacking == 1 else 'have'} no {label} "
            f"(the first: {first.where}); only the other labels of such a structure count."
        )


def remark_on_weights(tally: Tally, reading: Reading) -> None:
    """Structures with a weight of their own are told of."""
    for key, (count, low, high) in tally.own.items():
        reading.remarks.append(
            f"{count} structures give a {key.replace('_', ' ')} of their own, {low:g} to {high:g}; it "
            "counts in the loss."
        )


def type_weights(types: Iterable[str], weights: dict[str, float]) -> dict[str, float]:
    """{config type: factor of the weights}; InputError for a type that no structure has."""
    types = list(types)
    unknown = [t for t in weights if t != "Default" and t not in types]
    if unknown and types:
        raise InputError(f"config_type_weights: no structure is of type {unknown[0]}. There are: {', '.join(types)}.")
    return {t: float(weights.get(t, weights.get("Default", 1.0))) for t in types}
