"""Files of `torch.save`, read without torch: inert objects and arrays. Nothing that a file names is executed."""

import math

import numpy as np

from nbcore.importing import pickles
from nbcore.importing.archive import Archive
from nbcore.importing.pickles import Inert, Name, Ordered, Refused

STORAGES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "u2", "LongStorage": "i8",
    "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "u1",
    "ComplexFloatStorage": "c8", "ComplexDoubleStorage": "c16",
}  # fmt: skip
MOST_DIMENSIONS = 32


class TorchFile:
    r"""A file of `torch.save`, a module or a dictionary of tensors; also the TorchScript archives inside one.

    source: a path, or the bytes of an archive (name: what errors call it).
    Raises InputError for files that are damaged, hostile, or of another kind; OSError.

    A module is an `Inert` whose `path` is its class and whose `state` its attributes. Tensors are read-only arrays,
    views of the file; those of bfloat16 are converted to float32.

    >>> import zipfile
    >>> with zipfile.ZipFile("epochs.pt", "w") as z:
    ...     z.writestr("epochs/data.pkl", b"\x80\x02}X\x06\0\0\0epochsK\x0as.")
    >>> TorchFile("epochs.pt").load()
    {'epochs': 10}
    """

    def __init__(self, source, name: str | None = None):
        self.archive = Archive(source, name)
        self.path = self.archive.path
        roots = {n.removesuffix("data.pkl") for n in self.archive.names if n == "data.pkl" or n.endswith("/data.pkl")}
        if len(roots) != 1:
            self.archive.refuse(f"it has {len(roots)} records data.pkl, not one")
        (self.root,) = roots
        order = f"{self.root}byteorder"
        self._order = ">" if order in self.archive.names and bytes(self.archive.read(order)) == b"big" else "<"
        self._storages = {}

    @property
    def is_script(self) -> bool:
        """True for TorchScript: a program whose modules have no class."""
        return any(name.startswith(f"{self.root}code/") for name in self.archive.names)

    def load(self, record: str = "data"):
        """The object of a pickle: "data", of TorchScript also "constants"."""
        content = bytes(self.archive.read(f"{self.root}{record}.pkl"))
        self._folder = f"{self.root}{record}/"
        try:
            return pickles.load(content, self._makers(), self._storage, self.archive.size + (32 << 20))
        except Refused as e:
            self.archive.refuse(f"{record}.pkl: {e}")

    # ---- tensors ----

    def _storage(self, key):
        if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or not isinstance(key[1], Name):
            raise Refused("a reference that is none to numbers of the file")
        kind, record, n = key[1].path.rpartition(".")[2], key[2], key[4]
        if kind not in STORAGES or not isinstance(record, str) or not _is_whole(n):
            raise Refused(f"numbers of the kind {key[1].path}: {', '.join(STORAGES)} are known")
        if (self._folder, record, kind) not in self._storages:
            content = self.archive.read(self._folder + record)
            dtype = np.dtype(STORAGES[kind]).newbyteorder(self._order)
            if len(content) < n * dtype.itemsize or len(content) % dtype.itemsize:
                raise Refused(f"record {record} has {len(content)} bytes for {n} numbers of {kind}")
            numbers = np.frombuffer(content, dtype)
            if kind == "BoolStorage":
                numbers = numbers != 0
            elif kind == "BFloat16Storage":
                numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
            numbers.flags.writeable = False
            self._storages[self._folder, record, kind] = numbers
        return self._storages[self._folder, record, kind]

    def _makers(self):
        def dictionary(*args):
            if args and not isinstance(args[0], list | dict | Name | None):
                raise Refused("a dictionary made of something else than pairs")
            pairs = args[0] if args and isinstance(args[0], list | dict) else []
            if isinstance(pairs, list) and not all(
                isinstance(p, tuple | list) and len(p) == 2 and isinstance(p[0], str | int) for p in pairs
            ):
                raise Refused("a dictionary made of something else than pairs")
            return Ordered(pairs)

        return {
            "torch._utils._rebuild_tensor": _tensor,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": _first,
            "torch._utils._rebuild_parameter_with_state": _first,
            "torch.jit._pickle.restore_type_tag": _first,
            "collections.OrderedDict": dictionary,
            "collections.defaultdict": dictionary,
            "torch.Size": _collection(tuple),
            "builtins.set": _collection(_plain_set),
            "builtins.frozenset": _collection(lambda values: frozenset(_plain_set(values))),
            "builtins.list": _collection(list),
            "builtins.tuple": _collection(tuple),
            "builtins.slice": lambda *args: slice(*args) if 1 <= len(args) <= 3 else _refuse("slice"),
            "_codecs.encode": _encode,
            "torch.device": lambda *args: ":".join(str(a)[:40] for a in args[:2]),
            "torch.serialization._get_layout": _first,
            "numpy.dtype": _dtype,
            "numpy.core.multiarray.scalar": _scalar,
            "numpy._core.multiarray.scalar": _scalar,
        }


