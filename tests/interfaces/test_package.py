"""The package as a whole: what `import nbcore` brings, what a plain install says, sources that hide an installation."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nbcore

ROOT = Path(__file__).resolve().parents[2]
LATER = ["ase", "data", "evaluator", "paths", "results", "train"]


def python(*arguments, cwd=None, **environment):
    """What a new interpreter prints, errors beside it."""
    environment = {k: v for k, v in {**os.environ, **environment}.items() if v is not None}
    result = subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    return result.stdout + result.stderr


def test_modules_are_loaded_when_they_are_first_used():
    """`import nbcore` brings NumPy and no other package; everything else is an attribute all the same."""
    said = python("-c", f"""
import sys
import nbcore
heavy = ["ase", "scipy", "rich", "msgspec", "matplotlib", "nbcore.train", "nbcore.data", "nbcore.ase"]
assert not set(heavy) & set(sys.modules), set(heavy) & set(sys.modules)
assert set({LATER}) <= set(dir(nbcore))
assert not set(heavy) & set(sys.modules), "dir() loads nothing"
for name in {LATER}:
    assert getattr(nbcore, name) is sys.modules["nbcore." + name]
print(nbcore.train.fit.__name__, nbcore.ase.NBCoreCalculator.__name__, nbcore.paths.get_include())
""")  # fmt: skip
    assert said == f"fit NBCoreCalculator {nbcore.paths.get_include()}\n"


def test_a_name_that_does_not_exist():
    with pytest.raises(AttributeError, match="'nbcore' has no attribute 'trian'"):
        nbcore.trian  # noqa: B018
    with pytest.raises(ImportError, match="trian"):
        exec("from nbcore import trian")


@pytest.mark.parametrize("statement", ["nbcore.train", "from nbcore import train", "import nbcore.train"])
def test_a_plain_install_says_what_is_missing(statement):
    """Without the extra `train`: one sentence, however the module is asked for."""
    hidden = "import sys; sys.modules.update(dict.fromkeys(['ase', 'rich']))"
    said = python("-c", f"{hidden}\nimport nbcore\n{statement}").splitlines()[-1]
    expected = "nbcore.train needs ase and rich, which a plain install leaves out: pip install 'nbcore[train]'"
    assert said == f"ImportError: {expected}"


def test_a_plain_install_works():
    """What needs NumPy alone is there, help() too, and nothing is listed that cannot be loaded."""
    hidden = "import sys; sys.modules.update(dict.fromkeys(['ase', 'scipy', 'rich', 'msgspec', 'matplotlib']))"
    said = python("-c", f"""{hidden}
import inspect
import numpy as np
import nbcore
assert not {{"ase", "data", "results", "train"}} & set(dir(nbcore)) and {{"paths", "evaluator"}} <= set(dir(nbcore))
assert dict(inspect.getmembers(nbcore))["paths"].cflags()
potential = nbcore.presets.nbody(species=["H"], cutoff=3.0, channels=4)
print(potential.compute(np.eye(3), [1, 1, 1]).forces.shape)
try:
    nbcore.CompositionScheme.from_bonds(np.eye(3), [1, 1, 1])
except ImportError as error:
    print(error)
""")  # fmt: skip
    missing = "needs ase and scipy, which a plain install leaves out: pip install 'nbcore[train]'"
    assert said == f"(3, 3)\nCompositionScheme.from_bonds {missing}\n"


@pytest.fixture
def clone(tmp_path):
    """The sources without their libraries, as git gives them; the nbcore of these tests is installed (PYTHONPATH)."""
    libraries = shutil.ignore_patterns("*.so", "lib", "include", "__pycache__")
    shutil.copytree(Path(nbcore.__file__).parent, tmp_path / "nbcore", ignore=libraries)
    return tmp_path


FORMS = {
    "import": ["-c", "import nbcore; print(nbcore.__file__)"],
    "from import": ["-c", "from nbcore import train, _core; import nbcore; print(nbcore.__file__)"],
    "submodule": ["-c", "from nbcore.so3 import Irreps; import sys; print(sys.modules['nbcore'].__file__)"],
    "command": ["-m", "nbcore", "--cflags"],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_in_a_clone_the_installed_package_runs(clone, form):
    """Python looks into the current folder first; sources without libraries hand over to the installation."""
    said = python(*FORMS[form], cwd=clone)
    assert said.startswith("-I" if form == "command" else nbcore.__file__) and str(clone) not in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("change", ["another text", "a new file", "a file less"])
def test_sources_that_differ_from_the_installation(clone, change):
    """Who changes a source and sees no effect is told why."""
    path = clone / "nbcore" / ("new.py" if change == "a new file" else "species.py")
    if change == "a file less":
        path.unlink()
    else:
        path.write_text((path.read_text() if path.exists() else "") + "# changed\n")
    said = python("-c", "import nbcore; print(nbcore.__file__)", cwd=clone)
    assert nbcore.__file__ in said and f"differ from it ({path.name}): pip install '{clone}[train]'" in said


def test_sources_alone(clone):
    """Neither libraries nor an installation: one line says what to do."""
    said = python("-S", "-c", "import nbcore", cwd=clone, PYTHONPATH=None).splitlines()[-1]
    assert said.startswith(f"ImportError: nbcore: {clone / 'nbcore'} holds sources without the libraries")
    assert said.endswith(f"Install it:  pip install '{clone}[train]'")
