"""Shards: a file of structures for sets larger than memory, written in one pass, mapped into memory where it is read.

    b"nbcore shards 1\\n"                          the first line, filled up with blanks to 64 bytes
    blocks, each some 30 000 atoms                 columns of little-endian numbers, see `nbcore.data.blocks`
    the index                                      JSON: where each block is, its SHA-256, and what all of them hold
    "nbcore shards 1 sha256 <of the index> <bytes of the index>\\n"

The last line is written last, and a new file takes its name when it is whole: what was interrupted is no set of shards.
Blocks hold positions, cells, elements, labels, weights, config types, file and frame; neighbours are searched anew when
a structure is used.
"""

import contextlib
import hashlib
import json
import mmap
import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from nbcore.data.blocks import Block, check, columns_of, pack, unpack
from nbcore.data.likeness import keys_of, keys_of_molecules, kind_of
from nbcore.data.shard_summary import Summary
from nbcore.data.structure import Structure, location
from nbcore.errors import InputError
from nbcore.files import Kind, replacing

FORMAT = b"nbcore shards 1"
HEAD = FORMAT + b"\n" + b" " * (64 - len(FORMAT) - 1)
SHARDS = Kind("set of shards", FORMAT)
SUFFIX = ".shards"
BLOCK_ATOMS = 2**15
KEPT_ATOMS = 3 * 2**20  # of the blocks that are mapped at a time: more than a window of `nbcore.train.order`
LAST_LINE = 200  # bytes, in which the last line stands


