"""Weights of NequIP (mir-group, MIT; read as release 0.19.1 writes them) as a potential.

They come as arrays by NequIP's own names and the arguments of its `NequIPGNNModel`.
"""

import math
import re
from collections.abc import Mapping

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.e3nn_weights import THEIRS, fully_connected, linear, sign
from nbcore.importing.nequip_network import Layer, Network, Path, potential
from nbcore.potential import Potential
from nbcore.species import atomic_numbers

#: arguments of NequIPGNNModel that change nothing here, or are read; others are refused
READ = {
    "r_max", "type_names", "num_layers", "l_max", "parity", "num_features", "type_embed_num_features",
    "radial_mlp_depth", "radial_mlp_width", "readout_mlp_hidden_layers_depth", "readout_mlp_hidden_layers_width",
    "num_bessels", "bessel_trainable", "polynomial_cutoff_p", "avg_num_neighbors", "per_type_energy_scales",
    "per_type_energy_shifts", "per_type_energy_scales_trainable", "per_type_energy_shifts_trainable", "seed",
    "model_dtype", "version", "do_derivatives",
}  # fmt: skip


def from_nequip(arguments: Mapping, weights: Mapping[str, np.ndarray]) -> Potential:
    """The potential of a NequIP model. arguments: of `NequIPGNNModel`. weights: its state, names as they are.

    Energies and forces are the model's to rounding. Raises InputError for arguments and weights that are not known.
    """
    strangers = sorted(k for k, v in arguments.items() if k not in READ and v is not None)
    if strangers and not (strangers == ["readout_mlp_nonlinearity"] and arguments[strangers[0]] == "silu"):
        raise InputError(f"NequIP: {', '.join(strangers)}: nbcore does not know what this changes")
    return potential(_Reader(arguments, weights).network())


class Reader:
    """Arrays by the names of models of nequip's family, and what they have in common."""

    program = "NequIP"
    arguments: dict
    order: list[int]  #: of their elements, by atomic number

    def read_weights(self, weights):
        self.weights, self.used = {}, set()
        for name, array in weights.items():
            self.weights[name.removeprefix("model.").removeprefix("func.")] = np.asarray(array, dtype=float)

    def get(self, name, shape=None):
        if name not in self.weights:
            raise InputError(f"{self.program}: there are no weights {name!r}")
        self.used.add(name)
        array = self.weights[name]
        if shape is not None and array.shape != shape:
            raise InputError(f"{self.program}: {name} has the shape {array.shape}, expected {shape}")
        return array

    def order_of_species(self):
        """The species by atomic number, as nbcore has them."""
        order = list(self.arguments["type_names"])
        species = sorted(order, key=lambda name: atomic_numbers([name])[0])
        self.order = [order.index(name) for name in species]
        return species

    def neighbours(self):
        number = self.arguments.get("avg_num_neighbors")
        if isinstance(number, Mapping):
            raise InputError(f"{self.program}: avg_num_neighbors per element: nbcore knows one number for all")
        return float(number)

    def perceptron(self, name, width=None):
        """Matrices with silu between them; NequIP divides by the root of the fan-in, and multiplies by sqrt 2 behind a
        function."""
        numbers = sorted(int(found[1]) for key in self.weights
                         if (found := re.fullmatch(rf"{re.escape(name)}\.mlp\.(\d+)\.weight", key)))  # fmt: skip
        if not numbers:
            raise InputError(f"{self.program}: there are no weights {name}.mlp")
        found = [self.get(f"{name}.mlp.{k}.weight") for k in numbers]
        width = width or found[-1].shape[1]
        if found[-1].shape[1] != width or any(a.shape[1] != b.shape[0] for a, b in zip(found, found[1:], strict=False)):
            raise InputError(f"{self.program}: {name}: the shapes of its layers do not fit, {[m.shape for m in found]}")
        return [m * math.sqrt((2 if k else 1) / m.shape[0]) for k, m in enumerate(found)]

    def per_type(self, name, default):
        array = self.weights.get(name)
        self.used.add(name)
        if array is None or array.size == 0:
            return np.full(len(self.order), default)
        return np.broadcast_to(array.ravel(), (len(self.order),))[self.order]


