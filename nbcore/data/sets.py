"""The three sets of a training: train, valid and test, read as train.toml says."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from nbcore.data.files import expand
from nbcore.data.labels import Options
from nbcore.data.open_shards import open_shards
from nbcore.data.read import read
from nbcore.data.reading import mixed_kinds
from nbcore.data.reference_energies import ReferenceEnergies, reference_energies
from nbcore.data.shard_set import Shards
from nbcore.data.shards import is_shards
from nbcore.data.structure import Structures
from nbcore.data.whole_sets import copies, refuse_overlaps, sample
from nbcore.errors import InputError

TESTED = 20_000  # structures of a set of shards that errors are taken over; others are read whole


@dataclass
class Sets:
    """train, valid; test: name of each file -> structures; E0; `roles`: file -> what it became, for the screen.

    replay: old structures, for a fine-tuning. E0 is None where a model that knows E0s is to decide them.
    """

    train: Structures
    valid: Structures
    test: dict[str, Structures]
    E0: ReferenceEnergies | None
    replay: Structures = field(default_factory=Structures)
    roles: dict[str, str] = field(default_factory=dict)

    @property
    def remarks(self) -> list[str]:
        """What the readers have to say, each once."""
        readings = [s.reading for s in (self.train, self.valid, *self.test.values(), self.replay) if s.reading]
        texts = [text for reading in readings for text in reading.remarks]
        within = any(mixed_kinds(reading.files) for reading in readings)
        files = [file for reading in readings for file in reading.files]
        of_E0 = self.E0.remarks if self.E0 else []
        return list(dict.fromkeys([*texts, *([] if within else mixed_kinds(files)), *of_E0]))


def read_sets(config: object, known: list[str] | None = None) -> Sets:
    """Reads the files of [data], splits valid off train where it is a fraction, decides the E0s.

    config: nbcore.config.Config. known: elements of the model that a fine-tuning starts from; then the E0s are left
    open. Raises InputError and FileNotFoundError as `read` does, and InputError where a file stands in two sets or an
    element of valid or test is not in train, nor known.

    >>> sets = read_sets(nbcore.config.load("train.toml"))
    """
    data = config.data
    keys = {name: getattr(data, name) for name in Options.__dataclass_fields__ if name != "outputs"}
    keys["outputs"] = config.output_labels()
    sources = {"train": config.paths(data.train), "test": config.paths(data.test)}
    sources["valid"] = [] if isinstance(data.valid, float) else config.paths(data.valid)
    sources["replay"] = config.paths(config.fine_tune.replay) if config.fine_tune else []
    _disjoint({role: expand(paths) for role, paths in sources.items()})
    isolated = config.paths(data.isolated_atoms)
    opened = read if config.fine_tune else open_or_read  # fine-tuning joins old data and new, in memory
    everything = opened(
        sources["train"], isolated_atoms=isolated, config_type_weights=data.config_type_weights, name="train", **keys
    )
    if not len(everything):
        raise InputError(f"{sources['train'][0]}: only isolated atoms in it, nothing to train on.")
    roles = {}
    if isinstance(data.valid, float):
        first = copies(everything)
        train, valid = _split(everything, [1 - data.valid, data.valid], config.seed, first)
        kept = ", copies together" if len(np.unique(first)) < len(everything) else ""
        for file in everything.reading.files:
            counts = [_count(part, file.name) for part in (train, valid)]
            roles[file.name] = f"{counts[0]} train + {counts[1]} valid (random, seed {config.seed}{kept})"
    else:
        train = everything
        valid = opened(sources["valid"], require=tuple(keys["outputs"]) or ("energy",), **keys)
        roles |= {f.name: "train" for f in train.reading.files} | {f.name: "valid" for f in valid.reading.files}
    train.name, valid.name = "train", "valid"
    test = {}
    for path in expand(sources["test"]):
        one = sample(open_or_read([path], require=(), **{**keys, "missing": "mask"}), TESTED)
        whole = one.reading.files[0].count
        if len(one) < whole and is_shards(path):
            one.reading.remarks.append(f"{path}: tested on {len(one)} of its {whole} structures, evenly spaced.")
        one.name = unique_name(one.name, path, test)
        test[one.name] = one
        roles[path] = "test"
    replay = Structures()
    if sources["replay"]:
        replay = read(sources["replay"], require=(), config_type_weights=data.config_type_weights, name="replay",
                      **{**keys, "missing": "mask"})  # fmt: skip
        roles |= {f.name: "replay" for f in replay.reading.files}
    _known_elements(train.species, known, [valid, *test.values()])
    _known_elements(None, known, [replay])
    for part in (train, valid, replay):
        refuse_overlaps(part)
    E0 = None if known else reference_energies(everything, data.E0s)
    return Sets(train, valid, test, E0, replay, roles)


def split(structures: Structures, fractions: float, seed: int = 1) -> list[Structures]:
    """Shuffles by `seed` and cuts into parts of these fractions (sum 1); the order of the files is kept in each part.

    Structures that are the same up to symmetry stay together, so that none is in two parts; only where there are fewer
    different structures than parts they are cut all the same. Every part gets at least one structure. Raises InputError
    where that cannot be.

    >>> train, valid = split(data, [0.9, 0.1], seed=1)
    """
    return _split(structures, fractions, seed)


def _split(structures, fractions, seed, first=None):
    """`split`, where the copies may be known already."""
    fractions = [float(f) for f in fractions]
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(f"split: expected fractions > 0 that add up to 1, got {fractions} (sum {sum(fractions):g}).")
    if len(structures) < len(fractions):
        raise InputError(f"split: {len(structures)} structures cannot be cut into {len(fractions)} parts.")
    counts = [max(1, round(f * len(structures))) for f in fractions[1:]]
    while sum(counts) >= len(structures):
        counts[counts.index(max(counts))] -= 1
    order = np.random.default_rng(seed).permutation(len(structures))
    cuts = np.cumsum([len(structures) - sum(counts), *counts])[:-1]
    first = copies(structures) if first is None else first
    if len(np.unique(first)) >= len(fractions):
        order, cuts = _together(order, first, cuts)
    return [structures[np.sort(part)] for part in np.split(order, cuts)]


def _together(order, first, cuts):
    """The order with each structure's copies behind it, and the cuts moved to where no copies are torn apart."""
    place = np.empty(len(order), dtype=int)
    place[order] = np.arange(len(order))
    lead = np.full(len(order), len(order))
    np.minimum.at(lead, first, place)  # where the first of each group of copies comes in the order
    order = order[np.lexsort((place[order], lead[first[order]]))]
    ends = np.flatnonzero(np.diff(first[order])) + 1  # places between groups
    moved, low = [], 0
    for k, cut in enumerate(cuts):
        free = ends[low : len(ends) - (len(cuts) - 1 - k)]
        at = int(np.argmin(np.abs(free - cut)))
        moved.append(int(free[at]))
        low += at + 1
    return order, moved


