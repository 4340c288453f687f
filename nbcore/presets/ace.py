"""The atomic cluster expansion (Drautz, Phys. Rev. B 99 (2019) 014104): invariant products of densities, one level."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from nbcore.errors import InputError
from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build
from nbcore.presets.registry import Cutoff, Parity, Smoothness, preset

LMax = Annotated[
    list[int],
    Option("largest l in products of 1, 2, ... neighbours; their number is the correlation", ge=0, le=10, shortest=1,
           longest=5),
]  # fmt: skip
NMax = Annotated[
    list[int], Option("radial functions, or channels, in these products", ge=1, le=64, shortest=1, longest=5)
]
Basis = Annotated[str, Option("radial functions", choices=("bessel", "chebyshev"))]
Decay = Annotated[float, Option("of chebyshev: how much better short distances are resolved", ge=0, le=50)]
Mixed = Annotated[
    int,
    Option("densities mixed from those of all elements and radial functions; 0: none, linear ACE", ge=0, le=4096),
]
Embedding = Annotated[
    str,
    Option("linear; or functions of several densities per atom", choices=("linear", "finnis_sinclair", "shifted")),
]
Exponents = Annotated[
    list[float], Option("of the densities, where the embedding has some", gt=0, le=4, shortest=1, longest=16)
]
Neighbours = Annotated[float, Option("their average number, by whose root densities are divided", gt=0)]
Envelope = Annotated[
    str, Option("smooth: twice differentiable; cosine: that of the original, once", choices=("smooth", "cosine"))
]

#: what `size` fills in
SIZES = {
    "small": {"l_max": [0, 3, 2], "n_max": [8, 4, 2]},
    "medium": {"l_max": [0, 4, 3, 1], "n_max": [12, 6, 3, 2]},
    "large": {"l_max": [0, 5, 4, 2], "n_max": [16, 8, 4, 2]},
}


def ace_program(species, cutoff, l_max, n_max, radial, decay, smoothness, envelope, channels, embedding, exponents,
                neighbours, parity) -> dict:  # fmt: skip
    """The list of gates of `ace`, as data."""
    if len(n_max) != len(l_max):
        raise InputError(f"n_max needs a number beside each of l_max, {len(l_max)}, got {len(n_max)}")
    functions = {"basis": radial, "n": max(n_max), "cutoff": float(cutoff), "envelope": envelope,
                 "smoothness": smoothness}  # fmt: skip
    functions |= {"decay": float(decay)} if radial == "chebyshev" else {}
    gates = [
        dict(gate="density", name="densities", l_max=max(l_max), radial=functions, scale=float(neighbours) ** -0.5)
    ]
    if channels:
        gates.append(dict(gate="mix", name="A", inputs=["densities"], channels=channels, share="species"))
    gates.append(dict(gate="cluster_basis", name="B", inputs=[gates[-1]["name"]], l_max=list(l_max), n_max=list(n_max)))
    if embedding == "linear":
        gates.append(_mix("energy", "B", 1))
    else:
        form = {"finnis_sinclair": "smooth", "shifted": "shifted"}[embedding]
        gates += [
            _mix("rho", "B", len(exponents)),
            dict(gate="finnis_sinclair", name="F", inputs=["rho"], form=form, exponents=list(map(float, exponents))),
            _mix("energy", "F", 1),
        ]
    return {"parity": parity, "gates": gates, "readout": ["energy"]}


def _mix(name, inputs, channels):
    return dict(gate="mix", name=name, inputs=[inputs], channels=channels, l_max=0, share="species")


@preset("invariant products of densities, linear or embedded: the atomic cluster expansion", ace_program, SIZES)
def ace(
    species: Sequence | np.ndarray,
    cutoff: Cutoff,
    l_max: LMax = (0, 4, 3, 1),
    n_max: NMax = (12, 6, 3, 2),
    radial: Basis = "chebyshev",
    decay: Decay = 3.0,
    smoothness: Smoothness = 1,
    envelope: Envelope = "smooth",
    channels: Mixed = 0,
    embedding: Embedding = "linear",
    exponents: Exponents = (1.0, 0.5),
    neighbours: Neighbours = 16.0,
    parity: Parity = "o3",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of the atomic cluster expansion with random parameters.

    A_zn,lm = sum over neighbours of element z of R_n(r) Y_lm; products B of up to len(l_max) of them, those of nu
    factors with l up to l_max[nu-1] and n below n_max[nu-1], all that are invariant and independent. Densities
    rho_p = sum_v c_pv B_v, with weights per element, are embedded: E = sum_p w_p F_p(rho_p).

    species: elements, symbols or atomic numbers. cutoff: Angstrom. radial: "chebyshev", of a distance that the option
    decay bends towards short ones, or "bessel". smoothness: radial function n is divided by (n + 1)^smoothness.
    envelope: "smooth" is (1 - (r/cutoff)^2)^3, "cosine" half of 1 + cos(pi r/cutoff). channels: above 0 the densities
    are first mixed to so many, with weights per element of the atom, and n counts these, all
    where they are fewer. embedding: "linear": E = rho,
    which `nbcore.train.least_squares` fits exactly; "finnis_sinclair", "shifted": |rho|^m with the `exponents` m, see
    the gate finnis_sinclair. neighbours: their average number. parity: "o3" or "so3", which has the same products.
    E0s: reference energies, eV. seed: of the parameters. Raises InputError for values out of range.

    >>> ace(species=["C", "H", "O"], cutoff=5.0, l_max=[0, 2, 2], n_max=[6, 3, 1])
    <nbcore.Potential ace: H C O, 1 levels, cutoff 5 Å, 681 parameters>
    """
    options = dict(cutoff=cutoff, l_max=list(l_max), n_max=list(n_max), radial=radial, decay=decay,
                   smoothness=smoothness, envelope=envelope, channels=channels, embedding=embedding,
                   exponents=list(exponents), neighbours=neighbours, parity=parity)  # fmt: skip
    return build("ace", ace_program, species, options, E0s, seed)
