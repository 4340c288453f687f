"""Checkpoints: last.ckpt and previous.ckpt of a run folder.

One file is a line of text and an uncompressed .npz: data only, no code.

    nbcore checkpoint 1 sha256 <64 hex digits> <number of bytes that follow>
    <arrays, and under "json" all that is not an array, as text>

It is written beside its place, made durable and renamed, the last one having been renamed to previous.ckpt: at every
instant at least one whole checkpoint stands in the folder. The digest tells a whole one from a damaged one.
"""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np

from nbcore.errors import CheckpointError
from nbcore.files import replacing

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
MAGIC = b"nbcore checkpoint 1 sha256 "


def encode(arrays, plain) -> bytes:
    """The bytes of a checkpoint: arrays by name, and what JSON can hold."""
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(plain).encode(), dtype=np.uint8)
    np.savez(buffer, json=text, **{f"array {name}": a for name, a in arrays.items()})
    data = buffer.getvalue()
    return MAGIC + f"{hashlib.sha256(data).hexdigest()} {len(data)}\n".encode() + data


def decode(content: bytes, path):
    """(arrays, plain) of a checkpoint; CheckpointError if it is not whole."""
    head, _, data = content.partition(b"\n")
    if not head.startswith(MAGIC):
        raise CheckpointError(f"{path} is not a checkpoint of this release of nbcore.")
    expected = f"{hashlib.sha256(data).hexdigest()} {len(data)}".encode()
    if head.removeprefix(MAGIC) != expected:
        raise CheckpointError(f"{path} is damaged (its checksum does not fit).")
    with np.load(io.BytesIO(data), allow_pickle=False) as entries:
        arrays = {name.removeprefix("array "): entries[name] for name in entries.files if name != "json"}
        return arrays, json.loads(entries["json"].tobytes())


def write(folder, arrays, plain) -> None:
    """Makes a new last.ckpt; the one before becomes previous.ckpt. After an OSError both are as they were."""
    last = Path(folder) / LAST
    with replacing(last) as f:
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
            arrays, plain = decode(path.read_bytes(), path)
        except CheckpointError as e:
            failures.append(str(e))
            continue
        return arrays, plain, f"{failures[0]} {path} is used instead." if failures else None
    if failures:
        raise CheckpointError(" ".join(failures) + "\n--restart begins again (the old run is kept).")
    return None


def remove_strays(folder) -> None:
    """Deletes the temporary files that a killed run left behind."""
    for path in Path(folder).glob("*.tmp-*"):
        path.unlink(missing_ok=True)


# ---- is it the same run? ----

MAY_GROW = ("training.max_epochs", "training.max_time", "training.patience")
MAY_CHANGE = (
    "training.checkpoint_minutes",
    "training.threads",
    "data.train",
    "data.test",
    "data.isolated_atoms",
    "about.",
)


def first_difference(old, new):
    """(key, old value, new value) of the first key in which two runs differ and may not, else None.

    Raising max_epochs, max_time or patience is allowed; what changes no number of the training may change freely
    (the contents of data files are compared, not their names).
    """
    for key in dict.fromkeys([*new, *old]):
        a, b = old.get(key), new.get(key)
        if a == b or key.startswith(MAY_CHANGE):
            continue
        if key == "training.max_time" or (key in MAY_GROW and b > a):
            continue
        return key, a, b
    return None
