"""benchmarks/accuracy/uncertainty.py: the command, from training to the lines of the log."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "accuracy" / "uncertainty.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the source distribution has no benchmarks")


def test_the_command(tmp_path):
    """On the molecule of the example, whose elements are the same."""
    frames = (ROOT / "examples" / "molecule" / "train.xyz").read_text().splitlines(keepends=True)
    size = int(frames[0]) + 2
    for name, n in (("train_300K", 40), ("test_MD_300K", 3), ("test_MD_600K", 4)):
        (tmp_path / f"{name}.xyz").write_text("".join(frames[: n * size]))
    small = ["--members", "2", "--epochs", "2", "--channels", "2", "--runs", tmp_path / "runs", "--log", tmp_path]
    command = [sys.executable, str(SCRIPT), str(tmp_path), *map(str, small)]
    first = subprocess.run([*command, "--no-test"], capture_output=True, text=True, check=True).stdout
    assert "test_MD" not in first and not (tmp_path / "test_evaluations.md").exists()
    models = {path: path.read_bytes() for path in (tmp_path / "runs").glob("*.nbcore")}
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {path: path.read_bytes() for path in (tmp_path / "runs").glob("*.nbcore")} == models and len(models) == 2
    assert "last layer       test_MD_600K" in said and "committee of 2: " in said
    log = (tmp_path / "test_evaluations.md").read_text()
    assert log.count("AcAc test_MD_600K") == 2 and log.count("committee of 2") == 2
    given = [sys.executable, str(SCRIPT), str(tmp_path), "--no-test", "--models", str(sorted(models)[0])]
    said = subprocess.run(given, capture_output=True, text=True, check=True).stdout
    assert "last layer       valid" in said and "committee" not in said
