"""The Cython evaluator: what Python computes, without allocation, with the errors of Python."""

import os
import pickle
import subprocess
import sys
import sysconfig
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import nbcore
from nbcore import _core, paths
from nbcore.errors import InputError, ModelFileError, NumericsError, SpeciesError
from nbcore.evaluator import Evaluator
from nbcore.model_file import check_golden, read_description

MOLECULE = np.array([[0, 0, 0], [1.1, 0, 0], [-0.5, 1.0, 0.1], [-0.6, -0.9, 0.3]])
NUMBERS = np.array([6, 8, 1, 1], np.intc)
CELL = np.array([[4.1, 0, 0], [0.6, 3.9, 0], [-0.4, 0.7, 4.4]])


@pytest.fixture(scope="module")
def potential():
    return nbcore.presets.nbody(species=["H", "C", "O"], cutoff=4.0, channels=4, seed=5)


@pytest.fixture(scope="module")
def path(potential, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "größe.nbcore"
    potential.save(path)
    return path


@pytest.fixture(scope="module")
def evaluator(path):
    return Evaluator(path)


def outputs(n):
    return {"forces": np.full((n, 3), np.nan), "virial": np.full((3, 3), np.nan), "energies": np.full(n, np.nan)}


def test_properties(evaluator, potential, path):
    assert evaluator.path == str(path)
    assert evaluator.cutoff == potential.cutoff
    assert evaluator.species == [1, 6, 8]


@pytest.mark.parametrize("pbc", [False, True, (True, False, True), np.array([True, True, False]), [0, 1, 0]])
def test_same_bits_as_python(evaluator, potential, pbc):
    out = outputs(4)
    energy = evaluator.evaluate(MOLECULE, NUMBERS, CELL, pbc, **out)
    expected = potential.compute(MOLECULE, NUMBERS, CELL, pbc)
    assert energy == expected.energy
    for name, array in out.items():
        assert np.array_equal(array, getattr(expected, name)), name
    assert evaluator.evaluate(MOLECULE, NUMBERS, CELL, pbc) == energy
    assert evaluator.evaluate(MOLECULE, NUMBERS, CELL, pbc, threads=2) == energy


def test_no_atoms(evaluator):
    assert evaluator.evaluate(np.zeros((0, 3)), np.zeros(0, np.intc), **outputs(0)) == 0.0


def test_inputs_may_be_read_only(evaluator):
    frozen = [a.copy() for a in (MOLECULE, NUMBERS, CELL)]
    for a in frozen:
        a.flags.writeable = False
    evaluator.evaluate(*frozen, True)


@pytest.mark.parametrize(
    "error, change, text",
    [
        (InputError, {"positions": MOLECULE[:, :2].copy()}, r"shape \(N, 3\), got \(4, 2\)"),
        (InputError, {"numbers": NUMBERS[:3]}, r"shape \(4,\)"),
        (InputError, {"cell": np.eye(2)}, r"shape \(3, 3\), got \(2, 2\)"),
        (InputError, {"forces": np.zeros((3, 3))}, r"forces must have shape \(4, 3\)"),
        (InputError, {"virial": np.zeros((3, 2))}, "virial"),
        (InputError, {"energies": np.zeros(5)}, r"energies must have shape \(4,\)"),
        (InputError, {"pbc": (True, True)}, "pbc"),
        (InputError, {"pbc": (0, 3, 0)}, r"pbc\[1\] must be 0 or 1, got 3"),
        (InputError, {"pbc": True, "cell": None}, "cell is NULL"),
        (InputError, {"pbc": True, "cell": np.ones((3, 3))}, "in one plane"),
        (InputError, {"positions": MOLECULE * np.nan}, "x of atom 0 is nan"),
        (InputError, {"threads": -3}, "threads"),
        (NumericsError, {"positions": MOLECULE * 0.01}, "atoms 0 and 1 are 0.011"),
        (SpeciesError, {"numbers": np.array([6, 8, 7, 1], np.intc)}, r"N \(atom 2\)"),
        (ValueError, {"numbers": NUMBERS.astype(np.int64)}, "dtype mismatch"),
        (ValueError, {"positions": np.asfortranarray(MOLECULE)}, "contiguous"),
        (TypeError, {"positions": None}, "None"),
        (TypeError, {"numbers": None}, "None"),
        (TypeError, {"pbc": 1.5}, "float"),
    ],
)
def test_errors(evaluator, error, change, text):
    """The class and the message, and nothing written."""
    arguments = {"positions": MOLECULE, "numbers": NUMBERS, "cell": CELL, "pbc": False, **outputs(4)} | change
    with pytest.raises(error, match=text):
        evaluator.evaluate(**arguments)
    assert all(np.isnan(arguments[name]).all() for name in ("forces", "virial", "energies") if name not in change)
    assert np.isfinite(evaluator.evaluate(MOLECULE, NUMBERS))


def test_files(tmp_path, path):
    with pytest.raises(FileNotFoundError) as error:
        Evaluator(tmp_path / "absent.nbcore")
    assert error.value.filename == str(tmp_path / "absent.nbcore")
    with pytest.raises(IsADirectoryError):
        Evaluator(str(tmp_path))
    with pytest.raises(ModelFileError, match="not an nbcore model"):
        Evaluator(__file__)
    with pytest.raises(InputError, match="zero byte"):
        Evaluator("a\0b")
    with pytest.raises(TypeError):
        Evaluator(None)


def test_pickle(evaluator):
    copy = pickle.loads(pickle.dumps(evaluator))
    assert copy.evaluate(MOLECULE, NUMBERS) == evaluator.evaluate(MOLECULE, NUMBERS)


def test_threads(evaluator):
    """Many structures at once on one evaluator: the bits of one after the other."""
    rng = np.random.default_rng(0)
    structures = [MOLECULE + rng.normal(scale=0.05, size=(4, 3)) for _ in range(200)]
    expected = [evaluator.evaluate(s, NUMBERS) for s in structures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda s: evaluator.evaluate(s, NUMBERS), structures)) == expected


