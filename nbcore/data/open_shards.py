"""`open_shards`: sets larger than memory, with the checks and the options of `read`."""

import os
from collections.abc import Iterable, Sequence

import numpy as np

from nbcore.data.files import expand
from nbcore.data.labels import Options
from nbcore.data.read import read, stem
from nbcore.data.reading import Tally, check_missing, check_present, remark_on_weights, type_weights
from nbcore.data.shard_set import Shards, view


def open_shards(
    paths: str | os.PathLike | Iterable,
    *,
    isolated_atoms: str | os.PathLike | Iterable | None = (),
    config_type_weights: dict | None = None,
    require: Sequence[str] = (),
    name: str = "",
    **keys: str | None,
) -> Shards:
    """The structures of one or several sets of shards, which stay in their files.

    paths and keywords as of `nbcore.data.read`. Shards are in eV and Angstrom and have one label of each name: of the
    keys only "none" says anything here. Raises InputError, as `read` does, and for files that are not whole.

    >>> len(open_shards("train.shards"))
    300
    """
    options = Options(**keys)
    files = expand(paths)
    shards = view(files, options)
    tally = tally_of(shards)
    check_present(tally, options, require, shards.labelled, files, shards.reading)
    check_missing(tally, options, shards.reading)
    remark_on_weights(tally, shards.reading)
    if isolated_atoms:
        others = read(isolated_atoms, require=(), **keys)
        shards.isolated = [*shards.isolated, *others.isolated]
        shards.reading.files += others.reading.files
        shards.reading.remarks += others.reading.remarks
    shards.weigh(type_weights(tally.types, config_type_weights or {}))
    shards.name = name or stem(files[0])
    return shards


def tally_of(shards: Shards) -> Tally:
    """The counts that a Tally makes of each structure, from whole columns."""
    tally = Tally(shards.reading.options.outputs)
    tally.n, several, periodic = len(shards), shards.atoms > 1, shards.periodic
    for label, count in tally.counts.items():
        has = shards.has(label)
        may = {"forces": several, "stress": periodic}.get(label, np.ones(len(shards), bool))
        lacking = np.flatnonzero(may & ~has)
        count.having, count.expected, count.lacking = int(has.sum()), int(may.sum()), len(lacking)
        count.first = shards[int(lacking[0])] if len(lacking) else None
    for file in shards.files:
        for kind, count in file.summary.types.items():
            tally.types[kind] += count
    weights = {f"{label}_weight": shards.own_weight(label) for label in shards.weighed}
    for key, of in {"weight": shards.weight_of(), **weights}.items():
        own = of[of != 1.0]
        if len(own):
            tally.weigh(key, len(own), float(own.min()), float(own.max()))
    return tally
