"""A NequIP network as read from some program's file, and the potential that computes the same.

What programs do to weights on the way, roots of fan-ins, factors of functions, prefactors of radial functions, is
multiplied into them: a `Network` has plain matrices, x W, silu and tanh without factors. nbcore's gates have factors of
their own, by which `potential` divides.
"""

from dataclasses import dataclass, field

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.e3nn_weights import OURS
from nbcore.potential import Potential
from nbcore.presets.nequip import natural, nequip_gates, reached, with_readout

Key = tuple[int, int]  #: (l, parity); parity 0 where the network does not track it


@dataclass
class Path:
    """One product state x Y -> message: its part of the state, l of Y, part of the message, its weights and rows."""

    part: Key
    l2: int
    to: Key
    column: int  #: of the radial network's last matrix, the first of the path's channels
    row: int  #: of the matrix that mixes messages of this type
    sign: float = 1.0  #: of the coupling, against nbcore's


@dataclass
class Layer:
    """One round of messages. Matrices by (l, parity), channels in and out in the order of the program's parts."""

    linear: dict[Key, np.ndarray]  #: of the state before
    radial: list[np.ndarray]  #: of the network, silu between them, the last one to the weights of all paths
    paths: list[Path]
    mix: dict[Key, np.ndarray]  #: of the messages; scalars, then gates
    own: dict[Key, np.ndarray] | None  #: of the state before, (1 or elements, channels, channels), or none
    state: dict[Key, int]  #: channels behind the gate
    gated: list[Key]  #: parts with l > 0, in the order of their gates
    factors: dict[str, float]  #: of silu and tanh in the gate
    norm: dict | None = None  #: in the place of the gate: options of norm_activation; its function has no factor
    biases: dict[Key, np.ndarray] = field(default_factory=dict)  #: of that, (channels,)
    linear_end: bool = False  #: neither of them


@dataclass
class Network:
    """The whole: embedding (elements, channels), layers, perceptron on the last scalars, energies per element."""

    preset: str
    species: list[str]
    cutoff: float
    parity: str  #: o3 or so3
    l_harmonics: int
    radial: dict  #: the option of gates, basis and envelope; its functions are sin(k pi r / cutoff) / r
    embedding: np.ndarray
    layers: list[Layer]
    readout: list[np.ndarray]  #: silu between them, the last one to a single number
    scales: np.ndarray  #: (elements,)
    shifts: np.ndarray
    about: dict = field(default_factory=dict)


def potential(network: Network) -> Potential:
    """The potential with the weights of a network that was read; its golden cases are its own, not those of the file.

    Raises InputError for what nbcore's gates cannot compute.
    """
    gates = _gates(network)
    program = with_readout(gates, [m.shape[1] for m in network.readout[:-1]], network.parity)
    options = {"cutoff": network.cutoff, "levels": len(network.layers), "l_harmonics": network.l_harmonics,
               "parity": network.parity}  # fmt: skip
    description = {
        "preset": network.preset, "options": options, "species": network.species, "cutoff": network.cutoff,
        "E0s": dict(zip(network.species, map(float, network.shifts), strict=True)), "program": program,
        "about": network.about,
    }  # fmt: skip
    made = Potential(description)
    _Weights(network, made).put()
    return made


def _gates(network):
    states = [layer.state for layer in network.layers]
    before = {(0, 0 if network.parity == "so3" else 1): network.embedding.shape[1]}
    for number, state in enumerate(states, start=1):
        if (found := reached(before, state, network.l_harmonics, network.parity)).keys() != state.keys():
            lost = ", ".join(f"l = {l}" for l, p in state.keys() - found.keys())
            raise InputError(f"layer {number}: its state has parts that no message reaches: {lost}")
        before = state
    radials = [{**network.radial, "layers": [m.shape[1] for m in layer.radial[:-1]]} for layer in network.layers]
    kinds = [None if layer.own is None else next(iter(layer.own.values())).shape[0] for layer in network.layers]
    connections = ["none" if n is None else "all" if n == 1 else "species" for n in kinds]
    norms = [layer.norm for layer in network.layers]
    gated = all(layer.norm is None and not layer.linear_end for layer in network.layers)
    return nequip_gates(network.embedding.shape[1], states, radials, connections, network.parity,
                        network.l_harmonics, 1.0, None if gated else norms)  # fmt: skip


