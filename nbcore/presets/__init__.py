"""Presets: architectures of the field as programs, lists of gates as data. None is a special code path."""

from nbcore.presets.cormorant import cormorant, cormorant_program
from nbcore.presets.kondor import kondor, kondor_program
from nbcore.presets.nbody import SIZES, nbody, nbody_program
from nbcore.presets.pqs import pqs_gates
from nbcore.presets.tree import tree, tree_program

__all__ = ["PRESETS", "SIZES", "cormorant", "kondor", "nbody", "pqs_gates", "program", "tree"]

#: name -> (what it is, function that makes a potential, function that makes its program)
PRESETS = {
    "nbody": ("symmetric products, four-body per level, messages between levels: the default", nbody, nbody_program),
    "kondor": ("the paper to the letter: eqs. (10) and (11), inverse powers", kondor, kondor_program),
    "cormorant": ("states meet along edges: messages weighted by scalar products", cormorant, cormorant_program),
    "tree": ("nbody, and a network over parts of the whole structure: long-range interactions", tree, tree_program),
}  # fmt: skip


def program(preset: str, species, **options) -> dict:
    """The program of a preset with these options."""
    from nbcore.errors import InputError

    if preset not in PRESETS:
        raise InputError(f"preset {preset!r} is not known; there are {', '.join(PRESETS)}")
    return PRESETS[preset][2](species, **options)
