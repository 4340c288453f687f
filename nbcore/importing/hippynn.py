"""HIP-NN networks of hippynn: from the hyperparameters and the arrays of its state dictionary to a potential."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.peer_weights import PeerWeights
from nbcore.species import atomic_numbers, symbols

if TYPE_CHECKING:
    from nbcore.potential import Potential

SOFTPLUS = 1.0419  #: factor of the function of the gate `activation`
CUSP = 1e-6  #: what stands under the root of lengths, where it is not said
#: hyperparameters that are read; others must have these values
KNOWN = {"possible_species", "n_features", "n_sensitivities", "dist_soft_min", "dist_soft_max", "dist_hard_max",
         "n_atom_layers", "n_interaction_layers", "resnet", "cusp_reg"}  # fmt: skip
#: those of HIP-HOP-NN, and what they are where they are not said
HOP = {"l_max": 3, "n_max": 4, "group_norm": True, "group_norm_eps": 1e-5}
#: both types of sensitivities are the same function
SETTLED_WEIGHTS = re.compile(r"_extra_state$|\.cmaps\.|\.pmaps\.")  #: no weights, or the same in all networks
SETTLED = {"sensitivity_type": ("inverse", "linear"), "activation": ("softplus",)}


def from_hippynn(parameters: Mapping, weights: Mapping[str, np.ndarray], unit: float = 1.0) -> "Potential":
    """The potential of a Hipnn, HipnnVec, HipnnQuad or HipHopNNModule of hippynn and its energy node.

    parameters: the arguments of the network, `net.state_dict()` and that of the energy node HEnergy in `weights`, with
    the prefixes "net." and "head."; which of the networks it is they say. unit: of its energies, in eV; distances are
    in Angstrom. Energies of elements, the layer that reads the element alone, are E0s. Raises InputError for what is
    not known, by name.
    """
    from nbcore.potential import Potential
    from nbcore.presets.hipnn import Tensors, hipnn_gates

    hop = any(key.endswith(".mixing_weights") for key in weights)
    for key, value in parameters.items():
        if key not in (KNOWN | HOP.keys() if hop else KNOWN) and str(value).lower() not in SETTLED.get(key, ()):
            raise InputError(f"HIP-NN: {key} = {value!r}: nbcore does not know what this changes.")
    left = PeerWeights("HIP-NN", {key: w for key, w in weights.items() if not SETTLED_WEIGHTS.search(key)})
    take = left.take
    cusps = {float(dict(w)["cusp_reg"]) for key, w in weights.items() if key.endswith("_extra_state")}
    if len(cusps) > 1:
        raise InputError(f"HIP-NN: cusp_reg differs between layers: {cusps}.")
    cusp = cusps.pop() if cusps else float(parameters.get("cusp_reg", CUSP))

    species = [int(z) for z in parameters["possible_species"] if z != 0]
    ordered = symbols(sorted(species))
    place = [species.index(z) for z in atomic_numbers(ordered)]  # of ours among theirs
    residual, cutoff = bool(parameters["resnet"]), parameters["dist_hard_max"]
    levels = len({key.split(".")[2] for key in left if key.startswith("net.blocks.")})
    base = "base_layer." if residual else ""
    base_of = "net.blocks.0.0." + base
    l_max = 2 if f"{base_of}quadscales" in left else 1 if f"{base_of}vecscales" in left else 0
    tensors = Tensors(l_max, np.sqrt(cusp)) if l_max else None
    if hop:
        l_max, n_max, norm, norm_epsilon = ({**HOP, **parameters}[key] for key in HOP)
        tensors = Tensors(l_max, contractions={"n_max": n_max}, group_norm=norm_epsilon if norm else None)
    radials, inner, widths = [], [], []
    for level in range(levels):
        layer = f"net.blocks.{level}.0.{base}".removesuffix(".")
        mu, sigma = take(f"{layer}.sensitivity.mu").ravel(), take(f"{layer}.sensitivity.sigma").ravel()
        radials.append({"basis": "inverse_gaussian", "n": len(mu), "cutoff": float(cutoff), "envelope": "cosine",
                        "centres": (1 / mu).tolist(), "widths": (1 / sigma).tolist()})  # fmt: skip
        inner.append(len(left.get(f"{layer}.selfint.bias", ())))
        widths.append(len(left.get(f"net.blocks.{level}.0.res_layer.bias", ())) if residual else inner[-1])
    program = hipnn_gates(radials, widths, inner, parameters["n_atom_layers"], residual, tensors)
    energies = take("head.layers.0.weight", (1, len(species))).ravel()[place]
    preset, more = "hipnn", {}
    if hop:
        preset, more = "hiphop", {"l_tensors": l_max, "factors": n_max, "group_norm": bool(norm)}
    elif tensors:
        preset, more = "hipnn_ts", {"l_tensors": l_max, "epsilon": tensors.epsilon}
    potential = Potential({
        "preset": preset, "species": ordered, "cutoff": float(cutoff), "program": program,
        "options": {"cutoff": float(cutoff), "channels": widths[-1], "levels": levels, "residual": residual,
                    "atom_layers": parameters["n_atom_layers"], "n_radial": len(mu), **more},
        "E0s": dict(zip(ordered, (unit * energies).tolist(), strict=True)),
    })  # fmt: skip

    def fill(name, values):
        where, shape = potential.parameter_slices[name]
        if values.shape not in (shape, shape[1:]):
            raise InputError(f"HIP-NN: {name}: expected {shape}, got {values.shape}.")
        potential.parameters[where] = values.ravel()

    def put(gate, matrix, bias=None, scale=1.0):
        fill(f"{gate}.W" + ("" if gate.startswith("tensors") else "0e"), scale * np.sqrt(len(matrix)) * matrix)
        if bias is not None:
            fill(f"{gate}.bias", scale * bias)

    given = 1 if residual else SOFTPLUS  # of what layers are given: without residuals the function itself
    before = None
    for level in range(levels):
        for k in range(parameters["n_atom_layers"] + 1):
            name, theirs = f"{level + 1}" + (f"_{k}" if k else ""), f"net.blocks.{level}.{k}."
            element = before is None  # what the layer is given is the element, as biases
            if k == 0:
                V = take(f"{theirs}{base}int_weights")  # (nu, out, in)
                matrix = V.transpose(2, 0, 1)[place] if element else V.transpose(0, 2, 1)
                matrix = matrix.reshape(-1, V.shape[1]) / (1 if element else given)
                if hop:  # what is mixed with the state are invariants, [feature][invariant][feature] there
                    put(f"tensors{name}", matrix)
                    M = take(f"{theirs}{base}mixing_weights").transpose(1, 0, 2)
                    matrix = M.reshape(-1, V.shape[1])
                    for ours, norms, less in (("gain", "weight", 1), ("shift", "bias", 0)) if norm else ():
                        fill(
                            f"normed{name}.{ours}",
                            take(f"{theirs}{base}group_norm.{norms}").reshape(M.shape[:2]) - less,
                        )
                own, bias = take(f"{theirs}{base}selfint.weight"), take(f"{theirs}{base}selfint.bias")
                if element:
                    bias = bias + own.T[place]
                else:
                    matrix = np.concatenate([matrix, own.T / given])
            else:
                matrix, bias = (
                    take(f"{theirs}{base}weight").T / given,
                    take(f"{theirs}{base}bias"),
                )
            if k == 0 and tensors and not hop:  # lengths are less by epsilon
                t = np.stack([take(f"{theirs}{base}{scale}") for scale in ("vecscales", "quadscales")[:l_max]])
                fill(f"pre{name}.t", t)
                put(f"tensors{name}", matrix, bias + tensors.epsilon * t.sum(0))
            else:
                put(f"pre{name}", matrix, bias)
            if residual:
                matrix, bias = take(f"{theirs}res_layer.weight").T / SOFTPLUS, take(f"{theirs}res_layer.bias")
                more = left.pop(f"{theirs}adjust_layer.weight", None)
                if element:
                    bias = bias + (np.eye(len(bias))[place] if more is None else more.T[place])
                elif more is not None:
                    matrix = np.concatenate([matrix, more.T])
                put(f"z{name}", matrix, bias)
            before = name
        read, bias = take(f"head.layers.{level + 1}.weight").T, take(f"head.layers.{level + 1}.bias")
        put(f"energy{level + 1}", read / given, bias, unit)
    rest = [key for key in left if not re.search(r"(mu|sigma)$", key)]
    if rest:
        raise InputError(f"HIP-NN: weights {', '.join(rest)}: nbcore does not know what they do.")
    return potential
