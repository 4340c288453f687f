"""What every command prints: remarks and errors as one block, wrapped to the terminal; tables go to stdout.

Commands print through this page alone: names of models and data files are those of strangers, and what a terminal would
obey in them is written out (`nbcore.printable`).
"""

import shutil
import sys
import textwrap

from nbcore.printable import printable


def width() -> int:
    """Columns of the terminal; 100 without one."""
    return max(40, min(120, shutil.get_terminal_size((100, 24)).columns))


def block(text: str, first: str, rest: str) -> str:
    """`text` wrapped to the terminal, its first line begun with `first`, every other with `rest`."""
    lines = []
    for line in printable(text).rstrip().splitlines() or [""]:
        indent = first if not lines else rest
        room = {"width": width(), "break_long_words": False, "break_on_hyphens": False}
        lines += textwrap.wrap(line, initial_indent=indent, subsequent_indent=rest, **room) or [indent.rstrip()]
    return "\n".join(lines)


def out(text="", file=None, end="\n") -> None:
    """Prints a text that is wrapped already, on stdout or `file`."""
    print(printable(text), file=file, end=end)


def error(text: str) -> None:
    """Prints one error block on stderr."""
    out(block(text, "error: ", "       "), file=sys.stderr)


def remark(text: str) -> None:
    """Prints a remark, one that names what to do, on stderr."""
    out(block(text, "! ", "  "), file=sys.stderr)


def terminal(stream=None):
    """A rich Console on stdout (or `stream`) that follows NO_COLOR and plain pipes."""
    from rich.console import Console

    stream = stream or sys.stdout
    return Console(
        file=stream, width=width(), highlight=False, soft_wrap=not stream.isatty(), emoji=False, markup=False
    )
