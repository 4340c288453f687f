"""DTNN networks of deepchem's layers: from the arrays of their state dictionaries to a potential."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.peer_weights import PeerWeights
from nbcore.species import atomic_numbers, symbols

if TYPE_CHECKING:
    from nbcore.potential import Potential

TANH = 1.5925  #: factor of the function of gates


def from_deepchem(
    species: list,
    weights: Mapping[str, np.ndarray],
    distance_min: float = -1.0,
    distance_max: float = 18.0,
    extent: float = 50.0,
    unit: float = 1.0,
) -> "Potential":
    """The potential of deepchem's DTNNEmbedding, DTNNSteps, DTNNGather (no output activation), and a linear layer.

    species: the elements that the potential is for. weights: `state_dict()` of the layers with the prefixes "emb.",
    "steps.0.", "steps.1.", ..., "gather." and "linear.". distance_min, distance_max: as in DTNNModel: Gaussians stand
    (max - min) / n_distance apart, the first at the minimum, and are as wide, Angstrom. All pairs of atoms interact
    there; here those up to `extent`, Angstrom, which has to be more than the size of the molecules. unit: of its
    energies, in eV. Raises InputError for what is not known: a bias of the linear layer is a constant of the molecule,
    whatever its size, and has no place in a sum over atoms; take it out and add it yourself.
    """
    from nbcore.potential import Potential
    from nbcore.presets.dtnn import dtnn_gates

    left = PeerWeights("DTNN", weights)
    take = left.take

    if np.any(take("linear.bias") != 0):
        raise InputError(
            "DTNN: linear.bias is a constant of a molecule, whatever its size, which no sum over atoms has: set it to "
            "zero, and add it to the energies of molecules."
        )
    numbers = sorted(atomic_numbers(list(species)))
    embedding, ordered = take("emb.embedding_list"), symbols(numbers)
    if max(numbers) >= len(embedding):
        raise InputError(f"DTNN: its embedding ends at the element {len(embedding) - 1}.")
    levels = 1 + max((int(key.split(".")[1]) for key in left if key.startswith("steps.")), default=-1)
    if levels == 0:
        raise InputError("DTNN: there are no weights steps.0.")
    n = len(left.get("steps.0.W_df", []))
    step = (distance_max - distance_min) / max(n, 1)
    radial = {"basis": "gaussian", "n": n, "cutoff": 1.02 * extent, "envelope": "xplor", "on": float(extent),
              "centres": [distance_min + k * step for k in range(n)], "widths": [step] * n}  # fmt: skip
    layers = [take(f"gather.W_list.{k}") for k in range(sum(key.startswith("gather.W_list.") for key in left))]
    if not layers or layers[-1].shape[1:] != (1,):
        raise InputError("DTNN: the last of gather.W_list. must have one output.")
    channels, width = left.get("steps.0.W_cf", np.zeros((1, 1))).shape
    hidden = [W.shape[1] for W in layers[:-1]]
    potential = Potential({
        "preset": "dtnn", "species": ordered, "cutoff": radial["cutoff"],
        "options": {"cutoff": radial["cutoff"], "channels": channels, "levels": levels, "width": width, "n_radial": n,
                    "hidden": hidden[0] if hidden else 0, "shared": False},
        "program": dtnn_gates([radial] * levels, channels, width, hidden, shared=False),
        "E0s": dict.fromkeys(ordered, 0.0),
    })  # fmt: skip

    def put(name, value):
        where, shape = potential.parameter_slices[name]
        if value.size != np.prod(shape):
            raise InputError(f"DTNN: {name}: expected {shape}, got {value.shape}.")
        potential.parameters[where] = value.ravel()

    def put_layer(gate, W, bias, scale=1.0):
        put(f"{gate}.W0e", scale * np.sqrt(len(W)) * W)
        put(f"{gate}.bias", scale * bias)

    put("c0.E", embedding[numbers])
    for k in range(levels):
        W_cf, W_df, W_fc, b_cf, b_df = (take(f"steps.{k}.{x}") for x in ("W_cf", "W_df", "W_fc", "b_cf", "b_df"))
        put_layer(f"factor{k + 1}", W_cf, b_cf)
        put(f"c{k + 1}.R", np.sqrt(n) * W_df)
        put(f"c{k + 1}.b", b_df)
        put(f"c{k + 1}.W", np.sqrt(len(W_fc)) * W_fc)
    for k, W in enumerate(layers[:-1]):
        put_layer(f"hidden{k + 1}", W / (TANH if k else 1), take(f"gather.b_list.{k}"))
    factor = unit * float(take("linear.weight").item())
    put_layer("energy", layers[-1] / (TANH if hidden else 1), take(f"gather.b_list.{len(hidden)}"), scale=factor)
    left.finish()
    return potential
