"""nbcore: atomic potentials from SO(3)-covariant N-body networks (Kondor, arXiv:1803.01588)."""

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
    """Version, vector instructions, compiler and OpenMP of this build, as a dictionary."""
    return {"version": __version__, **_build_info()}
