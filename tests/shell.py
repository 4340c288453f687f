"""Blocks of a page, run by a shell in which `python`, `nbcore` and `cython` are those of the tests."""

import os
import re
import subprocess
import sys
from pathlib import Path


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of the fenced blocks of a page; a block without a language shows output."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


class Shell:
    """Runs blocks; the commands are written into the folder `commands`."""

    def __init__(self, commands: Path):
        commands.mkdir()
        for name, arguments in {"nbcore": "-m nbcore", "python": "", "cython": "-m cython"}.items():
            (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            (commands / name).chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}

    def run(self, folder: Path, language: str, text: str) -> str:
        """What a block prints; AssertionError with its errors if it fails. Python blocks go to plain `python`."""
        command = ["python", "-"] if language == "python" else ["sh", "-e"]
        r = subprocess.run(
            command, input=text, cwd=folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert r.returncode == 0, f"{text}\n{r.stdout}\n{r.stderr}"
        return r.stdout
