"""A network of MACE as a potential of nbcore: the same numbers, in the order and with the factors of its gates."""

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.mace_file import Mace
from nbcore.importing.symmetric_basis import SymmetricBasis
from nbcore.potential import Potential
from nbcore.presets.mace import Round, mace_gates
from nbcore.species import symbols

SILU = 1.6790  #: the factor of nbcore's own silu (ops/activations.hpp)


def potential(network: Mace) -> Potential:
    """The potential that computes what a network does; its energies of elements contain the network's shift.

    Raises InputError for what nbcore's gates do not have.
    """
    order = np.argsort(network.species)
    species = symbols(network.species[order].tolist())
    levels = network.levels
    channels = levels[0].channels
    for k, level in enumerate(levels):
        if level.channels != channels or sorted(level.linear) != list(range(network.l_harmonics + 1)):
            raise InputError(f"{network.where}: interactions.{k}: other channels or harmonics than in the first level")
    readouts = [r is not None for r in network.readouts] + [True] * (network.hidden is not None)
    rounds = [
        Round(level.kind, {**network.radial, "layers": [m.shape[1] for m in level.radial[:-1]]}, level.sent,
              max(level.mix), max(map(len, level.tensors.values())), 1 / level.neighbours, readout,
              max(level.up), level.count is not None)
        for level, readout in zip(levels, readouts, strict=True)
    ]  # fmt: skip
    hidden = network.hidden[0].shape[1] if network.hidden else 0
    gates = mace_gates(rounds, channels, network.l_harmonics, hidden, network.parity)
    options = {"cutoff": network.cutoff, "channels": channels, "levels": len(levels), "parity": network.parity,
               "l_harmonics": network.l_harmonics, "l_states": max(levels[0].mix)}  # fmt: skip
    energies = network.energies[order] + network.shift
    made = Potential({
        "preset": "mace", "options": options, "species": species, "cutoff": network.cutoff, "program": gates,
        "E0s": dict(zip(species, map(float, energies), strict=True)), "about": network.about,
        **({"repulsion": network.repulsion} if network.repulsion else {}),
    })  # fmt: skip
    made.scale = network.scale
    _Weights(network, made, order).put()
    return made


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
            if level.count is not None:
                matrix = level.count * self.network.radial_factor * np.sqrt(len(level.count))
                self.set(f"count{number}.radial1", matrix[:, None])
            self.sums(number, level)
            self.products(number, level)
            skip = {l: m[self.order] for l, m in level.skip.items()} if level.kind == "residual" else {}
            self.mix(f"psi{number}", level.mix, skip)
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
        before = self.network.radial_factor
        for k, (matrix, factor) in enumerate(zip(level.radial, level.factors, strict=False), start=1):
            self.set(f"sum{number}.radial{k}", matrix * before * np.sqrt(matrix.shape[0]))
            before = factor / SILU
        last = level.radial[-1] * before * np.sqrt(level.radial[-1].shape[0])
        width, columns = level.sent, {}
        for k, p in enumerate(level.products):  # edges run from sender to receiver: odd harmonics change their sign
            block = last[:, k * width : (k + 1) * width] * p.factor * (-1) ** p.l2
            columns[p.part, p.l2, p.l3] = block
        self.set(f"sum{number}.R", np.stack([columns[path] for path in self.paths(number, level)]))

    def paths(self, number, level):
        """(part of the state, l of harmonics, l of the sum) in the order of `zeroth_order`; all must be there."""
        found = [
            (part, l2, l3)
            for l2 in range(self.network.l_harmonics + 1)
            for part in sorted(level.up)
            for l3 in range(abs(part - l2), min(part + l2, self.network.l_harmonics) + 1)
            if self.network.parity == "so3" or (part + l2 + l3) % 2 == 0
        ]
        if sorted(found) != sorted((p.part, p.l2, p.l3) for p in level.products):
            raise InputError(
                f"{self.network.where}: interactions.{number - 1}: its products are not all that there are"
            )
        return found

    def sums(self, number, level):
        """Mixing of the sums; of the kind "species" the one by element behind it."""
        width = level.sent
        at = {(p.part, p.l2, p.l3): row for p, row in zip(level.products, level.rows, strict=True)}
        rows = {l: [] for l in level.linear}
        for path in self.paths(number, level):
            rows[path[2]].append(np.arange(at[path], at[path] + width))
        self.mix(f"A{number}", {l: m[np.concatenate(rows[l])] for l, m in level.linear.items()})
        if level.kind == "species":
            for l, m in level.skip.items():
                self.set(f"M{number}.W{self.type_name(l)}", m[self.order] * np.sqrt(m.shape[1]))

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
        n = len(self.network.levels)
        for number, weights in enumerate(self.network.readouts, start=1):
            if weights is not None:
                self.mix(f"energy{number}", {0: weights[:, None]})
        if self.network.hidden:
            matrix, factor, last = self.network.hidden
            self.mix("hidden", {0: matrix})
            self.mix(f"energy{n}", {0: last[:, None] * (factor / SILU)})
