"""Readouts of MACE: what the levels add to the energy of an atom, for one of the heads of the model."""

from typing import NamedTuple

import numpy as np

from nbcore.importing import e3nn_modules as e3nn
from nbcore.importing.e3nn_modules import attribute, child, class_of, refuse
from nbcore.importing.torch_file import Inert, attributes, children

#: factors of nbcore's own functions (ops/activations.hpp)
FACTORS = {"silu": 1.6790, "tanh": 1.5925, "sigmoid": 1.8462}


class Readout(NamedTuple):
    """A perceptron on the scalars of a state, without hidden layer: a linear map. Factors are those of nbcore."""

    layers: list[tuple[np.ndarray, np.ndarray | None]]  #: hidden layers: matrix (in, out), bias
    function: str  #: of the hidden layers
    last: np.ndarray  #: (channels,)
    bias: float  #: of the energy


def readouts(model: Inert, where: str, n_levels: int, head: int, n_heads: int) -> list[Readout | None]:
    """Of each level; None where a level adds nothing. Raises InputError for what is not known."""
    found = list(children(child(model, "readouts", where)).items())
    if len(found) not in (1, n_levels):
        refuse(where, f"it has {len(found)} readouts for {n_levels} levels")
    interactions = children(child(model, "interactions", where)).values()
    older = any(class_of(children(i).get("equivariant_nonlin")) == "Gate" for i in interactions if isinstance(i, Inert))
    return [None] * (n_levels - len(found)) + [
        _readout(block, f"{where}: readouts.{name}", head, n_heads, older) for name, block in found
    ]


def _readout(block, where, head, n_heads, older):
    kind = class_of(block)
    if kind == "LinearReadoutBlock":
        return Readout([], "silu", _scalars(child(block, "linear", where), where)[0][:, head], 0.0)
    if kind not in ("NonLinearReadoutBlock", "NonLinearBiasReadoutBlock"):
        refuse(where, f"a {kind} is not known")
    names = ["linear_1", "linear_2"] if kind == "NonLinearReadoutBlock" else ["linear_1", "linear_mid", "linear_2"]
    maps = [_scalars(child(block, name, where), f"{where}.{name}") for name in names]
    function, factor = _function(child(block, "non_linearity", where), where)
    width = len(maps[-1][0])
    masked = n_heads > 1 and attributes(block).get("num_heads", 1) > 1
    own = slice(head * (width // n_heads), (head + 1) * (width // n_heads)) if masked else slice(0, width)
    layers, before, rows = [], 1.0, slice(None)
    for k, (matrix, bias) in enumerate(maps[:-1], start=2):
        # units of other heads are masked behind every hidden layer; by programs before 0.3.16 behind the last one
        columns = slice(None) if older and k < len(maps) else own
        layers.append((matrix[rows, columns] * before, None if bias is None else bias[columns]))
        before, rows = factor, columns
    matrix, bias = maps[-1]
    last, bias = matrix[own, head] * factor, 0.0 if bias is None else float(bias[head])
    if function is None:  # linear maps behind each other are one
        while layers:
            matrix, constants = layers.pop()
            bias += 0.0 if constants is None else float(constants @ last)
            last = matrix @ last
        function = "silu"
    return Readout(layers, function, last, bias)


def _scalars(module, where):
    """Matrix and bias of the scalars of a linear map."""
    matrices, bias = e3nn.linear_with_bias(module, where)
    return matrices[0, 1], bias


def _function(module, where):
    """Name of the function of all units, nbcore's factor in it; None: there is none."""
    acts = list(children(child(module, "acts", where)).values())
    if len(acts) != 1:
        refuse(where, f"it has {len(acts)} functions, expected one")
    if not isinstance(acts[0], Inert):
        return None, 1.0
    name = e3nn.function_name(acts[0])
    if name not in ("silu", "tanh"):
        refuse(where, f"its function is {name}; silu, tanh and none are known")
    return name, e3nn.function_factor(acts[0], name, where) / FACTORS[name]


def gate_factors(module: Inert, where: str) -> tuple[float, float]:
    """Of a gated non-linearity: factors, against nbcore's, of silu on scalars and of sigmoid on gates."""
    if class_of(module) == "GatedEquivariantBlock":
        state = module.state if isinstance(module.state, dict) else {}
        found = [(state.get(f"_act_{k}"), state.get(f"_{k}_cst")) for k in ("scalar", "gate")]
        names = [e3nn.called(f) for f, _ in found]
        factors = [float(c) if isinstance(c, int | float) else np.nan for _, c in found]
    elif class_of(module) == "Gate":  # of e3nn, in files of mace-torch before 0.3.16
        names, factors = [], []
        for part in ("act_scalars", "act_gates"):
            acts = [a for a in children(child(module, f"{part}.acts", where)).values() if isinstance(a, Inert)]
            named = {e3nn.function_name(a) for a in acts}
            if len(named) != 1:
                refuse(where, f"its functions are {sorted(named)}, expected one for all")
            names.append(named.pop())
            factors.append(float(attribute(acts[0], "cst", (int, float), where)))
    else:
        refuse(where, f"a {class_of(module)} is not known")
    if names != ["silu", "sigmoid"] or not np.isfinite(factors).all():
        refuse(where, f"its functions are {' and '.join(map(str, names))}, silu and sigmoid are known")
    return factors[0] / FACTORS["silu"], factors[1] / FACTORS["sigmoid"]
