"""From files of any kind to a set of shards, in one pass and with bounded memory."""

import os
from collections.abc import Iterable

from nbcore.data.labels import Options
from nbcore.data.read import Gathering
from nbcore.data.reading import Reading
from nbcore.data.shards import ShardWriter
from nbcore.data.structure import Structure

PORTION = 2000  # frames of an extended XYZ file that are in memory at a time; other files are read whole


def write_shards(
    source: str | os.PathLike | Iterable, path: str | os.PathLike, overwrite: bool = False, **keys: str | None
) -> Reading | None:
    """Writes a set of shards from files, or from structures that are in memory or come one after another.

    source: file names or globs, or structures. keys: as of `nbcore.data.read`, for files. Returns what was read and
    assumed, for files. The new set takes its name when it is whole. Raises InputError, as `read` does, and for what
    shards cannot hold; FileExistsError where another kind of file is in the way.

    >>> reading = write_shards("train.xyz", "train.shards")
    >>> len(nbcore.data.open_shards("train.shards"))
    300
    """
    source = [source] if isinstance(source, (str, os.PathLike)) else source
    with ShardWriter(path, overwrite) as writer:
        if not isinstance(source, (list, tuple)) or not isinstance(next(iter(source), ""), (str, os.PathLike)):
            writer.add(_structures(source))
            writer.set_apart(getattr(source, "isolated", []))
            return None
        gathering = Gathering(source, Options(**keys))
        for structures, isolated in gathering.portions(PORTION):
            writer.add(structures)
            writer.set_apart(isolated)
        reading = gathering.finish(require=())
        writer.describe(**facts(reading))
    return reading


def facts(reading: Reading) -> dict:
    """What a set of shards keeps of how its structures were read: keys of the labels, kind of the energies, remarks."""
    found = {}
    for file in reading.files:
        for label, key in file.keys.items():
            names = found.setdefault("stress" if label == "virial" else label, [])
            names += [key] if key not in names else []
    kinds = {file.kind for file in reading.files}
    return {
        "keys": {label: ", ".join(names) for label, names in found.items()},
        "kind": kinds.pop() if len(kinds) == 1 else "",
        "remarks": reading.remarks,
    }


def _structures(source) -> Iterable[Structure]:
    """Structures as they come; ase.Atoms become some."""
    for item in source:
        yield item if isinstance(item, Structure) else Structure.from_ase(item)
