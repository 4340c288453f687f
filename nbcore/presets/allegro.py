"""Allegro (Musaelian et al., arXiv:2204.05249): states of edges, multiplied with the environment of their atom."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np

from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build, part_name
from nbcore.presets.registry import Channels, Cutoff, LHarmonics, NRadial, Parity, preset

Products = Annotated[
    int, Option("how often an edge is multiplied with its environment; the range stays the cutoff", ge=1, le=6)
]
Scalars = Annotated[int, Option("scalars of an edge", ge=1, le=4096)]
Basis = Annotated[str, Option("radial functions", choices=("bessel", "windows"))]
Span = Annotated[int, Option("of windows: how many others each overlaps on one side", ge=0, le=63)]
Power = Annotated[int, Option("of the envelope of bessel: larger falls later", ge=2, le=50)]
Neighbours = Annotated[float, Option("their average number, by whose root sums are divided", gt=0)]
Parities = Annotated[
    str, Option("all: pseudo-tensors too; natural: parity (-1)^l alone, faster", choices=("all", "natural"))
]
Coupling = Annotated[
    str, Option("weights of products: of each path and channel, or of each path", choices=("channels", "paths"))
]
Hidden = Annotated[int, Option("width of the last perceptron", ge=1, le=4096)]

#: what `size` fills in
SIZES = {
    "small": {"channels": 8, "scalars": 32, "products": 1, "l_harmonics": 2},
    "medium": {"channels": 16, "scalars": 64, "products": 2, "l_harmonics": 2},
    "large": {"channels": 32, "scalars": 64, "products": 3, "l_harmonics": 3},
}

Perceptron = list[int]  #: widths of hidden layers, between which silu stands


class Widths(NamedTuple):
    """Channels and the hidden layers of the perceptrons of an Allegro network."""

    channels: int  #: of tensors
    scalars: int
    pair: int  #: scalars of distance and elements, which the first perceptron is given
    two_body: Perceptron
    latent: Perceptron
    readout: Perceptron


def allegro_program(species, cutoff, channels, scalars, products, l_harmonics, n_radial, radial, span, power,
                    neighbours, parities, coupling, hidden, parity) -> dict:  # fmt: skip
    """The list of gates of `allegro`, as data."""
    functions = {"basis": radial, "n": n_radial, "cutoff": float(cutoff)}
    if radial == "windows":
        functions |= {"span": span, "envelope": "none"}
    else:
        functions |= {"envelope": "polynomial", "power": power}
    widths = Widths(channels, scalars, scalars, [scalars], [scalars], [hidden])
    return allegro_gates(functions, widths, products, l_harmonics, parity, parities == "all", coupling, neighbours)


def allegro_gates(radial: dict, widths: Widths, products: int, l_max: int, parity: str, odd: bool, coupling: str,
                  neighbours: float) -> dict:  # fmt: skip
    """The program. radial: option of the first gate. odd: are there parts of parity -(-1)^l?"""
    gates = [dict(gate="edge_embedding", name="pair", channels=widths.pair, radial=radial)]
    last = _perceptron(gates, "two_body", ["pair"], widths.two_body)
    gates.append(_mix("two_body", last, widths.scalars))
    weights = dict(channels=widths.channels * (l_max + 1), groups=l_max + 1)
    gates += [
        _mix("tensor_weights", ["two_body"], **weights),
        dict(gate="edge_tensors", name="V0", inputs=["tensor_weights"], l_max=l_max),
        _mix("x0", ["two_body"], widths.scalars),
        _mix("weights1", ["two_body"], **weights),
    ]
    states = ["x0"]
    for k, parts in enumerate(tensors(l_max, parity, odd, products)[1:], start=1):
        gates += [
            dict(gate="environment", name=f"environment{k}", inputs=[f"weights{k}"], l_max=l_max,
                 scale=float(neighbours) ** -0.5),
            dict(gate="edge_product", name=f"V{k}", inputs=[f"V{k - 1}", f"environment{k}"], l_max=l_max, parts=parts,
                 coupling=coupling),
        ]  # fmt: skip
        last = _perceptron(gates, f"latent{k}", [*states, f"V{k}"], widths.latent)
        gates.append(_mix(f"x{k}", last, widths.scalars))
        if k < products:
            gates.append(_mix(f"weights{k + 1}", last, **weights))
        states.append(f"x{k}")
    last = _perceptron(gates, "readout", states, widths.readout)
    if not widths.readout:
        gates.append(_mix("readout", last, 1))
        last = ["readout"]
    gates += [  # the last layer is linear, so that it is the atom's, after the sum over edges
        dict(gate="environment", name="sum", inputs=last, l_max=0, scale=(2 * float(neighbours)) ** -0.5),
        dict(gate="mix", name="energy", inputs=["sum"], channels=1, share="species"),
    ]
    return {"parity": parity, "gates": gates, "readout": ["energy"]}


def tensors(l_max: int, parity: str, odd: bool, products: int) -> list[list[str]]:
    """Names of the parts of the tensors V0, V1, ...: what products can make, and what can become a scalar in the end.

    >>> tensors(1, "o3", True, 3)
    [['0e', '1o'], ['0e', '1o', '1e'], ['0e', '1o'], ['0e']]
    """
    if parity == "so3":
        kinds = [(l, 0) for l in range(l_max + 1)]
        natural = kinds
    else:
        natural = [(l, (-1) ** l) for l in range(l_max + 1)]
        kinds = [(l, p) for l in range(l_max + 1) for p in (-1, 1)] if odd else natural

    def made(before):
        return [(l, p) for l, p in kinds
                if any(abs(a - b) <= l <= a + b and p == q * s for a, q in before for b, s in natural)]  # fmt: skip

    found = [natural]
    for _ in range(products - 1):
        found.append(made(found[-1]))
    found.append([natural[0]])
    for k in range(products - 1, 0, -1):  # what leads to nothing that is wanted
        wanted = found[k + 1]
        found[k] = [(l, p) for l, p in found[k]
                    if any(abs(l - b) <= a <= l + b and q == p * s for a, q in wanted for b, s in natural)]  # fmt: skip
    return [[part_name(l, parity) if p in (0, (-1) ** l) else f"{l}{'oe'[l % 2]}" for l, p in state] for state in found]


def _perceptron(gates, name, inputs, hidden):
    """The hidden layers; returns the inputs of the layer behind them."""
    for k, width in enumerate(hidden, start=1):
        gates += [
            _mix(f"{name}_{k}", inputs, width),
            dict(gate="activation", name=f"{name}_{k}_silu", inputs=[f"{name}_{k}"]),
        ]
        inputs = [f"{name}_{k}_silu"]
    return inputs


def _mix(name, inputs, channels, **more):
    return dict(gate="mix", name=name, inputs=inputs, channels=channels, l_max=0, **more)


@preset("edges multiplied with the environment of their atom, strictly local: Allegro", allegro_program, SIZES)
def allegro(
    species: Sequence | np.ndarray,
    cutoff: Cutoff,
    channels: Channels = 16,
    scalars: Scalars = 64,
    products: Products = 2,
    l_harmonics: LHarmonics = 2,
    n_radial: NRadial = 8,
    radial: Basis = "bessel",
    span: Span = 4,
    power: Power = 6,
    neighbours: Neighbours = 16.0,
    parities: Parities = "all",
    coupling: Coupling = "channels",
    hidden: Hidden = 32,
    parity: Parity = "o3",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of Allegro's architecture with random parameters.

    Each edge ij has scalars x and tensors V. At first x is a perceptron of radial functions with weights per pair of
    elements, V_lm = w_l(x) Y_lm(r_ij). Product k: the environment of the atom, A_i = sum over its edges of
    w_l(x) Y_lm / sqrt(neighbours), multiplies each of its edges, V <- sum over paths of w (V x A_i); a perceptron of
    all x before and of the scalars of V gives the next x. A last one of all x is summed over the edges and read, with
    weights per element. No atom hears of anything beyond its own cutoff, whatever the number of products.

    species: elements, symbols or atomic numbers. cutoff: Angstrom. channels: of tensors. scalars: of an edge, and the
    width of its perceptrons. products: how many. l_harmonics: largest l. n_radial: radial functions, "bessel" with the
    polynomial envelope of `power`, or "windows" that overlap `span` others on one side. neighbours: their average
    number. parities: "all" or "natural", parts of V of parity (-1)^l alone. coupling: weights per path and channel,
    "channels", or per path, "paths". hidden: width of the last perceptron. parity: "o3" or "so3". E0s: reference
    energies, eV. seed: of the parameters. Raises InputError for values out of range.

    >>> allegro(species=["C", "H", "O"], cutoff=4.5, channels=4, scalars=8, hidden=6)
    <nbcore.Potential allegro: H C O, 1 levels, cutoff 4.5 Å, 1658 parameters>
    """
    options = dict(cutoff=cutoff, channels=channels, scalars=scalars, products=products, l_harmonics=l_harmonics,
                   n_radial=n_radial, radial=radial, span=span, power=power, neighbours=neighbours, parities=parities,
                   coupling=coupling, hidden=hidden, parity=parity)  # fmt: skip
    return build("allegro", allegro_program, species, options, E0s, seed)
