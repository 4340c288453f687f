"""Files that are written whole or not at all, and never in the place of something that is not theirs to replace."""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import socket
import stat
import time
from pathlib import Path
from typing import NamedTuple

from nbcore.errors import CheckpointError, InputError
from nbcore.printable import printable

HEAD_BYTES = 4096  # of a file, in which the mark of its writer stands
LONGEST_NAME = 100  # bytes, which leaves room for suffixes
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


# ---- names, and what may be replaced ----


class Kind(NamedTuple):
    """Files that one writer makes anew, and may replace."""

    words: str  #: as in "m.xyz is no ..."
    mark: bytes  #: what stands within their first bytes


MODEL = Kind("model file", b'{"__metadata__":{"format":"nbcore"')


def kind_of(verb: str) -> Kind:
    """Files in which a verb wrote its own name."""
    return Kind(f"file of `{verb}`", verb.encode())


def check_name(name: str, what: str = "name") -> str:
    """The name itself, if it can name one file or folder, here and on other systems; `what` begins the message.

    Raises InputError for names with separators, hidden ones, `..`, control characters, and those of devices.

    >>> check_name("acac-2")
    'acac-2'
    """
    why = None
    if not name or name != name.strip():
        why = "it must have characters, and none of them blank at an end"
    elif re.search(r"[/\\]", name) or name in (".", ".."):
        why = "it is the name of a folder and a file, not a path; --output DIR puts the folder elsewhere"
    elif name[0] in ".-" or name[-1] == ".":
        why = "it must not begin with a dot or a dash, nor end with a dot"
    elif printable(name) != name or re.search(r'[\n\t:*?"<>|]', name):
        why = 'it holds a character that names of files cannot have everywhere (: * ? " < > | and control characters)'
    elif name.partition(".")[0].lower() in RESERVED:
        why = "some systems keep this name for a device"
    elif len(name.encode()) > LONGEST_NAME:
        why = f"it takes {len(name.encode())} bytes, names have at most {LONGEST_NAME}"
    if why:
        raise InputError(f"{what} = {printable(name)[:200]!r}: {why}.")
    return name


def check_output(path, kind=None, inputs=(), force=False) -> None:
    """Refuses to write in the place of what may not be replaced: call it before the work begins.

    Replaced are, without `force`, empty files and files of this kind.
    inputs: what the command reads; it is refused under whatever name (links, other paths, other letters).
    Raises FileExistsError; OSError for what is no regular file.

    >>> check_output("predicted.xyz", kind_of("nbcore evaluate"), inputs=["test.xyz"])
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise FileExistsError(f"{Path(path).parent} is a file, not a folder: choose another output.") from None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", os.fspath(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file, it cannot be replaced", os.fspath(path))
    if force:
        return
    if same_file(path, inputs):
        raise FileExistsError(f"{path} is read by this command: choose another output, or --force to replace it.")
    if status.st_size == 0:
        return
    if kind is not None:
        with open(path, "rb") as f:
            if kind.mark in f.read(HEAD_BYTES):
                return
    what = f" and is no {kind.words}" if kind else ""
    raise FileExistsError(f"{path} exists already{what}: choose another output, or --force to replace it.")


def same_file(path, others) -> bool:
    """True if one of the others is this file, under whatever name."""
    for other in others:
        with contextlib.suppress(OSError, ValueError):
            if os.path.samefile(path, other):
                return True
    return False


# ---- one file ----


@contextlib.contextmanager
def replacing(path, mode="wb", kind=None, overwrite=False):
    """Opens a temporary file beside `path` and puts it in the place of `path` once the block has ended well.

    A reader sees the old file or the new one, whole, whatever happens in between (a signal, a full disk, a power cut);
    after an exception the old file stands as it was. What a killed program left behind is removed. An existing file is
    replaced only if it is of this kind (see `check_output`) or with `overwrite`.

    >>> with replacing("state.json", "w") as f:
    ...     characters = f.write("{}")
    """
    check_output(path, kind, force=overwrite)
    path = Path(path)
    temporary, handle = _open_temporary(path)
    try:
        with os.fdopen(handle, mode, **({} if "b" in mode else {"encoding": "utf-8"})) as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
            os.replace(temporary, path)  # while the lock is held: nobody takes it for a leftover
    except BaseException as e:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(e, OSError) and e.filename in (None, str(temporary)) and e.strerror:
            e.filename = str(path)  # of the two names the one that the caller knows
        raise
    sync_folder(path.parent)


def _open_temporary(path):
    """(path, descriptor) of a new file beside `path`, locked for as long as the descriptor is open.

    The names are random, so that nobody is in the way of a process with the same number. The lock goes with its
    process: what can be locked is of a dead one. `cpp/src/base/file.cpp` does the same with the same names.
    """
    stem = f".{os.fsencode(path.name)[:200].decode(errors='ignore')}."
    _remove_leftovers(path.parent, stem)
    while True:
        temporary = path.with_name(f"{stem}{secrets.token_hex(8)}.tmp")
        try:
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as e:
            e.filename = str(path)
            raise
        with contextlib.suppress(OSError):  # file systems without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return temporary, handle
        os.close(handle)  # somebody took it for a leftover between the two calls


def _remove_leftovers(folder, stem):
    pattern = re.compile(re.escape(stem) + "[0-9a-f]{16}[.]tmp")
    try:
        names = [name for name in os.listdir(folder) if pattern.fullmatch(name)]
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):  # of another user, or its writer lives
            handle = os.open(folder / name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(folder / name)
            finally:
                os.close(handle)


def sync_folder(folder):
    """Makes what was created, renamed or removed in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path):
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


