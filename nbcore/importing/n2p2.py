"""Behler-Parrinello networks of n2p2 and RuNNer: a folder with input.nn, scaling.data and weights.ZZZ.data."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.origin import LICENCE
from nbcore.printable import printable
from nbcore.species import atomic_numbers

if TYPE_CHECKING:
    from nbcore.potential import Potential

LENGTHS = {"Angstrom": 1.0, "Bohr": 0.529177210903}
ENERGIES = {"eV": 1.0, "Hartree": 27.211386245988, "kcal/mol": 0.04336410390059322, "kJ/mol": 0.010364269656262176}
ENVELOPES = {1: {"envelope": "cosine"}, 2: {"envelope": "tanh"}, 6: {"envelope": "polynomial", "power": 3}}
ACTIVATIONS = {"t": ("tanh", 1.5925), "p": ("softplus", 1.0419)}  #: name and factor of the gate `activation`
LARGEST = 256 << 20
#: keywords of input.nn that decide what is computed, beside those that are read; they are refused
OTHERS = {"normalize_nodes", "nodes_short", "activation_short", "nnp_type", "symfunction_charge", "use_electrostatics",
          "element_nodes_short", "element_hidden_layers_short", "element_activation_short"}  # fmt: skip


class Function(NamedTuple):
    """A symmetry function: numbers in the units of the file; neighbours: one or two elements."""

    element: str
    kind: int
    cutoff: float
    eta: float
    shift: float
    zeta: float
    sign: float
    neighbours: tuple[str, ...]

    def numbers(self, length):
        """What tells it from others of its kind and cutoff, in Angstrom."""
        return (self.eta / length**2, self.shift * length) + (() if self.kind == 2 else (self.zeta, self.sign))

    def order(self, elements):
        """The key by which n2p2 orders the functions of an element."""
        return (
            self.kind,
            self.cutoff,
            self.eta,
            self.shift,
            self.zeta,
            self.sign,
            [elements.index(n) for n in self.neighbours],
        )


def is_n2p2(path) -> bool:
    """Is it a folder of such a network, or the file input.nn in it?"""
    path = Path(path)
    return path.name == "input.nn" or (path.is_dir() and (path / "input.nn").is_file())


def read_n2p2(path, length_unit: str | None, energy_unit: str | None) -> "Potential":
    """The potential of a folder of n2p2; its files do not say their units, which have to be given.

    length_unit: "Angstrom" or "Bohr"; energy_unit: "eV", "Hartree", "kcal/mol" or "kJ/mol". Raises InputError for
    units that are missing, for files that are damaged, and for what is not known, by its name; OSError.
    """
    from nbcore.potential import Potential
    from nbcore.presets.element_networks import element_networks

    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    for name, value, known in (("length", length_unit, LENGTHS), ("energy", energy_unit, ENERGIES)):
        if value not in known:
            raise InputError(
                f"{folder}: files of n2p2 do not say their units: {name}_unit (--{name}-unit) must be one of "
                f"{', '.join(known)}, got {value!r}."
            )
    length, energy = LENGTHS[length_unit], ENERGIES[energy_unit]
    settings = _Settings(folder / "input.nn")
    elements = sorted(settings.elements, key=lambda s: atomic_numbers([s])[0])
    functions = {e: sorted((f for f in settings.functions if f.element == e), key=lambda f: f.order(settings.elements))
                 for e in settings.elements}  # fmt: skip
    gates, places = _gates(settings, functions, elements, length)
    hidden, names = settings.nodes, settings.activations
    networks = element_networks([gate["name"] for gate in gates], hidden, names[0][0] if names else "tanh")
    for gate, (function, _) in zip([g for g in networks if g["gate"] == "activation"], names, strict=True):
        gate["function"] = function
    cutoff = length * max(f.cutoff for f in settings.functions)
    potential = Potential({
        "preset": "behler_parrinello", "species": elements, "cutoff": cutoff,
        "options": {"cutoff": cutoff, "layers": hidden},
        "program": {"parity": "o3", "gates": gates + networks, "readout": ["energy"]},
        "E0s": {e: energy * (settings.energies.get(e, 0.0) + settings.mean) for e in elements},
    })  # fmt: skip
    scaling = settings.scaling(folder / "scaling.data", functions)
    for z, element in enumerate(elements):
        layers = _weights(
            folder / f"weights.{atomic_numbers([element])[0]:03d}.data", [len(functions[element]), *hidden, 1]
        )
        factor, offset = scaling[element]
        W, bias = layers[0]
        layers[0] = (factor[:, None] * W, bias + offset @ W)  # the scaled function is factor G + offset
        for k, (W, bias) in enumerate(layers):
            last = k == len(hidden)
            gate = "energy" if last else f"hidden{k + 1}"
            (where, shape), (bias_where, bias_shape) = (
                potential.parameter_slices[f"{gate}.{p}"] for p in ("W0e", "bias")
            )
            full = np.zeros(shape[1:])
            np.add.at(full, places[element] if k == 0 else slice(None), W)  # a function may be there twice
            scale = energy / settings.conv_energy if last else 1.0
            before = 1.0 if k == 0 else names[k - 1][1]
            size, row = shape[1] * shape[2], bias_shape[1]
            potential.parameters[where][z * size : (z + 1) * size] = scale * math.sqrt(shape[1]) / before * full.ravel()
            potential.parameters[bias_where][z * row : (z + 1) * row] = scale * bias
    name = printable(folder.resolve().name)
    potential.annotate(about={"description": f"imported from {name} (n2p2)", "licence": LICENCE})
    return potential


def _gates(settings, functions, elements, length):
    """Gates of all functions; for each element the channels of its functions.

    Functions of one kind and cutoff share a gate, whatever the elements; what an element does not read has no weight.
    """
    from nbcore.presets.behler_parrinello import AngularSet, RadialSet, symmetry_functions

    kinds = {2: None, 3: "narrow", 9: "wide"}
    numbers = {}  # (kind, cutoff): its different functions
    for f in settings.functions:
        numbers.setdefault((f.kind, f.cutoff), {}).setdefault(f.numbers(length), None)
    sets, first, at = [], {}, 0
    pairs = [(a, b) for a in range(len(elements)) for b in range(a, len(elements))]
    for (kind, cutoff), different in numbers.items():
        ends = {"cutoff": length * cutoff, **ENVELOPES[settings.cutoff_type]}
        sets.append(RadialSet(ends, list(different)) if kind == 2 else AngularSet(kinds[kind], ends, list(different)))
        first[kind, cutoff] = at
        at += len(different) * (len(elements) if kind == 2 else len(pairs))

    def channel(f):
        different = list(numbers[f.kind, f.cutoff])
        z = sorted(elements.index(n) for n in f.neighbours)
        group = z[0] if f.kind == 2 else pairs.index(tuple(z))
        return first[f.kind, f.cutoff] + group * len(different) + different.index(f.numbers(length))

    return symmetry_functions(sets), {e: [channel(f) for f in functions[e]] for e in functions}


class _Settings:
    """What input.nn says."""

    def __init__(self, path):
        self.path = path
        self.functions: list[Function] = []
        self.energies: dict[str, float] = {}
        self.flags: set[str] = set()
        words = {}
        for number, line in enumerate(_text(path).splitlines(), start=1):
            key, *values = line.partition("#")[0].split() or [""]
            if key in OTHERS:
                raise InputError(f"{path}, line {number}: {key}: nbcore does not know what this changes.")
            if key == "symfunction_short":
                self.functions.append(self._function(values, number))
            elif key == "atom_energy":
                self.energies[" ".join(values[:1])] = self._number(values[1:], number)
            elif key:
                words[key] = values
                self.flags.add(key)
        self.elements = words.get("elements", [])
        if not self.elements or not self.functions:
            raise InputError(f"{path}: there are no elements, or no symfunction_short.")
        for f in self.functions:
            if strangers := {f.element, *f.neighbours} - set(self.elements):
                raise InputError(f"{path}: a function of {' '.join(strangers)}, which are not among the elements.")
        missing = set(self.elements) - {f.element for f in self.functions}
        if missing:
            raise InputError(f"{path}: {' '.join(sorted(missing))} has no functions.")

        def number_of(key, default):
            return self._number(words[key], key) if key in words else default

        self.mean, self.conv_energy = number_of("mean_energy", 0.0), number_of("conv_energy", 1.0)
        self.low, self.high = number_of("scale_min_short", 0.0), number_of("scale_max_short", 1.0)
        kind, *more = words.get("cutoff_type", ["1"])
        self.cutoff_type = int(kind) if kind.isdigit() else kind
        if self.cutoff_type not in ENVELOPES or any(self._number([m], "cutoff_type") != 0 for m in more):
            known = ", ".join(map(str, ENVELOPES))
            raise InputError(
                f"{path}: cutoff_type {' '.join([kind, *more])}; nbcore knows {known}, without an inner radius."
            )
        self.nodes = [int(self._number([w], "global_nodes_short")) for w in words.get("global_nodes_short", [])]
        letters = words.get("global_activation_short", [])
        if len(letters) != len(self.nodes) + 1 or letters[-1] != "l" or any(a not in ACTIVATIONS for a in letters[:-1]):
            raise InputError(
                f"{path}: global_activation_short {' '.join(letters)} for {len(self.nodes)} hidden layers; nbcore "
                f"knows {' and '.join(ACTIVATIONS)}, and l at the end."
            )
        self.activations = [ACTIVATIONS[a] for a in letters[:-1]]

    def _number(self, values, where):
        try:
            value = float(values[0])
            if not math.isfinite(value):
                raise ValueError
        except (IndexError, ValueError):
            raise InputError(f"{self.path}, {where}: expected a number, got {' '.join(values) or 'nothing'}.") from None
        return value

    def _function(self, values, line):
        kind = values[1] if len(values) > 1 else "nothing"
        count = {"2": (6,), "3": (8, 9), "9": (8, 9)}.get(kind)
        if count is None or len(values) not in count:
            raise InputError(
                f"{self.path}, line {line}: symfunction_short {' '.join(values)}; nbcore knows the types 2, 3 and 9."
            )
        if kind == "2":
            eta, shift, cutoff = (self._number([v], f"line {line}") for v in values[3:6])
            return Function(values[0], 2, cutoff, eta, shift, 0.0, 0.0, (values[2],))
        eta, sign, zeta, cutoff, *shift = (self._number([v], f"line {line}") for v in values[4:])
        return Function(
            values[0], int(kind), cutoff, eta, shift[0] if shift else 0.0, zeta, sign, (values[2], values[3])
        )

    def scaling(self, path, functions):
        """Of each element (factors, offsets) of its functions."""
        scale, sigma = "scale_symmetry_functions" in self.flags, "scale_symmetry_functions_sigma" in self.flags
        centre = "center_symmetry_functions" in self.flags
        if not (scale or sigma or centre):
            return {e: (np.ones(len(f)), np.zeros(len(f))) for e, f in functions.items()}
        rows = [line.split() for line in _text(path).splitlines() if line.strip() and not line.lstrip().startswith("#")]
        found = {}
        for row in rows:
            if len(row) >= 5 and row[0].isdigit() and row[1].isdigit():
                found[int(row[0]), int(row[1])] = [self._number([w], f"{path.name}") for w in row[2:]]
        result = {}
        for number, element in enumerate(self.elements, start=1):
            try:
                table = np.array([found[number, k + 1][:4] for k in range(len(functions[element]))])
                low, high, mean = table[:, 0], table[:, 1], table[:, 2]
                spread = table[:, 3] if sigma else high - low
            except (KeyError, IndexError, ValueError):
                raise InputError(
                    f"{path}: expected a row for each of the {len(functions[element])} functions of {element}."
                ) from None
            factor = (self.high - self.low) / spread if scale or sigma else np.ones(len(mean))
            origin = mean if centre or sigma else low
            result[element] = factor, (self.low if scale or sigma else 0.0) - factor * origin
        return result


def _weights(path, widths):
    """The layers of an element, (weights (in, out), biases (out,)), by the numbers that each line names."""
    layers = [(np.full((n, m), np.nan), np.full(m, np.nan)) for n, m in zip(widths, widths[1:], strict=False)]
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = line.partition("#")[0].split()
        try:
            if not words:
                continue
            value, kind, *at = float(words[0]), words[1], *map(int, words[3:])
            if kind == "a":
                layers[at[0]][0][at[1] - 1, at[3] - 1] = value
            elif kind == "b":
                layers[at[0] - 1][1][at[1] - 1] = value
            else:
                raise ValueError
        except (IndexError, ValueError):
            raise InputError(
                f"{path}, line {number}: expected a weight of layers of {widths} nodes, got {line.strip()!r}."
            ) from None
    if not all(np.isfinite(a).all() for layer in layers for a in layer):
        raise InputError(f"{path}: weights of layers of {widths} nodes are missing, or are no finite numbers.")
    return layers


def _text(path):
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path}: {path.stat().st_size} bytes are too many.")
    return path.read_text(encoding="latin-1")