class ShardWriter:
    """Writes a set of shards, in one pass and with the memory of one block; whole or not at all.

    >>> with ShardWriter("train.shards") as writer:
    ...     writer.add(data[:100])
    ...     writer.add(data[100:])
    >>> len(nbcore.data.read("train.shards"))
    300

    overwrite: replace a file that is no set of shards. Raises InputError for what shards cannot hold, FileExistsError.
    """

    def __init__(self, path: str | os.PathLike, overwrite: bool = False):
        self._path, self._overwrite = path, overwrite
        self._types, self._files = {}, {}
        self._pending, self._pending_atoms = [], 0
        self._blocks, self._isolated = [], []
        self._summary = Summary()

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        self._file = self._stack.enter_context(replacing(self._path, "wb", SHARDS, self._overwrite))
        self._file.write(HEAD)
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:  # nothing takes the name
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            self._finish()

    def add(self, structures: Iterable[Structure]) -> None:
        """Appends structures with their labels."""
        for s in structures:
            self._pending.append(s)
            self._pending_atoms += len(s)
            if self._pending_atoms >= BLOCK_ATOMS:
                self._write_pending()

    def add_molecules(
        self,
        numbers: ArrayLike,
        positions: ArrayLike,
        energies: ArrayLike | None = None,
        forces: ArrayLike | None = None,
        file: str = "",
        config_type: str = "Default",
    ) -> None:
        """Appends n molecules of the same atoms: numbers (N,), positions (n, N, 3) Å, energies (n,) eV, forces like
        positions, eV/Å; frames are numbered from 0. All at once, some hundred times as fast as one by one.
        """
        self._write_pending()
        positions = np.asarray(positions, float)
        numbers, n = np.asarray(numbers), len(positions)
        kind = self._types.setdefault(config_type, len(self._types))
        of_file = self._files.setdefault(file, len(self._files))
        step = max(1, BLOCK_ATOMS // max(1, len(numbers)))
        for part in (slice(first, min(first + step, n)) for first in range(0, n, step)):
            count = part.stop - part.start
            columns = {
                "atoms": np.full(count, len(numbers)),
                "numbers": np.tile(numbers, count),
                "positions": positions[part].reshape(-1, 3),
                "pbc": np.zeros((count, 3), bool),
                "weight": np.ones(count),
                "type": np.full(count, kind),
                "file": np.full(count, of_file),
                "frame": np.arange(part.start, part.stop),
                "line": np.full(count, -1),
            }
            if energies is not None:
                columns["energy"] = np.asarray(energies, float)[part]
            if forces is not None:
                columns["forces"] = np.asarray(forces, float)[part].reshape(-1, 3)
            check(columns, lambda k, first=part.start: location(file, first + k))
            keys, shortest = keys_of_molecules(numbers, positions[part])
            self._write(columns, np.full(count, kind_of(numbers, [False] * 3), np.uint64), keys, shortest)

    def set_apart(self, atoms: Iterable[Structure]) -> None:
        """Isolated atoms, for the E0s; they are no part of the set."""
        self._isolated += atoms

    def describe(self, **facts: object) -> None:
        """What JSON can hold and the reader wants to know: where labels came from, remarks."""
        self._summary.facts.update(facts)

    def _write_pending(self):
        structures, self._pending, self._pending_atoms = self._pending, [], 0
        if structures:
            columns = columns_of(structures, self._types, self._files)
            check(columns, lambda k: structures[k].where)
            self._write(columns, *keys_of(structures))

    def _write(self, columns, kinds, keys, shortest):
        nearest = np.array([min(one.values(), default=np.inf) for one in shortest])
        columns |= {"kind": kinds, "keys": keys, "nearest": nearest}
        self._summary.add(Block(columns, list(self._types), list(self._files)), shortest)
        self._blocks.append(self._put(columns))

    def _put(self, columns):
        """Writes a block; its entry in the index."""
        content, layout = pack(columns)
        at = self._file.tell()
        self._file.write(content)
        digest = hashlib.sha256(content).hexdigest()
        n, atoms = len(columns["atoms"]), int(columns["atoms"].sum())
        return {"at": at, "bytes": len(content), "n": n, "atoms": atoms, "sha256": digest, "columns": layout}

    def _finish(self):
        self._write_pending()
        isolated = None
        if self._isolated:
            columns = columns_of(self._isolated, self._types, self._files)
            check(columns, lambda k: self._isolated[k].where)
            isolated = self._put(columns)
        if not self._blocks and isolated is None:
            raise InputError(f"{self._path}: no structures to write.")
        index = {"blocks": self._blocks, "isolated": isolated, "types": list(self._types), "files": list(self._files)}
        text = json.dumps({**index, "summary": self._summary.as_dict()}).encode()
        self._file.write(text + _last_line(text))


def _last_line(index):
    return FORMAT + f" sha256 {hashlib.sha256(index).hexdigest()} {len(index)}\n".encode()


def is_shards(path: str | os.PathLike) -> bool:
    """True for a file that begins as a set of shards does, whole or not."""
    try:
        with open(path, "rb") as f:
            return f.read(len(FORMAT)) == FORMAT
    except OSError:
        return False


class ShardFile:
    """One file of shards, mapped; blocks are checked against their digests when they are first read.

    Raises InputError where the file is not whole, OSError.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        with open(path, "rb") as f:
            self.digest, index = _read_index(f, self.path)
            self._map = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        self._checked = set()
        try:
            self._understand(index)
        except (KeyError, TypeError, ValueError, AttributeError) as e:  # sealed by somebody else
            raise InputError(f"{self.path}: no set of shards that can be read ({type(e).__name__}: {e}).") from None

    def _understand(self, index):
        size = len(self._map)
        for entry in [*index["blocks"], *([index["isolated"]] if index["isolated"] else [])]:
            if not 0 <= entry["at"] <= entry["at"] + entry["bytes"] <= size:
                raise InputError(f"{self.path}: not whole, a block lies beyond its end; copy or make it anew.")
        self.entries, self._types, self._files = index["blocks"], index["types"], index["files"]
        self.summary = Summary.from_dict(index["summary"])
        self.isolated = []
        if index["isolated"]:
            block = self._unpacked(index["isolated"], "the isolated atoms")
            self.isolated = [block.structure(k) for k in range(len(block))]

    def block(self, k: int) -> Block:
        """Block k."""
        return self._unpacked(self.entries[k], f"block {k}")

    def _unpacked(self, entry, name):
        content = memoryview(self._map)[entry["at"] : entry["at"] + entry["bytes"]]
        if entry["at"] not in self._checked:
            if hashlib.sha256(content).hexdigest() != entry["sha256"]:
                raise InputError(f"{self.path}: {name} is damaged (its digest does not fit); copy or make it anew.")
            self._checked.add(entry["at"])
        return Block(unpack(content, entry["columns"]), self._types, self._files)

    def forget(self, k: int) -> None:
        """The pages of block k need not stay in memory; views of it read them again."""
        entry = self.entries[k]
        first = -(-entry["at"] // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (entry["at"] + entry["bytes"]) // mmap.PAGESIZE * mmap.PAGESIZE
        if end > first and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED, first, end - first)


def _read_index(f, path):
    """(digest, index) of an open file; InputError if it is not whole."""
    size = f.seek(0, os.SEEK_END)
    f.seek(0)
    if f.read(len(FORMAT)) != FORMAT:
        raise InputError(f"{path}: no set of shards of this release.")
    f.seek(max(0, size - LAST_LINE))
    match = re.search(re.escape(FORMAT) + rb" sha256 ([0-9a-f]{64}) (\d{1,15})\n\Z", f.read())
    if not match or int(match[2]) > size:
        raise InputError(f"{path}: not whole, its end is missing; copy or make it anew.")
    f.seek(size - len(match[0]) - int(match[2]))
    text = f.read(int(match[2]))
    if hashlib.sha256(text).hexdigest() != match[1].decode():
        raise InputError(f"{path}: its index is damaged (the digest does not fit); copy or make it anew.")
    return match[1].decode(), json.loads(text)


class Blocks:
    """The blocks of some files, one after another; the ones used last stay mapped."""

    def __init__(self, files: Sequence[ShardFile]):
        self.files = list(files)
        self.places = [(f, k) for f in self.files for k in range(len(f.entries))]
        self.first = np.concatenate([[0], np.cumsum([f.entries[k]["n"] for f, k in self.places], dtype=np.int64)])
        self._kept: OrderedDict[int, Block] = OrderedDict()
        self._atoms = 0

    def __getitem__(self, b: int) -> Block:
        block = self._kept.get(b)
        if block is not None:
            self._kept.move_to_end(b)
            return block
        file, k = self.places[b]
        block = self._kept[b] = file.block(k)
        self._atoms += block.n_atoms
        while self._atoms > KEPT_ATOMS and len(self._kept) > 1:
            old, dropped = self._kept.popitem(last=False)
            self._atoms -= dropped.n_atoms
            self.places[old][0].forget(self.places[old][1])
        return block
