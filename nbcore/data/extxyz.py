"""Extended XYZ, frame by frame: the text is checked here, so that every message names file and line; ASE parses it."""

import codecs
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from ase.io.extxyz import key_val_str_to_dict, read_xyz

from nbcore.data.extxyz_comment import PLAIN, Comment, fortran, read_comment
from nbcore.data.files import open_unpacked
from nbcore.errors import InputError

MATRIX = re.compile(r"""(?<![\w-])(stress|virial)(\s*=\s*["'\[{])([^"'\]}]*)(["'\]}])""", re.IGNORECASE)
VOIGT = (0, 5, 4, 5, 1, 3, 4, 3, 2)


class TextFrame(NamedTuple):
    """One frame as text: its number (from 0), first line (from 1), comment as it stands, all lines in ASE's words."""

    number: int
    line: int
    comment: str
    lines: list[str]
    announced: Comment


def decode(content: bytes, file: str) -> str:
    """Bytes -> text with plain line ends; a byte-order mark, CRLF and CR are accepted."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\0" in text[:10000]:
        raise InputError(f"{file}: not a text file.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_portions(path: str, most: int) -> Iterator[tuple[str, int, int, int]]:
    """(text, number of its first frame, lines before it, bytes read so far): at most so many frames of a file.

    What does not begin with a number of atoms is handed over with the lines around it: `frames` says what is wrong.
    """
    number = line = 0
    with open_unpacked(path) as f:
        portion, count = [], 0
        while first := f.readline():
            words = first.removeprefix(codecs.BOM_UTF8) if not number and not portion else first
            rows = [first]
            if words.strip().isdigit():
                rows += [f.readline() for _ in range(int(words) + 1)]
            elif words.lstrip().startswith(b"VEC") and portion:
                portion.append(first)
                continue
            else:
                while not rows[-1].strip() and (more := f.readline()):
                    rows.append(more)
                if not rows[-1].strip():  # the blank end of the file
                    portion += rows
                    break
                rows += [f.readline() for _ in range(10)]
            if count == most:
                yield decode(b"".join(portion), path), number, line, f.tell()
                number, line, portion, count = number + count, line + len(portion), [], 0
            portion += [row for row in rows if row]
            count += 1
        if portion or not number:
            yield decode(b"".join(portion), path), number, line, f.tell()


def frames(text: str, file: str, number: int = 0, line: int = 0) -> Iterator[TextFrame]:
    """Cuts the text into frames and checks counts and columns.

    number, line: of the first frame, and lines before it, where the text is a later portion of a file.

    Raises InputError "FILE:LINE: ..." for a wrong atom count, a missing column, a duplicate key, a file cut short.
    """
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError(f"{file}: the file is empty.")
    start = 0
    while start < len(lines):
        n = _atom_count(lines, start, number, file, line)
        end = start + 2 + n
        if end > len(lines):
            there = max(0, len(lines) - start - 2)
            raise InputError(
                f"{file}:{line + len(lines)}: the file ends within frame {number} (line {line + start + 1}): "
                f"{n} atoms announced, {there} there. Is it cut short?"
            )
        comment = lines[start + 1]
        announced = read_comment(comment, f"{file}:{line + start + 2}: frame {number}")
        rows = _check_columns(announced, lines[start + 2 : end], f"{file}:{{}}", line + start + 3, number, n)
        while end < len(lines) and lines[end].lstrip().startswith("VEC"):
            rows.append(lines[end])
            end += 1
        yield TextFrame(number, line + start + 1, comment, [lines[start].strip(), announced.text, *rows], announced)
        start, number = end, number + 1


def parse(frame: TextFrame, file: str) -> Atoms:
    """Gives one frame to ASE; labels are where ASE puts them, but `info["stress"]` stays a whole matrix.

    Raises InputError with file, line and the word that could not be read.
    """
    matrices = {}

    def comment_to_dict(comment):
        info = key_val_str_to_dict(MATRIX.sub(_six_to_nine, comment))
        pbc = np.asarray(info.get("pbc", [True] * 3))
        if pbc.shape not in ((3,), ()) or pbc.dtype.kind not in "biu" or np.any((pbc != 0) & (pbc != 1)):
            raise ValueError(f'pbc: expected three of T and F, got "{info["pbc"]}"')
        matrices.update({key: info.pop(key) for key in list(info) if key.lower() in ("stress", "virial")})
        return info

    try:
        atoms = next(read_xyz(io.StringIO("\n".join(frame.lines) + "\n"), 0, properties_parser=comment_to_dict))
    except Exception as e:
        # ASE raises many kinds here (ValueError, KeyError, XYZError, json errors); all mean: the text does not fit.
        raise InputError(_cause(frame, file) or f"{file}:{frame.line + 1}: frame {frame.number}: {e}") from None
    atoms.info.update(matrices)
    return atoms


def _atom_count(lines, start, number, file, line):
    text = lines[start].strip()
    try:
        n = int(text.replace("_", "?"))
    except ValueError:
        hint = f" Does frame {number - 1} hold more atoms than it announces?" if number and text else ""
        got = f'"{text[:40]}"' if text else "an empty line"
        raise InputError(
            f"{file}:{line + start + 1}: expected the number of atoms of frame {number}, got {got}.{hint}"
        ) from None
    if n < 1:
        raise InputError(f"{file}:{line + start + 1}: frame {number} has {n} atoms; a structure has at least one.")
    return n


def _check_columns(announced, rows, where, first_line, number, n):
    """The atoms' lines, exponents of Fortran as Python writes them, after a check of how many words they have."""
    names, checked = announced.words, []
    real = [k for k, (_, kind) in enumerate(names) if kind in "RI"]
    for i, row in enumerate(rows):
        words = row.split()
        count = len(words)
        if count != len(names) if announced.columns else count < 4:
            columns = ":".join(f"{name}:{kind}:{c}" for name, kind, c in announced.columns or PLAIN)
            expected = f"{len(names)} columns ({columns})" if announced.columns else "a symbol and three coordinates"
            hint = f" Does frame {number} hold fewer atoms than the {n} it announces?" if count == 1 else ""
            got = f"{count} columns" if count > 1 else f'"{row.strip()[:40]}"'
            raise InputError(
                f"{where.format(first_line + i)}: frame {number}, atom {i}: expected {expected}, got {got}.{hint}"
            )
        if "D" in row or "d" in row or "_" in row:
            for k in real:
                words[k] = fortran(words[k]).replace("_", "?")  # Python reads 1_000 as a thousand; files do not mean it
            row = " ".join(words)
        checked.append(row)
    _check_elements(announced, checked, where, first_line, number)
    return checked


