"""Files that are never seen half-written: replacement in one step, a lock per run folder, folders set aside."""

import contextlib
import fcntl
import hashlib
import os
import socket
import time
from pathlib import Path

from nbcore.errors import CheckpointError


@contextlib.contextmanager
def replacing(path, mode="wb"):
    """Opens a temporary file beside `path` and puts it in the place of `path` once the block has ended well.

    A reader sees the old file or the new one, whole, whatever happens in between (a signal, a full disk, a power cut);
    after an exception the old file stands as it was.

    >>> with replacing("state.json", "w") as f:
    ...     characters = f.write("{}")
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with open(temporary, mode, **({} if "b" in mode else {"encoding": "utf-8"})) as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder):
    """Makes what was created, renamed or removed in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def lock(folder):
    """Keeps a second program out of a run folder for the length of the block; made anew where it is missing.

    The lock goes with the process, however that ends: nothing stale can be left behind.
    Raises CheckpointError with `exit_code` 6 that names the process, its host and since when.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+", encoding="utf-8") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            f.seek(0)
            error = CheckpointError(f"{folder}/ is in use by {f.read().strip() or 'another process'}.")
            error.exit_code = 6
            raise error from None
        f.truncate(0)
        f.write(f"process {os.getpid()} on {socket.gethostname()} (since {time.strftime('%H:%M')})")
        f.flush()
        try:
            yield
        finally:
            f.truncate(0)


def set_aside(folder):
    """Renames `run/` to the first free one of `run.1/`, `run.2/`, ... and returns the new path."""
    folder = Path(folder)
    number = 1
    while (target := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    os.rename(folder, target)
    return target


def sha256(path):
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
