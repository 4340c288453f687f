"""HIP-NN (Lubbers, Smith, Barros, J. Chem. Phys. 148 (2018) 241715): sensitivities, energies by level."""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np

from nbcore.errors import InputError
from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build
from nbcore.presets.registry import Channels, Cutoff, Envelope, Levels, preset

NRadial = Annotated[int, Option("sensitivity functions", ge=1, le=64)]
AtomLayers = Annotated[int, Option("layers of an atom by itself, after each interaction", ge=0, le=8)]
Nearest = Annotated[float, Option("the shortest distance that is resolved, Angstrom", gt=0)]
Farthest = Annotated[float, Option("centre of the last sensitivity function, Angstrom; 0: the cutoff less 1", ge=0)]
Residual = Annotated[bool, Option("layers add to what they are given; false: they replace it")]

#: what `size` fills in
SIZES = {
    "small": {"channels": 20, "levels": 1},
    "medium": {"channels": 40, "levels": 2},
    "large": {"channels": 80, "levels": 2},
}


def sensitivities(n: int, nearest: float, farthest: float, cutoff: float, envelope: str) -> dict:
    """The option "radial": Gaussians of 1/r, equally spaced from 1/farthest (0: the cutoff less 1) to 1/nearest."""
    far = farthest or cutoff - 1
    if not nearest < far <= cutoff:
        raise InputError(f"nearest = {nearest} must lie below farthest = {far}, and that within the cutoff, {cutoff}")
    return {"basis": "inverse_gaussian", "n": n, "cutoff": float(cutoff), "envelope": envelope,
            "centres": np.linspace(1 / far, 1 / nearest, n).tolist(),
            "widths": [1 / (2 * n * nearest)] * n}  # fmt: skip


def hipnn_program(species, cutoff, channels, levels, atom_layers, n_radial, nearest, farthest, residual, envelope):
    """The list of gates of `hipnn`, as data."""
    radial = sensitivities(n_radial, nearest, farthest, cutoff, envelope)
    return hipnn_gates([radial] * levels, [channels] * levels, [channels] * levels, atom_layers, residual)


class Tensors(NamedTuple):
    """What interactions make of directions: sums over neighbours to l_max, times one V, and lengths or contractions.

    epsilon: of lengths. contractions: options of the gate `invariants`, whose group norm has an epsilon or is not
    there. Without them there are lengths.
    """

    l_max: int
    epsilon: float = 0.1
    contractions: dict | None = None
    group_norm: float | None = None


def hipnn_gates(
    radials: list[dict],
    channels: list[int],
    inner: list[int],
    atom_layers: int,
    residual: bool,
    tensors: Tensors | None = None,
) -> dict:
    """The program of these levels; radials: of each the option "radial"; channels, inner: widths of z and a."""
    gates, readout, state = [], [], None
    l_max = tensors.l_max if tensors else 0
    for level, (radial, *widths) in enumerate(zip(radials, inner, channels, strict=True), start=1):
        sums, before = f"sum{level}", state
        if before is None:
            gates.append(dict(gate="density", name=sums, l_max=l_max, radial=radial))
        else:
            gates.append(dict(gate="zeroth_order", name=sums, inputs=[before], l_max=l_max, l_out=l_max, radial=radial,
                              radial_mode="all"))  # fmt: skip
        read = [sums] + [before] * (before is not None)
        if tensors and tensors.contractions is not None:
            read = [_contractions(gates, level, sums, widths[0], tensors), *read[1:]]
        elif tensors:
            _lengths(gates, level, read, before, widths[0], tensors)
            read = None
        state = _layer(gates, f"{level}", read, before, widths, residual,
                       same=level > 1 and channels[level - 2] == widths[1])  # fmt: skip
        for k in range(1, atom_layers + 1):
            state = _layer(gates, f"{level}_{k}", [state], state, widths, residual, same=True)
        gates.append(dict(gate="mix", name=f"energy{level}", inputs=[state], channels=1, l_max=0, bias="all"))
        readout.append(f"energy{level}")
    return {"parity": "o3", "gates": gates, "readout": readout}


def tensor_norms(l_max: int) -> list[float]:
    """|T^l| / |Y^l| for l = 0, 1, ...: of the traceless symmetric tensor of l directions, |T^l|^2 = l! / (2l - 1)!!."""
    return [math.sqrt(math.factorial(k) / math.prod(range(1, 2 * k + 2, 2))) for k in range(l_max + 1)]


