"""Radial networks of MACE in the parameters of nbcore's, every factor of the program included."""

from typing import NamedTuple

import numpy as np

from nbcore.importing import e3nn_modules as e3nn
from nbcore.importing.e3nn_modules import array, attribute, child, class_of, refuse
from nbcore.importing.torch_file import Inert, children

SILU = 1.6790  #: the factor of nbcore's own silu (ops/activations.hpp)
EPSILON = 1e-5  #: of its layer norms (ops/layer_norm.hpp)


class RadialNetwork(NamedTuple):
    """A network on radial functions; arrays with an axis of elements have them in the order of the file."""

    options: dict  #: of the option `radial` of a gate: layers, network, last_layer
    parameters: dict[str, np.ndarray]  #: nbcore's, by name: radial1, ...
    last: np.ndarray | None  #: (functions, weights) by which a gate contracts its functions; None: of a count


def radial_network(module: Inert, where: str, basis: tuple[int, float], elements: tuple, count: bool = False):
    """The network that a module of MACE is, a FullyConnectedNet of e3nn or a RadialMLP.

    basis: number of the radial functions, and their factor against nbcore's. elements: (elements, channels) of the
    sender and of the receiver that a RadialMLP sees beside them. count: it gives one number, whose tanh(z^2) is summed.
    """
    if class_of(module) == "RadialMLP":
        found = _normalised(child(module, "net", where), where, basis, elements, count)
    else:
        found = _plain(module, where, basis, count)
    if count:
        last = found.parameters[f"radial{len(found.options['layers'])}"]
        if last.shape[1] != 1:
            refuse(where, f"its density has {last.shape[1]} numbers, expected one")
    return found


def _plain(module, where, basis, count):
    matrices, factors = e3nn.perceptron(module, where, least=1)
    n, before = basis
    if len(matrices[0]) != n:
        refuse(where, f"it takes {len(matrices[0])} numbers, there are {n} radial functions")
    parameters, hidden = {}, matrices if count else matrices[:-1]
    for k, matrix in enumerate(hidden, start=1):
        parameters[f"radial{k}"] = matrix * before * np.sqrt(len(matrix))
        before = factors[k - 1] / SILU if k <= len(factors) else None
    options = {"layers": [m.shape[1] for m in hidden]} if hidden else {}
    if count:
        return RadialNetwork(options | {"last_layer": "tanh_square"}, parameters, None)
    return RadialNetwork(options, parameters, matrices[-1] * before * np.sqrt(len(matrices[-1])))


def _normalised(net, where, basis, elements, count):
    """Linear, LayerNorm, SiLU, and so on; the last one is linear. Biases are those of the file."""
    modules = list(children(net).values())
    kinds = [class_of(m) for m in modules]
    hidden = (len(modules) - 1) // 3
    if hidden < 1 or kinds != ["Linear", "LayerNorm", "SiLU"] * hidden + ["Linear"]:
        refuse(where, f"its layers are {', '.join(kinds)}, expected Linear, LayerNorm, SiLU, ... and a Linear")
    parameters, (n, before) = {}, basis
    source, target = elements
    for k in range(hidden + count):
        at, layer = f"{where}.net.{3 * k}", modules[3 * k]
        matrix, bias = array(layer, "weight", at, None, None).T, array(layer, "bias", at, None)
        if k == 0:
            width = source.shape[1]
            if len(matrix) != n + 2 * width:
                refuse(at, f"it takes {len(matrix)} numbers, expected {n} functions and two elements of {width}")
            parameters["radial1_parent"] = target @ matrix[n + width :] + bias
            parameters["radial1_child"] = source @ matrix[n : n + width]
            matrix = matrix[:n]
        else:
            parameters[f"radial{k + 1}_bias"] = bias
        parameters[f"radial{k + 1}"] = matrix * before * np.sqrt(len(matrix))
        before = 1 / SILU
        if k < hidden:
            norm, at = modules[3 * k + 1], f"{where}.net.{3 * k + 1}"
            if abs(attribute(norm, "eps", float, at) / EPSILON - 1) > 1e-12:
                refuse(at, f"its eps is {attribute(norm, 'eps', float, at)}, {EPSILON} is known")
            shape = matrix.shape[1]
            parameters[f"radial{k + 1}_gain"] = array(norm, "weight", at, shape) - 1
            parameters[f"radial{k + 1}_shift"] = array(norm, "bias", at, shape)
    widths = [parameters[f"radial{k + 1}"].shape[1] for k in range(hidden + count)]
    options = {"layers": widths, "network": "normalised"}
    if count:
        return RadialNetwork(options | {"last_layer": "tanh_square"}, parameters, None)
    at, layer = f"{where}.net.{3 * hidden}", modules[-1]
    matrix, bias = array(layer, "weight", at, None, widths[-1]).T, array(layer, "bias", at, None)
    last = np.concatenate([matrix * before, bias[None]])  # the last function is the constant one
    return RadialNetwork(options, parameters, last * np.sqrt(len(last)))
