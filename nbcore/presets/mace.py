"""MACE (Batatia et al., arXiv:2206.07697): messages with radial networks, symmetric products, a state per level."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np

from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build
from nbcore.presets.registry import (
    Channels,
    Correlation,
    Cutoff,
    Levels,
    LHarmonics,
    LStates,
    NRadial,
    Parity,
    RadialLayers,
    preset,
)  # fmt: skip

Neighbours = Annotated[float, Option("their average number, by which sums are divided", gt=0)]
Power = Annotated[int, Option("of the envelope: larger falls later", ge=2, le=50)]
First = Annotated[
    str,
    Option(
        "the first level: residual: the element adds to its state; species: it multiplies the sums",
        choices=("residual", "species"),
    ),
]
Hidden = Annotated[int, Option("width of the perceptron behind the last level", ge=1, le=4096)]

#: what `size` fills in
SIZES = {
    "small": {"channels": 32, "l_harmonics": 3, "l_states": 0},
    "medium": {"channels": 64, "l_harmonics": 3, "l_states": 1},
    "large": {"channels": 128, "l_harmonics": 3, "l_states": 2},
}


def mace_program(species, cutoff, channels, levels, l_harmonics, l_states, correlation, n_radial, radial_layers, power,
                 neighbours, first, hidden, parity) -> dict:  # fmt: skip
    """The list of gates of `mace`, as data."""
    radial = {"basis": "bessel", "n": n_radial, "cutoff": float(cutoff), "envelope": "polynomial", "power": power}
    radial |= {"layers": list(radial_layers)} if len(radial_layers) else {}
    kinds = [first] + ["residual"] * (levels - 1)
    states = [l_states] * (levels - 1) + [0]
    rounds = [
        Round(kind, radial, channels, l_out, correlation, 1 / neighbours)
        for kind, l_out in zip(kinds, states, strict=True)
    ]
    return mace_gates(rounds, channels, l_harmonics, hidden, parity)


class Round(NamedTuple):
    """What one level of MACE is."""

    kind: str  #: residual: to the products the state before is added, mixed by element; species: the sums are mixed so
    radial: dict  #: option of the gate
    sent: int  #: channels of the states that are sent
    l_out: int  #: largest l of its state
    correlation: int
    scale: float  #: of the sums
    readout: bool = True  #: does it add to the energy?
    l_sent: int | None = None  #: largest l of the states that are sent; None: of those that there are
    counted: bool = False  #: are the sums divided by one plus a count of neighbours? scale is 1 then


def mace_gates(rounds: list[Round], channels: int, l_harmonics: int, hidden: int, parity: str) -> dict:
    """The program of these levels. hidden: width of the perceptron behind the last one, 0: there is none."""
    gates, readout, before = [], [], "embedded"
    for level, r in enumerate(rounds, start=1):
        sums = dict(gate="zeroth_order", name=f"sum{level}", l_max=l_harmonics, l_out=l_harmonics, radial=r.radial,
                    scale=r.scale)  # fmt: skip
        if level == 1:
            gates.append({**sums, "channels": r.sent})
        else:
            up = _mix(f"up{level}", [before], r.sent) | ({} if r.l_sent is None else {"l_max": r.l_sent})
            gates += [up, {**sums, "inputs": [f"up{level}"]}]
        gates.append(_mix(f"A{level}", [f"sum{level}"], channels))
        factors = f"A{level}"
        if r.counted:
            count = {**r.radial, "layers": [1], "last_layer": "tanh_square"}
            factors = f"N{level}"
            gates += [
                dict(gate="density", name=f"count{level}", l_max=0, by_species=False, radial=count),
                dict(gate="normalise", name=factors, inputs=[f"A{level}", f"count{level}"]),
            ]
        if r.kind == "species":
            gates.append(_mix(f"M{level}", [factors], channels) | {"share": "species"})
            factors = f"M{level}"
        elif level == 1:
            gates.append(dict(gate="embedding", name=before, channels=channels))
        gates.append(dict(gate="self_product", name=f"B{level}", inputs=[factors], l_max=r.l_out,
                          correlation=r.correlation))  # fmt: skip
        state = _mix(f"psi{level}", [f"B{level}"], channels) | {"l_max": r.l_out}
        if r.kind == "residual":
            state |= {"inputs": [f"B{level}", before], "shares": ["all", "species"]}
        gates.append(state)
        before = f"psi{level}"
        scalars = before
        if level == len(rounds) and hidden:
            scalars = "activated"
            gates += [
                dict(gate="mix", name="hidden", inputs=[before], channels=hidden, l_max=0),
                dict(gate="activation", name=scalars, inputs=["hidden"]),
            ]
        if r.readout:
            gates.append(dict(gate="mix", name=f"energy{level}", inputs=[scalars], channels=1, l_max=0))
            readout.append(f"energy{level}")
    return {"parity": parity, "gates": gates, "readout": readout}


def _mix(name, inputs, channels):
    return dict(gate="mix", name=name, inputs=inputs, channels=channels)


@preset("messages with radial networks, symmetric products with weights per element: MACE", mace_program, SIZES)
def mace(
    species: Sequence | np.ndarray,
    cutoff: Cutoff,
    channels: Channels = 64,
    levels: Levels = 2,
    l_harmonics: LHarmonics = 3,
    l_states: LStates = 1,
    correlation: Correlation = 3,
    n_radial: NRadial = 8,
    radial_layers: RadialLayers = (64, 64, 64),
    power: Power = 5,
    neighbours: Neighbours = 16.0,
    first: First = "residual",
    hidden: Hidden = 16,
    parity: Parity = "o3",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of MACE's architecture with random parameters.

    Level k: messages A = mix of sum over neighbours of R(r) Y(r) [psi of the neighbour, mixed], divided by
    `neighbours`; symmetric products of A up to `correlation` factors with weights per element; psi = mixed products
    + psi of the level before, mixed by a matrix per element. Each level adds to the energy: linearly, the last through
    a perceptron of `hidden` units. The state before the first level is the element, embedded in `channels` numbers.

    species: elements, symbols or atomic numbers. cutoff: Angstrom. l_harmonics: angular detail of a neighbourhood.
    l_states: of what atoms tell each other. n_radial: Bessel functions. radial_layers: widths of the layers of the
    radial networks, whose last, linear layer is that of the paths. power: of the envelope. first: how the element of
    an atom enters the first level. parity: "o3" or "so3". E0s: reference energies, eV. seed: of the parameters.
    Raises InputError for values out of range.

    >>> mace(species=["C", "H", "O"], cutoff=5.0, channels=16, radial_layers=[32, 8])
    <nbcore.Potential mace: H C O, 2 levels, cutoff 5 Å, 11616 parameters>
    """
    options = dict(cutoff=cutoff, channels=channels, levels=levels, l_harmonics=l_harmonics, l_states=l_states,
                   correlation=correlation, n_radial=n_radial, radial_layers=list(radial_layers), power=power,
                   neighbours=neighbours, first=first, hidden=hidden, parity=parity)  # fmt: skip
    return build("mace", mace_program, species, options, E0s, seed)
