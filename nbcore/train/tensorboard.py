"""The rows of history.csv as an event file, which TensorBoard shows beside those of other programs.

An event file is a sequence of records: the length of the content (8 bytes), a checksum of these, the content, a
checksum of it. A checksum is a CRC-32C, turned and shifted by a constant. The content is a message of protocol buffers,
an Event:

  Event    1: wall_time (double), 2: step (varint), 3: file_version (text), 5: summary (Summary)
  Summary  1: value (Value, any number of them)
  Value    1: tag (text), 2: simple_value (float)

where a field is its number times 8 plus a type (0 varint, 1 eight bytes, 2 length and content, 5 four bytes).
"""

import math
import struct
import time

NAME = "events.out.tfevents.nbcore"  # TensorBoard looks for `tfevents` in names


def _table():
    rows = []
    for k in range(256):
        for _ in range(8):
            k = k >> 1 ^ (0x82F63B78 if k & 1 else 0)
        rows.append(k)
    return rows


TABLE = _table()


def crc32c(content: bytes) -> int:
    """The checksum of Castagnoli (RFC 3720, appendix B.4).

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _checksum(content):
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)


def _record(content):
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _float(number):
    """Four bytes; what is too large for them is infinite."""
    return struct.pack("<f", number if abs(number) < 3.4e38 else number * math.inf)


def _varint(number):
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def _field(number, content):
    """A field with a length."""
    return _varint(8 * number + 2) + _varint(len(content)) + content


def _event(seconds, *fields):
    return _record(b"\x09" + struct.pack("<d", seconds) + b"".join(fields))


def first_record() -> bytes:
    """What begins an event file: its version."""
    return _event(time.time(), _field(3, b"brain.Event:2"))


def record(row: dict) -> bytes:
    """The record of a row of the history: "forces_valid" has the tag "forces/valid", its step is the epoch."""
    values = b"".join(
        _field(1, _field(1, _tag(name).encode()) + b"\x15" + _float(value))
        for name, value in row.items()
        if value is not None and name != "epoch"
    )
    return _event(time.time(), b"\x10" + _varint(row["epoch"]), _field(5, values))


def _tag(name):
    if name.startswith(("gradient_", "update_")):
        return name.replace("_", "/", 1)
    return "/".join(name.rsplit("_", 1)) if name.endswith(("_train", "_valid")) else name
