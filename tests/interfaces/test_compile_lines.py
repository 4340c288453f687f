"""Programs in C, C++ and Cython are compiled by the lines of their README, against the nbcore that the tests import."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nbcore
from nbcore import cli, paths

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NUMBERS = np.array([6, 6, 8, 8, 1, 1, 1, 1])


@pytest.fixture(scope="module")
def potential():
    return nbcore.presets.nbody(species=["H", "C", "O"], cutoff=4.0, channels=4, seed=2)


@pytest.fixture
def shell(tmp_path, potential):
    """Runs lines in a copy of an example beside small.nbcore; `nbcore` and `python` are those of the tests."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, arguments in {"nbcore": "-m nbcore", "python": "", "cython": "-m cython"}.items():
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (commands / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}

    def run(lines, example):
        folder = tmp_path / example
        if not folder.exists():
            shutil.copytree(EXAMPLES / example, folder)
            potential.save(folder / "small.nbcore")
        result = subprocess.run(["sh", "-e"], input=lines, cwd=folder, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


def blocks(example):
    """(language, text) of the blocks of an example's README."""
    return re.findall(r"```(\w+)\n(.*?)```", (EXAMPLES / example / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", range(2))
def test_c(shell, potential, block):
    """By the compiler alone, and by CMake: the numbers of Python."""
    language, text = blocks("c")[block]
    assert language == "sh" and len(blocks("c")) == 2
    lines = shell(text, "c").splitlines()[-9:]
    source = (EXAMPLES / "c" / "energy.c").read_text()
    positions = re.search(r"positions\[8 \* 3\] = \{(.*?)\}", source, re.DOTALL)[1]
    expected = potential.compute(np.array(positions.split(","), float).reshape(8, 3), NUMBERS)
    assert lines[0] == f"{expected.energy:.6f} eV"
    forces = np.array([line.split()[:3] for line in lines[1:]], float)
    np.testing.assert_allclose(forces, expected.forces, rtol=0, atol=1e-6)


def test_cython(shell, potential):
    """A module that cimports the evaluator: the numbers of Python."""
    (_, compile_lines), (_, program) = blocks("cython")
    printed = shell(f"{compile_lines}\npython - <<'END'\n{program}\nEND\n", "cython")
    water = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    expected = [potential.compute(k * water, [8, 1, 1]).energy for k in (1, 1.01)]
    np.testing.assert_allclose(np.array(printed.strip(" []\n").split(), float), expected, rtol=0, atol=1e-8)


def test_cmake_package_can_be_moved(tmp_path, potential):
    """find_package looks from where the file lies; a wrong version and a file that is missing are said."""
    moved = tmp_path / "elsewhere"
    root = Path(paths.get_include()).parent
    for name in ("include", "lib"):
        shutil.copytree(root / name, moved / name)

    def configure(build, *definitions):
        command = ["cmake", "-S", EXAMPLES / "c", "-B", tmp_path / build, *definitions]
        return subprocess.run(command, capture_output=True, text=True)

    assert configure("root", f"-Dnbcore_ROOT={moved}").returncode == 0
    assert str(moved) in (tmp_path / "root" / "CMakeCache.txt").read_text()
    (moved / "lib" / "libnbcore.so.0").unlink()
    said = configure("missing", f"-Dnbcore_DIR={moved / 'lib' / 'cmake' / 'nbcore'}")
    assert said.returncode != 0 and "libnbcore.so.0 is missing" in " ".join(said.stderr.split())
    version = (moved / "lib" / "cmake" / "nbcore" / "nbcore-config-version.cmake").read_text()
    assert f'PACKAGE_VERSION "{nbcore.__version__}"' in version


def test_command(capsys):
    """What the compiler needs, in one line and in this order; nothing else with it."""
    assert cli.main(["--libs", "--cflags"]) == 0
    assert capsys.readouterr().out.split() == [*paths.cflags(), *paths.libs()]
    assert cli.main(["--cmakedir"]) == 0
    assert (Path(capsys.readouterr().out.strip()) / "nbcore-config.cmake").is_file()
    assert cli.main(["--cflags", "--fast"]) == 2
    assert capsys.readouterr().err.startswith("error: --fast: no such option")
