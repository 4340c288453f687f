"""Writes files as torch.save does, without torch: dictionaries, lists, numbers, text, arrays and `Inert` objects."""

import io
import struct
import zipfile

import numpy as np

from nbcore.importing.pickles import Inert, Name

KINDS = {"f8": "Double", "f4": "Float", "i8": "Long", "i4": "Int", "u1": "Byte", "b1": "Bool"}


def torch_file(thing, prefix="archive", compression=zipfile.ZIP_STORED, extra=()):
    """The bytes of a file that holds `thing`. extra: further records, (name, content)."""
    pickle, arrays = torch_pickle(thing)
    records = [("data.pkl", pickle), ("byteorder", b"little"), ("version", b"3\n"), *extra]
    records += [(f"data/{k}", a.tobytes()) for k, a in enumerate(arrays)]
    return zipped(records, prefix, compression)


def zipped(records, prefix="archive", compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as z:
        for name, content in records:
            z.writestr(f"{prefix}/{name}", content)
    return out.getvalue()


def torch_pickle(thing):
    """(pickle, the arrays that it refers to)."""
    arrays = []
    return b"\x80\x02" + b"".join(_words(thing, arrays)) + b".", arrays


def name(path):
    module, _, what = path.rpartition(".")
    return f"c{module}\n{what}\n".encode()


def text(s):
    return b"X" + struct.pack("<I", len(s.encode())) + s.encode()


def _words(thing, arrays):
    if thing is None or isinstance(thing, bool):
        yield {None: b"N", True: b"\x88", False: b"\x89"}[thing]
    elif isinstance(thing, int):
        yield b"\x8a\x08" + struct.pack("<q", thing)
    elif isinstance(thing, float):
        yield b"G" + struct.pack(">d", thing)
    elif isinstance(thing, str):
        yield text(thing)
    elif isinstance(thing, bytes):
        yield name("_codecs.encode") + text(thing.decode("latin-1")) + text("latin1") + b"\x86R"
    elif isinstance(thing, tuple | list | dict):
        yield from _collection(thing, arrays)
    elif isinstance(thing, Name):
        yield name(thing.path)
    elif isinstance(thing, Inert):
        yield name(thing.path)
        yield from _words(thing.args, arrays)
        yield b"R"
        if thing.state is not None:
            yield from _words(thing.state, arrays)
            yield b"b"
    else:
        yield from _tensor(np.asarray(thing), arrays)


def _collection(thing, arrays):
    yield {tuple: b"(", list: b"](", dict: b"}("}[type(thing)]
    for value in thing if not isinstance(thing, dict) else [x for pair in thing.items() for x in pair]:
        yield from _words(value, arrays)
    yield {tuple: b"t", list: b"e", dict: b"u"}[type(thing)]


def _tensor(array, arrays):
    kind, record = KINDS[array.dtype.str[1:]], str(len(arrays))
    arrays.append(np.array(array, order="C"))
    strides = tuple(s // array.itemsize for s in arrays[-1].strides) if array.size else (1,) * array.ndim
    yield name("torch._utils._rebuild_tensor_v2") + b"("
    yield from _words(("storage", Name(f"torch.{kind}Storage"), record, "cpu", array.size), arrays)
    yield b"Q"
    for part in (0, array.shape, strides, False):
        yield from _words(part, arrays)
    yield name("collections.OrderedDict") + b")Rt" + b"R"
