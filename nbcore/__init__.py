"""nbcore: atomic potentials from SO(3)-covariant N-body networks (Kondor, arXiv:1803.01588)."""

from nbcore import _kernels

_kernel_set = _kernels.load()  # before the first module that needs the core

from nbcore import errors, gates, presets, so3
from nbcore._core import build_info as _build_info
from nbcore._threads import threads
from nbcore.errors import CheckpointError, Error, InputError, ModelFileError, NumericsError, SpeciesError
from nbcore.potential import Potential, Result
from nbcore.scheme import CompositionScheme

__version__ = "0.1.0"

__all__ = [
    "CheckpointError", "CompositionScheme", "Error", "InputError", "ModelFileError", "NumericsError", "Potential",
    "Result", "SpeciesError", "__version__", "build_info", "errors", "gates", "presets", "so3", "threads",
]  # fmt: skip


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
