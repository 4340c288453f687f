"""The paper to the letter: eqs. (10), (11) and, over labelled parts, (12) of arXiv:1803.01588."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from nbcore.errors import InputError
from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build, largest_l, output_gates
from nbcore.presets.registry import Channels, Cutoff, Labels, Levels, LStates, Parity, PartSize, preset

Algebra = Annotated[str, Option("of states and weights; complex: as in the paper", choices=("real", "complex"))]


def kondor_program(species, cutoff, channels, levels, l_states, parity, algebra="real", labels=None,
                   part_size=3.0, outputs=None, energy=True) -> dict:  # fmt: skip
    """The list of gates of `kondor`, as data."""
    radial = {"basis": "inverse_power", "n": 4, "cutoff": float(cutoff), "envelope": "smooth"}
    complex_too = {} if algebra == "real" else {"algebra": "complex"}
    gates, readout = [], []
    for level in range(1, levels + 1):
        before = f"psi{level - 1}"
        last = level == levels and not labels  # of the last level only scalars are read, and what outputs need
        l_out = largest_l(outputs or {}) if last else l_states
        if level == 1:  # leaves: one-hot species, so psi x r is r per species
            gates.append(dict(gate="density", name="sum1", l_min=1, l_max=1, radial=radial))
        else:
            gates.append(dict(gate="zeroth_order", name=f"sum{level}", inputs=[before], l_min=1, l_max=1,
                              l_out=max(l_states, 1), radial=radial, radial_mode="all"))  # fmt: skip

        gates += [
            dict(
                gate="tensor_product",
                name=f"product{level}",
                inputs=[f"sum{level}"],
                l_max=l_out,
                n_blocks=4,
                blocks_over="channels" if level == 1 else "groups",
                **complex_too,
            ),
            dict(
                gate="mix",
                name=f"psi{level}",
                inputs=[f"sum{level}", f"product{level}"],
                channels=channels,
                l_max=l_out,
                **complex_too,
            ),
        ]
        if energy:
            gates.append(dict(gate="mix", name=f"energy{level}", inputs=[f"psi{level}"], channels=1, l_max=0))
            readout.append(f"energy{level}")
    program = {"parity": parity, "gates": gates, "readout": readout}
    if outputs and labels:
        raise InputError("labels: networks over parts have no outputs beside the energy")
    if outputs:
        readouts, program["outputs"] = output_gates(outputs, [f"psi{k}" for k in range(1, levels + 1)], parity)
        gates += readouts
    if not labels:
        return program
    if algebra == "complex":
        raise InputError('labels go with algebra "real": the sums over pairs of parts are real')
    solid = {"basis": "solid", "n": 2, "cutoff": float(part_size), "envelope": "none"}
    inverse = {"basis": "inverse_power", "n": 4, "cutoff": float(cutoff), "envelope": "none"}
    for nodes, before in (("part1", f"psi{levels}"), ("part2", "psi_part1")):
        l_out = l_states if nodes == "part1" else 0
        on = {"nodes": nodes}
        inputs = [f"sum_{nodes}", f"product_{nodes}"]
        gates += [
            dict(gate="zeroth_order", name=f"sum_{nodes}", inputs=[before], l_min=0, l_max=1,
                 l_out=max(l_states, 1), radial=solid, radial_mode="all", **on),
            dict(gate="tensor_product", name=f"product_{nodes}", inputs=[f"sum_{nodes}"], l_max=l_out, n_blocks=2,
                 blocks_over="groups", **on),
        ]  # fmt: skip
        if nodes == "part2":  # eq. (12): of the pairs of parts
            inputs.append("pairs")
            gates.append(dict(gate="first_order_relative", name="pairs", inputs=[before], l_min=0, l_max=1, l_out=l_out,
                              radial=inverse, radial_mode="all", channels="all", **on))  # fmt: skip
        gates += [
            dict(gate="mix", name=f"psi_{nodes}", inputs=inputs, channels=channels, l_max=l_out, **on),
            dict(gate="mix", name=f"energy_{nodes}", inputs=[f"psi_{nodes}"], channels=1, l_max=0, **on),
        ]
        readout.append(f"energy_{nodes}")
    return program | {"sets": [{"name": "part1"}, {"name": "part2", "children": "part1"}]}


@preset("the paper to the letter: eqs. (10) and (11), inverse powers", kondor_program)
def kondor(
    species: Sequence | np.ndarray,
    cutoff: Cutoff,
    channels: Channels = 8,
    levels: Levels = 2,
    l_states: LStates = 2,
    parity: Parity = "so3",
    algebra: Algebra = "real",
    labels: Labels = None,
    part_size: PartSize = 3.0,
    E0s: dict | None = None,
    seed: int = 0,
    outputs: Sequence[str] | dict | None = None,
    energy: bool = True,
) -> Potential:
    """An N-body network of neighbourhoods with random parameters.

    Level k: A^(s) = sum over children of |r|^-s (psi x r), s = 0..3, every child weighted by a smooth envelope (the
    paper has none, and its energies would jump at the cutoff); eq. (10) takes the A^(s), eq. (11) the products A^(s)
    x A^(s) of all channels, which is its double sum factorised; both are mixed to `channels` per l. The energy is
    linear in the scalars of all levels.

    species: elements. cutoff: Angstrom. channels: fragments per l. l_states: largest l of a state. parity: "so3" as in
    the paper, or "o3". algebra: "real", states and weights are real in the basis of real harmonics; "complex" as in the
    paper: complex states and W^l, and the energy is the real part of scalars (docs/theory/nbody_networks.md says how
    the two differ). labels: name of a per-atom label: atoms with the same one are a part, a node above them, and all
    parts are the structure, the root. A part takes eqs. (10) and (11) of its atoms about its centre, with
    (r/part_size)^l and (r/part_size)^(l+2) in the place of inverse powers, which have no limit there; the root the same
    of its parts, and eq. (12) of their pairs, r_ij^-s with Y_0 and Y_1 of r_ij. E0s, seed, outputs, energy: as in
    `nbody`; outputs without labels only.

    >>> kondor(species=["H", "O"], cutoff=4.0, channels=4).levels
    2
    """
    options = dict(cutoff=cutoff, channels=channels, levels=levels, l_states=l_states, parity=parity, algebra=algebra,
                   labels=labels, part_size=part_size)  # fmt: skip
    scheme = {"scheme": {"builder": "tree", "size": float(part_size), "levels": 2, "labels": labels}} if labels else {}
    return build("kondor", kondor_program, species, options, E0s, seed, outputs, energy, **scheme)
