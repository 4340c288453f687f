"""Modules of e3nn as they stand in files of torch: their matrices and couplings with every factor included."""

import re
from typing import NamedTuple

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.torch_file import Inert, Name, TorchFile, attributes, children, tensors
from nbcore.so3 import real_clebsch_gordan

Part = tuple[int, int, int]  #: (multiplicity, l, parity)


def refuse(where: str, why: str):
    """Raises an InputError about a module of the file."""
    raise InputError(f"{where}: {why}")


def class_of(module) -> str:
    """The name of its class, without those of its packages."""
    return module.path.rpartition(".")[2] if isinstance(module, Inert) else type(module).__name__


def child(module: Inert, path: str, where: str = "") -> Inert:
    """The module at a dotted path below another one; InputError where it is not there."""
    for name in path.split("."):
        found = children(module).get(name)
        if not isinstance(found, Inert):
            refuse(
                f"{where or class_of(module)}", f"it has no module {path}: not what this class has in mace-torch 0.3"
            )
        module = found
    return module


def array(module: Inert, name: str, where: str, *shape: int | None) -> np.ndarray:
    """A tensor of a module, in double; None: any length of this axis."""
    found = tensors(module).get(name)
    if found is None:
        refuse(where, f"it has no tensor {name}")
    if len(shape) != found.ndim or any(n is not None and n != m for n, m in zip(shape, found.shape, strict=True)):
        refuse(where, f"{name} has the shape {found.shape}, expected {shape}")
    if not np.isfinite(found).all():
        refuse(where, f"{name} has numbers that are not finite")
    return found.astype(float)


def attribute(module: Inert, name: str, kinds, where: str, default=None):
    """An attribute of a module of one of these types; the default where an older file does not have it."""
    value = attributes(module).get(name, default)
    if value is None or not isinstance(value, kinds):
        refuse(where, f"its attribute {name} is {value!r}")
    return value


# ---- irreps ----


def irreps(thing, where: str) -> list[Part]:
    """The parts of irreps, an object or text such as "8x0e+8x1o"."""
    if isinstance(thing, str):
        found = [re.fullmatch(r"(?:(\d+)x)?(\d+)([eo])", part.strip()) for part in thing.split("+")]
        if not all(found):
            refuse(where, f"irreps {thing[:80]!r} cannot be read")
        return [(int(m[1] or 1), int(m[2]), 1 if m[3] == "e" else -1) for m in found]
    parts = []
    for item in _tuple(thing, where):
        multiplicity, irrep = _tuple(item, where)
        l, parity = _tuple(irrep, where)  # noqa: E741
        if not all(isinstance(n, int) for n in (multiplicity, l, parity)) or abs(parity) != 1 or l < 0:
            refuse(where, "irreps that cannot be read")
        parts.append((multiplicity, l, parity))
    return parts


def _tuple(thing, where):
    """The content of an object whose class derives from tuple."""
    if isinstance(thing, Inert) and len(thing.args) == 1 and isinstance(thing.args[0], tuple):
        return thing.args[0]
    if isinstance(thing, Inert):
        return thing.args
    return thing if isinstance(thing, tuple) else refuse(where, "irreps that cannot be read")


def _instructions(module, where, length):
    found = attributes(module).get("instructions")
    if not isinstance(found, list):
        refuse(where, "it has no list of instructions")
    rows = [_tuple(i, where) for i in found]
    if any(len(row) != length for row in rows):
        refuse(where, "its instructions are none that this version of e3nn writes")
    return rows


# ---- linear maps ----


def linear(module: Inert, where: str) -> dict[tuple[int, int], np.ndarray]:
    """{(l, parity): matrix (channels in, channels out)} of an `e3nn.o3.Linear`; parts of one type follow each other."""
    matrices, bias = linear_with_bias(module, where)
    if bias is not None:
        refuse(where, "it has biases, which are not known there")
    return matrices


