"""Where the C header and the library lie, for programs that are compiled against nbcore.

>>> from nbcore import paths
>>> command = ["cc", "md.c", *paths.cflags(), *paths.libs()]
"""

from pathlib import Path

from nbcore import _core, _kernel_set

# Built files may lie apart from the Python sources (editable installs): what counts is where _core is.
_ROOT = Path(_core.__file__).resolve().parent


def get_include() -> str:
    """The directory of `nbcore/nbcore.h`."""
    return str(_ROOT / "include")


def get_library_dir() -> str:
    """The directory of the shared library."""
    return str(_ROOT / "lib")


def get_library() -> str:
    """The path of the shared library that runs here; there may be several, one per kernel set."""
    return str(_kernel_set.library)


def cflags() -> list[str]:
    """Arguments for the compiler."""
    return [f"-I{get_include()}"]


def libs() -> list[str]:
    """Arguments for the linker; the program will find the library where it lies now."""
    return [f"-L{get_library_dir()}", "-l:libnbcore.so.0", f"-Wl,-rpath,{get_library_dir()}"]
