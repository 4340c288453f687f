"""The default preset: neighbourhoods of neighbourhoods with symmetric products, `levels` times."""

from collections.abc import Sequence

import numpy as np

from nbcore.errors import InputError
from nbcore.potential import Potential
from nbcore.presets.build import build, largest_l, layers_option, output_gates, radial_option
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
    Smoothness,
    preset,
)  # fmt: skip

#: what `size` fills in
SIZES = {
    "small": {"channels": 32, "l_harmonics": 3, "l_states": 0},
    "medium": {"channels": 64, "l_harmonics": 3, "l_states": 2},
    "large": {"channels": 128, "l_harmonics": 3, "l_states": 2},
}


def nbody_program(species, cutoff, channels, levels, l_harmonics, l_states, correlation, n_radial, parity,
                  radial_layers=(), smoothness=1, outputs=None, energy=True) -> dict:  # fmt: skip
    """The list of gates of `nbody`, as data."""
    if largest_l(outputs or {}) > correlation * l_harmonics:
        raise InputError(
            f"outputs: a tensor with l = {largest_l(outputs)} is no product of {correlation} harmonics up to "
            f"l = {l_harmonics}. Raise l_harmonics or correlation"
        )
    radial = radial_option(cutoff, n_radial, radial_layers, smoothness)
    gates, readout = [], []
    for level in range(1, levels + 1):
        last = level == levels
        before = f"psi{level - 1}"
        l_out = largest_l(outputs or {}) if last else l_states
        if level == 1:
            gates.append(dict(gate="density", name="sum1", l_max=l_harmonics, radial=radial))
        else:
            gates.append(dict(gate="zeroth_order", name=f"sum{level}", inputs=[before], l_max=l_harmonics,
                              l_out=l_harmonics, radial=radial))  # fmt: skip
        gates += [
            dict(gate="mix", name=f"A{level}", inputs=[f"sum{level}"], channels=channels),
            dict(gate="self_product", name=f"B{level}", inputs=[f"A{level}"], l_max=l_out, correlation=correlation),
            dict(
                gate="mix",
                name=f"psi{level}",
                inputs=[f"B{level}"] + [before] * (level > 1),
                channels=channels,
                l_max=l_out,
            ),
        ]
        if last:
            gates += [
                dict(gate="mix", name="hidden", inputs=[f"psi{level}"], channels=16, l_max=0),
                dict(gate="activation", name="activated", inputs=["hidden"]),
            ]
        if energy:
            scalars = "activated" if last else f"psi{level}"
            gates.append(dict(gate="mix", name=f"energy{level}", inputs=[scalars], channels=1, l_max=0))
            readout.append(f"energy{level}")
    program = {"parity": parity, "gates": gates, "readout": readout}
    if outputs:
        states = [f"psi{level}" for level in range(1, levels + 1)] + ["activated"]
        readouts, program["outputs"] = output_gates(outputs, states, parity)
        gates += readouts
    return program


@preset("symmetric products, four-body per level, messages between levels: the default", nbody_program, SIZES)
def nbody(
    species: Sequence | np.ndarray,
    cutoff: Cutoff,
    channels: Channels = 64,
    levels: Levels = 2,
    l_harmonics: LHarmonics = 3,
    l_states: LStates = 2,
    correlation: Correlation = 3,
    n_radial: NRadial = 8,
    radial_layers: RadialLayers = (),
    smoothness: Smoothness = 2,
    parity: Parity = "o3",
    E0s: dict | None = None,
    seed: int = 0,
    outputs: Sequence[str] | dict | None = None,
    energy: bool = True,
) -> Potential:
    """A potential of the default architecture with random parameters.

    Level k: A = sum over neighbours of R(r) Y(r) [psi of the neighbour], mixed to `channels`; symmetric products of A
    up to `correlation` factors with weights per element; psi = mixed products + mixed psi of the level before. Each
    level adds to the energy: linearly, the last through a small perceptron.

    species: elements, symbols or atomic numbers. cutoff: Angstrom. channels: width. l_harmonics: angular detail of
    a neighbourhood. l_states: of what atoms tell each other. correlation: neighbours per product (3: four-body).
    n_radial: radial functions. radial_layers: widths of the layers of a network on them, one per level, whose last
    layer takes their place, for example [64, 64, 8]; none: radial weights are linear in the functions. smoothness:
    radial function n is divided by (n + 1)^smoothness, so that rapidly varying ones are learned last. parity: "o3"
    (mirror images have equal energies) or "so3". E0s: reference energies, eV. seed: of the parameters. outputs:
    covariant outputs beside the energy, names ("dipole", "polarizability", "hyperpolarizability") or {name: options} as
    in `nbcore.outputs.Output`; each is linear in the parts of psi of all levels. energy: False for these alone. Raises
    InputError for values out of range.

    >>> nbody(species=["C", "H", "O"], cutoff=5.0, channels=16)
    <nbcore.Potential nbody: H C O, 2 levels, cutoff 5 Å, 12608 parameters>
    """
    options = dict(cutoff=cutoff, channels=channels, levels=levels, l_harmonics=l_harmonics, l_states=l_states,
                   correlation=correlation, n_radial=n_radial, **layers_option(radial_layers),
                   smoothness=smoothness, parity=parity)  # fmt: skip
    return build("nbody", nbody_program, species, options, E0s, seed, outputs, energy)
