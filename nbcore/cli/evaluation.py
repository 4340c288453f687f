"""The options of an evaluation: --threads, --precision, --skin, --max-bytes."""

import argparse
import re

from nbcore._threads import threads as number_of_threads
from nbcore.errors import InputError

UNITS = {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def add_options(parser, moving):
    """What the commands that evaluate a model have in common; --skin where atoms move from one call to the next."""
    parser.add_argument("--threads", type=threads, metavar="N", help="at most so many (the cores this process may use)")
    parser.add_argument(
        "--precision", choices=["float64", "float32"], default="float64", help="float32 is about twice as fast"
    )
    if moving:
        parser.add_argument(
            "--skin", type=skin, default=0.5, metavar="Å",
            help="neighbours are kept while atoms move less than half of it; any skin gives the same bits (0.5)",
        )  # fmt: skip
    parser.add_argument(
        "--max-bytes", type=size, metavar="SIZE",
        help="memory an evaluation may take, as 4GB; systems that need more are evaluated in parts (no bound)",
    )  # fmt: skip


def threads(text):
    """A number of threads that `nbcore.threads` takes."""
    try:
        return number_of_threads(int(text))
    except ValueError as e:  # no number, or an InputError
        words = str(e) if isinstance(e, InputError) else f"must be a whole number, got {text}"
        raise argparse.ArgumentTypeError(words) from None


def skin(text):
    """A length of 0 Angstrom or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return value


def size(text):
    """Bytes from words like 4GB or "500 MB"; a bare number is in bytes.

    >>> size("4GB")
    4000000000.0
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:[eE][-+]?[0-9]+)?)\s*([a-zA-Z]*)\s*", text)
    try:
        value = float(match[1]) * {unit.lower(): factor for unit, factor in UNITS.items()}[match[2].lower()]
    except (TypeError, ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount of memory; write it as 4GB or 500MB.") from None
    if not 1 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: an amount of memory must be a byte or more.")
    return value
