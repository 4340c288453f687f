"""The option --max-bytes: memory that an evaluation may take."""

import argparse
import re

UNITS = {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def add_option(parser):
    """--max-bytes SIZE"""
    parser.add_argument(
        "--max-bytes", type=size, metavar="SIZE",
        help="memory an evaluation may take, as 4GB; systems that need more are evaluated in parts (no bound)",
    )  # fmt: skip


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
