"""Checkpoints of SevenNet (MDIL-SNU, MIT; versions 0.9 to 0.13 read): networks of the NequIP family, as potentials.

A checkpoint is a dictionary with "config" and "model_state_dict". What of it changes the function that is computed is
read from there, every number from the weights; what is not known is refused by its name.
"""

import re
from collections.abc import Mapping

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.e3nn_weights import THEIRS, fully_connected, irreps, linear, sign
from nbcore.importing.nequip import joined, products
from nbcore.importing.nequip_network import Layer, Network, Path, potential
from nbcore.potential import Potential
from nbcore.printable import printable
from nbcore.species import symbols

CONSTANTS = re.compile(r".*\.(output_mask|_w3j_\d+_\d+_\d+)$")  # weights of no gate


def is_sevennet(content: object) -> bool:
    """Is this, as read from a file, a checkpoint of SevenNet?"""
    return isinstance(content, Mapping) and {"config", "model_state_dict"} <= set(content)


def from_sevennet(checkpoint: Mapping, name: str = "the checkpoint") -> Potential:
    """The potential of a checkpoint. name: what errors call it.

    Numbers of single precision are computed with in double. Raises InputError for what nbcore does not know.
    """
    return potential(_Reader(checkpoint, name).network())


class _Reader:
    def __init__(self, checkpoint, name):
        self.name, self.config = name, checkpoint["config"]
        if not isinstance(self.config, Mapping) or not isinstance(checkpoint["model_state_dict"], Mapping):
            self.refuse("it is no checkpoint of SevenNet: config and model_state_dict must be tables")
        self.used, self.weights = set(), {}
        for key, array in checkpoint["model_state_dict"].items():
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                self.refuse(f"{key}: expected an array of numbers")
            self.weights[str(key)] = array

    def refuse(self, why):
        raise InputError(f"{self.name}: {why}")

    def get(self, key):
        if key not in self.weights:
            self.refuse(f"it lacks the weights {key}")
        self.used.add(key)
        array = self.weights[key].astype(float)
        if not np.isfinite(array).all():
            self.refuse(f"{key}: the weights are not finite")
        return array

    def option(self, key, kind, default=None):
        value = self.config.get(key, default)
        if (
            isinstance(value, np.ndarray)
            or not isinstance(value, kind)
            or (kind is not bool and isinstance(value, bool))
        ):
            self.refuse(f"config: {key} is {str(value)[:60]!r}, which nbcore does not know")
        return value

    def check(self, key, *known, default=None):
        value = self.config.get(key, default)
        if not any(isinstance(value, type(k)) and value == k for k in known):
            expected = " or ".join(map(repr, known))
            self.refuse(f"config: {key} is {str(value)[:60]!r}: nbcore knows {expected} alone")
        return value

    def network(self):
        if self.config.get("use_modality"):
            self.refuse("it is a model of several data sets (use_modality); nbcore knows those of one")
        self.check("interaction_type", "nequip", default="nequip")
        self.check("_normalize_sph", True, default=False)  # absent: harmonics that grow with the distance
        self.check("use_bias_in_linear", False, default=False)
        self.check("act_radial", "silu", default="silu")
        for key in ("act_scalar", "act_gate"):
            self.check(key, {"e": "silu", "o": "tanh"}, default={"e": "silu", "o": "tanh"})
        parity = "o3" if self.option("is_parity", bool) else "so3"
        cutoff, number = float(self.option("cutoff", (int, float))), self.option("num_convolution_layer", int)
        types = self.option("_type_map", dict)
        if not all(isinstance(k, int) and isinstance(v, int) for k, v in types.items()) or sorted(
            types.values()
        ) != list(range(len(types))):
            self.refuse("config: _type_map gives no number to each element")
        elements = sorted(types)
        self.order = [types[z] for z in elements]
        l_harmonics = self.option("lmax_edge", int, -1)
        l_harmonics = l_harmonics if l_harmonics > 0 else self.option("lmax", int)
        self.edges = [(l, (-1) ** l if parity == "o3" else 1) for l in range(l_harmonics + 1)]
        states = self.states(number)
        embedding = linear(self.name, self.get("onehot_to_feature_x.linear.weight"), [(len(types), 0, 1)], states[0])[
            0, 1
        ]
        layers = [self.layer(t, states[t], states[t + 1], embedding, cutoff) for t in range(number)]
        if parity == "so3":
            layers = [_without_parity(layer) for layer in layers]
        readout = self.readout(states[-1])
        scales, shifts = (np.broadcast_to(self.get(f"rescale_atomic_energy.{key}"), (len(types),))[self.order]
                          for key in ("scale", "shift"))  # fmt: skip
        radial = self.radial(cutoff)
        left = [key for key, array in self.weights.items()
                if array.size and key not in self.used and not CONSTANTS.match(key)]  # fmt: skip
        if left:
            self.refuse(f"weights {', '.join(left[:5])}: nbcore does not know what they do")
        about = {"class": f"SevenNet, written by sevenn {printable(self.config.get('version', '?'))[:20]}"}
        return Network("nequip", symbols(elements), cutoff, parity, l_harmonics, radial, embedding[self.order], layers,
                       readout, scales, shifts, about)  # fmt: skip

    def radial(self, cutoff):
        """The option of gates; factors of the functions are in the first matrix of the networks."""
        basis, envelope = self.option("radial_basis", dict), self.option("cutoff_function", dict)
        coefficients = self.get("edge_embedding.basis_function.coeffs")
        if basis.get("radial_basis_name") != "bessel":
            self.refuse(f"config: radial_basis {basis}: nbcore knows 'bessel' alone")
        frequencies = coefficients * cutoff / np.pi
        found = {"basis": "bessel", "n": len(frequencies), "cutoff": cutoff, "frequencies": frequencies.tolist()}
        match envelope.get("cutoff_function_name"):
            case "poly_cut":
                return found | {"envelope": "polynomial", "power": int(envelope.get("poly_cut_p_value", 6))}
            case "XPLOR":
                return found | {"envelope": "xplor", "on": float(envelope["cutoff_on"])}
        self.refuse(f"config: cutoff_function {envelope}: nbcore knows 'poly_cut' and 'XPLOR'")

    def states(self, number):
        """irreps of the embedding and behind each layer."""
        manual = self.config.get("irreps_manual")
        if isinstance(manual, list) and all(isinstance(text, str) for text in manual):
            if len(manual) != number + 1:
                self.refuse(f"config: irreps_manual has {len(manual)} states, expected {number + 1}")
            return [irreps(text) for text in manual]
        if manual:
            self.refuse(f"config: irreps_manual is {str(manual)[:60]!r}, which nbcore does not know")
        channels, l_max = self.option("channel", int), self.option("lmax_node", int, -1)
        l_max = l_max if l_max > 0 else self.option("lmax", int)
        found = [[(channels, 0, 1)]]
        for t in range(number):
            last = t + 1 == number
            kinds = sorted({(l, p * q) for _, l1, p in found[-1] for l2, q in self.edges
                            for l in range(abs(l1 - l2), l1 + l2 + 1) if l <= (0 if last else l_max)})  # fmt: skip
            found.append([(channels, l, p) for l, p in kinds if not last or p == 1])
        return found

    def layer(self, t, before, after, embedding, cutoff):
        after = joined(after)
        gated = [part for part in after if part[1] > 0]
        scalars = [part for part in after if part[1] == 0]
        n_gates = sum(part[0] for part in gated)
        target = joined(sorted(scalars + [(n_gates, 0, 1)] * bool(n_gates) + gated, key=lambda part: part[1:]))
        # products to every l up to that of the state behind, of even parity alone behind the last layer
        l_max, last = max(l for _, l, _ in after), t + 1 == self.config["num_convolution_layer"]
        reached = [(1, l, p) for l in range(l_max + 1) for p in ((1,) if last else (1, -1))]
        paths, messages = products(before, self.edges, reached)
        if self.sorted_weights():
            paths = _sorted(paths, before)
        couplings = {tuple(map(int, found.groups())): array for key, array in self.weights.items()
                     if (found := re.match(rf"{t}_convolution\..*_w3j_(\d+)_(\d+)_(\d+)$", key))}  # fmt: skip
        denominator = self.get(f"{t}_convolution.denominator")
        if denominator.shape != (1,) or denominator[0] == 0:
            self.refuse(f"{t}_convolution.denominator: expected one number")
        own = None
        connection = self.config.get("self_connection_type", "nequip")
        connection = connection[t] if isinstance(connection, list) else connection
        if connection == "linear":
            weights = self.get(f"{t}_self_connection_intro.linear.weight")
            own = {key: m[None] for key, m in linear(f"{t}_self_connection_intro", weights, before, target).items()}
        elif connection == "nequip":
            weights = self.get(f"{t}_self_connection_intro.fc_tensor_product.weight")
            one_hot = np.eye(len(embedding))[self.order]
            own = fully_connected(f"{t}_self_connection_intro", weights, before, one_hot, target)
        elif connection != "none":
            self.refuse(f"config: self_connection_type {connection!r} is not known")
        first = linear(f"{t}_self_interaction_1", self.get(f"{t}_self_interaction_1.linear.weight"), before, before)
        return Layer(
            linear={key: m / denominator[0] for key, m in first.items()},
            radial=self.perceptron(f"{t}_convolution.weight_nn", sum(before[i][0] for i, *_ in paths), 2 / cutoff),
            paths=[Path(before[i][1:], l2, to, column, row, sign(before[i][1], l2, to[0], couplings))
                   for i, l2, to, column, row in paths],
            mix=linear(f"{t}_self_interaction_2", self.get(f"{t}_self_interaction_2.linear.weight"), messages, target),
            own=own,
            state={part[1:]: part[0] for part in sorted(after, key=lambda part: part[1:])},
            gated=[part[1:] for part in gated],
            factors={"silu": THEIRS["silu"], "tanh": THEIRS["tanh"]},
        )  # fmt: skip

    def sorted_weights(self):
        """Since version 0.11 the weights of paths stand in the order of their messages."""
        version = str(self.config.get("version", ""))
        found = re.match(r"(\d+)\.(\d+)\.(\d+)(\.dev0)?", version)
        if not found:
            self.refuse(f"config: version is {version!r}: nbcore needs it, orders of weights depend on it")
        number = tuple(map(int, found.groups()[:3]))
        return number > (0, 11, 0) or (number == (0, 11, 0) and found[4] is None)

    def perceptron(self, name, width, factor):
        """Matrices with plain silu between them, of e3nn's FullyConnectedNet; factor: of its input."""
        found = []
        while (key := f"{name}.layer{len(found)}.weight") in self.weights:
            matrix = self.get(key)
            if matrix.ndim != 2 or (found and len(matrix) != found[-1].shape[1]):
                self.refuse(f"{key} has the shape {matrix.shape}, which does not fit")
            found.append(matrix * (factor if not found else THEIRS["silu"]) / np.sqrt(len(matrix)))
        if not found or found[-1].shape[1] != width:
            self.refuse(f"{name}: expected {width} weights of paths")
        return found

    def readout(self, state):
        state = joined(state)
        if [part[1:] for part in state] != [(0, 1)]:
            self.refuse("its last state has other parts than even scalars")
        width = state[0][0]
        if self.config.get("readout_as_fcn"):
            self.check("readout_fcn_activation", "silu")
            return self.perceptron("readout_FCN.fcn", 1, 1.0)
        hidden, one = [(width // 2, 0, 1)], [(1, 0, 1)]
        steps = (("reduce_input_to_hidden", state, hidden), ("reduce_hidden_to_energy", hidden, one))
        first, second = (linear(key, self.get(f"{key}.linear.weight"), a, b)[0, 1] for key, a, b in steps)
        return [first @ second]  # nothing stands between them


def _sorted(paths, before):
    """The same paths with their weights in the order of the messages."""
    place, at = {}, 0
    for number, (i, *_) in sorted(enumerate(paths), key=lambda item: (item[1][2], item[0])):
        place[number], at = at, at + before[i][0]
    return [(i, l2, to, place[number], row) for number, (i, l2, to, _, row) in enumerate(paths)]


def _without_parity(layer):
    """SevenNet writes states without parity as even ones."""

    def key(part):
        return (part[0], 0)

    return Layer(
        linear={key(k): m for k, m in layer.linear.items()},
        radial=layer.radial,
        paths=[Path(key(p.part), p.l2, key(p.to), p.column, p.row, p.sign) for p in layer.paths],
        mix={key(k): m for k, m in layer.mix.items()},
        own=layer.own and {key(k): m for k, m in layer.own.items()},
        state={key(k): n for k, n in layer.state.items()},
        gated=[key(k) for k in layer.gated],
        factors=layer.factors,
    )
