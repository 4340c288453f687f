"""HIP-HOP-NN: HIP-NN with invariants of higher order, contractions of tensors of the neighbourhood (hippynn 0.1.3)."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build
from nbcore.presets.hipnn import AtomLayers, Farthest, Nearest, NRadial, Residual, Tensors, hipnn_gates, sensitivities
from nbcore.presets.registry import Channels, Cutoff, Envelope, Levels, preset

LTensors = Annotated[int, Option("largest l of the tensors", ge=0, le=4)]
Factors = Annotated[int, Option("most tensors in an invariant", ge=1, le=4)]
Invariants = Annotated[
    list[str], Option('invariants by their indices, ["", "i,i", "i,ij,j"]; []: those of l_tensors and factors')
]
GroupNorm = Annotated[
    bool, Option("every invariant of an atom is normalised over the channels, as in HIP-HOP-NN: rough")
]

#: what `size` fills in
SIZES = {
    "small": {"channels": 16, "levels": 1, "l_tensors": 2},
    "medium": {"channels": 32, "levels": 2},
    "large": {"channels": 64, "levels": 2},
}


def hiphop_program(species, cutoff, channels, levels, l_tensors, factors, invariants, group_norm, atom_layers, n_radial,
                   nearest, farthest, residual, envelope) -> dict:  # fmt: skip
    """The list of gates of `hiphop`, as data."""
    radial = sensitivities(n_radial, nearest, farthest, cutoff, envelope)
    tensors = Tensors(l_tensors, contractions={"n_max": factors, "terms": list(invariants)},
                      group_norm=1e-5 if group_norm else None)  # fmt: skip
    widths = [channels] * levels
    return hipnn_gates([radial] * levels, widths, widths, atom_layers, residual, tensors)


@preset("HIP-NN with invariants of higher order of the neighbourhood: HIP-HOP-NN", hiphop_program, SIZES)
def hiphop(
    species: Sequence | np.ndarray,
    cutoff: Cutoff = 6.5,
    channels: Channels = 32,
    levels: Levels = 2,
    l_tensors: LTensors = 3,
    factors: Factors = 4,
    invariants: Invariants = (),
    group_norm: GroupNorm = False,
    atom_layers: AtomLayers = 3,
    n_radial: NRadial = 20,
    nearest: Nearest = 0.75,
    farthest: Farthest = 0.0,
    residual: Residual = True,
    envelope: Envelope = "smooth",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of HIP-HOP-NN's architecture with random parameters.

    As `hipnn`, but an interaction is made of invariants: with the traceless symmetric tensors T_l of the unit vector
    to j, I_l = sum_nu V_nu sum_j s_nu(r_ij) T_l(r_ij) z_j, the same V_nu for all l, and contractions P of I_0, I_1, ...
    channel by channel, a_i = sum over P of M_P P(I) + W z_i + B, M_P mixing channels.

    species: elements, symbols or atomic numbers. cutoff: Angstrom. l_tensors: largest l. factors: the 13 contractions
    of HIP-HOP-NN have up to 3 and up to 4; smaller numbers leave some out. invariants: others, by their indices,
    "i,ij,j" is v_i q_ij v_j. group_norm: True normalises each invariant of an atom over its
    channels, as HIP-HOP-NN does; energies are much rougher then. Others as in `hipnn`. Raises InputError for
    values out of range.

    >>> hiphop(species=["C", "H", "O"], cutoff=5.0, channels=8, n_radial=10)
    <nbcore.Potential hiphop: H C O, 2 levels, cutoff 5 Å, 3682 parameters>
    """
    options = dict(cutoff=cutoff, channels=channels, levels=levels, l_tensors=l_tensors, factors=factors,
                   invariants=list(invariants), group_norm=group_norm, atom_layers=atom_layers, n_radial=n_radial,
                   nearest=nearest, farthest=farthest, residual=residual, envelope=envelope)  # fmt: skip
    return build("hiphop", hiphop_program, species, options, E0s, seed)
