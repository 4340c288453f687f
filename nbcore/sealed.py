"""Arrays and plain values in one sealed file: what a run needs to go on, with a digest that shows any damage.

The file is an uncompressed .npz (data only, no code; NumPy reads it) and one line after it:

    nbcore checkpoint 2 sha256 <64 hex digits> <number of bytes before this line>

All that is not an array stands in the archive as JSON text under "json".
"""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np

from nbcore.errors import CheckpointError

VERSION = 2


def encode(kind: str, arrays: dict, plain: dict) -> bytes:
    """The bytes of a sealed file: arrays by name, and what JSON can hold; `kind` says of what."""
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(plain).encode(), dtype=np.uint8)
    np.savez(buffer, json=text, **{f"array {name}": a for name, a in arrays.items()})
    data = buffer.getvalue()
    return data + _line(kind, data)


def decode(kind: str, content: bytes, path):
    """(arrays, plain) of a sealed file; CheckpointError, which names `path`, if it is not whole or of another kind."""
    end = content.rfind(f"nbcore {kind} ".encode())
    if end < 0:
        cut = not content or content.startswith(b"PK\x03\x04")
        what = "is damaged (its end is missing)" if cut else f"is not a {kind} of nbcore"
        raise CheckpointError(f"{path} {what}.")
    data = content[:end]
    if content[end:] != _line(kind, data):
        raise CheckpointError(f"{path} is damaged or of another release (its checksum does not fit).")
    with np.load(io.BytesIO(data), allow_pickle=False) as entries:
        arrays = {name.removeprefix("array "): entries[name] for name in entries.files if name != "json"}
        return arrays, json.loads(entries["json"].tobytes())


def read(kind: str, path):
    """(arrays, plain) of a sealed file. Raises CheckpointError for anything that is none, OSError."""
    content = Path(path).read_bytes()
    try:
        return decode(kind, content, path)
    except CheckpointError:
        raise
    except Exception as e:  # sealed by somebody else: the readers of NumPy and zipfile raise what they like
        raise CheckpointError(f"{path} holds no {kind} that can be read ({type(e).__name__}: {e}).") from None


def is_of(kind: str, path) -> bool:
    """True if the file ends as one of this kind does, whole or not."""
    try:
        with open(path, "rb") as f:
            f.seek(0, os.SEEK_END)
            f.seek(max(0, f.tell() - 200))
            return f"nbcore {kind} ".encode() in f.read()
    except OSError:
        return False


def _line(kind, data):
    return f"nbcore {kind} {VERSION} sha256 {hashlib.sha256(data).hexdigest()} {len(data)}\n".encode()
