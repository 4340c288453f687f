"""Everything public in nbcore.so3 has an example; all of them run in tests/codebase/test_doctests.py."""

import inspect

from nbcore import so3


def test_everything_public_is_documented():
    for name in so3.__all__:
        thing = getattr(so3, name)
        if inspect.isfunction(thing):
            assert ">>>" in thing.__doc__, name
