"""States as arrays or as parts, checked and brought into the form of the kernels."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from nbcore._threads import threads as default_threads
from nbcore.errors import InputError

dtypes = tuple(np.dtype(t) for t in (np.float32, np.float64, np.complex64, np.complex128))


def common_dtype(where, *states):
    """float32, float64, complex64 or complex128: what NumPy makes of the states together, at least float32."""
    if all(type(state) is np.ndarray and state.dtype == states[0].dtype for state in states):
        dtype = states[0].dtype
        if dtype in dtypes and dtype.isnative:
            return dtype
    dtype = np.result_type(*(np.asarray(part).dtype for state in states for part in _arrays(state)), np.float32)
    if any(np.asarray(part).dtype.kind not in "fiuc" for state in states for part in _arrays(state)):
        raise TypeError(f"{where}: states must be numbers, got dtype {dtype}")
    if dtype not in dtypes:
        dtype = np.dtype(np.complex128 if dtype.kind == "c" else np.float64)
    return dtype


def blocks(where, name, state, irreps, dtype, whole=False):
    """The parts of a state, arrays (..., dim of the part), and the shape of the leading axes.

    With `whole`, what comes as one array is left in one piece, [array].

    `state` is an array (..., irreps.dim), a sequence of the parts of `irreps`, arrays (..., 2l + 1, multiplicity), or a
    mapping to them from (l, parity) (or from l, where irreps have no parities). No part is copied that has the right
    type.
    """
    if type(state) is not np.ndarray and _is_parts(state, irreps):
        return _of_parts(where, name, state, irreps, dtype)
    array = np.asarray(state, dtype=dtype)
    if array.shape[-1:] != (irreps.dim,):
        raise InputError(f"{where}: {name} must have shape (..., {irreps.dim}) ({irreps}), got {array.shape}")
    if whole:
        return [array], array.shape[:-1]
    ends = np.cumsum([irrep.dim for irrep in irreps], dtype=int)
    return [array[..., end - irrep.dim : end] for irrep, end in zip(irreps, ends, strict=True)], array.shape[:-1]


def rows(parts, shape, batch):
    """Parts (*shape, dim) as matrices (states, dim), broadcast to `batch`; views where that is possible."""
    n = math.prod(batch)
    if len(parts) == 1 and len(shape) == 1 and shape == batch and parts[0].flags.c_contiguous:
        return parts
    return [_rows(part, shape, batch, n) for part in parts]


def output(where, name, out, shape, dtype, zeros=False):
    """A new array, or `out` if it is one that can be written to as it is."""
    if out is None:
        return (np.zeros if zeros else np.empty)(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{where}: {name} must be a NumPy array, got {type(out).__name__}")
    if out.shape != tuple(shape) or out.dtype != dtype:
        raise InputError(
            f"{where}: {name} must have shape {tuple(shape)} and dtype {dtype}, got {out.shape}, {out.dtype}"
        )
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise InputError(f"{where}: {name} must be contiguous (C order) and writeable")
    if zeros:
        out[...] = 0
    return out


def apart(where, out, *states):
    """InputError if `out` lies where one of the states lies."""
    if any(
        np.may_share_memory(out, part) for state in states for part in _arrays(state) if isinstance(part, np.ndarray)
    ):
        raise InputError(f"{where}: out must not share memory with what is read")


def broadcast(where, names, *shapes):
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        got = " and ".join(map(str, shapes))
        raise InputError(f"{where}: leading axes of {names} must broadcast, got {got}") from None


def summed(array, shape):
    """The adjoint of broadcasting `shape` to array.shape[:-1]."""
    extra = array.ndim - 1 - len(shape)
    axes = (*range(extra), *(extra + k for k, n in enumerate(shape) if n == 1 and array.shape[extra + k] != 1))
    return array.sum(axis=axes, dtype=array.dtype).reshape(*shape, array.shape[-1]) if axes else array


def thread_number(threads, work):
    """`threads`, or what the environment says where the work (multiply-adds) is worth it."""
    if (threads is None and work < 1e6) or threads == 1:
        return 1
    return default_threads(threads)


def _arrays(state):
    if type(state) is np.ndarray:
        return [state]
    if isinstance(state, Mapping):
        return list(state.values())
    if isinstance(state, Sequence) and any(isinstance(part, np.ndarray) and part.ndim >= 2 for part in state):
        return list(state)
    return [state]


def _is_parts(state, irreps):
    return isinstance(state, Mapping) or (
        isinstance(state, Sequence)
        and not isinstance(state, str)
        and len(state) == len(irreps)
        and any(isinstance(part, np.ndarray) and part.ndim >= 2 for part in state)
    )


def _of_parts(where, name, state, irreps, dtype):
    if isinstance(state, Mapping):
        keys = [(l, parity) if irreps.has_parity else l for l, parity, _ in irreps]
        if (
            len(set(keys)) < len(keys)
            or set(keys) - set(state)
            or any(np.size(state[k]) for k in set(state) - set(keys))
        ):
            raise InputError(f"{where}: {name} must hold one part for each of {keys} ({irreps}), got {list(state)}")
        state = [state[key] for key in keys]
    parts = [np.asarray(part, dtype=dtype) for part in state]
    for irrep, part in zip(irreps, parts, strict=True):
        if part.shape[-2:] != (2 * irrep.l + 1, irrep.multiplicity):
            raise InputError(
                f"{where}: the part {irrep} of {name} must end in {(2 * irrep.l + 1, irrep.multiplicity)}, got "
                f"{part.shape}"
            )
    shape = broadcast(where, f"the parts of {name}", *(part.shape[:-2] for part in parts)) if parts else ()
    parts = [np.broadcast_to(part, (*shape, *part.shape[-2:])) for part in parts]
    return [part.reshape(*shape, part.shape[-2] * part.shape[-1]) for part in parts], shape


def _rows(part, shape, batch, n):
    dim, item = part.shape[-1], part.dtype.itemsize
    if part.strides[-1] != item or any(stride % item for stride in part.strides):
        part = np.ascontiguousarray(part)
    if tuple(shape) != tuple(batch):
        if all(k == 1 for k in shape):
            return np.broadcast_to(part.reshape(1, dim), (n, dim))
        part = np.broadcast_to(part, (*batch, dim))
    return part.reshape(n, dim)
