"""Python, C, C++, Fortran, Cython and ASE give the same energy, forces and virial, and run the golden cases."""

import sys
from pathlib import Path

import numpy as np
import pytest
from random_structures import TRICLINIC, network, positions

import nbcore
from nbcore import _core

sys.path.append(str(Path(__file__).with_name("languages")))
import language_programs as programs

FRAMES = 12


def frames():
    """Triclinic, periodic along some directions, and clusters; up to 40 atoms."""
    rng = np.random.default_rng(2)
    for k in range(FRAMES):
        cell = (1.7 + 0.05 * k) * TRICLINIC
        x = positions(rng, 28 + k, cell=cell)
        yield x, rng.choice([1, 6, 8], len(x)), cell, np.array([(1, 1, 1), (1, 0, 1), (0, 0, 0)][k % 3], bool)


@pytest.fixture(scope="module", params=["nbody", "nbody-3"])
def model(request, tmp_path_factory):
    """(the file of a potential, what Python computes of the frames)"""
    path = tmp_path_factory.mktemp("model") / "model.nbcore"
    network(request.param).save(path)
    cases, expected = programs.run_python(path, list(frames()), 1)
    assert cases[0] == 2
    return path, expected


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return tmp_path_factory.mktemp("built")


LANGUAGES = [*programs.COMPILERS, "ase"]


@pytest.mark.parametrize("language", LANGUAGES if not programs.EMULATOR else ["c", "c++", "fortran"])
def test_a_language(model, built, language):
    path, expected = model
    if language != "ase" and programs.compiler(language) is None:
        pytest.skip(f"there is no compiler for {language} on this machine")
    for threads in (1, 3):
        if language == "ase":
            cases, results = programs.run_ase(path, list(frames()), threads)
        else:
            cases, results = programs.run(language, built, path, list(frames()), threads)
        assert cases[0] == 2 and cases[1] <= 1e-10
        assert max(programs.difference(results, expected).values()) <= 1e-12


def test_golden_cases_that_are_wrong(model, tmp_path):
    """Each language says so, and which; a model whose cases are damaged computes all the same."""
    from nbcore.evaluator import Evaluator

    path, _ = model
    description, arrays = _core.read_model_file(path)
    x = np.random.default_rng(0).random((4, 3)) * 3
    right, z = Evaluator(path), np.array([1, 6, 8, 1], np.intc)
    assert right.check_golden()[0] == 2

    def changed(name, value):
        _core.write_model_file(tmp_path / "m.nbcore", description, {**arrays, name: value})
        return Evaluator(tmp_path / "m.nbcore")

    wrong = {
        "golden.1.forces": (arrays["golden.1.forces"] + 1e-8, "golden case 1: forces differs by"),
        "golden.0.energy": (np.array(np.pi), "golden case 0: energy differs by"),
        "golden.0.virial": (np.zeros(9), "golden case 0: virial differs by"),
        "golden.0.cell": (np.zeros((2, 3)), "golden.0.cell has 6 numbers, expected 3 times 3"),
        "golden.0.numbers": (np.full(5, 6.5), "golden.0.numbers: 6.5 is no atomic number"),
        "golden.1.numbers": (np.full(3, 14.0), "golden case 1: Si .* is not an element"),
        "golden.0.positions": (np.zeros((1001, 3)), "expected 1 to 1000 atoms, got 1001"),
    }
    for name, (value, words) in wrong.items():
        evaluator = changed(name, value)
        with pytest.raises(nbcore.ModelFileError, match=f"m.nbcore: .*{words}"):
            evaluator.check_golden()
        assert evaluator.evaluate(x, z) == right.evaluate(x, z)
    del arrays["golden.0.positions"]
    assert changed("golden.0.pbc", arrays["golden.0.pbc"]).check_golden() == (0, 0.0)