def linear_with_bias(module: Inert, where: str) -> tuple[dict[tuple[int, int], np.ndarray], np.ndarray | None]:
    """The same, and what is added to the even scalars of the output."""
    if class_of(module) != "Linear":
        refuse(where, f"expected a Linear of e3nn, it is a {class_of(module)}")
    inputs = irreps(attributes(module).get("irreps_in"), where)
    outputs = irreps(attributes(module).get("irreps_out"), where)
    weights, at = array(module, "weight", where, None), 0
    result, biases, taken = _zeros(inputs, outputs), [], 0
    bias = tensors(module).get("bias", np.zeros(0)).astype(float)
    for i, o, shape, factor in _instructions(module, where, 4):
        if i >= 0:
            at = _place(result, inputs, outputs, i, o, weights, at, shape, factor, where)
            continue
        n = int(np.prod(shape))
        if not 0 <= o < len(outputs) or outputs[o] != (n, 0, 1) or not np.isfinite(bias).all():
            refuse(where, "its biases are not those of even scalars")
        biases.append(bias[taken : taken + n] * factor)
        taken += n
    if taken != bias.size or len(biases) > 1:
        refuse(where, f"it has {bias.size} biases, its instructions take {taken}")
    return _whole(result, weights, at, where), biases[0] if biases else None


def by_element(module: Inert, where: str) -> dict[tuple[int, int], np.ndarray]:
    """{(l, parity): (elements, channels in, channels out)} of a FullyConnectedTensorProduct with one-hot elements."""
    inputs, scalars, outputs = (
        irreps(attributes(module).get(name), where) for name in ("irreps_in1", "irreps_in2", "irreps_out")
    )
    if len(scalars) != 1 or scalars[0][1:] != (0, 1):
        refuse(where, "its second input is not one number per element")
    weights, at = array(module, "weight", where, None), 0
    result = _zeros(inputs, outputs, (scalars[0][0],))
    for i, _, o, mode, has_weight, factor, shape in _instructions(module, where, 7):
        if mode != "uvw" or not has_weight:
            refuse(where, f"its products are of the kind {mode}, expected uvw")
        factor = factor / np.sqrt(2 * inputs[i][1] + 1)  # the coupling with l = 0 is a unit matrix over this root
        at = _place(result, inputs, outputs, i, o, weights, at, shape, factor, where)
    return _whole(result, weights, at, where)


def _zeros(inputs, outputs, classes=()):
    count = lambda parts, key: sum(n for n, *kind in parts if tuple(kind) == key)  # noqa: E731
    kinds = {(l, p) for _, l, p in outputs} & {(l, p) for _, l, p in inputs}
    return {key: np.zeros((*classes, count(inputs, key), count(outputs, key))) for key in sorted(kinds)}


def _place(result, inputs, outputs, i, o, weights, at, shape, factor, where):
    """Puts the weights of one instruction in their places; where those of the next one begin."""
    if not (0 <= i < len(inputs) and 0 <= o < len(outputs)) or inputs[i][1:] != outputs[o][1:]:
        refuse(where, "an instruction connects parts that do not fit")
    n_in, n_out = inputs[i][0], outputs[o][0]
    size = int(np.prod(shape))
    if shape[0] != n_in or shape[-1] != n_out or at + size > weights.size:
        refuse(where, f"an instruction with the shape {shape} does not fit parts of {n_in} and {n_out} channels")
    block = weights[at : at + size].reshape(shape) * factor
    if len(shape) == 3:
        block = block.transpose(1, 0, 2)
    rows, columns = (sum(p[0] for p in parts[:k] if p[1:] == parts[k][1:]) for parts, k in ((inputs, i), (outputs, o)))
    result[inputs[i][1:]][..., rows : rows + n_in, columns : columns + n_out] += block
    return at + size


def _whole(result, weights, at, where):
    if at != weights.size:
        refuse(where, f"it has {weights.size} weights, its instructions take {at}")
    return result


# ---- perceptrons ----


def perceptron(module: Inert, where: str, least: int = 2) -> tuple[list[np.ndarray], list[float]]:
    """Matrices of a FullyConnectedNet and, of all layers but the last, the factor c of c silu(x W).

    least: how many layers there must be.
    """
    matrices, factors = [], []
    layers = list(children(module).items())
    for k, (name, layer) in enumerate(layers):
        at = f"{where}.{name}"
        var_in, var_out = (attribute(layer, f"var_{end}", (int, float), at, 1.0) for end in ("in", "out"))
        matrix = array(layer, "weight", at, None, None)
        matrices.append(matrix / np.sqrt(matrix.shape[0] * var_in))
        act = children(layer).get("act")
        if k + 1 < len(layers):
            factors.append(function_factor(act, "silu", at) * np.sqrt(var_out))
        elif act is not None:
            refuse(at, "its last layer has a function, expected a linear one")
        else:
            matrices[-1] = matrices[-1] * np.sqrt(var_out)
    if len(matrices) < least or any(a.shape[1] != b.shape[0] for a, b in zip(matrices, matrices[1:], strict=False)):
        refuse(where, f"its layers do not fit each other: {[m.shape for m in matrices]}")
    return matrices, factors


