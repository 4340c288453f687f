"""Local levels, and above them a network over the parts of the whole structure: long-range interactions."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from nbcore.errors import InputError
from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build, layers_option
from nbcore.presets.nbody import nbody_program
from nbcore.presets.registry import (
    Channels,
    Correlation,
    Cutoff,
    Labels,
    Levels,
    LHarmonics,
    LStates,
    NRadial,
    Parity,
    PartSize,
    RadialLayers,
    preset,
)  # fmt: skip

TreeLevels = Annotated[int, Option("levels of parts, the last is the whole structure", ge=1, le=20)]
TreeChannels = Annotated[int, Option("channels of a part's moments", ge=1)]
LParts = Annotated[int, Option("largest moment of a part, 1 dipole, 2 quadrupole", ge=0, le=3)]


def tree_program(species, labels, part_size, tree_levels, tree_channels, l_parts, **local) -> dict:
    """The list of gates of `tree`, as data."""
    if labels and tree_levels == 1:
        raise InputError(
            f'tree_levels = 1 with labels = "{labels}": the first level of parts are the labelled ones, and the last '
            "is the whole structure. tree_levels must be at least 2, or leave labels away"
        )
    program = nbody_program(species, **local)
    gates, readout = program["gates"], program["readout"]
    solid = {"basis": "solid", "n": 1, "cutoff": float(part_size), "envelope": "none"}
    power = {"basis": "damped_power", "n": 2 * l_parts + 1, "cutoff": float(part_size), "r_min": 0.25 * part_size,
             "envelope": "none"}  # fmt: skip
    states = [f"psi{level}" for level in range(1, local["levels"] + 1)]
    gates.append(dict(gate="mix", name="moments0", inputs=states, channels=tree_channels, l_max=l_parts))

    def shared(name, level, first):
        return {"weights": f"{name}{first}"} if level > first else {}

    for level in range(1, tree_levels + 1):
        nodes, before = f"part{level}", f"moments{level - 1}"
        if level > 1 or labels is None:  # inside a labelled part the local levels are enough
            first = 2 if labels else 1
            gates += [
                dict(gate="first_order_relative", name=f"pairs{level}", nodes=nodes, inputs=[before],
                     l_max=2 * l_parts, l_out=0, radial=power, **shared("pairs", level, max(first, 2))),
                dict(gate="mix", name=f"interaction{level}", nodes=nodes, inputs=[f"pairs{level}"], channels=1, l_max=0,
                     **shared("interaction", level, max(first, 2))),
            ]  # fmt: skip
            readout.append(f"interaction{level}")
        if level < tree_levels:
            gates += [
                dict(gate="zeroth_order", name=f"sum_of_parts{level}", nodes=nodes, inputs=[before], l_max=l_parts,
                     l_out=l_parts, radial=solid, radial_mode="all"),
                dict(gate="mix", name=f"moments{level}", nodes=nodes, inputs=[f"sum_of_parts{level}"],
                     channels=tree_channels, l_max=l_parts, **shared("moments", level, 2)),
            ]  # fmt: skip
    sets = [{"name": f"part{k}", "children": "atoms" if k == 1 else f"part{k - 1}"} for k in range(1, tree_levels + 1)]
    return program | {"sets": sets}


@preset("nbody, and a network over parts of the whole structure: long-range interactions", tree_program)
def tree(
    species: Sequence | np.ndarray,
    cutoff: Cutoff,
    channels: Channels = 32,
    levels: Levels = 2,
    l_harmonics: LHarmonics = 3,
    l_states: LStates = 1,
    correlation: Correlation = 3,
    n_radial: NRadial = 8,
    radial_layers: RadialLayers = (),
    parity: Parity = "o3",
    labels: Labels = None,
    part_size: PartSize = 6.0,
    tree_levels: TreeLevels = 6,
    tree_channels: TreeChannels = 8,
    l_parts: LParts = 2,
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """`nbody` with `levels` local levels, and a hierarchical network (sections 3 and 4 of the paper) above them.

    Atoms give charges, dipoles, ... q = mix(psi) to their part; a part adds up moments about its centre, eq. (10) with
    solid harmonics (r/part_size)^l Y_l; larger parts add up those of smaller ones, to l = l_parts. In every part the
    pairs of its children interact, eq. (12) generalised, with (part_size/r)^n: every pair of atoms meets once, in the
    smallest part that has both. Nothing has a cutoff; the cost grows like the number of atoms. From the second level
    of parts on all levels share their weights.

    labels: name of the per-atom label that says to which smallest part an atom belongs (a molecule, a residue); None:
    cubes of edge `part_size` (Angstrom). tree_levels: levels of parts, each made of cubes of twice the edge; the last
    is the root. tree_channels: channels of the moments. Other options as in `nbody`.

    The composition scheme of a structure is made from its geometry when it is read, or by `Potential.scheme`, and
    stays as it is while atoms move. Moments of periodic images are left out: the tree is for finite systems, or for
    what one cell contains.

    >>> pot = tree(species=["H", "O"], cutoff=4.0, channels=8, tree_levels=3)
    >>> r = [[0, 0, 0], [0, 0, 0.96], [20.9, 0, -0.24]]
    >>> pot.compute(r, ["O", "H", "H"], scheme=pot.scheme(r)).forces.shape
    (3, 3)
    """
    options = dict(cutoff=cutoff, channels=channels, levels=levels, l_harmonics=l_harmonics, l_states=l_states,
                   correlation=correlation, n_radial=n_radial, **layers_option(radial_layers), parity=parity,
                   labels=labels, part_size=part_size,
                   tree_levels=tree_levels, tree_channels=tree_channels, l_parts=l_parts)  # fmt: skip
    scheme = {"builder": "tree", "size": float(part_size), "levels": int(tree_levels), "labels": labels}
    return build("tree", tree_program, species, options, E0s, seed, scheme=scheme)
