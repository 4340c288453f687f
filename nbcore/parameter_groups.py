"""Groups of parameters: what a word such as "radial", "A1" or "sum2.R" means among the parameters of a potential.

A group is one named slice of the flat vector, `sum2.R` say: the parameters R of the gate sum2. Its kind says what
they do:

- readout: they give the energy or an output
- radial: they weigh functions of distances (gates over edges, and their radial networks)
- product: they weigh products of states (`self_product`)
- mix: they mix channels (`mix`)
- of any other gate: the name of that gate

Of several heads (`nbcore.train.Heads`) the readouts have the name of their head before them: `ccsd:energy2.W0e`.
A word selects groups: by kind, by gate, by name, or by a pattern with * and ? over the names.
"""

import difflib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from nbcore.errors import InputError

if TYPE_CHECKING:
    from nbcore.potential import Potential

KINDS = {"mix": "mix", "self_product": "product"}  # of gates over nodes


def kinds(potential: "Potential") -> dict[str, str]:
    """{group: kind} of all groups, in their order; the names are those of `potential.parameter_slices`.

    >>> pot = nbcore.presets.nbody(species=["H"], cutoff=4.0, channels=4, levels=1)
    >>> kinds(pot)["B1.w"], kinds(pot)["energy1.W0e"]
    ('product', 'readout')
    """
    program = potential.description["program"]
    gates = {gate["name"]: gate for gate in program["gates"]}
    read = {*program.get("readout", ()), *(output["slot"] for output in program.get("outputs", {}).values())}
    return {name: _kind(gates[_gate(name)], read) for name in potential.parameter_slices}


def _kind(gate, read):
    if gate["name"] in read:
        return "readout"
    return "radial" if "radial" in gate else KINDS.get(gate["gate"], gate["gate"])


def _gate(group):
    return group.rpartition(":")[2].partition(".")[0]


def select(potential: "Potential", word: str, where: str = "") -> list[str]:
    """The groups that a word selects: a kind, a gate, a group, or a pattern of groups.

    Raises InputError, beginning with `where`, for a word that selects none.

    >>> pot = nbcore.presets.nbody(species=["H"], cutoff=4.0, channels=4, levels=1)
    >>> select(pot, "A1"), select(pot, "*1.W0e")
    (['A1.W0e', 'A1.W1o', 'A1.W2e', 'A1.W3o'], ['A1.W0e', 'psi1.W0e', 'energy1.W0e'])
    """
    of_kind = kinds(potential)
    found = [name for name, kind in of_kind.items() if word in (kind, _gate(name), name) or fnmatchcase(name, word)]
    if not found:
        gates = dict.fromkeys(map(_gate, of_kind))
        near = difflib.get_close_matches(word, [*of_kind.values(), *gates, *of_kind], 1, 0.6)
        meant = f"Did you mean {near[0]}? " if near else ""
        known = f"Kinds: {', '.join(dict.fromkeys(of_kind.values()))}; gates: {', '.join(gates)}."
        raise InputError(f"{where}no parameters are called {word}. {meant}{known}")
    return found


def spread(potential: "Potential", value: float | Mapping[str, float], rest: float, where: str = "") -> np.ndarray:
    """(n_parameters,): a number for every parameter, from one number or a table {word: number}.

    Of several words that select a parameter the one that selects the fewest parameters counts; `rest` is for those that
    none selects. Raises InputError, beginning with `where`, for a word that selects nothing, and for two that select
    equally many, some of them the same, and say different numbers.

    >>> pot = nbcore.presets.nbody(species=["H"], cutoff=4.0, channels=4, levels=1)
    >>> decay = spread(pot, {"mix": 1e-4, "psi1": 1e-2}, rest=0.0)
    >>> [float(decay[pot.parameter_slices[name][0]][0]) for name in ("A1.W0e", "B1.w", "psi1.W0e")]
    [0.0001, 0.0, 0.01]
    """
    slices = potential.parameter_slices
    table = value if isinstance(value, Mapping) else {}
    numbers = np.full(len(potential.parameters), float(rest if isinstance(value, Mapping) else value))
    masks = {}
    for word in table:
        masks[word] = np.zeros(len(numbers), dtype=bool)
        for name in select(potential, word, where):
            masks[word][slices[name][0]] = True
    said = {}  # number of parameters: the words that select so many
    for word, mask in sorted(masks.items(), key=lambda item: -item[1].sum()):
        for other in said.setdefault(int(mask.sum()), []):
            if table[word] != table[other] and np.any(mask & masks[other]):
                raise InputError(f"{where}{other} and {word} select the same parameters and say different numbers.")
        said[int(mask.sum())].append(word)
        numbers[mask] = table[word]
    return numbers
