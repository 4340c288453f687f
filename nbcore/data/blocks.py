"""Structures as columns of numbers: how one block of a set of shards is laid out, and structures out of it again.

A column has a row per structure or a row per atom, the atoms of all structures one after another. What only some
structures of a block have, an energy say, has a column `has.energy` of booleans beside it, and zeros where it is not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbcore.data.structure import Structure, location
from nbcore.errors import InputError

ALIGNED = 64  # bytes, to which columns begin
PER_ATOM = ("numbers", "positions", "forces", "fixed")
TENSORS = ("cell", "stress")
TABLES = ("outputs", "labels", "leaves", "label_weights")  # whose columns are called "outputs.dipole" and so on

Columns = dict[str, np.ndarray]


def columns_of(structures: Sequence[Structure], types: dict[str, int], files: dict[str, int]) -> Columns:
    """The columns of some structures; `types` and `files` number config types and file names, new ones are added.

    Raises InputError, which names the structure, for what columns cannot hold.
    """
    schemed = next((s for s in structures if s.scheme is not None), None)
    if schemed is not None:
        raise InputError(f"{schemed.where}: shards hold no composition schemes; give the labels its builder reads.")
    counts = [len(s) for s in structures]
    columns: Columns = {
        "atoms": np.array(counts),
        "numbers": np.concatenate([s.numbers for s in structures]),
        "positions": np.concatenate([s.positions for s in structures], dtype=float),
        "pbc": np.array([s.pbc for s in structures], dtype=bool).reshape(-1, 3),
        "weight": np.array([s.weight for s in structures], dtype=float),
        "type": np.array([types.setdefault(s.config_type, len(types)) for s in structures]),
        "file": np.array([files.setdefault(s.file, len(files)) for s in structures]),
        "frame": np.array([s.frame for s in structures]),
        "line": np.array([-1 if s.line is None else s.line for s in structures]),
    }
    for name, shape in (("cell", (3, 3)), ("energy", ()), ("stress", (3, 3)), ("forces", (3,)), ("fixed", (3,))):
        values = [getattr(s, name) for s in structures]
        dtype = bool if name == "fixed" else float
        _add(columns, name, values, structures, [(n, *shape) for n in counts] if name in PER_ATOM else shape, dtype)
    for table in TABLES:
        for key in dict.fromkeys(key for s in structures for key in getattr(s, table)):
            _add_further(columns, f"{table}.{key}", [getattr(s, table).get(key) for s in structures], structures)
    return columns


def _add(columns, name, values, structures, shape, dtype):
    """One column of values that may be None; shape: of each, or a list with that of each."""
    here = np.array([v is not None for v in values])
    if not here.any():
        return
    shapes = shape if isinstance(shape, list) else [shape] * len(values)
    for s, value, expected in zip(structures, values, shapes, strict=True):
        if value is not None and np.shape(value) != expected:
            raise InputError(f"{s.where}: {name} must have the shape {expected}, got {np.shape(value)}.")
    whole = [
        np.zeros(e, dtype) if v is None else np.asarray(v, dtype) for v, e in zip(values, shapes, strict=True)
    ]  # fmt: skip
    columns[name] = np.concatenate(whole) if isinstance(shape, list) else np.array(whole)
    if not here.all():
        columns[f"has.{name}"] = here


def _add_further(columns, name, values, structures):
    """A column of outputs, labels or leaf states: a row per atom where all have one, else one per structure."""
    arrays = [None if v is None else np.asarray(v) for v in values]
    there = [(s, a) for s, a in zip(structures, arrays, strict=True) if a is not None]
    dtype = np.result_type(*[a.dtype for _, a in there])
    if dtype.kind not in "biufU":
        raise InputError(f"{there[0][0].where}: {name}: shards hold numbers and texts, got {dtype}.")
    if all(a.ndim and len(a) == len(s) for s, a in there):
        tail = there[0][1].shape[1:]
        _add(columns, name, arrays, structures, [(len(s), *tail) for s in structures], dtype)
        columns[f"atom.{name}"] = np.ones(1, bool)  # a row per atom, though the name does not say so
    else:
        _add(columns, name, arrays, structures, there[0][1].shape, dtype)


def check(columns: Columns, where) -> None:
    """InputError for numbers that are not finite, atoms of no element, negative weights; where(k): of structure k."""
    of_atom = np.repeat(np.arange(len(columns["atoms"])), columns["atoms"])
    for name in ("positions", "cell", "energy", "forces", "stress", *(n for n in columns if n.startswith("outputs."))):
        column = columns.get(name)
        if column is None or np.isfinite(column).all():
            continue
        row = np.flatnonzero(~np.isfinite(column.reshape(len(column), -1)).all(axis=1))[0]
        k = of_atom[row] if per_atom(columns, name) else row
        raise InputError(f"{where(k)}: {name} is not finite; correct it, or leave the frame out.")
    wrong = np.flatnonzero((columns["numbers"] < 1) | (columns["numbers"] > 118))
    if len(wrong):
        raise InputError(f"{where(of_atom[wrong[0]])}: {columns['numbers'][wrong[0]]} is the number of no element.")
    wrong = np.flatnonzero(~((columns["weight"] >= 0) & np.isfinite(columns["weight"])))
    if len(wrong):
        raise InputError(f"{where(wrong[0])}: its weight must be a number of at least 0.")
    empty = np.flatnonzero(columns["atoms"] == 0)
    if len(empty):
        raise InputError(f"{where(empty[0])}: no atoms in it.")


def per_atom(columns, name: str) -> bool:
    """True for a column with a row per atom."""
    return name in PER_ATOM or f"atom.{name}" in columns


def pack(columns: Columns) -> tuple[bytes, list]:
    """The bytes of a block and its layout, [name, dtype, shape, first byte] of each column, little-endian."""
    small = {"numbers": "u1", "atoms": "<i4", "type": "<i4", "file": "<i4", "frame": "<i8", "line": "<i8"}
    parts, layout, at = [], [], 0
    for name, column in columns.items():
        if name == "weight" and np.all(column == 1.0):
            continue
        dtype = small.get(name) or column.dtype.newbyteorder("<").str
        content = np.ascontiguousarray(column, dtype=dtype).tobytes()
        layout.append([name, dtype, list(column.shape), at])
        parts += [content, bytes(-len(content) % ALIGNED)]
        at += len(content) + len(parts[-1])
    return b"".join(parts), layout


def unpack(content: Any, layout: list) -> Columns:
    """The columns of a block as views of its bytes; InputError where the layout does not fit them."""
    columns = {}
    for name, dtype, shape, at in layout:
        count = int(np.prod(shape, dtype=np.int64))
        columns[name] = np.frombuffer(content, dtype, count, at).reshape(shape)
    return columns


class Block:
    """Structures out of columns; arrays of a structure are views, not to be written to."""

    def __init__(self, columns: Columns, types: Sequence[str], files: Sequence[str]):
        self.columns, self.types, self.files = columns, types, files
        self.first = np.concatenate([[0], np.cumsum(columns["atoms"], dtype=np.int64)])
        self._made = False

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def n_atoms(self) -> int:
        """Atoms of all its structures."""
        return int(self.first[-1])

    def has(self, name: str) -> np.ndarray:
        """(n,) booleans: which structures have this label."""
        columns = self.columns
        return columns.get(f"has.{name}", np.full(len(self), name in columns))

    @property
    def weight(self) -> np.ndarray:
        """(n,) weights in the loss."""
        return self.columns.get("weight", np.ones(len(self)))

    def where(self, k: int) -> str:
        """Where structure k was read, for messages."""
        file, frame, line = (self.columns[name][k] for name in ("file", "frame", "line"))
        return location(self.files[file], int(frame), None if line < 0 else int(line))

    def _make(self):
        """What structures are made of, once. Views hand out numbers quickly; lists of these would be walked through by
        every garbage collection.
        """
        c = self.columns
        self._first = memoryview(self.first)
        self._numbers = c["numbers"].astype(int)
        self._plain = [memoryview(c[name]) for name in ("type", "file", "frame", "line")]
        self._weight = memoryview(np.ascontiguousarray(self.weight))
        self._energy = memoryview(c["energy"]) if "energy" in c else None
        self._here = {name: memoryview(self.has(name)) for name in (*TENSORS, "energy", "forces", "fixed")}
        named = [name.split(".", 1) for name in c if name.split(".", 1)[0] in TABLES]
        self._tables = {t: [(key, f"{t}.{key}") for table, key in named if table == t] for t in TABLES}
        self._made = True

    def structure(self, k: int, factor=None, without=()) -> Structure:
        """Structure k of the block; factor: {config type: factor of the weight}; without: labels to leave out."""
        if not self._made:
            self._make()
        c, here = self.columns, self._here
        a, b = self._first[k], self._first[k + 1]
        kind, file, frame, line = (values[k] for values in self._plain)
        weight = self._weight[k]
        config_type = self.types[kind]
        if factor is not None:
            weight *= factor.get(config_type, 1.0)
        return Structure(
            c["positions"][a:b],
            self._numbers[a:b],
            c["cell"][k] if here["cell"][k] else None,
            c["pbc"][k],
            self._energy[k] if here["energy"][k] and "energy" not in without else None,
            c["forces"][a:b] if here["forces"][k] and "forces" not in without else None,
            c["stress"][k] if here["stress"][k] and "stress" not in without else None,
            self._table("outputs", k, a, b, without),
            config_type,
            weight,
            self.files[file],
            frame,
            None if line < 0 else line,
            self._table("labels", k, a, b),
            self._table("leaves", k, a, b),
            None,
            c["fixed"][a:b] if here["fixed"][k] else None,
            {label: float(weight) for label, weight in self._table("label_weights", k, a, b).items()},
        )

    def _table(self, table, k, a, b, without=()):
        found = {}
        for key, name in self._tables[table]:
            if key not in without and self.has(name)[k]:
                column = self.columns[name]
                found[key] = column[a:b] if per_atom(self.columns, name) else column[k]
        return found
