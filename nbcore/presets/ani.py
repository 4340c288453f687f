"""ANI (Smith, Isayev, Roitberg, Chem. Sci. 8 (2017) 3192): angular functions on a grid, a perceptron per element."""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np

from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build
from nbcore.presets.element_networks import Layers, element_networks
from nbcore.presets.registry import Cutoff, Envelope, preset

AngularCutoff = Annotated[float, Option("of the angular functions, Angstrom", gt=0)]
NRadial = Annotated[int, Option("radial functions per element", ge=1, le=64)]
NShifts = Annotated[int, Option("distances of the angular functions", ge=1, le=16)]
NAngles = Annotated[int, Option("angles of the angular functions", ge=1, le=16)]
Eta = Annotated[float, Option("1/Angstrom^2: how narrow", gt=0, le=1e4)]
Zeta = Annotated[float, Option("how narrow in the angle", ge=1, le=1000)]
Standardise = Annotated[
    bool, Option("the functions are scaled and shifted per element to mean 0 and deviation 1 over the data")
]
Start = Annotated[float, Option("the first distance of both grids, Angstrom", ge=0)]

#: what `size` fills in
SIZES = {
    "small": {"layers": [64, 48, 32], "n_radial": 8, "n_shifts": 2, "n_angles": 4, "zeta": 8.0},
    "medium": {"layers": [160, 128, 96]},
    "large": {"layers": [256, 192, 160], "n_shifts": 8, "n_angles": 4, "zeta": 14.1, "eta_angular": 12.5, "start": 0.8},
}


class Functions(NamedTuple):
    """What describes a neighbourhood: cutoffs and shifts in Angstrom, etas in 1/Angstrom^2, angles in radians."""

    cutoff: float
    angular_cutoff: float
    eta: float
    shifts: list[float]
    angular_eta: float
    zeta: float
    angles: list[float]
    angular_shifts: list[float]


def ani_program(species, cutoff, angular_cutoff, n_radial, n_shifts, n_angles, eta_radial, eta_angular, zeta, start,
                layers, standardise, envelope) -> dict:  # fmt: skip
    """The list of gates of `ani`, as data."""

    def grid(n, end):  # the end itself is none of the centres
        return [start + k * (end - start) / n for k in range(n)]

    angles = [(k + 0.5) * math.pi / n_angles for k in range(n_angles)]
    functions = Functions(cutoff, angular_cutoff, eta_radial, grid(n_radial, cutoff), eta_angular, zeta, angles,
                          grid(n_shifts, angular_cutoff))  # fmt: skip
    return ani_gates(functions, layers, envelope, standardise)


def ani_gates(f: Functions, layers: list[int], envelope: str, standardise: bool = False) -> dict:
    """The program of these functions and perceptrons; of the angular functions the angle runs fastest."""
    n, n_radial = len(f.angles) * len(f.angular_shifts), len(f.shifts)
    radial = {"basis": "gaussian", "n": n_radial, "centres": list(f.shifts), "widths": [(2 * f.eta) ** -0.5] * n_radial,
              "cutoff": float(f.cutoff), "envelope": envelope}  # fmt: skip
    gates = [
        dict(gate="density", name="radial", l_max=0, radial=radial, scale=0.25),
        dict(
            gate="triplet", name="angular", form="ani", cutoff=float(f.angular_cutoff), envelope=envelope,
            angle=list(f.angles) * len(f.angular_shifts), shift=np.repeat(f.angular_shifts, len(f.angles)).tolist(),
            zeta=[float(f.zeta)] * n, eta=[float(f.angular_eta)] * n,
        ),
        *element_networks(["radial", "angular"], layers, "celu", standardise),
    ]  # fmt: skip
    return {"parity": "o3", "gates": gates, "readout": ["energy"]}


@preset("angular functions on a grid of distances and angles, a perceptron per element: ANI", ani_program, SIZES)
def ani(
    species: Sequence | np.ndarray,
    cutoff: Cutoff = 5.2,
    angular_cutoff: AngularCutoff = 3.5,
    n_radial: NRadial = 16,
    n_shifts: NShifts = 4,
    n_angles: NAngles = 8,
    eta_radial: Eta = 16.0,
    eta_angular: Eta = 8.0,
    zeta: Zeta = 32.0,
    start: Start = 0.9,
    layers: Layers = (160, 128, 96),
    standardise: Standardise = True,
    envelope: Envelope = "smooth",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of ANI's architecture with random parameters; the defaults are those of ANI-1x.

    An atom's neighbourhood is described by sums f over neighbours and over pairs of them, for each element and for each
    pair of elements:
    radial   1/4 sum_j exp(-eta_radial (r_ij - s)^2) f(r_ij)
    angular  2 sum_{j<k} ((1 + cos(theta - a)) / 2)^zeta exp(-eta_angular ((r_ij + r_ik)/2 - s)^2) f(r_ij) f(r_ik),
    cos theta = 0.95 cos of the angle; s and a on grids. A perceptron with weights and biases of its own for each
    element (celu, alpha 0.1) makes its energy of them.

    species: elements, symbols or atomic numbers. cutoff, angular_cutoff: Angstrom. n_radial, n_shifts, n_angles: points
    of the grids; distances from `start` on, the cutoff left out. layers: widths of the perceptrons. standardise: their
    inputs are scaled by what `calibrate` finds in the data, which ANI's are not. envelope: f,
    "smooth" is (1 - (r/cutoff)^2)^3, "cosine" that of ANI. E0s: reference energies, eV; an atom alone has what the
    biases make besides. seed: of the parameters. Raises InputError for values out of range.

    >>> ani(species=["C", "H", "O"], n_radial=8, layers=[32, 16])
    <nbcore.Potential ani: H C O, 1 levels, cutoff 5.2 Å, 23763 parameters>
    """
    options = dict(cutoff=cutoff, angular_cutoff=angular_cutoff, n_radial=n_radial, n_shifts=n_shifts,
                   n_angles=n_angles, eta_radial=eta_radial, eta_angular=eta_angular, zeta=zeta, start=start,
                   layers=list(layers), standardise=standardise, envelope=envelope)  # fmt: skip
    return build("ani", ani_program, species, options, E0s, seed)
