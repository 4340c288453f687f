"""Where the C header, the library and the CMake package lie, for programs that are compiled against nbcore.

The same from a shell: `nbcore --cflags`, `nbcore --libs`, `nbcore --cmakedir`.

>>> from nbcore import paths
>>> command = ["cc", "md.c", *paths.cflags(), *paths.libs()]
"""

from pathlib import Path

from nbcore import _core, _kernel_set

__all__ = ["cflags", "get_cmake_dir", "get_include", "get_library", "get_library_dir", "libs"]

# Built files may lie apart from the Python sources (editable installs): what counts is where _core is.
_ROOT = Path(_core.__file__).resolve().parent


def get_include() -> str:
    """The directory of `nbcore/nbcore.h`.

    >>> (Path(get_include()) / "nbcore" / "nbcore.h").is_file()
    True
    """
    return str(_ROOT / "include")


def get_library_dir() -> str:
    """The directory of the shared library.

    >>> (Path(get_library_dir()) / "libnbcore.so.0").is_file()
    True
    """
    return str(_ROOT / "lib")


def get_library() -> str:
    """The path of the shared library that runs here; there may be several, one per kernel set.

    >>> Path(get_library()).is_file()
    True
    """
    return str(_kernel_set.library)


def get_cmake_dir() -> str:
    """The directory of `nbcore-config.cmake`: cmake -Dnbcore_DIR=..., then find_package(nbcore) and nbcore::nbcore.

    >>> (Path(get_cmake_dir()) / "nbcore-config.cmake").is_file()
    True
    """
    return str(_ROOT / "lib" / "cmake" / "nbcore")


def cflags() -> list[str]:
    """Arguments for the compiler.

    >>> cflags() == [f"-I{get_include()}"]
    True
    """
    return [f"-I{get_include()}"]


def libs() -> list[str]:
    """Arguments for the linker; the program will find the library where it lies now.

    >>> libs()[1]
    '-l:libnbcore.so.0'
    """
    return [f"-L{get_library_dir()}", "-l:libnbcore.so.0", f"-Wl,-rpath,{get_library_dir()}"]