def _is_whole(n):
    return isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 48


def _refuse(what):
    raise Refused(f"{what} made of something that does not fit")


def _first(*args):
    return args[0] if args else _refuse("an object")


def _collection(kind):
    return lambda *args: kind(args[0] if args else ()) if _is_collection(args) else _refuse("a collection")


def _is_collection(args):
    return not args or (len(args) == 1 and isinstance(args[0], list | tuple | set | frozenset))


def _plain_set(values):
    if not all(isinstance(v, str | bytes | int | float | Inert | Name | None) for v in values):
        _refuse("a set")
    return set(values)


def _encode(*args):
    """Bytes, as pickles of protocol 2 write them: text of one byte a letter."""
    if len(args) != 2 or not isinstance(args[0], str) or args[1] not in ("latin1", "latin-1"):
        _refuse("bytes")
    try:
        return args[0].encode("latin-1")
    except UnicodeError:
        _refuse("bytes")


def _dtype(*args):
    if not args or args[0] not in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "u8", "u4", "u2", "b1"):
        return Inert("numpy.dtype", args)
    return Inert("numpy.dtype", (args[0],))


def _scalar(*args):
    """A number of NumPy, as one of Python."""
    if len(args) != 2 or not isinstance(args[0], Inert) or not isinstance(args[1], bytes) or not args[0].args:
        _refuse("a number of NumPy")
    kind, state = args[0].args[0], args[0].state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">") else "<"
    if not isinstance(kind, str) or len(kind) != 2:
        _refuse("a number of NumPy")
    dtype = np.dtype(kind).newbyteorder(order)
    return np.frombuffer(args[1], dtype)[0].item() if len(args[1]) == dtype.itemsize else _refuse("a number of NumPy")


def _tensor(*args):
    """A view of its numbers: (numbers, first, sizes, strides, ...)."""
    if len(args) < 4 or not isinstance(args[0], np.ndarray) or not _is_whole(args[1]):
        _refuse("a tensor")
    numbers, first, sizes, strides = args[:4]
    if not isinstance(sizes, tuple) or not isinstance(strides, tuple) or len(sizes) != len(strides):
        _refuse("a tensor")
    if len(sizes) > MOST_DIMENSIONS or not all(_is_whole(n) for n in sizes + strides):
        _refuse("a tensor")
    n = math.prod(sizes)
    last = first + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if n and last >= numbers.size:
        raise Refused(f"a tensor of {sizes} ends outside its {numbers.size} numbers")
    if n > max(numbers.size, 1 << 16):
        raise Refused(f"a tensor of {sizes} shows its {numbers.size} numbers again and again")
    if not n:
        return np.zeros(tuple(min(size, 1 << 16) for size in sizes), numbers.dtype)
    steps = [stride * numbers.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(numbers[first:], sizes, steps, writeable=False)


# ---- modules ----


def children(module: Inert) -> dict:
    """The modules directly inside a module of torch, by name."""
    return _table(module, "_modules")


def tensors(module: Inert) -> dict:
    """The parameters and buffers of a module itself, by name."""
    return {
        name: value
        for kind in ("_parameters", "_buffers")
        for name, value in _table(module, kind).items()
        if isinstance(value, np.ndarray)
    }


def all_tensors(module: Inert, prefix: str = "") -> dict:
    """Every parameter and buffer by its dotted name, as `state_dict` has them; one that is shared stands there once.

    >>> module = Inert("torch.nn.Linear")
    >>> module.state = {"_parameters": {"weight": np.zeros(2)}, "_modules": {}}
    >>> all_tensors(module)
    {'weight': array([0., 0.])}
    """
    found, seen, waiting = {}, set(), [(prefix, module)]
    while waiting:
        name, current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        found |= {name + key: value for key, value in tensors(current).items()}
        inside = children(current).items()
        waiting += [(f"{name}{key}.", child) for key, child in reversed(inside) if isinstance(child, Inert)]
    return found


def _table(module, kind):
    table = module.state.get(kind) if isinstance(module, Inert) and isinstance(module.state, dict) else None
    return table if isinstance(table, dict) else {}


def attributes(module: Inert) -> dict:
    """The attributes of a module other than its tensors and modules."""
    state = module.state if isinstance(module, Inert) and isinstance(module.state, dict) else {}
    return {key: value for key, value in state.items() if isinstance(key, str) and not key.startswith("_")}
