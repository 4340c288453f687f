"""From names to bytes: globs in natural order, compressed files unpacked, a progress bar where it takes long."""

import bz2
import contextlib
import glob
import gzip
import lzma
import os
import re
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from nbcore.errors import InputError

OPEN = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ\x00": lzma.open, b"BZh": bz2.open}
UNPACK = {b"\x1f\x8b": gzip.decompress, b"\xfd7zXZ\x00": lzma.decompress, b"BZh": bz2.decompress}
PACKED = (".gz", ".xz", ".bz2")


def expand(paths: str | os.PathLike | Iterable) -> list[str]:
    """File names and globs -> existing files, each once; what a glob finds comes in natural order (run2 before run10).

    Raises FileNotFoundError where a name or a glob finds nothing, IsADirectoryError for a folder.

    >>> expand("runs/*/OUTCAR")
    ['runs/2/OUTCAR', 'runs/10/OUTCAR']
    """
    found = []
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        path = os.fspath(path)
        if os.path.exists(path):
            matches = [path]
        elif glob.has_magic(path):
            matches = sorted((p for p in glob.glob(path, recursive=True) if os.path.isfile(p)), key=natural)
            if not matches:
                raise FileNotFoundError(f"{path}: no file has such a name (working folder: {os.getcwd()})")
        else:
            raise FileNotFoundError(f"{path}: no such file (working folder: {os.getcwd()})")
        if os.path.isdir(path):
            raise IsADirectoryError(f"{path} is a folder; name the files in it, for example '{path.rstrip('/')}/*'")
        found += [p for p in matches if p not in found]
    return found


def natural(name: str):
    """Sort key that counts: frame2 before frame10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def plain_name(path) -> str:
    """The name without .gz, .xz or .bz2."""
    path = os.fspath(path)
    return path[: -len(Path(path).suffix)] if path.endswith(PACKED) else path


def read_bytes(path) -> tuple[bytes, bool]:
    """The content of a file, unpacked in memory where it is compressed, and whether it was."""
    content = Path(path).read_bytes()
    for magic, unpack in UNPACK.items():
        if content.startswith(magic):
            try:
                return unpack(content), True
            except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as e:
                raise InputError(f"{path}: the compressed file is damaged or cut short ({e}).") from None
    return content, False


@contextlib.contextmanager
def open_unpacked(path) -> Iterator[BinaryIO]:
    """The content of a file as a stream, unpacked as it is read; InputError for a damaged one."""
    with open(path, "rb") as f:
        head = f.read(8)
    opener = next((opener for magic, opener in OPEN.items() if head.startswith(magic)), open)
    try:
        with opener(path, "rb") as f:
            yield f
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as e:
        raise InputError(f"{path}: the compressed file is damaged or cut short ({e}).") from None


class Bar:
    """A progress bar on a terminal's stderr that appears where something takes longer than two seconds.

    >>> with Bar("reading", total=5000) as bar:
    ...     bar.advance(1000)
    """

    def __init__(self, title: str, total: float, patience: float = 2.0):
        self._title, self._total, self._done = title, total, 0.0
        self._show_at = time.monotonic() + patience if sys.stderr.isatty() else float("inf")
        self._progress = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._progress:
            self._progress.stop()

    def advance(self, amount: float) -> None:
        """So much more is done."""
        self._done += amount
        if self._progress:
            self._progress.update(self._task, completed=self._done)
        elif time.monotonic() > self._show_at:
            from rich.console import Console
            from rich.progress import Progress

            self._progress = Progress(console=Console(stderr=True), transient=True)
            self._task = self._progress.add_task(self._title, total=self._total, completed=self._done)
            self._progress.start()
