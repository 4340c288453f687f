"""Charge and spin of a structure, which some MACE models read: for given ones a constant beside the elements."""

import numpy as np

from nbcore.importing import e3nn_modules as e3nn
from nbcore.importing.e3nn_modules import array, child, class_of, refuse
from nbcore.importing.torch_file import Inert, attributes, children, tensors


def joint_embedding(model: Inert, where: str, embedding: np.ndarray, head: int, inputs: dict[str, float]):
    """What the inputs add to the embedded elements, (channels,), and to the energies of the elements, (elements,).

    Raises InputError where an input is missing, is none of the model, or outside what the model knows.
    """
    module = children(model).get("joint_embedding")
    names = list(children(child(module, "embedders", where))) if module is not None else []
    missing = [name for name in names if name not in inputs]
    if missing:
        example = " ".join(f"--input {name}={1 if 'spin' in name else 0}" for name in names)
        refuse(
            where,
            f"the model reads {', '.join(names)} of a structure beside its atoms; a potential of nbcore is for one "
            f"value of each: give them, such as {example}",
        )
    unknown = [name for name in inputs if name not in names]
    if unknown:
        refuse(where, f"it reads no input {unknown[0]}" + (f", but {', '.join(names)}" if names else ""))
    if module is None:
        return 0.0, 0.0
    at = f"{where}: joint_embedding"
    specs = attributes(module).get("specs")
    if not isinstance(specs, dict):
        refuse(at, "it does not say what its inputs are")
    parts = [
        _embedded(child(module, f"embedders.{name}", at), f"{at}.embedders.{name}", specs.get(name), inputs[name])
        for name in specs
    ]
    project = list(children(child(module, "project", at)).values())
    if [class_of(m) for m in project] != ["Linear", "SiLU"]:
        refuse(at, "its projection is no Linear with SiLU")
    weight = array(project[0], "weight", f"{at}.project", embedding.shape[1], sum(map(len, parts)))
    added = _silu(weight @ np.concatenate(parts))
    readout = children(model).get("embedding_readout")
    if readout is None:
        return added, 0.0
    if class_of(readout) != "LinearReadoutBlock":
        refuse(where, f"embedding_readout is a {class_of(readout)}, which is not known")
    matrix = e3nn.linear(child(readout, "linear", where), f"{where}: embedding_readout")[0, 1]
    return added, (embedding + added) @ matrix[:, head]


def _embedded(module, where, spec, value):
    """The numbers that stand for one input."""
    kind = spec.get("type") if isinstance(spec, dict) else None
    if kind == "categorical":
        table, offset = array(module, "weight", where, None, None), spec.get("offset", 0)
        row = int(value) + int(offset) if isinstance(offset, int | float) else -1
        if value != int(value) or not 0 <= row < len(table):
            refuse(where, f"it has no row for {value:g}, but those of {-offset} to {len(table) - 1 - offset}")
        return table[row]
    if kind == "continuous":
        layers = list(children(module).values())
        if [class_of(m) for m in layers] != ["Linear", "SiLU", "Linear"] or spec.get("in_dim", 1) != 1:
            refuse(where, "it is no perceptron of one number")
        x = np.array([float(value)])
        for k, layer in enumerate(layers):
            x = _linear(layer, x, where) if k % 2 == 0 else _silu(x)
        return x
    refuse(where, f"an input of the type {kind!r} is not known")


def _linear(layer, x, where):
    weight = array(layer, "weight", where, None, len(x))
    return weight @ x + (array(layer, "bias", where, len(weight)) if "bias" in tensors(layer) else 0.0)


def _silu(x):
    return x / (1 + np.exp(-x))
