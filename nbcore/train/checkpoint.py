"""Checkpoints: last.ckpt and previous.ckpt of a run folder, sealed (`nbcore.sealed`).

A new one is written beside its place, made durable and renamed, the last one having been renamed to previous.ckpt: at
every instant at least one whole checkpoint stands in the folder. The digest tells a whole one from a damaged one.
"""

import os
from pathlib import Path

from nbcore import sealed
from nbcore.errors import CheckpointError
from nbcore.files import replacing

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
KIND = "checkpoint"


def encode(arrays, plain) -> bytes:
    """The bytes of a checkpoint: arrays by name, and what JSON can hold."""
    return sealed.encode(KIND, arrays, plain)


def decode(content: bytes, path):
    """(arrays, plain) of a checkpoint; CheckpointError if it is not whole."""
    return sealed.decode(KIND, content, path)


def write(folder, arrays, plain) -> None:
    """Makes a new last.ckpt; the one before becomes previous.ckpt. After an OSError both are as they were."""
    last = Path(folder) / LAST
    with replacing(last, overwrite=True) as f:
        f.write(encode(arrays, plain))
        f.flush()
        os.fsync(f.fileno())
        if last.exists():  # only now, with the new one whole on disk
            os.replace(last, last.with_name(PREVIOUS))


def read(folder):
    """(arrays, plain, remark) of the newest whole checkpoint, or None if the folder has none.

    remark is what to tell the user when last.ckpt was damaged and previous.ckpt is used, else None.
    Raises CheckpointError if all there are are damaged.
    """
    failures = []
    for path in (Path(folder) / LAST, Path(folder) / PREVIOUS):
        if not path.exists():
            continue
        try:
            arrays, plain = sealed.read(KIND, path)
        except CheckpointError as e:
            failures.append(str(e))
            continue
        return arrays, plain, f"{failures[0]} {path} is used instead." if failures else None
    if failures:
        raise CheckpointError(" ".join(failures) + "\n--restart begins again (the old run is kept).")
    return None


# ---- is it the same run? ----

MAY_GROW = ("training.max_epochs", "training.max_time", "training.patience")
MAY_CHANGE = (
    "training.checkpoint_minutes",
    "training.tensorboard",
    "training.threads",
    "data.train",
    "data.test",
    "data.isolated_atoms",
    "fine_tune.model",  # its parameters and its network are compared
    "fine_tune.replay",
    *(f"heads.{key}" for key in ("train", "test", "isolated_atoms", "reference")),
)
WHOLE_TABLES = ("about.",)


def first_difference(old, new):
    """(key, old value, new value) of the first key in which two runs differ and may not, else None.

    Raising max_epochs, max_time or patience is allowed; what changes no number of the training may change freely
    (the contents of data files are compared, not their names).
    """
    for key in dict.fromkeys([*new, *old]):
        a, b = old.get(key), new.get(key)
        of_any_head = f"heads.{key.rpartition('.')[2]}" if key.startswith("heads.") else key
        if key.endswith(".valid") and not any(isinstance(x, (float, type(None))) for x in (a, b)):
            continue  # other names of files
        if a == b or of_any_head in MAY_CHANGE or key.startswith(WHOLE_TABLES):
            continue
        if key == "training.max_time" or (key in MAY_GROW and (b is None or (a is not None and b > a))):
            continue
        return key, a, b
    return None
