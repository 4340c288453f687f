"""Everything public has type hints, and a type checker reads them from the package."""

import importlib
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import nbcore

MODULES = ["nbcore"] + [f"nbcore.{m}" for m in "ase data errors gates outputs paths presets results so3 train".split()]

#: special methods that users call by operators and brackets
SPECIAL = [f"__{name}__" for name in "init call len getitem add mul rmul pow".split()]

SCRIPT = """
import numpy as np

import nbcore
from nbcore import so3, train
from nbcore.ase import NBCoreCalculator
from nbcore.evaluator import Evaluator

data = train.read("train.xyz")
pot = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=8)
fit = train.fit(pot, data, valid=0.1, max_epochs=3)
fit.potential.save("small.nbcore")
result: nbcore.Result = nbcore.Potential.load("small.nbcore").compute(np.zeros((1, 3)), ["H"])
energies: list[float | None] = [r.energy for r in pot.compute_many([pot.prepare([[0, 0, 0]], ["H"])])]
hessian: np.ndarray = pot.hessian([[0, 0, 0]], ["H"])
calculator = NBCoreCalculator("small.nbcore", threads=2)
D: np.ndarray = so3.wigner_D(2, so3.matrix_from_euler(0.1, 0.2, 0.3))
dim: int = (so3.Irreps("2x0e + 1o") * so3.Irreps("1x1o")).dim
energy: float = Evaluator("small.nbcore").evaluate(np.zeros((1, 3)), np.array([1], dtype=np.intc))
loss, gradient = train.loss_and_gradient(pot, data[:5])
"""


def functions():
    """(name, function) of what the public modules offer: functions, methods, properties."""
    for module in map(importlib.import_module, MODULES):
        own = [n for n, x in vars(module).items() if getattr(x, "__module__", None) == module.__name__]
        for name in getattr(module, "__all__", [n for n in own if not n.startswith("_")]):
            x = getattr(module, name)
            members = vars(x) if inspect.isclass(x) else {"": x}
            for key, f in members.items():
                f = getattr(f, "__func__", None) or getattr(f, "fget", None) or getattr(f, "func", None) or f
                public = not key.startswith("_") or key in SPECIAL
                if public and inspect.isfunction(f) and f.__module__.startswith("nbcore") and f.__name__ != "<lambda>":
                    yield f"{module.__name__}.{name}.{key}".rstrip("."), f


def test_everything_public_is_annotated():
    found = dict(functions())
    assert len(found) > 150
    for name, f in found.items():
        signature = inspect.signature(f)
        bare = [
            p.name for p in signature.parameters.values() if p.annotation is p.empty and p.name not in ("self", "cls")
        ]
        assert not bare, f"{name}: {', '.join(bare)}"
        assert f.__name__ == "__init__" or signature.return_annotation is not signature.empty, f"{name} returns"


def test_type_checkers_are_told():
    assert (Path(nbcore.__file__).parent / "py.typed").exists()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_a_type_checker_agrees(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    root = Path(nbcore.__file__).resolve().parents[1]
    sources = {"MYPYPATH": str(root)} if (root / "pyproject.toml").exists() else {}  # an installed package is found
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", tmp_path, "script.py"],
        cwd=tmp_path, env={"PATH": "", **sources}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
