"""nbcore: atomic potentials from SO(3)-covariant N-body networks (Kondor, arXiv:1803.01588)."""

from nbcore import _source_tree

_source_tree.hand_over()  # to the installed package, in a clone without compiled libraries

from nbcore import _kernels

_kernel_set = _kernels.load()  # before the first module that needs the core

import importlib
from typing import TYPE_CHECKING, Any

from nbcore import _extras, errors, gates, presets, so3
from nbcore._core import build_info as _build_info
from nbcore._threads import threads
from nbcore.committee import Committee, load
from nbcore.errors import CheckpointError, Error, InputError, ModelFileError, NumericsError, SpeciesError
from nbcore.importing import import_model
from nbcore.potential import Potential, Result
from nbcore.scheme import CompositionScheme

if TYPE_CHECKING:
    from nbcore import ase as ase
    from nbcore import data as data
    from nbcore import evaluator as evaluator
    from nbcore import paths as paths
    from nbcore import results as results
    from nbcore import train as train

__version__ = "0.1.0"

__all__ = [
    "CheckpointError", "Committee", "CompositionScheme", "Error", "InputError", "ModelFileError", "NumericsError",
    "Potential", "Result", "SpeciesError", "__version__", "build_info", "errors", "gates", "import_model", "load",
    "presets", "so3", "threads",
]  # fmt: skip

#: Modules that are loaded when they are first used, since they take longer to load than all others together or are
#: needed by few; and the packages that each needs beside NumPy
_LATER: dict[str, list[str]] = {
    "ase": ["ase"],
    "data": ["ase"],
    "evaluator": [],
    "paths": [],
    "results": ["ase"],
    "train": _extras.PACKAGES,
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return importlib.import_module(f"nbcore.{name}")
    raise AttributeError(f"module 'nbcore' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What can be had here: modules whose packages are not installed are left out, so that help() works."""
    return sorted({*globals(), *(name for name, packages in _LATER.items() if not _extras.missing(packages))})


def build_info() -> dict:
    """What runs: "version", "kernel_set" and why ("chosen_by"), the "kernel_sets" installed, "compiler", "openmp".

    The environment variable NBCORE_ISA names another kernel set, before nbcore is imported.

    >>> build_info()["kernel_set"] in build_info()["kernel_sets"]
    True
    """
    choice = {"chosen_by": _kernel_set.reason, "kernel_sets": _kernel_set.installed}
    return {"version": __version__, **_build_info(), **choice}


if build_info()["kernel_set"] != _kernel_set.name:
    raise ImportError(
        f"nbcore: {_kernel_set.library} should run, another libnbcore.so.0 "
        f"({build_info()['kernel_set']}) was loaded before. Remove it from LD_PRELOAD, or import nbcore first."
    )
