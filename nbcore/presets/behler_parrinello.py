"""Behler and Parrinello, Phys. Rev. Lett. 98 (2007) 146401: symmetry functions, and a perceptron for each element."""

import itertools
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np

from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build
from nbcore.presets.element_networks import Layers, element_networks
from nbcore.presets.registry import Cutoff, Envelope, preset

NRadial = Annotated[int, Option("radial functions per element, half of them about the atom", ge=1, le=64)]
Form = Annotated[str, Option("of the angular functions: narrow (G4), wide (G5)", choices=("narrow", "wide"))]
Etas = Annotated[list[float], Option("widths of the angular functions, 1/Angstrom^2", ge=0, shortest=1, longest=16)]
Zetas = Annotated[list[int], Option("how narrow the angular functions are", ge=1, le=64, shortest=1, longest=16)]

#: what `size` fills in
SIZES = {
    "small": {"layers": [15, 15], "n_radial": 6, "zetas": [1, 4], "etas": [0.01]},
    "medium": {"layers": [25, 25]},
    "large": {"layers": [50, 50], "n_radial": 12, "etas": [0.003, 0.02, 0.08]},
}


class RadialSet(NamedTuple):
    """Functions exp(-eta (r - shift)^2) f(r), `pairs` of (eta, shift); envelope: its options, cutoff included."""

    envelope: dict
    pairs: list[tuple[float, float]]


class AngularSet(NamedTuple):
    """Functions of the gate `triplet`, (eta, shift, zeta, lambda); form: "wide" or "narrow"."""

    form: str
    envelope: dict
    functions: list[tuple[float, float, float, float]]


def symmetry_functions(sets: list[RadialSet | AngularSet]) -> list[dict]:
    """The gates of these functions, "radial1", "angular1", ..., in the order of the sets."""
    gates = []
    for number, one in enumerate(sets, start=1):
        if isinstance(one, RadialSet):
            etas, shifts = zip(*one.pairs, strict=True)
            radial = {"basis": "gaussian", "n": len(etas), "centres": list(shifts), **one.envelope,
                      "widths": [(2 * max(eta, 5e-13)) ** -0.5 for eta in etas]}  # fmt: skip
            gates.append(dict(gate="density", name=f"radial{number}", l_max=0, radial=radial))
        else:
            columns = zip(("eta", "shift", "zeta", "lambda"), map(list, zip(*one.functions, strict=True)), strict=True)
            gates.append(
                {"gate": "triplet", "name": f"angular{number}", "form": one.form, **one.envelope, **dict(columns)}
            )
    return gates


def behler_parrinello_program(species, cutoff, n_radial, form, etas, zetas, layers, envelope) -> dict:
    """The list of gates of `behler_parrinello`, as data."""
    ends = {"cutoff": float(cutoff), "envelope": envelope}
    about = (n_radial + 1) // 2  # about the atom, the narrowest a tenth of the cutoff wide; the others on a grid
    radial = [(1 / (2 * w * w), 0.0) for w in np.geomspace(cutoff, 0.2 * cutoff, about).tolist()]
    between = n_radial - about
    spacing = 0.7 * cutoff / max(between, 1)
    radial += [(2 / spacing**2, 0.2 * cutoff + k * spacing) for k in range(between)]
    angular = [(eta, 0.0, float(zeta), sign) for eta, zeta, sign in itertools.product(etas, zetas, (1.0, -1.0))]
    gates = symmetry_functions([RadialSet(ends, radial), AngularSet(form, ends, angular)])
    networks = element_networks([gate["name"] for gate in gates], layers, "tanh")
    return {"parity": "o3", "gates": gates + networks, "readout": ["energy"]}


@preset(
    "symmetry functions of distances and angles, a perceptron per element: Behler-Parrinello",
    behler_parrinello_program,
    SIZES,
)
def behler_parrinello(
    species: Sequence | np.ndarray,
    cutoff: Cutoff = 6.0,
    n_radial: NRadial = 8,
    form: Form = "narrow",
    etas: Etas = (0.005, 0.04),
    zetas: Zetas = (1, 4, 16),
    layers: Layers = (25, 25),
    envelope: Envelope = "smooth",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of Behler's and Parrinello's architecture with random parameters.

    An atom's neighbourhood is described by symmetry functions, for each element and each pair of elements:
    G2  sum_j exp(-eta (r_ij - s)^2) f(r_ij)
    G4  2^(1 - zeta) sum_{j<k} (1 + lambda cos theta)^zeta exp(-eta (r_ij^2 + r_ik^2 + r_jk^2)) f(r_ij) f(r_ik) f(r_jk)
    or G5, the same without r_jk; lambda is 1 and -1. A perceptron with weights and biases of its own for each element
    (tanh) makes its energy of them.

    species: elements, symbols or atomic numbers. cutoff: Angstrom. n_radial: functions G2 per element, half of them
    with s = 0 and widths from a fifth of the cutoff on, half on a grid. form: "narrow" (G4) or "wide" (G5). etas,
    zetas: of the angular functions, all pairs of them. layers: widths of the perceptrons. envelope: f, "smooth" is
    (1 - (r/cutoff)^2)^3, "cosine" the original one. E0s: reference energies, eV; an atom alone has what the biases make
    besides. seed: of the parameters. Raises InputError for values out of range.

    >>> behler_parrinello(species=["H", "O"], cutoff=6.0, layers=[10])
    <nbcore.Potential behler_parrinello: H O, 1 levels, cutoff 6 Å, 1082 parameters>
    """
    options = dict(cutoff=cutoff, n_radial=n_radial, form=form, etas=[float(e) for e in etas], zetas=list(zetas),
                   layers=list(layers), envelope=envelope)  # fmt: skip
    return build("behler_parrinello", behler_parrinello_program, species, options, E0s, seed)