@pytest.mark.own_memory
def test_no_growth_over_steps(evaluator):
    def resident():
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    out = outputs(4)

    def steps(n):
        for _ in range(n):
            evaluator.evaluate(MOLECULE, NUMBERS, CELL, True, **out)

    steps(100)
    before = resident()
    steps(3000)
    assert resident() - before < 2**20


def test_cimport(tmp_path, path, evaluator):
    """Another Cython module uses the evaluator and the C ABI by cimport."""
    (tmp_path / "user.pyx").write_text(
        textwrap.dedent("""
            from nbcore cimport capi
            from nbcore.evaluator cimport Evaluator

            def energy(Evaluator evaluator, const double[:, ::1] positions, const int[::1] numbers):
                return evaluator.evaluate(positions, numbers)

            def version():
                return (<bytes> capi.nbcore_version()).decode()
        """)
    )
    package = Path(nbcore.__file__).parent.parent
    subprocess.run([sys.executable, "-m", "cython", "-3", "-I", str(package), "user.pyx"], cwd=tmp_path, check=True)
    target = "user" + sysconfig.get_config_var("EXT_SUFFIX")
    subprocess.run(
        [*os.environ.get("CC", "cc").split(), "-shared", "-fPIC", "-O0", *paths.cflags(),
         f"-I{sysconfig.get_paths()['include']}", "user.c", *paths.libs(), "-o", target], cwd=tmp_path, check=True,
    )  # fmt: skip
    sys.path.insert(0, str(tmp_path))
    try:
        import user
    finally:
        sys.path.remove(str(tmp_path))
    assert user.version() == nbcore.build_info()["version"]
    assert user.energy(evaluator, MOLECULE, NUMBERS) == evaluator.evaluate(MOLECULE, NUMBERS)


def test_golden_cases(path, tmp_path, potential):
    """A file's own cases are reproduced here; with other weights, or a case cut short, they are not."""
    cases = check_golden(path)
    assert len(cases) == 2 and max(max(c[2:]) for c in cases) < 1e-12
    assert read_description(path)["species"] == ["H", "C", "O"]
    description, tensors = _core.read_model_file(path)
    other = tmp_path / "other.nbcore"
    _core.write_model_file(other, description, tensors | {"golden.1.energy": tensors["golden.1.energy"] + 1e-6})
    with pytest.raises(ModelFileError, match="golden case 1: energy differs by 1e-06"):
        check_golden(other)
    del tensors["golden.0.forces"]
    _core.write_model_file(other, description, tensors)
    with pytest.raises(ModelFileError, match="golden case 0 lacks the array golden.0.forces"):
        check_golden(other)
    for name in [name for name in tensors if name.startswith("golden.")]:
        del tensors[name]
    _core.write_model_file(other, description, tensors)
    assert check_golden(other) == []
