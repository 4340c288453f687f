"""The packages of the extra `train`, and what is said where they are missing."""

import sys
from importlib.util import find_spec

#: What `pip install 'nbcore[train]'` brings beside NumPy
PACKAGES = ["ase", "rich", "msgspec", "matplotlib", "scipy", *(["tomli"] if sys.version_info < (3, 11) else [])]


def missing(packages=PACKAGES) -> list[str]:
    """Those of `packages` that are not installed."""
    return [name for name in packages if find_spec(name) is None]


def needs(who: str, packages) -> str:
    """The message for packages that a plain install leaves out.

    >>> needs("nbcore.train", ["ase", "rich"])
    "nbcore.train needs ase and rich, which a plain install leaves out: pip install 'nbcore[train]'"
    """
    listed = " and ".join(filter(None, [", ".join(packages[:-1]), packages[-1]]))
    return f"{who} needs {listed}, which a plain install leaves out: pip install 'nbcore[train]'"


def require(who: str, packages=PACKAGES) -> None:
    """ImportError if one of `packages` is not installed; stands at the head of the modules that need them."""
    if absent := missing(packages):
        raise ImportError(needs(who, absent), name=absent[0])
