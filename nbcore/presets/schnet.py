"""SchNet (Schuett et al., arXiv:1706.08566, J. Chem. Phys. 148 (2018) 241722): continuous-filter convolutions."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from nbcore.options import Option
from nbcore.potential import Potential
from nbcore.presets.build import build
from nbcore.presets.registry import Channels, Cutoff, Envelope, Levels, preset

NRadial = Annotated[int, Option("Gaussians of the distance", ge=2, le=64)]
Filters = Annotated[int, Option("width of the filters", ge=1, le=255)]
Hidden = Annotated[int, Option("width of the layer before the energy", ge=1, le=4096)]

#: what `size` fills in
SIZES = {
    "small": {"channels": 32, "filters": 32, "levels": 2, "hidden": 16},
    "medium": {"channels": 64, "filters": 64, "levels": 3},
    "large": {"channels": 128, "filters": 128, "levels": 3, "hidden": 64},
}


def schnet_program(species, cutoff, channels, levels, filters, n_radial, hidden, envelope) -> dict:
    """The list of gates of `schnet`, as data."""
    radial = {"basis": "gaussian", "n": n_radial, "cutoff": float(cutoff), "envelope": envelope}
    return schnet_gates([radial] * levels, channels, filters, hidden)


def schnet_gates(radials: list[dict], channels: int, filters: int, hidden: int) -> dict:
    """The program of these levels; radials: of each Gaussians and envelope, to which the filters' network comes."""
    network = {"layers": [filters], "network": "biased", "function": "ssp", "envelope_of": "network"}
    gates, state = [dict(gate="embedding", name="embedded", channels=channels)], "embedded"
    for level, radial in enumerate(radials, start=1):
        sums = dict(gate="zeroth_order", name=f"sum{level}", l_max=0, l_out=0, radial=radial | network)
        if level == 1:  # of the elements of the neighbours, whose states are known without asking them
            gates.append({**sums, "channels": filters})
        else:
            gates += [_mix(f"in{level}", [state], filters), {**sums, "inputs": [f"in{level}"]}]
        gates += [
            _mix(f"out{level}", [f"sum{level}"], channels, bias="all"),
            _ssp(f"act{level}", f"out{level}"),
            _mix(f"x{level}", [f"act{level}", state], channels, bias="all", skip=True),
        ]
        state = f"x{level}"
    gates += [_mix("hidden", [state], hidden, bias="all"), _ssp("activated", "hidden"),
              _mix("energy", ["activated"], 1, bias="all")]  # fmt: skip
    return {"parity": "o3", "gates": gates, "readout": ["energy"]}


def _mix(name, inputs, channels, **more):
    return dict(gate="mix", name=name, inputs=inputs, channels=channels, l_max=0, **more)


def _ssp(name, of):
    return dict(gate="activation", name=name, inputs=[of], function="ssp")


@preset("continuous-filter convolutions, residual layers: SchNet", schnet_program, SIZES)
def schnet(
    species: Sequence | np.ndarray,
    cutoff: Cutoff = 5.0,
    channels: Channels = 64,
    levels: Levels = 3,
    filters: Filters = 64,
    n_radial: NRadial = 20,
    hidden: Hidden = 32,
    envelope: Envelope = "smooth",
    E0s: dict | None = None,
    seed: int = 0,
) -> Potential:
    """A potential of SchNet's architecture with random parameters.

    x_i begins as an embedding of the element. Level k:
    v_i = sum_j (W x_j) w(r_ij) f(r_ij), w a perceptron of two layers on Gaussians of the distance, one per channel;
    x_i <- x_i + W_2 ssp(W_1 v_i + b_1) + b_2. In the end a perceptron makes the energy of x_i. ssp(x) is
    ln((1 + e^x) / 2).

    species: elements, symbols or atomic numbers. cutoff: Angstrom. channels: of x. levels: convolutions. filters: their
    width. n_radial: Gaussians, from 0 to the cutoff, as wide as their distance. hidden: width of the last perceptron.
    envelope: f, "smooth" is (1 - (r/cutoff)^2)^3, "cosine" that of schnetpack. E0s: reference energies, eV; an atom
    alone has what the biases make besides. seed: of the parameters. Raises InputError for values out of range.

    >>> schnet(species=["C", "H", "O"], cutoff=5.0, channels=8, filters=8, levels=2)
    <nbcore.Potential schnet: H C O, 2 levels, cutoff 5 Å, 1201 parameters>
    """
    options = dict(cutoff=cutoff, channels=channels, levels=levels, filters=filters, n_radial=n_radial, hidden=hidden,
                   envelope=envelope)  # fmt: skip
    return build("schnet", schnet_program, species, options, E0s, seed)
