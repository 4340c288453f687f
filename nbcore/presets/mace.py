"""MACE (Batatia et al., arXiv:2206.07697): messages with radial networks, symmetric products, a state per level."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np

from nbcore.errors import InputError
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
Interaction = Annotated[
    str,
    Option(
        "plain: sums divided by `neighbours`; density: by a smooth count of them; nonlinear: so, and gated",
        choices=("plain", "density", "nonlinear"),
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
                 neighbours, first, interaction, hidden, parity) -> dict:  # fmt: skip
    """The list of gates of `mace`, as data."""
    if interaction == "nonlinear" and (first != "residual" or not len(radial_layers)):
        raise InputError(
            'interaction "nonlinear" adds the element to the state of the first level, and has radial networks: '
            'expected first = "residual" and at least one of radial_layers'
        )
    radial = {"basis": "bessel", "n": n_radial, "cutoff": float(cutoff), "envelope": "polynomial", "power": power}
    network = {"network": "normalised", "envelope_of": "network"} if interaction == "nonlinear" else {}
    count = radial | network | {"layers": [*radial_layers[:1], 1] if network else [1], "last_layer": "tanh_square"}
    radial |= network | ({"layers": list(radial_layers)} if len(radial_layers) else {})
    kinds = ["gated"] * levels if interaction == "nonlinear" else [first] + ["residual"] * (levels - 1)
    counted = interaction != "plain"
    states = [l_states] * (levels - 1) + [0]
    rounds = [
        Round(kind, radial, channels, l_out, correlation, 1.0 if counted else 1 / neighbours,
              count=count if counted else None, weighted=False)
        for kind, l_out in zip(kinds, states, strict=True)
    ]  # fmt: skip
    return mace_gates(rounds, channels, l_harmonics, Perceptron([hidden] if hidden else []), parity)


class Round(NamedTuple):
    """What one level of MACE is."""

    #: residual: to the products the state before is added, mixed by element; species: the sums are mixed so; gated: the
    #: sums and the states that are sent are mixed, gated and mixed again, and the state before is added, mixed for all
    kind: str
    radial: dict  #: option of the gate
    sent: int  #: channels of the states that are sent
    l_out: int  #: largest l of its state
    correlation: int
    scale: float  #: of the sums
    readout: bool = True  #: does it add to the energy?
    l_sent: int | None = None  #: largest l of the states that are sent; None: of those that there are
    count: dict | None = None  #: option `radial` of a count of neighbours; the sums are divided by one plus it
    weighted: bool = True  #: of kind gated: the count has a weight


class Perceptron(NamedTuple):
    """What stands between the last level and the energy."""

    widths: list[int]  #: of its hidden layers
    function: str = "silu"
    biases: bool = False  #: in all hidden layers but the first


def mace_gates(rounds: list[Round], channels: int, l_harmonics: int, hidden: Perceptron, parity: str) -> dict:
    """The program of these levels. hidden: the perceptron behind the last one."""
    gates, readout, before = [], [], "embedded"
    if rounds[0].kind != "species":
        gates.append(dict(gate="embedding", name=before, channels=channels))
    for level, r in enumerate(rounds, start=1):
        sums = dict(gate="zeroth_order", name=f"sum{level}", l_max=l_harmonics, l_out=l_harmonics, radial=r.radial,
                    scale=r.scale)  # fmt: skip
        if level == 1:
            gates.append({**sums, "channels": r.sent})
        else:
            up = _mix(f"up{level}", [before], r.sent) | ({} if r.l_sent is None else {"l_max": r.l_sent})
            gates += [up, {**sums, "inputs": [f"up{level}"]}]
        if r.kind == "gated":
            gates += _gated(level, r, before, channels, l_harmonics)
            factors = f"F{level}"
        else:
            gates.append(_mix(f"A{level}", [f"sum{level}"], channels))
            factors = f"A{level}"
            if r.count is not None:
                factors = f"N{level}"
                gates += [_count(level, r), dict(gate="normalise", name=factors, inputs=[f"A{level}", f"count{level}"])]
        if r.kind == "species":
            gates.append(_mix(f"M{level}", [factors], channels) | {"share": "species"})
            factors = f"M{level}"
        gates.append(dict(gate="self_product", name=f"B{level}", inputs=[factors], l_max=r.l_out,
                          correlation=r.correlation))  # fmt: skip
        state = _mix(f"psi{level}", [f"B{level}"], channels) | {"l_max": r.l_out}
        if r.kind != "species":
            shares = ["all", "species" if r.kind == "residual" else "all"]
            state |= {"inputs": [f"B{level}", before], "shares": shares}
        gates.append(state)
        before = f"psi{level}"
        scalars = before
        if level == len(rounds):
            more, scalars = _perceptron(hidden, before)
            gates += more
        if r.readout:
            gates.append(dict(gate="mix", name=f"energy{level}", inputs=[scalars], channels=1, l_max=0))
            readout.append(f"energy{level}")
    return {"parity": parity, "gates": gates, "readout": readout}


def _gated(level, r, before, channels, l_harmonics):
    """From the sums and what is sent to the factors of the products."""
    sent = before if level == 1 else f"up{level}"
    inputs = [f"N{level}", sent]
    counted = f"weighted{level}" if r.weighted else f"count{level}"
    gates = [
        _count(level, r),
        *([_mix(counted, [f"count{level}"], 1)] if r.weighted else []),
        dict(gate="normalise", name=f"N{level}", inputs=[f"sum{level}", counted]),
        _mix(f"A{level}", inputs, channels),
    ]
    if l_harmonics == 0:
        gates.append(dict(gate="activation", name=f"G{level}", inputs=[f"A{level}"]))
    else:
        gates += [
            _mix(f"gates{level}", inputs, channels * l_harmonics) | {"l_max": 0},
            dict(gate="gated", name=f"G{level}", inputs=[f"A{level}", f"gates{level}"], gate_function="sigmoid"),
        ]
    return [*gates, _mix(f"F{level}", [f"G{level}"], channels)]


def _count(level, r):
    return dict(gate="density", name=f"count{level}", l_max=0, by_species=False, radial=r.count)


def _perceptron(hidden, before):
    """Gates, and the name of the last one."""
    gates, scalars = [], before
    for k, width in enumerate(hidden.widths, start=1):
        number = "" if k == 1 else str(k)
        bias = {"bias": "all"} if hidden.biases and k > 1 else {}
        gates.append(dict(gate="mix", name=f"hidden{number}", inputs=[scalars], channels=width, l_max=0) | bias)
        scalars = f"activated{number}"
        gates += [
            dict(gate="activation", name=scalars, inputs=[f"hidden{number}"], function=hidden.function),
        ]
    return gates, scalars


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
    interaction: Interaction = "plain",
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
    an atom enters the first level. interaction: "density" divides the sums by 1 + the sum over neighbours of
    tanh(h(r)^2), h a linear function of the radial ones; "nonlinear" makes h and the radial networks see the elements,
    with layer norms, and gates the sums and the states that are sent before the products. parity: "o3" or "so3". E0s:
    reference energies, eV. seed: of the parameters.
    Raises InputError for values out of range.

    >>> mace(species=["C", "H", "O"], cutoff=5.0, channels=16, radial_layers=[32, 8])
    <nbcore.Potential mace: H C O, 2 levels, cutoff 5 Å, 11616 parameters>
    """
    options = dict(cutoff=cutoff, channels=channels, levels=levels, l_harmonics=l_harmonics, l_states=l_states,
                   correlation=correlation, n_radial=n_radial, radial_layers=list(radial_layers), power=power,
                   neighbours=neighbours, first=first, interaction=interaction, hidden=hidden,
                   parity=parity)  # fmt: skip
    return build("mace", mace_program, species, options, E0s, seed)
