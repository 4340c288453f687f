"""Further elements for a potential: what is known stays as it is, what is new begins as an element that is known.

Weights know an element in two ways: by the element of their node, and by the channels of sums over neighbours that are
kept apart by element. Both are followed through the program, channel by channel; where a gate is met through which they
cannot be followed, the element is refused.
"""

import copy
import itertools
import re

import numpy as np

from nbcore.errors import InputError
from nbcore.potential import Potential
from nbcore.species import atomic_numbers, symbols

LIKE = ("nearest", "mean")
NOBLE = (0, 2, 10, 18, 36, 54, 86, 118)  # atomic numbers at which the rows of the periodic table end


def add_elements(potential: Potential, E0s: dict[str, float], like: str = "nearest") -> Potential:
    """A potential of more elements, with the same energies for structures of the known ones, bit for bit.

    E0s: {new element: its reference energy, eV}. like: how the weights of a new element begin, "nearest": as those of
    the nearest known element of the periodic table (`nearest_element`), "mean": as the mean over the known ones.
    The potential given is left as it is. Raises InputError for elements that it knows already, and where a gate of its
    program mixes elements in a way that cannot be followed.

    >>> water = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=8)
    >>> more = nbcore.train.add_elements(water, {"N": -1484.3})
    >>> more.species
    ['H', 'N', 'O']
    >>> molecule = [[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24]], ["O", "H", "H"]
    >>> more.compute(*molecule).energy == water.compute(*molecule).energy
    True
    """
    if like not in LIKE:
        raise InputError(f"like must be one of {', '.join(LIKE)}, got {like!r}")
    known = potential.species
    twice = [element for element in E0s if element in known]
    if twice:
        raise InputError(f"{' '.join(twice)}: known to the potential already ({' '.join(known)})")
    if any(
        (gate.get("radial") or {}).get("transform", "none") != "none"
        or (gate.get("radial") or {}).get("network", "plain") != "plain"
        for gate in potential.description["program"]["gates"]
    ):
        raise InputError("its radial functions see elements, and those of further ones are not known")
    models = {new: [nearest_element(new, known)] if like == "nearest" else known for new in E0s}
    description = copy.deepcopy(potential.description)
    description["species"] = symbols(sorted(atomic_numbers([*known, *E0s])))
    description["E0s"] = {**potential.E0s, **{element: float(energy) for element, energy in E0s.items()}}
    for offsets in description.get("offsets", {}).values():
        offsets |= {new: float(np.mean([offsets[old] for old in of])) for new, of in models.items()}
    before = _weights(potential)
    for gate in description["program"]["gates"]:
        if gate["gate"] == "mix" and "weights" not in gate:
            rows = {}  # of each part, whatever the kinds of inputs
            for name, keys in before.items():
                if name.split(".")[0] == gate["name"] and not name.endswith(".bias"):
                    rows.setdefault(_part_name(name), []).extend(keys[1])
            if _has_elements(rows.values()):
                parts = next(parts for name, _, parts in potential._core.slots() if name == gate["name"])
                counts = [len(row) for row in rows.values()] * (len(parts) if gate.get("tied") else 1)
                gate.setdefault("fan_in", counts)
    result = Potential(description)
    places = result.parameter_slices
    for name, keys in _weights(result).items():
        where, shape = places[name]
        weights = potential.parameters[potential.parameter_slices[name][0]].reshape(potential.parameter_slices[name][1])
        for axis, (new, old) in enumerate(zip(keys, before[name], strict=True)):
            at = {key: k for k, key in enumerate(old)}
            taken = [[at[key] for key in _known(key, models)] for key in new]
            weights = np.stack([np.mean(weights.take(of, axis), axis) for of in taken], axis)
        result.parameters[where] = weights.reshape(shape).ravel()
    result.precision, result.radial_splines = potential.precision, potential.radial_splines
    result.annotate(seeds=potential.description.get("seeds"))
    return result


def nearest_element(element: str, known: list[str]) -> str:
    """The known element that stands nearest in the periodic table, rows and columns added; the lightest of several.

    >>> nearest_element("S", ["H", "C", "O"]), nearest_element("Si", ["H", "C", "O"])
    ('O', 'C')
    """
    row, column = _place(element)

    def distance(other):
        r, c = _place(other)
        return abs(row - r) + abs(column - c), *atomic_numbers([other])

    return min(known, key=distance)


def _place(element):
    """(row, column) in the periodic table of 18 columns; lanthanides and actinides stand in column 3."""
    (z,) = atomic_numbers([element])
    row = next(row for row, end in enumerate(NOBLE) if z <= end)
    after, before = z - NOBLE[row - 1], NOBLE[row] - z
    return row, after if after <= 2 and z != 2 else max(3, 18 - before)


# ---- which elements a weight belongs to: a key for each place along each axis of its array, the same key for the same
# ---- place in a potential of more elements; a tuple with an element in it where the place belongs to one