def _lengths(gates, level, inputs, before, width, tensors):
    """The gate "pre": a = I_0 + sum over l > 0 of t_l |I_l| + W z + B, the tensors I_l and W z by one mixing."""
    bias = "species" if before is None else "all"
    gates += [
        dict(gate="mix", name=f"tensors{level}", inputs=inputs, channels=width, l_max=tensors.l_max, bias=bias,
             tied=True, gain=tensor_norms(tensors.l_max)),
        dict(gate="norm", name=f"pre{level}", inputs=[f"tensors{level}"], epsilon=tensors.epsilon, weighted=True),
    ]  # fmt: skip


def _contractions(gates, level, sums, width, tensors):
    """The invariants P(I) of tensors I_l, normalised or not: the name of the gate that has them."""
    gates += [
        dict(gate="mix", name=f"tensors{level}", inputs=[sums], channels=width, l_max=tensors.l_max, tied=True,
             gain=tensor_norms(tensors.l_max)),
        dict(gate="invariants", name=f"invariants{level}", inputs=[f"tensors{level}"], l_max=min(tensors.l_max, 3),
             **tensors.contractions),
    ]  # fmt: skip
    if tensors.group_norm is None:
        return f"invariants{level}"
    gates.append(dict(gate="group_norm", name=f"normed{level}", inputs=[f"invariants{level}"],
                      epsilon=tensors.group_norm))  # fmt: skip
    return f"normed{level}"


def _layer(gates, name, inputs, before, widths, residual, same):
    """before + R softplus(W inputs + b) + b': the name of its result. before: None is the element of the atom.

    inputs: None where the gate "pre", W inputs + b, is there already. widths: of the softplus and of the result. same:
    `before` is as wide as the result, and added as it is; else a
    matrix makes it so. Without `residual` the result is softplus(W inputs + b).
    """
    bias = "species" if before is None else "all"
    act = f"act{name}" if residual else f"z{name}"
    if inputs:
        gates.append(dict(gate="mix", name=f"pre{name}", inputs=inputs, channels=widths[0], l_max=0, bias=bias))
    gates.append(dict(gate="activation", name=act, inputs=[f"pre{name}"], function="softplus"))
    if residual:
        more = [] if before is None else [before]
        gates.append(dict(gate="mix", name=f"z{name}", inputs=[act, *more], channels=widths[1], l_max=0, bias=bias)
                     | ({"skip": True} if more and same else {}))  # fmt: skip
    return f"z{name}"


@preset("interactions through sensitivity functions, residual layers, energies by level: HIP-NN", hipnn_program, SIZES)
def hipnn(
    species: Sequence | np.ndarray,
    cutoff: Cutoff = 6.5,
    channels: Channels = 40,
    levels: Levels = 2,
    atom_layers: AtomLayers = 3,
    n_radial: NRadial = 20,
    nearest: Nearest = 0.75,
    farthest: Farthest = 0.0,
    residual: Residual = True,
    envelope: Envelope = "smooth",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of HIP-NN's architecture with random parameters.

    An interaction makes of the features z of an atom and of its neighbours
    a_i = sum_nu V_nu sum_j s_nu(r_ij) z_j + W z_i + B,  s_nu(r) = exp(-(1/r - 1/mu_nu)^2 sigma^2 / 2) f(r),
    then z_i <- M z_i + R softplus(a_i) + b, M the identity where widths are the same; `atom_layers` layers of the atom
    by itself, a = W z + B, follow in the same way. At first z is the element. Each level adds to the energy, w z + b.

    species: elements, symbols or atomic numbers. cutoff: Angstrom. channels: features. levels: interactions. n_radial:
    functions s, 1/mu from 1/farthest to 1/nearest at equal distances, sigma = 2 n_radial nearest. residual: False: z is
    softplus(a). envelope: f, "smooth" is (1 - (r/cutoff)^2)^3, "cosine" cos^2(pi r / 2 cutoff), that of HIP-NN. E0s:
    reference energies, eV; an atom alone has what the biases make besides. seed: of the parameters. Raises InputError
    for values out of range.

    >>> hipnn(species=["C", "H", "O"], cutoff=5.0, channels=8, n_radial=10)
    <nbcore.Potential hipnn: H C O, 2 levels, cutoff 5 Å, 2018 parameters>
    """
    options = dict(cutoff=cutoff, channels=channels, levels=levels, atom_layers=atom_layers, n_radial=n_radial,
                   nearest=nearest, farthest=farthest, residual=residual, envelope=envelope)  # fmt: skip
    return build("hipnn", hipnn_program, species, options, E0s, seed)
