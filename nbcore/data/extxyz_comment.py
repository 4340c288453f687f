"""The comment line of extended XYZ: keywords in any letters, the cell under other names, and what Properties announces.

What other programs write is brought to the words that ASE reads: GPUMD's `lattice=` and `properties=`, `PBC=`, `cell=`
in the place of `Lattice=`, columns called `positions` or `element`, exponents of Fortran (1.0D+00).
"""

import re
from collections import Counter
from typing import NamedTuple

from nbcore.errors import InputError

QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|\{[^}]*\}|\[[^\]]*\]')
ASSIGNED = re.compile(r"(?:^|(?<=\s))([^\s=]+)\s*=(?:\s*(?=q|[-+.\d]))?")  # in a line whose quoted parts are q
FORTRAN = re.compile(r"(?<![\w.+-])([-+]?(?:\d+\.?\d*|\.\d+))[dD]([-+]?\d+)(?![\w.])")
KEYWORDS = {"lattice": "Lattice", "properties": "Properties", "pbc": "pbc"}
CELLS = ("cell", "unit_cell", "unitcell", "box")
COLUMNS = {
    "species": ("species", "symbols", "symbol", "element", "elements"),
    "pos": ("pos", "positions", "position", "coordinates"),
    "Z": ("z", "numbers", "atomic_numbers", "atomic_number"),
}
KINDS = {"species": ("S", 1), "pos": ("R", 3), "Z": ("I", 1)}
PLAIN = [("species", "S", 1), ("pos", "R", 3)]


class Comment(NamedTuple):
    """A comment line in ASE's words, and its columns: (name, type, count); None without Properties."""

    text: str
    columns: list[tuple[str, str, int]] | None

    @property
    def words(self) -> list[tuple[str, str]]:
        """(name, type) of each word in an atom's line."""
        return [(name, kind) for name, kind, count in self.columns or PLAIN for _ in range(count)]


def read_comment(line: str, where: str) -> Comment:
    """Brings a comment line to ASE's words; `where` begins the messages.

    Raises InputError for a key that stands twice, two cells that differ, a malformed Properties, and one without
    positions or elements: nothing is left out silently.
    """
    text = _keywords(line, where)
    values = dict(_values(text))
    text = _cell(text, values, where)
    if "Properties" not in values:
        return Comment(text, None)
    columns = _columns(values["Properties"], where)
    begin, end = next(span for key, span in _spans(text) if key == "Properties")
    announced = ":".join(f"{name}:{kind}:{count}" for name, kind, count in columns)
    return Comment(f"{text[:begin]}{announced}{text[end:]}", columns)


def fortran(text: str) -> str:
    """1.0D+00 -> 1.0E+00, where it stands alone.

    >>> fortran('stress="1.5D-01 0.d0" name=C1D2')
    'stress="1.5E-01 0.E0" name=C1D2'
    """
    return FORTRAN.sub(r"\1E\2", text)


def _masked(line):
    return QUOTED.sub(lambda m: "q" * len(m.group()), line)


def _keywords(line, where):
    """Every `key = value` as `key=value`, known keys in their usual letters; a key that stands twice is refused."""
    pieces, at, found = [], 0, list(ASSIGNED.finditer(_masked(line)))
    keys = [KEYWORDS.get(match[1].lower(), match[1]) for match in found]
    for key, count in Counter(keys).items():
        if count > 1:
            raise InputError(f"{where}: the key {key} stands {count} times in one comment line. Remove one of them.")
    for key, match in zip(keys, found, strict=True):
        pieces += [line[at : match.start(1)], key, "="]
        at = match.end() + (len(rest := line[match.end() :]) - len(rest.lstrip()) if key in KEYWORDS.values() else 0)
    return fortran("".join([*pieces, line[at:]]))


def _spans(text):
    """Keys and where their values stand, quotation marks included."""
    masked = _masked(text)
    for match in ASSIGNED.finditer(masked):
        value = re.compile(r"\S*").match(masked, match.end())
        yield match[1], value.span()


def _values(text):
    for key, (begin, end) in _spans(text):
        value = text[begin:end]
        yield key, value[1:-1] if value[:1] in ('"', "'", "{", "[") and len(value) > 1 else value


def _cell(text, values, where):
    """A cell under another name becomes Lattice; two cells must be the same."""
    found = [key for key in values if key.lower() in CELLS and (_floats(values[key]) or key.lower() == "cell")]
    for key in found:
        numbers = _floats(values[key])
        if numbers is None or len(numbers) not in (3, 9):
            if numbers is None and "Lattice" in values:
                continue
            raise InputError(
                f'{where}: {key}="{values[key]}" is no cell of nine numbers (or three, of an orthorhombic one). Write '
                'the cell as  Lattice="ax ay az bx by bz cx cy cz".'
            )
        if len(numbers) == 3:
            numbers = [numbers[0], 0.0, 0.0, 0.0, numbers[1], 0.0, 0.0, 0.0, numbers[2]]
        if "Lattice" not in values:
            values["Lattice"] = " ".join(map(repr, numbers))
            text = f'{text.rstrip()} Lattice="{values["Lattice"]}"'
        elif _floats(values["Lattice"]) != numbers:
            raise InputError(f"{where}: {key} and Lattice give different cells. Remove one of them.")
    return text


def _floats(text):
    try:
        return [float(word) for word in text.replace(",", " ").split()] or None
    except ValueError:
        return None


def _columns(text, where):
    """(name, type, count) of each property, with the names of ASE for elements and positions."""
    fields, wrong = text.split(":"), f'{where}: Properties="{text}"'
    if len(fields) % 3:
        raise InputError(f"{wrong} is not a list of name:type:count. An example: species:S:1:pos:R:3:forces:R:3")
    triples = list(zip(fields[::3], fields[1::3], fields[2::3], strict=True))
    known = {other: name for name, others in COLUMNS.items() for other in others}
    columns = []
    for name, kind, count in triples:
        if not name or any(c.isspace() for c in name):
            raise InputError(f"{wrong}: a column has {'a name with a space' if name else 'no name'}.")
        if kind not in ("S", "R", "I", "L"):
            raise InputError(f"{wrong}: {name} has the type {kind!r}. There are R (real), I (integer), S, L (T or F).")
        if not re.fullmatch(r"[0-9]{1,6}", count) or not 1 <= int(count) < 100000:
            raise InputError(f"{wrong}: {name} has {count!r} columns; expected a number of at least 1.")
        columns.append((known.get(name.lower(), name), kind, int(count)))
    twice = [name for name, times in Counter(name for name, *_ in columns).items() if times > 1]
    if twice:
        raise InputError(f"{wrong}: {twice[0]} is announced twice.")
    there = {name: (kind, count) for name, kind, count in columns}
    if "pos" not in there:
        raise InputError(f"{wrong} has no positions (pos:R:3).")
    if "species" not in there and "Z" not in there:
        raise InputError(f"{wrong} has no elements (species:S:1, or Z:I:1).")
    for name, (kind, count) in KINDS.items():
        if there.get(name, (kind, count)) != (kind, count):
            got = ":".join(map(str, there[name]))
            raise InputError(f"{wrong}: {name} must be {name}:{kind}:{count}, got {name}:{got}.")
    return columns
