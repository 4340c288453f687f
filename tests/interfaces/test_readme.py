"""The Python blocks of the README run as they stand, one after the other."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_python_blocks_run(tmp_path):
    block, *others = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    script = tmp_path / "readme.py"
    script.write_text(
        block
        + "\nassert atoms.get_forces().shape == (len(atoms), 3) and gradient.shape == pot.parameters.shape\n"
        + "\n".join(others)
    )
    result = subprocess.run([sys.executable, script], cwd=tmp_path, env=os.environ, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "small.nbcore").exists()
