"""Sources without their compiled libraries: the installed package takes their place.

Who starts Python in a clone of the repository gets the sources first, because Python looks into the current folder
first. After `pip install .` the compiled libraries lie in the environment, not beside the sources. `hand_over` then
replaces `nbcore` in sys.modules by the installed package; the import system hands out what it finds there. Where the
libraries lie beside the sources (an installed package, tools/dev.py build) or are found by an editable install, nothing
is replaced.

The Python files of both are compared, and a warning says when they differ; compiled files are not compared.
"""

import sys
import warnings
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _installed() -> ModuleSpec | None:
    """The next package nbcore on sys.path that has libraries for this Python."""
    for entry in sys.path:
        spec = PathFinder.find_spec("nbcore", [entry or "."])
        if spec is None or spec.loader is None or not spec.submodule_search_locations:
            continue
        places = list(spec.submodule_search_locations)
        if Path(places[0]).resolve() != _HERE and PathFinder.find_spec("nbcore._core", places):
            return spec
    return None


def _first_difference(installed: Path) -> str:
    """The first Python file that only one of the two has, or that is not the same in both; "" where there is none."""
    mine, theirs = ({p.relative_to(folder) for p in folder.rglob("*.py")} for folder in (_HERE, installed))
    for path in sorted(mine | theirs):
        if path not in mine & theirs or (_HERE / path).read_bytes() != (installed / path).read_bytes():
            return str(path)
    return ""


def hand_over() -> None:
    """Called first of all in nbcore/__init__.py; ImportError where there is nothing to hand over to."""
    if find_spec("nbcore._core") is not None:
        return
    spec = _installed()
    if spec is None or spec.loader is None or spec.origin is None:
        raise ImportError(
            f"nbcore: {_HERE} holds sources without the libraries compiled from them, and no installed nbcore was "
            f"found for {sys.executable}. Install it:  pip install '{_HERE.parent}[train]'",
            name="nbcore",
        )
    for name in [name for name in sys.modules if name.partition(".")[0] == "nbcore"]:
        del sys.modules[name]
    installed = sys.modules["nbcore"] = module_from_spec(spec)
    spec.loader.exec_module(installed)
    folder = Path(spec.origin).parent
    if different := _first_difference(folder):
        warnings.warn(
            f"the installed nbcore runs ({folder}), and the sources in {_HERE} differ from it ({different}): "
            f"pip install '{_HERE.parent}[train]'  installs them.",
            stacklevel=3,
        )
