"""Programs on several ranks: the tests that need them, and how they are started."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BESIDE = Path(sys.executable).with_name("mpiexec")
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")

needs_mpi = pytest.mark.skipif(
    find_spec("mpi4py") is None or MPIEXEC is None, reason="no mpi4py and mpiexec: pip install 'nbcore[mpi-local]'"
)


def on_ranks(n, program, *arguments, cwd):
    """The finished process of a Python program on n ranks, with one thread each."""
    env = {**os.environ, "NBCORE_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [MPIEXEC, "-n", str(n), sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