def called(function: object) -> str:
    """What a function is called, without its package; those of torch's own C++ are pickled as getattr(torch, name)."""
    if isinstance(function, Inert) and function.path.endswith(".getattr") and len(function.args) == 2:
        return str(function.args[1]).lower()[:40]
    return function.path.rpartition(".")[2].lower() if isinstance(function, Name | Inert) else "none"


def function_name(act: Inert) -> str:
    """What the function inside a normalize2mom is called."""
    return called(attributes(act).get("f"))


def function_factor(act, expected: str, where: str) -> float:
    """The factor that e3nn's normalize2mom gives a function, which must be the expected one."""
    found = function_name(act) if isinstance(act, Inert) else "none"
    if found != expected:
        refuse(where, f"its function is {found}, {expected} is known")
    return 1.0 if attributes(act).get("_is_id") else float(attribute(act, "cst", (int, float), where))


# ---- tensor products of messages ----


class Product(NamedTuple):
    """One product of a message, and its factor against nbcore's coupling."""

    part: int  #: of the state, its number among the parts
    l2: int  #: of the harmonics
    to: int  #: number of the part of the output
    l3: int
    factor: float


def products(module: Inert, where: str) -> tuple[list[Product], list[Part], list[Part]]:
    """The products of an "uvu" TensorProduct in the order of their weights; the parts of its first input and output."""
    inputs, harmonics, outputs = (
        irreps(attributes(module).get(name), where) for name in ("irreps_in1", "irreps_in2", "irreps_out")
    )
    known, found = _couplings(module, where), []
    for i, k, o, mode, has_weight, factor, _ in _instructions(module, where, 7):
        if mode != "uvu" or not has_weight or harmonics[k][0] != 1 or inputs[i][0] != outputs[o][0]:
            refuse(where, "its products are not channel by channel (uvu)")
        ls = inputs[i][1], harmonics[k][1], outputs[o][1]
        found.append(Product(i, ls[1], o, ls[2], factor * _ratio(ls, known, where)))
    if [p.to for p in found] != list(range(len(outputs))):
        refuse(where, "its products do not go to one part each, in order")
    return found, inputs, outputs


def _couplings(module, where):
    """(l1, l2, l3) -> coupling tensor, from the compiled code that stands inside the module."""
    code = module.state.get("__codegen__") if isinstance(module.state, dict) else None
    blob = code.get("_compiled_main_left_right") if isinstance(code, dict) else None
    if not isinstance(blob, bytes):
        return {}
    script = TorchFile(blob, f"{where}, compiled code").load()
    state = script.state if isinstance(script, Inert) and isinstance(script.state, dict) else {}
    names = {name: re.fullmatch(r"_w3j_(\d+)_(\d+)_(\d+)", name) for name in state if isinstance(name, str)}
    return {tuple(map(int, m.groups())): state[name] for name, m in names.items() if m}


def _ratio(ls, known, where):
    """What a coupling tensor of the file is times that of nbcore.

    e3nn writes none where an l is zero, and has a positive unit matrix there, also where nbcore has a negative one.
    """
    ours = real_clebsch_gordan(*ls)
    theirs = np.eye(2 * max(ls) + 1).reshape(ours.shape) / np.sqrt(2 * max(ls) + 1) if 0 in ls else known.get(ls)
    if not isinstance(theirs, np.ndarray) or theirs.shape != ours.shape:
        refuse(where, f"the coupling tensor of l = {ls} is not in the file, and its sign is not known")
    ratio = float((theirs * ours).sum() / (ours * ours).sum())
    if not np.allclose(theirs, ratio * ours, atol=1e-6) or abs(abs(ratio) * np.sqrt(2 * ls[2] + 1) - 1) > 1e-6:
        refuse(where, f"the coupling tensor of l = {ls} in the file is none that nbcore knows")
    return np.sign(ratio) / np.sqrt(2 * ls[2] + 1)
