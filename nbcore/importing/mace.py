"""A network of MACE as a potential of nbcore: the same numbers, in the order and with the factors of its gates."""

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.mace_file import Mace
from nbcore.importing.symmetric_basis import SymmetricBasis
from nbcore.potential import Potential
from nbcore.presets.mace import Perceptron, Round, mace_gates
from nbcore.species import symbols


def potential(network: Mace) -> Potential:
    """The potential that computes what a network does; its energies of elements contain the network's shift.

    Raises InputError for what nbcore's gates do not have.
    """
    order = np.argsort(network.species)
    species = symbols(network.species[order].tolist())
    levels, last = network.levels, network.readouts[-1]
    channels = levels[0].channels
    for k, level in enumerate(levels):
        if level.channels != channels or sorted(level.linear) != list(range(network.l_harmonics + 1)):
            raise InputError(f"{network.where}: interactions.{k}: other channels or harmonics than in the first level")
    rounds = [
        Round(level.kind, _radial(network, level.network), level.sent, max(level.mix),
              max(map(len, level.tensors.values())), 1 / level.neighbours, readout is not None, max(level.up),
              level.count and _radial(network, level.count))
        for level, readout in zip(levels, network.readouts, strict=True)
    ]  # fmt: skip
    hidden = Perceptron([len(matrix.T) for matrix, _ in last.layers], last.function, len(last.layers) > 1)
    gates = mace_gates(rounds, channels, network.l_harmonics, hidden, network.parity)
    options = {"cutoff": network.cutoff, "channels": channels, "levels": len(levels), "parity": network.parity,
               "l_harmonics": network.l_harmonics, "l_states": max(levels[0].mix)}  # fmt: skip
    constants = sum(readout.bias for readout in network.readouts if readout)
    energies = network.energies[order] + network.shift + network.scale * constants
    made = Potential({
        "preset": "mace", "options": options, "species": species, "cutoff": network.cutoff, "program": gates,
        "E0s": dict(zip(species, map(float, energies), strict=True)), "about": network.about,
        **({"repulsion": network.repulsion} if network.repulsion else {}),
    })  # fmt: skip
    made.scale = network.scale
    _Weights(network, made, order).put()
    return made


def _radial(network, of):
    """The option `radial` of a gate."""
    if of.options.get("layers"):
        return {**network.radial, **of.options}
    return {key: value for key, value in network.radial.items() if key != "envelope_of"}


