"""Programs in all languages are compiled by the lines of their README, against the nbcore that the tests import."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from shell import Shell, blocks

import nbcore
from nbcore import cli, paths

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NUMBERS = np.array([6, 6, 8, 8, 1, 1, 1, 1])


@pytest.fixture(scope="module")
def potential():
    return nbcore.presets.nbody(species=["H", "C", "O"], cutoff=4.0, channels=4, seed=2)


@pytest.fixture
def run(tmp_path, potential):
    """Runs a block in a copy of an example beside small.nbcore."""

    def run(example, language, text):
        folder = tmp_path / example
        shutil.copytree(EXAMPLES / example, folder, dirs_exist_ok=True)
        potential.save(folder / "small.nbcore")
        return shell.run(folder, language, text)

    shell = Shell(tmp_path / "bin")
    return run


@pytest.mark.parametrize("block", range(2))
def test_c(run, potential, block):
    """By the compiler alone, and by CMake: the numbers of Python."""
    lines = run("c", *blocks(EXAMPLES / "c" / "README.md")[block]).splitlines()[-9:]
    source = (EXAMPLES / "c" / "energy.c").read_text()
    positions = re.search(r"positions\[8 \* 3\] = \{(.*?)\}", source, re.DOTALL)[1]
    expected = potential.compute(np.array(positions.split(","), float).reshape(8, 3), NUMBERS)
    assert lines[0] == f"{expected.energy:.6f} eV"
    forces = np.array([line.split()[:3] for line in lines[1:]], float)
    np.testing.assert_allclose(forces, expected.forces, rtol=0, atol=1e-6)


@pytest.mark.parametrize("block", range(2))
@pytest.mark.parametrize("example", ["cpp", "fortran"])
def test_dynamics(run, potential, example, block):
    """By the compiler alone, and by CMake: energies of the start and after 50 fs as velocity Verlet in NumPy."""
    if example == "fortran" and shutil.which("gfortran") is None:
        pytest.skip("there is no gfortran on this machine")
    lines = run(example, *blocks(EXAMPLES / example / "README.md")[block]).splitlines()[-5:]
    source = (EXAMPLES / "c" / "energy.c").read_text()
    x = np.array(re.search(r"positions\[8 \* 3\] = \{(.*?)\}", source, re.DOTALL)[1].split(","), float).reshape(8, 3)
    v, masses = 0 * x, np.select([NUMBERS == 1, NUMBERS == 6], [1.008, 12.011], 15.999)[:, None]
    first = now = potential.compute(x, NUMBERS)
    for _ in range(200):
        v = v + 0.125 * 0.009648533212 * now.forces / masses
        x = x + 0.25 * v
        now = potential.compute(x, NUMBERS)
        v = v + 0.125 * 0.009648533212 * now.forces / masses
    kinetic = 0.5 * (masses * v**2).sum() / 0.009648533212
    assert lines[0].split()[:3] == ["0.00", "fs", "potential"] and lines[-1].startswith(" 50.00 fs")
    said = [[float(x) for x in re.findall(r"-?[0-9]*\.[0-9]{6}", line)] for line in lines]
    np.testing.assert_allclose(said[0], [first.energy, 0, first.energy], rtol=0, atol=2e-6)
    np.testing.assert_allclose(said[-1], [now.energy, kinetic, now.energy + kinetic], rtol=0, atol=2e-6)


def test_cython(run, potential):
    """A module that cimports the evaluator: the numbers of Python."""
    compile_lines, program = blocks(EXAMPLES / "cython" / "README.md")
    run("cython", *compile_lines)
    printed = run("cython", *program)
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
