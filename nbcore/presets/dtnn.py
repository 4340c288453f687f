"""DTNN (Schuett, Arbabzadah, Chmiela, Mueller, Tkatchenko, arXiv:1609.08259): deep tensor neural networks."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build
from nbcore.presets.registry import Channels, Cutoff, Envelope, Levels, preset

Factors = Annotated[int, Option("width of the product of embeddings and distances", ge=1, le=4096)]
NRadial = Annotated[int, Option("Gaussians of the distance", ge=2, le=63)]
Hidden = Annotated[int, Option("width of the layer before the energy", ge=1, le=4096)]
Shared = Annotated[bool, Option("all rounds have the same weights, as in the paper")]
TANH = 1.5925  #: factor of the function of gates

#: what `size` fills in
SIZES = {
    "small": {"channels": 24, "width": 32, "levels": 2},
    "medium": {"channels": 32, "width": 60, "levels": 3},
    "large": {"channels": 64, "width": 128, "levels": 3, "hidden": 32},
}


def dtnn_program(species, cutoff, channels, levels, width, n_radial, hidden, shared, envelope) -> dict:
    """The list of gates of `dtnn`, as data."""
    radial = {"basis": "gaussian", "n": n_radial, "cutoff": float(cutoff), "envelope": envelope}
    return dtnn_gates([radial] * levels, channels, width, [hidden], shared)


def dtnn_gates(radials: list[dict], channels: int, width: int, hidden: list[int], shared: bool) -> dict:
    """The program of these rounds; radials: of each Gaussians and envelope; hidden: widths of the last perceptron."""
    gates, state = [dict(gate="embedding", name="c0", channels=channels)], "c0"
    for level, radial in enumerate(radials, start=1):
        same = shared and level > 1
        first, second = ({"weights": f"{name}1"} if same else {} for name in ("factor", "c"))
        gates += [
            dict(gate="mix", name=f"factor{level}", inputs=[state], channels=width, l_max=0, bias="all", **first),
            dict(gate="edge_network", name=f"c{level}", inputs=[f"factor{level}", state], channels=channels,
                 radial=radial, scale=1 / TANH, skip=True, **second),
        ]  # fmt: skip
        state = f"c{level}"
    for k, n in enumerate(hidden, start=1):
        gates += [
            dict(gate="mix", name=f"hidden{k}", inputs=[state], channels=n, l_max=0, bias="all"),
            dict(gate="activation", name=f"activated{k}", inputs=[f"hidden{k}"], function="tanh"),
        ]
        state = f"activated{k}"
    gates.append(dict(gate="mix", name="energy", inputs=[state], channels=1, l_max=0, bias="all"))
    return {"parity": "o3", "gates": gates, "readout": ["energy"]}


@preset("messages through a tanh layer on products of embeddings and distances: DTNN", dtnn_program, SIZES)
def dtnn(
    species: Sequence | np.ndarray,
    cutoff: Cutoff = 6.0,
    channels: Channels = 32,
    levels: Levels = 3,
    width: Factors = 60,
    n_radial: NRadial = 30,
    hidden: Hidden = 15,
    shared: Shared = True,
    envelope: Envelope = "smooth",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of DTNN's architecture with random parameters.

    c_i begins as an embedding of the element. Every round does the same, with the same weights:
    c_i <- c_i + sum_j f(r_ij) tanh(W (W_c c_j + b_c) o (W_d g(r_ij) + b_d)), o the product number by number, g
    Gaussians of the distance. In the end a perceptron of one hidden layer, tanh, makes the energy of c_i.

    species: elements, symbols or atomic numbers. cutoff: Angstrom. channels: of c. levels: rounds. width: of the
    product. n_radial: Gaussians, from 0 to the cutoff, as wide as their distance. hidden: width of the last layer.
    shared: False: weights of its own for each round. envelope: f; the original has none, and no cutoff. E0s: reference
    energies, eV; an atom alone has what the biases make besides. seed: of the parameters. Raises InputError for values
    out of range.

    >>> dtnn(species=["C", "H", "O"], cutoff=5.0, channels=8, width=8)
    <nbcore.Potential dtnn: H C O, 4 levels, cutoff 5 Å, 559 parameters>
    """
    options = dict(cutoff=cutoff, channels=channels, levels=levels, width=width, n_radial=n_radial, hidden=hidden,
                   shared=shared, envelope=envelope)  # fmt: skip
    return build("dtnn", dtnn_program, species, options, E0s, seed)
