"""Extended XYZ, frame by frame: the text is checked here, so that every message names file and line; ASE parses it."""

import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.io.extxyz import key_val_str_to_dict, read_xyz

from nbcore.errors import InputError

QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|\{[^}]*\}|\[[^\]]*\]')
KEY = re.compile(r"(?:^|\s)([^\s=]+)\s*=")
PROPERTIES = re.compile(r"""(?:^|\s)Properties\s*=\s*["']?([^\s"']+)""")
MATRIX = re.compile(r"""(?<![\w-])(stress|virial)(\s*=\s*["'\[{])([^"'\]}]*)(["'\]}])""")
VOIGT = (0, 5, 4, 5, 1, 3, 4, 3, 2)


class TextFrame(NamedTuple):
    """One frame as text: its number (from 0), first line (from 1), comment and all lines."""

    number: int
    line: int
    comment: str
    lines: list[str]


def decode(content: bytes, file: str) -> str:
    """Bytes -> text with plain line ends; a byte-order mark, CRLF and CR are accepted."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\0" in text[:10000]:
        raise InputError(f"{file}: not a text file.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def frames(text: str, file: str) -> Iterator[TextFrame]:
    """Cuts the text into frames and checks counts and columns.

    Raises InputError "FILE:LINE: ..." for a wrong atom count, a missing column, a duplicate key, a file cut short.
    """
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError(f"{file}: the file is empty.")
    start, number = 0, 0
    while start < len(lines):
        n = _atom_count(lines, start, number, file)
        end = start + 2 + n
        if end > len(lines):
            there = max(0, len(lines) - start - 2)
            raise InputError(
                f"{file}:{len(lines)}: the file ends within frame {number} (line {start + 1}): "
                f"{n} atoms announced, {there} there. Is it cut short?"
            )
        comment = lines[start + 1]
        _check_keys(comment, f"{file}:{start + 2}: frame {number}")
        _check_columns(comment, lines[start + 2 : end], f"{file}:{{}}", start + 3, number, n)
        while end < len(lines) and lines[end].lstrip().startswith("VEC"):
            end += 1
        yield TextFrame(number, start + 1, comment, lines[start:end])
        start, number = end, number + 1


def parse(frame: TextFrame, file: str) -> Atoms:
    """Gives one frame to ASE; labels are where ASE puts them, but `info["stress"]` stays a whole matrix.

    Raises InputError with file, line and the word that could not be read.
    """
    matrices = {}

    def comment_to_dict(comment):
        info = key_val_str_to_dict(MATRIX.sub(_six_to_nine, comment))
        pbc = np.asarray(info.get("pbc", [True] * 3))
        if pbc.shape != (3,) or pbc.dtype.kind not in "biu":
            raise ValueError(f'pbc: expected three of T and F, got "{info["pbc"]}"')
        matrices.update({key: info.pop(key) for key in ("stress", "virial") if key in info})
        return info

    try:
        atoms = next(read_xyz(io.StringIO("\n".join(frame.lines) + "\n"), 0, properties_parser=comment_to_dict))
    except Exception as e:
        # ASE raises many kinds here (ValueError, KeyError, XYZError, json errors); all mean: the text does not fit.
        raise InputError(_cause(frame, file) or f"{file}:{frame.line + 1}: frame {frame.number}: {e}") from None
    atoms.info.update(matrices)
    return atoms


def _atom_count(lines, start, number, file):
    text = lines[start].strip()
    try:
        n = int(text)
    except ValueError:
        hint = f" Does frame {number - 1} hold more atoms than it announces?" if number and text else ""
        got = f'"{text[:40]}"' if text else "an empty line"
        raise InputError(
            f"{file}:{start + 1}: expected the number of atoms of frame {number}, got {got}.{hint}"
        ) from None
    if n < 1:
        raise InputError(f"{file}:{start + 1}: frame {number} has {n} atoms; a structure has at least one.")
    return n


def _check_keys(comment, where):
    counts = Counter(KEY.findall(QUOTED.sub("q", comment)))
    for key, count in counts.items():
        if count > 1:
            raise InputError(f"{where}: the key {key} stands {count} times in one comment line. Remove one of them.")


def _check_columns(comment, rows, where, first_line, number, n):
    names = column_names(comment)
    for i, row in enumerate(rows):
        count = len(row.split())
        if count == len(names) if names else count >= 4:
            continue
        expected = f"{len(names)} columns ({_properties(comment)})" if names else "a symbol and three coordinates"
        hint = f" Does frame {number} hold fewer atoms than the {n} it announces?" if count == 1 else ""
        got = f"{count} columns" if count > 1 else f'"{row.strip()[:40]}"'
        raise InputError(
            f"{where.format(first_line + i)}: frame {number}, atom {i}: expected {expected}, got {got}.{hint}"
        )


def _properties(comment):
    match = PROPERTIES.search(comment)
    return match.group(1) if match else ""


def column_names(comment: str) -> list[tuple[str, str]]:
    """(name, type) of each column that Properties announces; empty without Properties or where it is malformed."""
    fields = _properties(comment).split(":")
    triples = zip(fields[::3], fields[1::3], fields[2::3], strict=False)
    return [(name, kind) for name, kind, count in triples if count.isdigit() for _ in range(int(count))]


def _six_to_nine(match):
    """stress="xx yy zz yz xz xy" -> nine numbers: ASE takes only whole matrices under this name."""
    six = match.group(3).replace(",", " ").split()
    if len(six) != 6:
        return match.group(0)
    return match.group(1) + match.group(2) + " ".join(six[i] for i in VOIGT) + match.group(4)


def _cause(frame, file):
    """The first word in the frame's columns that is not what its column announces, or None."""
    names = column_names(frame.comment) or [("species", "S"), *[("pos", "R")] * 3]
    for i, row in enumerate(frame.lines[2:]):
        where = f"{file}:{frame.line + 2 + i}: frame {frame.number}, atom {i}"
        for (name, kind), word in zip(names, row.split(), strict=False):
            if name == "species" and word.capitalize() not in atomic_numbers:
                return f'{where}: no such element: "{word}".'
            try:
                {"R": float, "I": int}.get(kind, str)(word)
            except ValueError:
                return f'{where}: {name}: expected {"a number" if kind == "R" else "an integer"}, got "{word}".'
    return None


def finite(values) -> bool:
    """True for numbers without NaN and infinity."""
    values = np.asarray(values)
    return values.dtype.kind in "iuf" and bool(np.all(np.isfinite(values)))