class _Weights:
    """Puts the weights of a network into the parameters of a potential."""

    def __init__(self, network, potential):
        self.network, self.parameters = network, potential.parameters
        self.slices = potential.parameter_slices
        self.parts = {name: [tuple(part) for part in parts] for name, _, parts in potential._core.slots()}

    def put(self):
        scalar = (0, 0 if self.network.parity == "so3" else 1)
        state, factors = {scalar: self.network.embedding.shape[1]}, {}
        for level, layer in enumerate(self.network.layers, start=1):
            # what the program's states are times those of nbcore, part by part
            scaled = {key: m * factors.get(key, 1.0) for key, m in layer.linear.items()}
            if level == 1:
                self.set("sum1.E", self.network.embedding @ scaled[scalar])
                if layer.own is not None:
                    self.set("embedded.E", self.network.embedding)
            else:
                for key in state:
                    self.mix(f"linear{level}", key, {"": scaled[key][None]}, state[key])
            rows = self.radial(level, layer, list(state))
            self.mixes(level, layer, rows, state, factors)
            state = layer.state
            if layer.norm is not None:
                factors = dict.fromkeys(state, 1 / OURS[layer.norm["function"]])
                for number, (l, parity) in enumerate(part[:2] for part in self.parts[f"psi{level}"]):
                    self.set(f"psi{level}.b{number}", layer.biases[l, parity])
            elif layer.linear_end:
                factors = {}
            else:
                odd, even = (layer.factors[name] / OURS[name] for name in ("tanh", "silu"))
                factors = {key: odd if key == (0, -1) else even for key in state}
        self.readout(factors.get(scalar, 1.0))
        assert not np.isnan(self.parameters).any()

    def set(self, name, values):
        where, shape = self.slices[name]
        self.parameters[where] = np.broadcast_to(values, shape).ravel()

    def mix(self, gate, key, matrices, fan_in):
        """matrices: {"": of all or the only ones, "_species": ...}, (classes, in, out)"""
        for suffix, matrix in matrices.items():
            self.set(f"{gate}.W{self.type_name(key)}{suffix}", matrix * np.sqrt(fan_in))

    def type_name(self, key):
        l, parity = key
        return f"{l}{'' if parity == 0 else 'e' if parity > 0 else 'o'}"

    def radial(self, level, layer, parts):
        """The radial network of a level; {type of message: its rows in the order of nbcore's channels}."""
        gate, n_basis = f"sum{level}", layer.radial[0].shape[0]
        # nbcore's functions have sqrt(2 / cutoff) before the sine
        before = np.sqrt(self.network.cutoff / 2)
        for k, matrix in enumerate(layer.radial[:-1], start=1):
            self.set(f"{gate}.radial{k}", matrix * before * np.sqrt(matrix.shape[0]))
            before = 1 / OURS["silu"]
        last = layer.radial[-1] * before * np.sqrt(layer.radial[-1].shape[0])
        assert n_basis == self.network.radial["n"]
        found = {(path.part, path.l2, path.to): path for path in layer.paths}
        widths = {key: layer.linear[key].shape[1] for key in parts}
        weights, rows = [], {}
        for part, l2, to in self.paths(parts, layer.state):
            path, width = found.pop((part, l2, to), None), widths[part]
            columns = last[:, path.column : path.column + width] if path else np.zeros((len(last), width))
            weights.append((part, columns * (path.sign if path else 1.0)))
            rows.setdefault((to, width), []).append(range(path.row, path.row + width) if path else [-1] * width)
        if found:
            lost = ", ".join(map(str, found))
            raise InputError(f"layer {level}: it has products that nbcore's gates leave out: {lost}")
        if len(set(widths.values())) == 1:
            self.set(f"{gate}.R", np.stack([columns for _, columns in weights]))
        else:
            for number, part in enumerate(parts):
                if own := [columns for of, columns in weights if of == part]:
                    self.set(f"{gate}.R{number}", np.stack(own))
        # parts of one type stand in the order of their widths, as those of states do
        return {to: np.concatenate([np.concatenate(rows[t, w]) for t, w in sorted(rows) if t == to]).astype(int)
                for to, _ in rows}  # fmt: skip

    def paths(self, parts, state):
        """(part, l of Y, part of the message) of a level, in the order of `zeroth_order`."""
        for l2 in range(self.network.l_harmonics + 1):
            for l1, p1 in parts:
                for l3 in range(abs(l1 - l2), min(l1 + l2, max(l for l, _ in state)) + 1):
                    to = (l3, p1 * (-1) ** l2)
                    if natural({to: 0}) or not natural(state):
                        yield (l1, p1), l2, to

    def mixes(self, level, layer, rows, before, factors):
        """The mixings of messages and of the state before: of states, and of the scalars that gate them."""
        scalar = (0, 0 if self.network.parity == "so3" else 1)
        n_scalars = layer.state[scalar]
        columns_of, at = {}, n_scalars
        for key in layer.gated:
            columns_of[key] = np.arange(at, at + layer.state[key])
            at += layer.state[key]
        gates = np.concatenate([columns_of[key] for key in layer.state if key in columns_of] or [[]])
        wanted = [("state", key, np.arange(layer.state[key])) for key in layer.state]
        if len(gates):
            wanted.append(("gates", scalar, gates.astype(int)))
        for gate, key, columns in wanted:
            messages = layer.mix[key][:, columns][rows[key]] * (rows[key] >= 0)[:, None] if key in rows else None
            matrices = {"": messages[None]}
            fan_in = len(messages)
            if layer.own is not None and key in before:
                own = layer.own.get(key, np.zeros((1, before[key], 0)))
                own = own[:, :, columns] if own.shape[2] else np.zeros((1, before[key], len(columns)))
                own = own * factors.get(key, 1.0)
                fan_in += before[key]
                if self.by_species(level):
                    matrices["_species"] = own
                else:
                    matrices[""] = np.concatenate([matrices[""], own], axis=1)
            self.mix(f"{gate}{level}", key, matrices, fan_in)

    def by_species(self, level):
        return any(name.startswith(f"state{level}.") and name.endswith("_species") for name in self.slices)

    def readout(self, factor):
        """Of a perceptron the functions have factors, too."""
        for k, matrix in enumerate(self.network.readout[:-1], start=1):
            self.mix(f"hidden{k}", self.scalar(), {"": (matrix * factor)[None]}, matrix.shape[0])
            factor = 1 / OURS["silu"]
        last = self.network.readout[-1] * factor
        self.mix("energy", self.scalar(), {"": last[None] * self.network.scales[:, None, None]}, last.shape[0])

    def scalar(self):
        return (0, 0 if self.network.parity == "so3" else 1)