class _Reader(Reader):
    def __init__(self, arguments, weights):
        self.arguments = {"num_layers": 4, "l_max": 1, "parity": True, "num_features": 32, **arguments}
        self.read_weights(weights)
        self.l_max, self.parity = int(self.arguments["l_max"]), bool(self.arguments["parity"])
        features = self.arguments["num_features"]
        self.features = list(features) if isinstance(features, (list, tuple)) else [features] * (self.l_max + 1)
        if len(self.features) != self.l_max + 1:
            raise InputError(f"NequIP: num_features needs {self.l_max + 1} numbers, got {len(self.features)}")

    def network(self):
        species = self.order_of_species()
        cutoff, n = float(self.arguments["r_max"]), int(self.arguments.get("num_bessels", 8))
        embedding = self.get("type_embed.embed_module.weight")[self.order]
        frequencies = self.get("bessel_encode.bessel_weights").ravel()
        radial = {"basis": "bessel", "n": n, "cutoff": cutoff, "envelope": "polynomial",
                  "power": int(self.arguments.get("polynomial_cutoff_p", 6))}  # fmt: skip
        if not np.array_equal(frequencies, np.arange(1, n + 1)):
            radial["frequencies"] = frequencies.tolist()
        if self.get("edge_norm._rmax_recip").size != 1:
            raise InputError("NequIP: per_edge_type_cutoff: nbcore's radial functions have one cutoff for all elements")
        kinds = [(l, p) for l in range(self.l_max + 1) for p in ((1, -1) if self.parity else ((-1) ** l,))]
        hidden = [(self.features[l], l, p) for l, p in kinds]
        before = [(embedding.shape[1], 0, 1)]
        layers, number = [], int(self.arguments["num_layers"])
        for k in range(number):
            wanted = hidden if k + 1 < number else [(self.features[0], 0, 1)]
            layer, before = self.layer(k, before, wanted, embedding, cutoff)
            layers.append(layer)
        readout = self.perceptron("per_atom_energy_readout.mlp_module", 1)
        scale_shift = [self.per_type(f"per_type_energy_scale_shift.{name}", default)
                       for name, default in (("scales", 1.0), ("shifts", 0.0))]  # fmt: skip
        ignored = re.compile(r".*(output_mask|_w3j_\d+_\d+_\d+|alpha|norm_const)$")
        left = [name for name in self.weights if name not in self.used and not ignored.match(name)]
        if left:
            raise InputError(f"NequIP: weights {', '.join(left)}: nbcore does not know what they do")
        about = {"origin": f"NequIP {self.arguments.get('version', '')}".strip()}
        return Network("nequip", species, cutoff, "o3", self.l_max, radial, embedding, layers, readout, *scale_shift,
                       about)  # fmt: skip

    def layer(self, k, before, wanted, embedding, cutoff):
        name = f"layer{k}_convnet.conv"
        edges = [(l, (-1) ** l) for l in range(self.l_max + 1)]
        kinds = {(l, p * q) for _, l1, p in before for l2, q in edges for l in range(abs(l1 - l2), l1 + l2 + 1)}
        state = [part for part in wanted if part[1:] in kinds]
        gated = [part for part in state if part[1] > 0]
        scalars = [part for part in state if part[1] == 0]
        # scalars, their gates and the rest, sorted and joined by type; what is even comes last
        n_gates = sum(part[0] for part in gated)
        target = sorted(scalars + [(n_gates, 0, 1)] * bool(n_gates) + gated, key=lambda part: part[1:])
        target = joined(target)
        paths, messages = products(before, edges, target)
        n_weights = sum(before[i][0] for i, *_ in paths)
        normalise = 1 / np.sqrt(self.neighbours())
        couplings = {tuple(map(int, found.groups())): array for key, array in self.weights.items()
                     if (found := re.match(rf"{re.escape(name)}\..*_w3j_(\d+)_(\d+)_(\d+)$", key))}  # fmt: skip
        radial = self.perceptron(f"{name}.edge_mlp", n_weights)
        radial[0] = radial[0] * (2 / cutoff)
        own = None
        if f"{name}.sc.weight" in self.weights:
            own = fully_connected(f"{name}.sc", self.get(f"{name}.sc.weight").ravel(), before, embedding, target)
        found = Layer(
            linear={key: m * normalise for key, m in
                    linear(f"{name}.linear_1", self.get(f"{name}.linear_1.weight").ravel(), before, before).items()},
            radial=radial,
            paths=[Path(before[i][1:], l2, to, column, row, sign(before[i][1], l2, to[0], couplings))
                   for i, l2, to, column, row in paths],
            mix=linear(f"{name}.linear_2", self.get(f"{name}.linear_2.weight").ravel(), messages, target),
            own=own,
            state={part[1:]: part[0] for part in sorted(state, key=lambda part: part[1:])},
            gated=[part[1:] for part in gated],
            factors={"silu": THEIRS["silu"], "tanh": THEIRS["tanh"]},
        )  # fmt: skip
        return found, joined(scalars) + gated


def joined(parts):
    """Neighbours of one type as one part.

    >>> joined([(2, 0, 1), (3, 0, 1), (1, 1, -1)])
    [(5, 0, 1), (1, 1, -1)]
    """
    result = []
    for n, l, p in parts:
        if result and result[-1][1:] == (l, p):
            result[-1] = (result[-1][0] + n, l, p)
        else:
            result.append((n, l, p))
    return result


def products(before, edges, target):
    """The products state x Y that e3nn's programs have: [(part of the state, l of Y, type, first weight, first row)] in
    the order of the weights, and the messages as irreps, joined by type and sorted."""
    found, types = [], {part[1:] for part in target}
    column = 0
    for i, (n, l1, p) in enumerate(before):
        for l2, q in edges:
            for l3 in range(abs(l1 - l2), l1 + l2 + 1):
                if (to := (l3, p * q)) in types:
                    found.append((i, l2, to, column))
                    column += n
    rows, messages = {}, []
    at = dict.fromkeys(sorted({to for _, _, to, _ in found}), 0)
    for number, (i, _, to, _) in enumerate(found):
        rows[number] = at[to]
        at[to] += before[i][0]
    messages = [(n, *to) for to, n in at.items()]
    return [(*path, rows[number]) for number, path in enumerate(found)], messages