# ---- folders of runs ----


def claim(folder, owner, names, own, inputs=(), force=False) -> None:
    """Refuses a folder in which a run would write over files that are not its own: call it before anything is written.

    owner: the verb, as "nbcore md". names: what the run writes. own: the folder is that of such a run. inputs: files
    that the command reads, which are never replaced. Raises FileExistsError.
    """
    folder = Path(folder)
    for path in (folder / name for name in names):
        if same_file(path, inputs):
            raise FileExistsError(f"{path} is read by this command, which would write it too: --output another folder.")
        if os.path.lexists(path) and not force and not own:
            raise FileExistsError(
                f"{path} is not of a run of `{owner}`, which would write it: --output another folder, or --force to "
                "replace it."
            )


def owned(folder, owner) -> bool:
    """True for the folder of a run of this verb."""
    try:
        return (Path(folder) / ".lock").read_text(encoding="utf-8").partition("\n")[0] == owner
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def lock(folder, owner=""):
    """Keeps a second program out of a run folder for the length of the block; made anew where it is missing.

    The lock goes with the process, however that ends: nothing stale can be left behind. The folder is `owner`'s, a
    verb, from then on.
    Raises CheckpointError with `exit_code` 6 that names the process, its host and since when.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+", encoding="utf-8") as f:
        if who := _taken(f):
            error = CheckpointError(f"{folder}/ is in use by {who}.")
            error.exit_code = 6
            raise error
        f.truncate(0)
        f.write(f"{owner}\nprocess {os.getpid()} on {socket.gethostname()} (since {time.strftime('%H:%M')})\n")
        f.flush()
        try:
            yield
        finally:
            f.truncate(0)
            f.write(f"{owner}\n")


def user_of(folder) -> str:
    """Which process has locked a run folder; nothing where none has."""
    path = Path(folder) / ".lock"
    if not path.is_file():
        return ""
    with open(path, "r+", encoding="utf-8") as f:
        return _taken(f)


def _taken(f):
    """Locks a file as long as it is open; which process has done so before, if one has."""
    try:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        f.seek(0)
        return printable(f.read().partition("\n")[2].strip())[:200] or "another process"
    return ""


def set_aside(folder):
    """Renames `run/` to the first free one of `run.1/`, `run.2/`, ... and returns the new path."""
    folder = Path(folder)
    if Path.cwd().is_relative_to(folder.resolve()):
        raise OSError(
            errno.EBUSY, "Holds the working folder, it cannot be renamed: start from another one", str(folder)
        )
    number = 1
    while (target := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    os.rename(folder, target)
    return target
