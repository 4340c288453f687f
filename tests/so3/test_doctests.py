"""Every example in the docstrings of nbcore.so3 runs, and everything public has one."""

import doctest
import importlib
import inspect

import pytest

from nbcore import so3


@pytest.mark.parametrize(
    "name",
    ["", ".cartesian", ".coupling", ".harmonics", ".invariants", ".irreps", ".products", ".rotations", ".wigner"],
)
def test_examples(name):
    result = doctest.testmod(importlib.import_module("nbcore.so3" + name))
    assert result.attempted > 0 and result.failed == 0


def test_everything_public_is_documented():
    for name in so3.__all__:
        thing = getattr(so3, name)
        if inspect.isfunction(thing):
            assert ">>>" in thing.__doc__, name
