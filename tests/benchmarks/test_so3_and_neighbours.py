"""The benchmarks of so3 and of the neighbour list run, untimed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["so3_speed", "neighbours"])
def test_runs(name):
    command = [sys.executable, ROOT / "benchmarks" / f"{name}.py", "--quick"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.count("\n|") >= 3 and "NO" not in output