def _weights(potential):
    """{parameter: [axis][place] key}."""
    program, species = potential.description["program"], potential.species
    gates = {gate["name"]: gate for gate in program["gates"]}
    channels = _channels(potential)
    types = {name: [part[:2] for part in parts] for name, _, parts in potential._core.slots()}
    found = {}
    for name, (_, shape) in potential.parameter_slices.items():
        gate, of_atoms = gates[name.split(".")[0]], gates[name.split(".")[0]].get("nodes", "atoms") == "atoms"
        keys = [list(range(n)) for n in shape]
        by_node = gate["gate"] in ("self_product", "embedding")
        if gate["gate"] == "zeroth_order" and name.endswith(".E"):
            of_atoms = _children(program)[gate.get("nodes", "atoms")] == "atoms"
            by_node = True
        if gate["gate"] == "mix" and name.endswith(".bias"):
            by_node = gate["bias"] == "species"
        elif gate["gate"] == "mix":
            own = dict.fromkeys(_part_name(n) for n in potential.parameter_slices if n.split(".")[0] == gate["name"])
            even = (0, 1 if program["parity"] == "o3" else 0)
            wanted = even if gate.get("tied") else types[gate["name"]][list(own).index(_part_name(name))]
            shares = gate.get("shares") or [gate.get("share", "all")] * len(gate["inputs"])
            kinds = {share for state, share in zip(gate["inputs"], shares, strict=True) if wanted in types[state]}
            by_node = name.endswith("_species") or kinds == {"species"}
            if any(_has_elements(channels[state]) for state in gate["inputs"]):
                keys[1] = [
                    (source, part, key)
                    for source, (state, share) in enumerate(zip(gate["inputs"], shares, strict=True))
                    for part, of in enumerate(types[state])
                    if of == wanted and (share == "species") == by_node
                    for key in channels[state][part]
                ]
        if gate["gate"] == "edge_embedding" and name.endswith(".W"):
            by_node, keys[1] = True, [(element,) for element in species]
        if gate["gate"] == "affine":
            by_node = gate.get("share", "species") == "species"
            keys[1] = channels[gate["inputs"][0]][int(re.search(r"\d*$", name)[0] or 0)]
        if by_node and of_atoms:
            keys[0] = [(element,) for element in species]
        if [len(axis) for axis in keys] != list(shape):
            raise InputError(f"no element can be added to this potential: the weights {name} are not understood")
        found[name] = keys
    return found


def _part_name(parameter):
    """W0e of psi1.W0e and of psi1.W0e_species: they are of the same part. W, where all parts have one matrix."""
    return parameter.split(".")[-1].removesuffix("_species")


def _children(program):
    """{set: the set of its children}."""
    return {"atoms": "atoms"} | {s["name"]: s.get("children", "atoms") for s in program.get("sets", [])}


def _channels(potential):
    """{slot: [part][channel] key}."""
    program, slots = potential.description["program"], potential._core.slots()
    children = _children(program)
    types = {name: [part[:2] for part in parts] for name, _, parts in slots}
    found, species = {}, potential.species
    for gate, (name, _, parts) in zip(program["gates"], slots, strict=True):
        kind, inputs = gate["gate"], [found[state] for state in gate.get("inputs", [])]
        found[name] = [list(range(n)) for _, _, n in parts]
        if kind == "density" and gate.get("by_species", True) and children[gate.get("nodes", "atoms")] == "atoms":
            found[name] = [[(x, k) for x in species for k in range(n // len(species))] for _, _, n in parts]
        if kind == "triplet":
            raise InputError(
                f"no element can be added to this potential: its gate {name} (triplet) counts pairs of them"
            )
        if kind in ("density", "mix") or not any(map(_has_elements, inputs)):
            continue
        if kind in ("norm", "activation", "affine"):
            found[name] = inputs[0]
        elif kind == "tensor_product" and gate.get("algebra", "real") == "real" and gate.get("blocks_over") != "groups":
            found[name] = _products(gate, inputs, [types[state] for state in gate["inputs"]], program["parity"] == "o3")
        else:
            raise InputError(
                f"no element can be added to this potential: its gate {name} ({kind}) reads channels of single "
                "elements, which cannot be followed through it"
            )
    return found


def _products(gate, inputs, types, o3):
    """[part][channel] of a tensor product, in the order of its file: sets, parts of both factors, l, channels."""
    sets, l_max, natural = gate.get("n_blocks", 1), gate.get("l_max", 2), gate.get("parities", "natural") == "natural"
    same, found = gate.get("pairs", "all") == "same", []
    for s in range(sets):
        for p, (l1, parity1) in enumerate(types[0]):
            for q, (l2, parity2) in enumerate(types[-1]):
                a, b = inputs[0][p][s::sets], inputs[-1][q][s::sets]
                for l in range(abs(l1 - l2), min(l1 + l2, l_max) + 1):
                    if (len(inputs) == 1 and q < p) or (o3 and natural and parity1 * parity2 != (-1) ** l):
                        continue
                    if same and len(inputs) == 1 and p == q and l % 2 and not gate.get("conjugate", False):
                        continue
                    found.append(list(zip(a, b, strict=True)) if same else list(itertools.product(a, b)))
    return found


def _has_elements(state):
    return any(_of_elements(key) for part in state for key in part)


def _of_elements(key):
    """Is there an element in it?"""
    return isinstance(key, str) or (isinstance(key, tuple) and any(map(_of_elements, key)))


def _known(key, models):
    """The keys that a new one begins with: one known element, or each of several, in the place of a new one."""
    if isinstance(key, str):
        return models.get(key, [key])
    if isinstance(key, tuple):
        return list(itertools.product(*(_known(part, models) for part in key)))
    return [key]
