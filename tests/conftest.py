"""Helpers beside this file (`brute`, `differences`, `random_structures`) can be imported by every test below it.

Programs that tests start must find the nbcore that the tests import, wherever pytest was called: its folder goes into
PYTHONPATH, and tests run in an empty folder, since Python looks into the current one first and the sources there may be
without their libraries.
"""

import os
import signal
from pathlib import Path

import pytest

import nbcore


@pytest.fixture(scope="session", autouse=True)
def same_nbcore_everywhere(tmp_path_factory):
    before = Path.cwd()
    os.environ["PYTHONPATH"] = str(Path(nbcore.__file__).resolve().parents[1])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started pytest in the background
    os.chdir(tmp_path_factory.mktemp("empty"))
    yield
    os.chdir(before)
