"""Helpers beside this file (`brute`, `differences`, `random_structures`) can be imported by every test below it.

Programs that tests start must find the nbcore that the tests import, wherever pytest was called: its folder goes into
PYTHONPATH, and tests run in an empty folder, since Python looks into the current one first and the sources there may be
without their libraries.
"""

import os
import signal
from pathlib import Path

import hypothesis
import pytest

import nbcore

# No test waits for a clock, and every run sees the same examples: what was red once is red again. New ones are looked
# for with pytest --hypothesis-profile=search.
hypothesis.settings.register_profile("nbcore", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None, print_blob=True)
hypothesis.settings.load_profile("nbcore")


@pytest.fixture(scope="session", autouse=True)
def same_nbcore_everywhere(tmp_path_factory):
    before = Path.cwd()
    os.environ["PYTHONPATH"] = str(Path(nbcore.__file__).resolve().parents[1])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started pytest in the background
    os.chdir(tmp_path_factory.mktemp("empty"))
    yield
    os.chdir(before)