class _Weights:
    """Puts the weights of a network into the parameters of a potential."""

    def __init__(self, network, made, order):
        self.network, self.order = network, order
        self.parameters, self.slices = made.parameters, made.parameter_slices
        self.parameters[:] = np.nan

    def put(self):
        network = self.network
        state = network.embedding[self.order]
        self.set("sum1.E", state @ network.levels[0].up[0])
        if "embedded.E" in self.slices:
            self.set("embedded.E", state)
        for number, level in enumerate(network.levels, start=1):
            if number > 1:
                self.mix(f"up{number}", level.up)
            self.radial(number, level)
            self.sums(number, level)
            self.products(number, level)
            by_element = {l: m[self.order] for l, m in level.skip.items()} if level.kind == "residual" else {}
            before = level.skip if level.kind == "gated" else {}
            self.mix(f"psi{number}", stacked(level.mix, before), by_element)
        self.readouts()
        if np.isnan(self.parameters).any():
            missing = [name for name, (where, _) in self.slices.items() if np.isnan(self.parameters[where]).any()]
            raise InputError(f"{network.where}: the file has no numbers for {', '.join(missing)}.")

    def set(self, name, values):
        where, shape = self.slices[name]
        self.parameters[where] = np.broadcast_to(values, shape).ravel()

    def mix(self, gate, matrices, by_element=None):
        """Matrices by l of a mix, and those of its second input, which the elements have each their own of."""
        by_element = by_element or {}
        for l, matrix in matrices.items():
            name = f"{gate}.W{self.type_name(l)}"
            other = by_element.get(l)
            if other is None:  # the state before has no such part
                other = np.zeros((1, 0, matrix.shape[1]))
            factor = np.sqrt(matrix.shape[0] + other.shape[1])
            self.set(name, matrix * factor)
            if other.shape[1]:
                self.set(f"{name}_species", other * factor)

    def type_name(self, l):  # noqa: E741
        return str(l) if self.network.parity == "so3" else f"{l}{'eo'[l % 2]}"

    def radial(self, number, level):
        """Radial network and radial weights; nbcore's functions have factors of their own."""
        self.network_of(f"sum{number}", level.network)
        if level.count is not None:
            self.network_of(f"count{number}", level.count)
        if level.kind == "gated":
            self.mix(f"weighted{number}", {0: np.array([[level.count_weight]])})
        last, width = level.network.last, level.sent
        columns = {path: np.zeros((len(last), width)) for path in self.paths(number, level)}
        for p, at, channels in zip(level.products, level.columns, level.widths, strict=True):
            if (p.part, p.l2, p.l3) in columns:  # edges run from sender to receiver: odd harmonics change their sign
                columns[p.part, p.l2, p.l3][:, :channels] = last[:, at : at + channels] * p.factor * (-1) ** p.l2
        self.set(f"sum{number}.R", np.stack(list(columns.values())))

    def network_of(self, gate, network):
        for name, values in network.parameters.items():
            self.set(f"{gate}.{name}", values[self.order] if name in ("radial1_parent", "radial1_child") else values)

    def paths(self, number, level):
        """(l of the state, of harmonics, of the sum) in the order of `zeroth_order`; all must be there.

        The file may have others, of parts that are zero, and none of a part that is not sent.
        """
        found = [
            (part, l2, l3)
            for l2 in range(self.network.l_harmonics + 1)
            for part in sorted(level.up)
            for l3 in range(abs(part - l2), min(part + l2, self.network.l_harmonics) + 1)
            if self.network.parity == "so3" or (part + l2 + l3) % 2 == 0
        ]
        known = {(p.part, p.l2, p.l3) for p in level.products}
        if any(path not in known and path[0] in {part for part, _, _ in known} for path in found):
            raise InputError(
                f"{self.network.where}: interactions.{number - 1}: its products are not all that there are"
            )
        return found

    def sums(self, number, level):
        """Mixing of the sums, what the kind of the level does with them."""
        at = {
            (p.part, p.l2, p.l3): (row, channels)
            for p, row, channels in zip(level.products, level.rows, level.widths, strict=True)
        }
        mixed = {l: [] for l in level.linear}
        for path in self.paths(number, level):
            row, channels = at.get(path, (0, 0))
            block = level.linear[path[2]][row : row + channels]
            mixed[path[2]].append(np.pad(block, ((0, level.sent - channels), (0, 0))))
        mixed = {l: np.concatenate(blocks) for l, blocks in mixed.items()}
        if level.kind == "gated":
            self.gated(number, level, mixed)
        else:
            self.mix(f"A{number}", mixed)
        if level.kind == "species":
            for l, m in level.skip.items():
                self.set(f"M{number}.W{self.type_name(l)}", m[self.order] * np.sqrt(m.shape[1]))

    def gated(self, number, level, mixed):
        """Mixed sums and what is added to them; scalars, gates and gated parts."""
        residual, n = level.gated.residual, level.channels
        if number == 1:  # what is sent is the element, as it is embedded
            residual = {0: level.up[0] @ _filled(residual[0], level.sent)}
        else:
            residual = {l: _filled(residual.get(l, mixed[l][:0]), level.sent) for l in level.up}
        # of nbcore's sums the division by alpha is done
        self.mix(f"A{number}", stacked(*({l: m[:, :n] for l, m in part.items()} for part in (mixed, residual))))
        if f"gates{number}.W{self.type_name(0)}" in self.slices:
            self.mix(f"gates{number}", stacked({0: mixed[0][:, n:]}, {0: residual[0][:, n:]}))
        of_scalars, of_gated = level.gated.factors
        self.mix(f"F{number}", {l: m * (of_gated if l else of_scalars) for l, m in level.gated.second.items()})

    def products(self, number, level):
        """Weights of the symmetric products: paths of MACE written in nbcore's basis."""
        parities = [0 if self.network.parity == "so3" else (-1) ** l for l in level.linear]
        correlation = max(map(len, level.tensors.values()))
        basis = SymmetricBasis(list(level.linear), parities, max(level.mix), correlation, self.network.parity)
        total = 0
        for l, U in level.tensors.items():
            parity = 0 if self.network.parity == "so3" else (-1) ** l
            where = f"{self.network.where}: products.{number - 1}, l = {l}"
            matrices = basis.weights(where, (l, parity), U, level.rounding)
            for matrix, weights in zip(matrices, level.weights[l], strict=True):
                weights = weights[self.order] if len(weights) > 1 else weights
                total = total + np.einsum("qk,zkc->zqc", matrix, weights)
        self.set(f"B{number}.w", total)

    def readouts(self):
        for number, readout in enumerate(self.network.readouts, start=1):
            if readout is None:
                continue
            for k, (matrix, bias) in enumerate(readout.layers, start=1):
                self.mix("hidden" if k == 1 else f"hidden{k}", {0: matrix})
                if bias is not None:
                    self.set(f"hidden{k}.bias", bias)
            self.mix(f"energy{number}", {0: readout.last[:, None]})


def stacked(first, second):
    """Matrices by l of a mix with two inputs; what an input does not have has no rows."""
    return {l: np.concatenate([m, second[l]]) if l in second else m for l, m in first.items()}


def _filled(matrix, rows):
    """With rows of zeros up to this number."""
    return np.pad(matrix, ((0, rows - len(matrix)), (0, 0)))
