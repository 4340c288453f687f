"""Presets: architectures of the field as programs, lists of gates as data. None is a special code path."""

# isort: off
from collections.abc import Sequence
import numpy as np
from nbcore.presets.nbody import SIZES, nbody  # in the order in which they are listed, the default first
from nbcore.presets.kondor import kondor
from nbcore.presets.ace import ace
from nbcore.presets.allegro import allegro
from nbcore.presets.cormorant import cormorant
from nbcore.presets.tfn import tfn
from nbcore.presets.nequip import nequip
from nbcore.presets.mace import mace
from nbcore.presets.behler_parrinello import behler_parrinello
from nbcore.presets.ani import ani
from nbcore.presets.dtnn import dtnn
from nbcore.presets.schnet import schnet
from nbcore.presets.hipnn import hipnn
from nbcore.presets.hipnn_ts import hipnn_ts
from nbcore.presets.hiphop import hiphop
from nbcore.presets.tree import tree
from nbcore.presets.pqs import pqs_gates
from nbcore.presets.registry import PRESETS
# isort: on

__all__ = [
    "PRESETS",
    "SIZES",
    "ace",
    "allegro",
    "ani",
    "behler_parrinello",
    "cormorant",
    "dtnn",
    "hiphop",
    "hipnn",
    "hipnn_ts",
    "kondor",
    "mace",
    "nbody",
    "nequip",
    "pqs_gates",
    "program",
    "schnet",
    "tfn",
    "tree",
]


def program(preset: str, species: Sequence | np.ndarray, **options: object) -> dict:
    """The program of a preset with these options."""
    from nbcore.errors import InputError

    if preset not in PRESETS:
        raise InputError(f"preset {preset!r} is not known; there are {', '.join(PRESETS)}")
    return PRESETS[preset].program(species, **options)
