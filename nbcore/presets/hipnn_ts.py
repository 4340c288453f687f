"""HIP-NN-TS (Chigaev et al., J. Chem. Phys. 158 (2023) 184108): HIP-NN with tensor sensitivities."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build
from nbcore.presets.hipnn import (
    AtomLayers,
    Farthest,
    Nearest,
    NRadial,
    Residual,
    Tensors,
    hipnn_gates,
    sensitivities,
)
from nbcore.presets.registry import Channels, Cutoff, Envelope, Levels, preset

LTensors = Annotated[int, Option("largest l of the tensors: 1 vectors, 2 quadrupoles", ge=1, le=4)]
Epsilon = Annotated[float, Option("where lengths of tensors begin to be smooth; hippynn: 0.001", gt=0, le=10)]

#: what `size` fills in
SIZES = {
    "small": {"channels": 20, "levels": 1},
    "medium": {"channels": 40, "levels": 2},
    "large": {"channels": 80, "levels": 2},
}


def hipnn_ts_program(
    species, cutoff, channels, levels, l_tensors, atom_layers, n_radial, nearest, farthest, residual, epsilon, envelope
) -> dict:
    """The list of gates of `hipnn_ts`, as data."""
    radial = sensitivities(n_radial, nearest, farthest, cutoff, envelope)
    widths = [channels] * levels
    return hipnn_gates([radial] * levels, widths, widths, atom_layers, residual, Tensors(l_tensors, epsilon))


@preset(
    "HIP-NN with lengths of vectors and tensors of the neighbourhood: tensor sensitivities", hipnn_ts_program, SIZES
)
def hipnn_ts(
    species: Sequence | np.ndarray,
    cutoff: Cutoff = 6.5,
    channels: Channels = 40,
    levels: Levels = 2,
    l_tensors: LTensors = 2,
    atom_layers: AtomLayers = 3,
    n_radial: NRadial = 20,
    nearest: Nearest = 0.75,
    farthest: Farthest = 0.0,
    residual: Residual = True,
    epsilon: Epsilon = 0.1,
    envelope: Envelope = "smooth",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of HIP-NN-TS's architecture with random parameters.

    As `hipnn`, but an interaction sees directions: with the traceless symmetric tensors T_l of the unit vector to j,
    I_l = sum_nu V_nu sum_j s_nu(r_ij) T_l(r_ij) z_j, the same V_nu for all l, it has
    a_i = I_0 + sum over l = 1, ..., l_tensors of t_l sqrt(|I_l|^2 + epsilon^2) + W z_i + B.

    species: elements, symbols or atomic numbers. cutoff: Angstrom. l_tensors: 1 or 2 in hippynn. epsilon: 0.001 there,
    where lengths have all but a kink at zero; lengths are less by epsilon here, which the bias takes up. Others as in
    `hipnn`. Raises InputError for values out of range.

    >>> hipnn_ts(species=["C", "H", "O"], cutoff=5.0, channels=8, n_radial=10)
    <nbcore.Potential hipnn_ts: H C O, 2 levels, cutoff 5 Å, 2050 parameters>
    """
    options = dict(cutoff=cutoff, channels=channels, levels=levels, l_tensors=l_tensors, atom_layers=atom_layers,
                   n_radial=n_radial, nearest=nearest, farthest=farthest, residual=residual, epsilon=epsilon,
                   envelope=envelope)  # fmt: skip
    return build("hipnn_ts", hipnn_ts_program, species, options, E0s, seed)
