"""Cormorant (Anderson, Hy and Kondor, arXiv:1906.04015): states meet along edges, channel by channel."""

from collections.abc import Sequence

import numpy as np

from nbcore.potential import Potential
from nbcore.presets.build import build, layers_option, radial_option
from nbcore.presets.registry import (
    Channels,
    Cutoff,
    Levels,
    LHarmonics,
    LStates,
    NRadial,
    Parity,
    RadialLayers,
    preset,
)  # fmt: skip


def cormorant_program(species, cutoff, channels, levels, l_harmonics, l_states, n_radial, parity,
                      radial_layers=()) -> dict:  # fmt: skip
    """The list of gates of `cormorant`, as data."""
    radial = radial_option(cutoff, n_radial, radial_layers)
    gates, readout = [], []
    for level in range(1, levels + 1):
        earlier = [f"psi{k}" for k in range(level - 1, 0, -1)]
        if level == 1:  # the children's states are their species, the parents' choose the weights
            gates += [
                dict(gate="density", name="sum1", l_max=l_harmonics, radial=radial),
                dict(gate="mix", name="psi1", inputs=["sum1"], channels=channels, l_max=l_states, share="species"),
            ]
        else:
            gates += [
                dict(
                    gate="zeroth_order_dots",
                    name=f"sum{level}",
                    inputs=earlier,
                    l_max=l_harmonics,
                    l_out=l_states,
                    radial=radial,
                ),
                dict(
                    gate="mix",
                    name=f"psi{level}",
                    inputs=[f"psi{level - 1}", f"product{level - 1}", f"sum{level}"],
                    channels=channels,
                    l_max=l_states,
                ),
            ]
        gates += [
            dict(
                gate="self_product",
                name=f"product{level}",
                inputs=[f"psi{level}"],
                l_max=l_states if level < levels else 0,  # of the last level only scalars are read
                correlation=2,
            ),
            dict(gate="mix", name=f"energy{level}", inputs=[f"product{level}"], channels=1, l_max=0),
        ]
        readout.append(f"energy{level}")
    products = [f"product{level}" for level in range(1, levels + 1)]
    gates += [
        dict(gate="mix", name="hidden", inputs=products, channels=16, l_max=0),
        dict(gate="activation", name="activated", inputs=["hidden"]),
        dict(gate="mix", name="energy", inputs=["activated"], channels=1, l_max=0),
    ]
    return {"parity": parity, "gates": gates, "readout": [*readout, "energy"]}


@preset("states meet along edges: messages weighted by scalar products", cormorant_program)
def cormorant(
    species: Sequence | np.ndarray,
    cutoff: Cutoff,
    channels: Channels = 16,
    levels: Levels = 4,
    l_harmonics: LHarmonics = 3,
    l_states: LStates = 3,
    n_radial: NRadial = 8,
    radial_layers: RadialLayers = (),
    parity: Parity = "o3",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of Cormorant's architecture with random parameters.

    F^(s+1) = [F + F x F + sum over j of G_ij x F_j] W, products channel by channel, "+" putting channels side by side;
    G_ij = g_ij Y(r_ij), and the edge network g_ij is linear in radial functions and in the products F_i^t . F_j^t of
    all levels t so far, under a smooth envelope in place of the sigmoid mask, so that dynamics conserve energy. The
    first level sums over neighbours by species. The energy is linear in the scalars and norms of all levels, plus a
    small perceptron of them.

    species: elements, symbols or atomic numbers. cutoff: Angstrom. channels: fragments per l. levels: rounds of
    messages. l_harmonics, l_states: largest l of Y and of F. n_radial, radial_layers: radial functions, and the network
    on them, as in `nbody`. parity: "o3" (mirror images have equal energies) or "so3" as in the paper. E0s: reference
    energies, eV. seed: of the parameters. Raises InputError for values out of range.

    >>> cormorant(species=["C", "H", "O"], cutoff=4.0, channels=8).levels
    4
    """
    options = dict(cutoff=cutoff, channels=channels, levels=levels, l_harmonics=l_harmonics, l_states=l_states,
                   n_radial=n_radial, **layers_option(radial_layers), parity=parity)  # fmt: skip
    return build("cormorant", cormorant_program, species, options, E0s, seed)