def unique_name(name: str, path: str, taken) -> str:
    """The file's stem; with its folder where two files have the same name."""
    if name not in taken:
        return name
    longer = "_".join([os.path.basename(os.path.dirname(os.path.abspath(path))), name])
    return longer if longer not in taken else f"{longer}_{len(taken)}"


def open_or_read(paths: str | Iterable, **keys: object) -> Structures:
    """Structures in memory, or in shards where all files are sets of shards; keywords as of `read`."""
    files = expand(paths)
    if not all(map(is_shards, files)):
        return read(paths, **keys)
    return open_shards(files, **keys)


def _count(part, name):
    """How many structures of a file are in a part of what was read."""
    return part.counts().get(name, 0) if isinstance(part, Shards) else sum(s.file == name for s in part)


def _disjoint(sources):
    owner = {}
    for role, files in sources.items():
        for file in files:
            other = owner.setdefault(os.path.realpath(file), role)
            if other != role:
                raise InputError(f"{file} is in data.{other} and in data.{role}; a file belongs to one set.")


def _known_elements(of_train, of_model, others):
    """InputError for the first structure with an element that neither train nor the model has; None: not looked at."""
    sources = {"train": of_train, "the model": of_model}
    words = " nor in ".join(f"{name} ({' '.join(found)})" for name, found in sources.items() if found)
    for part in others:
        known = {*(of_train or ()), *(of_model or ())}
        for s in part if set(part.species) - known else []:
            foreign = sorted(set(s.symbols) - known)
            if foreign:
                raise InputError(f"{s.where}: {foreign[0]} is in {part.name} but not in {words}.")
