"""Zip archives of others, whose every size is checked before anything of that size is made."""

import mmap
import struct
import zlib
from pathlib import Path

from nbcore.errors import InputError
from nbcore.printable import printable

MOST_RECORDS = 50_000
LARGEST_DIRECTORY = 8 << 20  # bytes
LARGEST_COMMENT = 65_535
MOST_INFLATED = 48 << 20  # bytes, beside the size of the file


class Archive:
    """The records of a zip archive by name: a file, or bytes that stand inside another one.

    Records that are not compressed are views of the file, which is mapped, not read; what is compressed may have the
    size of the archive and 48 MB. (`zipfile` of Python reads a directory of any size before one can object.)
    Raises InputError for whatever does not fit, and OSError.
    """

    def __init__(self, source, name: str | None = None):
        if isinstance(source, bytes):
            self.path, self._bytes = name or "bytes", source
        else:
            self.path = Path(source)
            with open(self.path, "rb") as f:
                try:
                    self._bytes = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
                except ValueError:  # nothing can be mapped of an empty file
                    self._bytes = b""
        self.size = len(self._bytes)
        self._records = self._directory()
        inflated = sum(size for compression, _, _, size, _ in self._records.values() if compression)
        if inflated > self.size + MOST_INFLATED:
            self.refuse(f"its compressed records have {inflated} bytes, too many for a file of {self.size}")

    @property
    def names(self) -> list[str]:
        """The names of its records, in order."""
        return list(self._records)

    def refuse(self, why: str):
        """Raises the InputError of this file."""
        raise InputError(
            f"{printable(self.path)}: {printable(why)[:600]}. Expected a file that torch.save wrote (torch 1.6 or "
            "later), whole; fetch or copy it anew, or save the model again."
        )

    def read(self, name: str) -> memoryview:
        """The bytes of a record, its check sum compared."""
        if name not in self._records:
            self.refuse(f"there is no record {name!r}")
        compression, crc, packed, size, at = self._records[name]
        view = memoryview(self._bytes)
        head = bytes(view[at : at + 30])
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            self.refuse(f"record {name!r} does not begin where the directory says: damaged")
        begin = at + 30 + sum(struct.unpack("<HH", head[26:30]))
        content = view[begin : begin + packed]
        if len(content) < packed:
            self.refuse(f"record {name!r} is cut off: {len(content)} of {packed} bytes are there")
        if compression == 8:
            content = self._inflate(name, content, size)
        if zlib.crc32(content) != crc:
            self.refuse(f"record {name!r} is damaged: its check sum differs")
        return content

    def _inflate(self, name, content, size):
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            inflated = inflater.decompress(content, size + 1)
        except zlib.error as e:
            self.refuse(f"record {name!r} is damaged: {e}")
        if len(inflated) != size or not inflater.eof:
            self.refuse(f"record {name!r} does not have the {size} bytes that the directory says")
        return memoryview(inflated)

    def _directory(self):
        """{name: (compression, check sum, bytes stored, bytes, place of its head)}."""
        tail = self._bytes[max(0, self.size - LARGEST_COMMENT - 22) :]
        end = tail.rfind(b"PK\x05\x06")
        if self._bytes[:2] != b"PK" or end < 0 or len(tail) - end < 22:
            self.refuse(f"it is no zip archive, or its end is missing ({self._kind()})")
        count, length, at = struct.unpack("<HII", tail[end + 10 : end + 20])
        locator = tail[max(0, end - 20) : end]
        if locator[:4] == b"PK\x06\x07":  # numbers of eight bytes stand in a record of their own
            (place,) = struct.unpack("<Q", locator[8:16])
            wide = self._bytes[place : place + 56] if place < self.size else b""
            if len(wide) < 56 or wide[:4] != b"PK\x06\x06":
                self.refuse("the end of its directory is damaged")
            count, length, at = struct.unpack("<QQQ", wide[32:56])
        if count > MOST_RECORDS or length > LARGEST_DIRECTORY:
            self.refuse(f"its directory has {count} records and {length} bytes: more than a model can need")
        directory = self._bytes[at : at + length] if at < self.size else b""
        if len(directory) < length:
            self.refuse("its directory is cut off")
        records, k = {}, 0
        for _ in range(count):
            entry = directory[k : k + 46]
            if len(entry) < 46 or entry[:4] != b"PK\x01\x02":
                self.refuse(f"its directory is damaged: {len(records)} of {count} records can be read")
            flags, compression = struct.unpack("<HH", entry[8:12])
            crc, packed, size, *lengths = struct.unpack("<IIIHHH", entry[16:34])
            (head,) = struct.unpack("<I", entry[42:46])
            name_end = k + 46 + lengths[0]
            name = directory[k + 46 : name_end].decode("utf-8", errors="replace")
            extra = directory[name_end : name_end + lengths[1]]
            size, packed, head = self._wide(extra, size, packed, head)
            if name in records:
                self.refuse(f"record {name!r} is there twice")
            if flags & 1 or compression not in (0, 8):
                self.refuse(f"record {name!r} is encrypted, or compressed in a way that torch.save does not use")
            if compression == 0 and packed != size:
                self.refuse(f"record {name!r} is said to have {size} bytes and to be stored in {packed}")
            records[name] = compression, crc, packed, size, head
            k = name_end + lengths[1] + lengths[2]
        return records

    @staticmethod
    def _wide(extra, *numbers):
        """Numbers of a record; those that four bytes cannot hold stand in its extra field, in this order."""
        values, k = list(numbers), 0
        while k + 4 <= len(extra):
            kind, length = struct.unpack("<HH", extra[k : k + 4])
            if kind == 1:
                field = extra[k + 4 : k + 4 + length]
                for n, value in enumerate(values):
                    if value == 0xFFFFFFFF and len(field) >= 8:
                        (values[n],), field = struct.unpack("<Q", field[:8]), field[8:]
            k += 4 + length
        return values

    def _kind(self):
        head = self._bytes[:16]
        if head[:1] == b"\x80":
            return "it begins as a pickle, as torch before 1.6 wrote them; load and save it with a newer torch"
        if head[:2] == b"PK":
            return "cut off"
        return f"it begins with {bytes(head[:8])!r}" if head else "it is empty"
