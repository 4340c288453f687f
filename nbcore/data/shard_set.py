"""Shards as a sequence of structures: each is made when it is asked for, and nothing of it is kept."""

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from nbcore.data import distances, likeness
from nbcore.data.labels import Options
from nbcore.data.reading import FileReading, Reading
from nbcore.data.shards import Blocks, ShardFile
from nbcore.data.structure import Structure, Structures, _symbols

RECENT = 2048  # structures


class Shards(Structures):
    """Structures in sets of shards, in the order in which they were written; slices are Shards of the same files.

    Two views of one structure are two objects. Files are opened by `nbcore.data.open_shards`; `nbcore.data.read` reads
    them into memory. factors: {config type: factor of the weights}; without: labels that are not looked at.

    >>> shards = nbcore.data.open_shards("train.shards")
    >>> shards[0].energy == nbcore.data.read("train.shards")[0].energy
    True
    """

    def __init__(
        self,
        blocks: Blocks,
        reading: object | None = None,
        name: str = "",
        *,
        index: np.ndarray | None = None,
        factors: dict[str, float] | None = None,
        without: Iterable[str] = (),
    ):
        isolated = [atom for file in blocks.files for atom in file.isolated]
        super().__init__((), isolated, reading, name)
        self.blocks, self._index = blocks, index
        self.factors, self.without = factors, frozenset(without)
        self._first = blocks.first.tolist()
        self._recent: dict[int, Structure] = {}  # a batch is looked at more than once

    def weigh(self, factors: dict[str, float]) -> None:
        """Weights are multiplied by these factors, by config type, from now on."""
        self.factors = factors
        self._recent.clear()

    @property
    def files(self) -> list[ShardFile]:
        """The files."""
        return self.blocks.files

    @property
    def whole(self) -> bool:
        """True if no structure of the files is left out."""
        return self._index is None

    def __len__(self) -> int:
        return self._first[-1] if self._index is None else len(self._index)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (slice, list, tuple, np.ndarray)):
            places = np.arange(self._first[-1]) if self._index is None else self._index
            return self._like(places[index if isinstance(index, slice) else np.asarray(index, dtype=int)])
        k = range(len(self))[index]
        return self._structure(k if self._index is None else int(self._index[k]))

    def __iter__(self) -> Iterator[Structure]:
        return (self._structure(k) for k in (range(self._first[-1]) if self._index is None else self._index.tolist()))

    def __add__(self, other: Structures) -> Structures:
        if isinstance(other, Shards) and other.blocks is self.blocks:
            return self._like(np.concatenate([self.places, other.places]))
        return NotImplemented

    def _like(self, index):
        part = Shards(self.blocks, self.reading, self.name, index=index, factors=self.factors, without=self.without)
        part.isolated = self.isolated
        return part

    def _structure(self, k):
        found = self._recent.get(k)
        if found is None:
            b = bisect_right(self._first, k) - 1
            found = self.blocks[b].structure(k - self._first[b], self.factors, self.without)
            if len(self._recent) >= RECENT:
                self._recent.clear()
            self._recent[k] = found
        return found

    # ---- all structures at once ----

    @property
    def places(self) -> np.ndarray:
        """(n,) numbers of the structures within the files, one file after another."""
        return np.arange(self._first[-1]) if self._index is None else self._index

    def _whole(self, of_block):
        """An array with a row per structure, of what is said of each block."""
        parts = np.concatenate([of_block(self.blocks[b]) for b in range(len(self._first) - 1)])
        return parts if self._index is None else parts[self._index]

    def column(self, name: str) -> np.ndarray:
        """A column with a row per structure: atoms, kind, keys, nearest, energy (0 where `has` is False), ..."""
        if name in self.without:
            return np.zeros(len(self))
        return self._whole(lambda block: block.columns.get(name, np.zeros(len(block))))

    def has(self, label: str) -> np.ndarray:
        """(n,) booleans: which structures have this label."""
        if label in self.without:
            return np.zeros(len(self), bool)
        name = label if label in ("energy", "forces", "stress") else f"outputs.{label}"
        return self._whole(lambda block: block.has(name))

    def weight_of(self, label: str = "") -> np.ndarray:
        """(n,) weights of a label in the loss, or of whole structures."""

        def of_block(block):
            factors = np.array([(self.factors or {}).get(t, 1.0) for t in block.types])
            return block.weight * factors[block.columns["type"]]

        return self._whole(of_block) * (self.own_weight(label) if label in self.weighed else 1.0)

    def own_weight(self, label: str) -> np.ndarray:
        """(n,) weights of a label beside that of its structure, one where it has none."""
        name = f"label_weights.{label}"

        def of_block(block):
            return np.where(block.has(name), block.columns.get(name, 1.0), 1.0)

        return self._whole(of_block)

    @property
    def weighed(self) -> list[str]:
        """The labels that some structure of the files weighs on their own."""
        names = dict.fromkeys(c[0] for file in self.files for entry in file.entries for c in entry["columns"])
        return [name.removeprefix("label_weights.") for name in names if name.startswith("label_weights.")]

    @property
    def atoms(self) -> np.ndarray:
        """(n,) how many atoms each structure has."""
        return self.column("atoms")

    @property
    def periodic(self) -> np.ndarray:
        """(n,) booleans: which repeat in all three directions."""
        return self._whole(lambda block: block.columns["pbc"].all(axis=1))

    def compositions(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Number of the kind of each structure (n,), and the atomic numbers of a structure of each kind."""
        _, first, kinds = np.unique(self.column("kind"), return_index=True, return_inverse=True)
        return kinds, [self[int(k)].numbers for k in first]

    def formulas(self) -> Counter:
        """How many structures have each formula."""
        kinds, numbers = self.compositions()
        found = Counter()
        for one, count in zip(numbers, np.bincount(kinds).tolist(), strict=True):
            found[Structure(np.zeros((len(one), 3)), one).formula] += count
        return found

    @property
    def species(self) -> list[str]:
        """Elements that occur, sorted by atomic number."""
        if not len(self):
            return []
        return _symbols(np.unique(np.concatenate(self.compositions()[1])))

    @property
    def labelled(self) -> list[str]:
        """Names of the labels that some structure of the files has."""
        columns = dict.fromkeys(c[0] for file in self.files for entry in file.entries for c in entry["columns"])
        names = [label for label in ("energy", "forces", "stress") if label in columns]
        names += [c.removeprefix("outputs.") for c in columns if c.startswith("outputs.")]
        return [name for name in names if name not in self.without]

    @property
    def outputs(self) -> list[str]:
        """Names of the covariant ones among them."""
        return [name for name in self.labelled if name not in ("energy", "forces", "stress")]

    @property
    def labels(self) -> dict[str, int]:
        """How many structures have each label."""
        return {name: int(self.has(name).sum()) for name in ("energy", "forces", "stress", *self.outputs)}

    @property
    def identity(self) -> str:
        """What tells these structures from all others: digests of the files, which of them, weights, labels."""
        digest = hashlib.sha256(repr([file.digest for file in self.files]).encode())
        digest.update(repr((sorted((self.factors or {}).items()), sorted(self.without))).encode())
        digest.update(self.places.astype("<i8").tobytes())
        return digest.hexdigest()

    def in_memory(self) -> Structures:
        """Structures with arrays of their own: views would keep pages of the files resident."""
        return Structures(map(_own, self), self.isolated, self.reading, self.name)

    def copies(self) -> np.ndarray:
        """As `distances.copies`, of those that are alike by their keys. InputError where these are too many."""
        alike = likeness.alike(self.column("kind"), self.column("keys"), self.atoms)
        first = np.arange(len(self))
        first[alike] = alike[distances.copies(self[alike].in_memory())]
        return first

    def counts(self) -> dict[str, int]:
        """How many structures of each file are in this set."""
        ends = np.cumsum([0] + [sum(e["n"] for e in f.entries) for f in self.files])
        counts = np.diff(np.searchsorted(np.sort(self.places), ends)).tolist()
        return dict(zip([f.path for f in self.files], counts, strict=True))


def _own(s: Structure) -> Structure:
    """The structure with copies of its arrays."""
    copied = {f.name: getattr(s, f.name) for f in fields(s)}
    for name, value in copied.items():
        if isinstance(value, np.ndarray):
            copied[name] = value.copy()
        elif isinstance(value, dict):
            copied[name] = {key: v.copy() if isinstance(v, np.ndarray) else v for key, v in value.items()}
    return Structure(**copied)


def view(paths: Iterable[str], options: Options) -> Shards:
    """The structures of some sets of shards with the labels that the options ask for; nothing is checked yet."""
    files = [ShardFile(path) for path in paths]
    shards = Shards(Blocks(files), Reading(options))
    without = [label for label in ("energy", "forces", "stress") if options.asked(label) == "none"]
    if options.virial_key:
        without = [label for label in without if label != "stress"]  # in shards both are the stress
    shards.without = frozenset([*without, *(name for name in shards.outputs if name not in options.outputs)])
    for file in files:
        facts, n = file.summary.facts, sum(entry["n"] for entry in file.entries)
        labels = {label: facts.get("keys", {}).get(label, label) for label in shards.labelled}
        shards.reading.files.append(
            FileReading(file.path, n, len(file.isolated), "shards", labels, facts.get("kind", ""))
        )
        shards.reading.remarks += facts.get("remarks", [])
    return shards
