"""Tensor field networks (Thomas et al., arXiv:1802.08219): convolutions with tensors, the norm non-linearity."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from nbcore.errors import InputError
from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build
from nbcore.presets.nequip import Neighbours, Widths, nequip_gates, with_readout
from nbcore.presets.registry import Cutoff, Envelope, Levels, LHarmonics, LStates, NRadial, RadialLayers, preset

Nonlinearity = Annotated[
    str,
    Option(
        "of the non-linearity, n the length; times: a(n + b) psi; unit: a(n + b) psi / n", choices=("times", "unit")
    ),
]
Epsilon = Annotated[float, Option("where lengths begin to be smooth", gt=0, le=10)]

#: what `size` fills in
SIZES = {
    "small": {"channels": 16, "levels": 2, "l_harmonics": 2, "l_states": 1},
    "medium": {"channels": [32, 16, 8], "levels": 3, "l_harmonics": 2, "l_states": 2},
    "large": {"channels": [64, 32, 16], "levels": 3, "l_harmonics": 3, "l_states": 2},
}


def tfn_program(species, cutoff, channels, levels, l_harmonics, l_states, n_radial, radial_layers, neighbours,
                nonlinearity, epsilon, envelope) -> dict:  # fmt: skip
    """The list of gates of `tfn`, as data."""
    widths = list(channels) if isinstance(channels, (list, tuple)) else [channels] * (l_states + 1)
    if len(widths) != l_states + 1:
        raise InputError(f"channels: l_states = {l_states} needs {l_states + 1} numbers, got {len(widths)}")
    hidden = {(k, (-1) ** k): width for k, width in enumerate(widths)}
    states = [hidden] * (levels - 1) + [{(0, 1): widths[0]}]
    radial = {"basis": "gaussian", "n": n_radial, "cutoff": float(cutoff), "envelope": envelope}
    radial |= {"layers": list(radial_layers)} if len(radial_layers) else {}
    norm = {"function": "ssp", "form": nonlinearity, "epsilon": float(epsilon)}
    gates = nequip_gates(widths[0], states, [radial] * levels, ["none"] * levels, "o3", l_harmonics,
                         float(neighbours) ** -0.5, [norm] * levels, bias="all")  # fmt: skip
    return with_readout(gates, (), "o3")


@preset("convolutions with tensors, fragments times functions of their lengths: tensor field networks", tfn_program,
        SIZES)  # fmt: skip
def tfn(
    species: Sequence | np.ndarray,
    cutoff: Cutoff = 5.0,
    channels: Widths = (32, 16, 8),
    levels: Levels = 3,
    l_harmonics: LHarmonics = 2,
    l_states: LStates = 2,
    n_radial: NRadial = 12,
    radial_layers: RadialLayers = (32, 8),
    neighbours: Neighbours = 16.0,
    nonlinearity: Nonlinearity = "times",
    epsilon: Epsilon = 0.1,
    envelope: Envelope = "smooth",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of a tensor field network's architecture with random parameters.

    The state begins as an embedding of the element. A level mixes it (self-interaction, with a bias of scalars), sums
    over neighbours A^l3 = sum_j w(r_ij) (L psi_j)^l1 x Y^l2(r_ij) for all paths (l1, l2) -> l3, w a network on
    Gaussians of the distance, mixes the paths to an l, and multiplies every fragment by a(|psi| + b); scalars become
    a(psi + b). a is the shifted softplus. The last level has scalars alone, of which the energy is a linear function.

    species: elements, symbols or atomic numbers. cutoff: Angstrom. channels: fragments of every l, or a list.
    l_harmonics: of Y. l_states: of the states between levels. n_radial: Gaussians. radial_layers: of w. neighbours: by
    whose root sums are divided. nonlinearity: "unit" makes fragments of the length a(|psi| + b). epsilon: |psi| is
    sqrt(psi^2 + epsilon^2). envelope: "smooth" is (1 - (r/cutoff)^2)^3. E0s: reference energies, eV. seed: of the
    parameters. Raises InputError for values out of range.

    >>> tfn(species=["C", "H", "O"], cutoff=5.0, channels=8, levels=2, l_states=1)
    <nbcore.Potential tfn: H C O, 2 levels, cutoff 5 Å, 2000 parameters>
    """
    widths = list(channels) if isinstance(channels, (list, tuple)) else channels
    options = dict(cutoff=cutoff, channels=widths, levels=levels, l_harmonics=l_harmonics, l_states=l_states,
                   n_radial=n_radial, radial_layers=list(radial_layers), neighbours=neighbours,
                   nonlinearity=nonlinearity, epsilon=epsilon, envelope=envelope)  # fmt: skip
    return build("tfn", tfn_program, species, options, E0s, seed)
