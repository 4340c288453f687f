"""NequIP (Batzner et al., arXiv:2101.03164): tensor messages with radial networks, gated, with self-connections."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from nbcore.errors import InputError
from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build
from nbcore.presets.registry import Cutoff, Levels, LHarmonics, LStates, NRadial, Parity, RadialLayers, preset

Widths = Annotated[
    int | list[int],
    Option("fragments per l; a list: of l = 0, 1, ..., [64, 32, 16]", ge=1, le=4096, shortest=1),
]
Parities = Annotated[
    str, Option("all: pseudo-tensors too; natural: parity (-1)^l alone, faster", choices=("natural", "all"))
]
SelfConnection = Annotated[
    str,
    Option("with an atom's own state: a matrix per element, for all, none", choices=("species", "all", "none")),
]
Neighbours = Annotated[float, Option("their average number, by whose root sums are divided", gt=0)]
Power = Annotated[int, Option("of the envelope: larger falls later", ge=2, le=50)]
ReadoutLayers = Annotated[list[int], Option("widths of a perceptron on the last scalars: [16]", ge=1, longest=6)]

#: what `size` fills in
SIZES = {
    "small": {"channels": 16, "levels": 2, "l_harmonics": 2, "l_states": 1},
    "medium": {"channels": [32, 32, 16], "levels": 3, "l_harmonics": 2, "l_states": 2},
    "large": {"channels": [64, 32, 32], "levels": 4, "l_harmonics": 2, "l_states": 2},
}


def nequip_program(species, cutoff, channels, levels, l_harmonics, l_states, n_radial, radial_layers, power, neighbours,
                   self_connection, parities, parity, readout_layers=()) -> dict:  # fmt: skip
    """The list of gates of `nequip`, as data."""
    widths = list(channels) if isinstance(channels, (list, tuple)) else [channels] * (l_states + 1)
    if len(widths) != l_states + 1:
        raise InputError(f"channels: l_states = {l_states} needs {l_states + 1} numbers, got {len(widths)}")
    both = parity == "o3" and parities == "all"
    hidden = {
        (l, p): widths[l]
        for l in range(l_states + 1)
        for p in ((-1, 1) if both else ((-1) ** l if parity == "o3" else 0,))
    }
    radial = {"basis": "bessel", "n": n_radial, "cutoff": float(cutoff), "envelope": "polynomial", "power": power}
    radial |= {"layers": list(radial_layers)} if len(radial_layers) else {}
    # messages make even scalars of parts of natural parity alone: others would be idle in the level before the last
    before_last = {key: width for key, width in hidden.items() if natural({key: width})}
    last = {key: width for key, width in before_last.items() if key[0] == 0}
    states = ([hidden] * (levels - 2) + [before_last, last])[-levels:]
    options = dict(parity=parity, l_harmonics=l_harmonics, scale=float(neighbours) ** -0.5)
    connections = ["none"] + [self_connection] * (levels - 1)
    gates = nequip_gates(widths[0], states, [radial] * levels, connections, **options)
    return with_readout(gates, readout_layers, parity)


def nequip_gates(embedded: int, states: list[dict], radials: list[dict], self_connections: list[str], parity: str,
                 l_harmonics: int, scale: float, norms: list[dict | None] | None = None,
                 bias: str = "none") -> list[dict]:  # fmt: skip
    """The levels of NequIP as gates, "psi1", "psi2", ...

    embedded: channels of the embedded elements. states: of each level {(l, parity): channels}, parity 0 where it is not
    tracked; what no message reaches is left out. radials: of each level the option "radial". self_connections: of each
    level "species", "all" or "none"; of the first one with the embedded element. norms: in the place of the gated
    non-linearity options of the norm one, of each level, or None where there is none. bias: of the scalars of a state
    before it is sent.
    """
    gates, before, own = [], {(0, 0 if parity == "so3" else 1): embedded}, "embedded"
    for level, (wanted, radial, connection) in enumerate(zip(states, radials, self_connections, strict=True), start=1):
        state = reached(before, wanted, l_harmonics, parity)
        messages = dict(gate="zeroth_order", name=f"sum{level}", l_max=l_harmonics, l_out=max(l for l, _ in state),
                        parities="natural" if natural(state) else "all", radial=radial, scale=scale)  # fmt: skip
        if level == 1:
            gates.append({**messages, "channels": embedded})
            if connection != "none":
                gates.append(dict(gate="embedding", name=own, channels=embedded))
        else:
            biased = {} if bias == "none" else {"bias": bias}
            gates += [
                _mix(f"linear{level}", [own], before, parity) | biased,
                {**messages, "inputs": [f"linear{level}"]},
            ]
        inputs = [f"sum{level}"] + ([own] if connection != "none" else [])
        shares = {"shares": ["all", connection]} if connection != "none" else {}
        n_gates = sum(width for (l, _), width in state.items() if l > 0)
        gates.append(_mix(f"state{level}", inputs, state, parity) | shares)
        if norms is not None:
            norm = norms[level - 1]
            if norm is not None:
                gates.append(dict(gate="norm_activation", name=f"psi{level}", inputs=[f"state{level}"], **norm))
        elif n_gates:
            gates += [
                _mix(f"gates{level}", inputs, {(0, 0 if parity == "so3" else 1): n_gates}, parity) | shares,
                dict(gate="gated", name=f"psi{level}", inputs=[f"state{level}", f"gates{level}"]),
            ]
        else:
            gates.append(dict(gate="activation", name=f"psi{level}", inputs=[f"state{level}"]))
        before, own = state, gates[-1]["name"]
    return gates


def reached(before: dict, wanted: dict, l_harmonics: int, parity: str) -> dict:
    """The parts of `wanted` that messages from states `before` can have, in the order of states."""
    found = {
        (l, 0 if parity == "so3" else p1 * (-1) ** l2)
        for l1, p1 in before
        for l2 in range(l_harmonics + 1)
        for l in range(abs(l1 - l2), l1 + l2 + 1)
    }
    return {key: wanted[key] for key in sorted(wanted) if key in found}


def natural(state: dict) -> bool:
    """Have all parts the parity (-1)^l, or is parity not tracked?"""
    return all(p in (0, (-1) ** l) for l, p in state)


def with_readout(gates: list[dict], readout_layers, parity: str) -> dict:
    """The program: a perceptron on the last state, or none, and a last layer with weights per element."""
    last = gates[-1]["name"]
    for k, width in enumerate(readout_layers, start=1):
        gates += [
            dict(gate="mix", name=f"hidden{k}", inputs=[last], channels=width, l_max=0),
            dict(gate="activation", name=f"activated{k}", inputs=[f"hidden{k}"]),
        ]
        last = f"activated{k}"
    gates.append(dict(gate="mix", name="energy", inputs=[last], channels=1, l_max=0, share="species"))
    return {"parity": parity, "gates": gates, "readout": ["energy"]}


def _mix(name, inputs, state, parity):
    """A mix whose output are these parts."""
    names = [f"{l}{'' if parity == 'so3' else 'e' if p > 0 else 'o'}" for l, p in state]
    return dict(gate="mix", name=name, inputs=inputs, parts=names, widths=list(state.values()))


@preset("tensor messages with radial networks, gated, with self-connections: NequIP", nequip_program, SIZES)
def nequip(
    species: Sequence | np.ndarray,
    cutoff: Cutoff,
    channels: Widths = 32,
    levels: Levels = 3,
    l_harmonics: LHarmonics = 2,
    l_states: LStates = 2,
    n_radial: NRadial = 8,
    radial_layers: RadialLayers = (64, 64, 8),
    power: Power = 6,
    neighbours: Neighbours = 16.0,
    self_connection: SelfConnection = "species",
    parities: Parities = "natural",
    parity: Parity = "o3",
    readout_layers: ReadoutLayers = (),
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of NequIP's architecture with random parameters.

    psi_i^0 is an embedding of the element. Level k, with a = 1 / sqrt(neighbours):
    A_i = a sum over neighbours j of w(r_ij) (L psi_j^(k-1)) x Y(r_ij), all products that lead to l <= l_states, w a
    network of the radial functions, of its own weight per path and channel; then
    psi_i^k = gated(M A_i + S_Z psi_i^(k-1)), S_Z a matrix for each element; the first level has none, so that the
    energy of an atom alone is its E0. The last level has scalars alone; a layer with weights per element reads the
    energy from them, which contains NequIP's scale per element.

    species: elements, symbols or atomic numbers. cutoff: Angstrom. channels: fragments of every l, or of l = 0, 1, ...
    levels: rounds of messages. l_harmonics, l_states: largest l of Y and of psi. n_radial: Bessel functions.
    radial_layers: widths of the layers of the network on them; its last, linear layer comes on top. NequIP has [64] or
    [64, 64]: a narrow last layer makes messages cheap. power: of the polynomial envelope. neighbours: their average
    number. self_connection: S. parities: "natural" (parity (-1)^l) or "all", which is another network from
    four levels on. parity: "o3" (mirror images have equal
    energies) or "so3". readout_layers: of a perceptron before the last layer. E0s: reference energies, eV. seed: of the
    parameters. Raises InputError for values out of range.

    >>> nequip(species=["C", "H", "O"], cutoff=4.5, channels=[16, 8, 8], levels=2)
    <nbcore.Potential nequip: H C O, 2 levels, cutoff 4.5 Å, 13408 parameters>
    """
    given = list(channels) if isinstance(channels, (list, tuple)) else channels
    options = dict(cutoff=cutoff, channels=given, levels=levels, l_harmonics=l_harmonics, l_states=l_states,
                   n_radial=n_radial, radial_layers=list(radial_layers), power=power, neighbours=neighbours,
                   self_connection=self_connection, parities=parities, parity=parity,
                   readout_layers=list(readout_layers))  # fmt: skip
    return build("nequip", nequip_program, species, options, E0s, seed)
