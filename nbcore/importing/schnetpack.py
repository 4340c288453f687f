"""SchNet networks of schnetpack: from the arrays of their state dictionaries to a potential."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.peer_weights import PeerWeights
from nbcore.species import atomic_numbers, symbols

if TYPE_CHECKING:
    from nbcore.potential import Potential

SSP = 1.8756  #: factor of the function of gates
REP, RBF = "rep.", "rep.radial_basis."


def from_schnetpack(species: list, cutoff: float, weights: Mapping[str, np.ndarray], unit: float = 1.0) -> "Potential":
    """The potential of a SchNet representation with Gaussians and a cosine cutoff, and the perceptron behind it.

    species: the elements that the potential is for. weights: `state_dict()` of the representation and of the perceptron
    (two layers, shifted softplus), with the prefixes "rep." and "out."; where interactions share weights, each of
    them is there. unit: of its energies, in eV; distances are in Angstrom. Raises InputError for what is not known.
    """
    from nbcore.potential import Potential
    from nbcore.presets.schnet import schnet_gates

    left = PeerWeights("SchNet", weights)
    take = left.take

    numbers = sorted(atomic_numbers(list(species)))
    offsets, widths = take(f"{RBF}offsets"), take(f"{RBF}widths")
    if take(f"{REP}cutoff_fn.cutoff").ravel().tolist() != [cutoff]:
        raise InputError(f"SchNet: the cutoff of the file is not {cutoff}.")
    embedding = take(f"{REP}embedding.weight")
    if max(numbers) >= len(embedding):
        raise InputError(f"SchNet: its embedding ends at the element {len(embedding) - 1}.")
    levels = 1 + max((int(key.split(".")[2]) for key in left if key.startswith("rep.interactions.")), default=-1)
    if levels == 0:
        raise InputError("SchNet: there are no weights rep.interactions.0.")
    filters, channels = left.get("rep.interactions.0.in2f.weight", np.zeros((1, 1))).shape
    hidden = len(left.get("out.0.bias", [0]))
    radial = {"basis": "gaussian", "n": len(offsets), "centres": offsets.tolist(), "widths": widths.tolist(),
              "cutoff": float(cutoff), "envelope": "cosine"}  # fmt: skip
    ordered = symbols(numbers)
    potential = Potential({
        "preset": "schnet", "species": ordered, "cutoff": float(cutoff),
        "options": {"cutoff": float(cutoff), "channels": channels, "levels": levels, "filters": filters,
                    "n_radial": len(offsets), "hidden": hidden},
        "program": schnet_gates([radial] * levels, channels, filters, hidden), "E0s": dict.fromkeys(ordered, 0.0),
    })  # fmt: skip

    def put(name, value):
        where, shape = potential.parameter_slices[name]
        if value.size != np.prod(shape):
            raise InputError(f"SchNet: {name}: expected {shape}, got {value.shape}.")
        potential.parameters[where] = value.ravel()

    def put_layer(gate, theirs, before=1.0, scale=1.0, bias=True):
        W = take(f"{theirs}.weight").T
        put(f"{gate}.W0e", scale * np.sqrt(len(W)) / before * W)
        if bias:
            put(f"{gate}.bias", scale * take(f"{theirs}.bias"))

    put("embedded.E", embedding[numbers])
    for k in range(levels):
        theirs, name = f"rep.interactions.{k}", str(k + 1)
        if k == 0:
            put("sum1.E", embedding[numbers] @ take(f"{theirs}.in2f.weight").T)
        else:
            put_layer(f"in{name}", f"{theirs}.in2f", bias=False)
        first, second = (f"{theirs}.filter_network.{layer}" for layer in (0, 1))
        W = take(f"{first}.weight").T
        put(f"sum{name}.radial1", np.sqrt(len(W)) * W)
        put(f"sum{name}.radial1_bias", take(f"{first}.bias"))
        W = np.concatenate([take(f"{second}.weight").T / SSP, take(f"{second}.bias")[None]])  # the constant is the last
        put(f"sum{name}.R", np.sqrt(len(W)) * W)
        put_layer(f"out{name}", f"{theirs}.f2out.0")
        put_layer(f"x{name}", f"{theirs}.f2out.1", before=SSP)
    put_layer("hidden", "out.0")
    put_layer("energy", "out.1", before=SSP, scale=unit)
    left.finish()
    return potential