def _check_elements(announced, rows, where, first_line, number):
    """Where a file gives symbols and atomic numbers, they must be the same elements."""
    places = {name: k for k, (name, _) in enumerate(announced.words)}
    if not {"species", "Z"} <= set(places):
        return
    for i, row in enumerate(rows):
        words = row.split()
        symbol, z = words[places["species"]].capitalize(), words[places["Z"]]
        if symbol in atomic_numbers and z.isdigit() and int(z) != atomic_numbers[symbol]:
            other = f", which is {chemical_symbols[int(z)]}" if int(z) < len(chemical_symbols) else ""
            raise InputError(
                f"{where.format(first_line + i)}: frame {number}, atom {i}: species is {symbol}, but Z is {z}{other}."
            )


def _six_to_nine(match):
    """stress="xx yy zz yz xz xy" -> nine numbers: ASE takes only whole matrices under this name."""
    six = match.group(3).replace(",", " ").split()
    if len(six) != 6:
        return match.group(0)
    return match.group(1) + match.group(2) + " ".join(six[i] for i in VOIGT) + match.group(4)


def _cause(frame, file):
    """The first word in the frame's columns that is not what its column announces, or None."""
    names = frame.announced.words
    for i, row in enumerate(frame.lines[2:]):
        where = f"{file}:{frame.line + 2 + i}: frame {frame.number}, atom {i}"
        for (name, kind), word in zip(names, row.split(), strict=False):
            if name == "species" and word.capitalize() not in atomic_numbers:
                return f'{where}: no such element: "{word}".'
            try:
                {"R": float, "I": int}.get(kind, str)(word)
            except ValueError:
                got = word.replace("?", "_")
                return f'{where}: {name}: expected {"a number" if kind == "R" else "an integer"}, got "{got}".'
    return None


def finite(values) -> bool:
    """True for numbers without NaN and infinity."""
    values = np.asarray(values)
    return values.dtype.kind in "iuf" and bool(np.all(np.isfinite(values)))
