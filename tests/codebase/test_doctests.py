"""Every example in a docstring of nbcore runs, in a folder with the data of examples/molecule and a small model."""

import doctest
import importlib
import pkgutil
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
import rich.console
import scipy.optimize

import nbcore
from nbcore import train
from nbcore.ase import NBCoreCalculator
from nbcore.evaluator import Evaluator
from nbcore.results import compare

MOLECULE = Path(__file__).parents[2] / "examples" / "molecule"


def examples():
    """All doctests of nbcore, those of compiled modules too."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for module in pkgutil.walk_packages(nbcore.__path__, "nbcore."):
        if not module.name.endswith("__main__"):
            yield from (t for t in finder.find(importlib.import_module(module.name)) if t.examples)


EXAMPLES = {test.name: test for test in examples()}


class Checker(doctest.OutputChecker):
    """An example that shows no output may have some."""

    def check_output(self, want, got, optionflags):
        return not want or super().check_output(want, got, optionflags)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What examples read: the data and the configuration, a model of theirs, runs of VASP by name."""
    folder = tmp_path_factory.mktemp("examples")
    for path in MOLECULE.glob("*.*"):
        shutil.copy(path, folder)
    potential = nbcore.presets.nbody(species=["H", "C", "O"], cutoff=3.0, channels=4, l_harmonics=1, correlation=2)
    potential.save(folder / "molecule.nbcore")
    shutil.copy(Path(__file__).parents[1] / "oracles" / "mace_single.model", folder)
    for run in ("2", "10"):
        (folder / "runs" / run).mkdir(parents=True)
        (folder / "runs" / run / "OUTCAR").touch()
    return folder


@pytest.fixture
def names(folder, monkeypatch):
    """What examples call by a name that they have not made themselves."""
    monkeypatch.chdir(folder)
    potential = nbcore.Potential.load("molecule.nbcore")
    atoms = ase.io.read("test_300K.xyz")
    data = train.read("train.xyz")
    structures = list(data[:5])
    return dict(
        nbcore=nbcore, np=np, train=train, pot=potential, potential=potential, data=data, atoms=atoms,
        molecule=structures[0], structures=structures, predictions=potential.compute_many(structures),
        Evaluator=Evaluator, NBCoreCalculator=NBCoreCalculator, compare=compare, scipy=scipy, rich=rich,
        positions=atoms.positions, numbers=atoms.numbers.astype(np.intc), n=len(atoms),
    )  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name, names):
    """Names of the example's own module come first."""
    test = EXAMPLES[name]
    assert not any(e.options.get(doctest.SKIP) for e in test.examples), "examples run"
    test.globs = names | test.globs
    said = []
    failed, _ = doctest.DocTestRunner(checker=Checker(), verbose=False).run(test, out=said.append)
    assert failed == 0, "".join(said)


def test_all_of_them_are_found():
    """Of Python, Cython and C++, in every package."""
    for name in (
        "nbcore.potential.Potential.radial_networks", "nbcore.ase.NBCoreCalculator", "nbcore.evaluator.Evaluator",
        "nbcore._core.neighbours", "nbcore.train.objective.objective", "nbcore.so3.wigner.wigner_D",
    ):  # fmt: skip
        assert name in EXAMPLES
