"""The C ABI: a C program computes what Python computes, every status is reached, nothing crashes."""

import ctypes
import os
import re
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nbcore
from nbcore import _core, paths

OK, EARG, ESHAPE, ENONFINITE, ECELL, EOVERLAP, ESPECIES, EMODEL, EIO, ENUMERICS, EMEMORY = range(11)
EINTERRUPTED = 12

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <nbcore/nbcore.h>

/* stdin: n, pbc, cell, then number and position of each atom; results as exact hexadecimal numbers */
int main(int argc, char** argv) {
  nbcore_model* model = NULL;
  int n, i, k, pbc[3], *numbers;
  double cell[9], energy, virial[9], *positions, *forces, *energies;
  if (argc != 2 || nbcore_load(argv[1], &model) != NBCORE_OK) {
    fprintf(stderr, "%s\n", nbcore_message());
    return 4;
  }
  if (scanf("%d %d %d %d", &n, &pbc[0], &pbc[1], &pbc[2]) != 4) return 2;
  for (k = 0; k < 9; ++k)
    if (scanf("%la", &cell[k]) != 1) return 2;
  numbers = (int*)malloc(sizeof(int) * (size_t)n);
  positions = (double*)malloc(sizeof(double) * 3 * (size_t)n);
  forces = (double*)malloc(sizeof(double) * 3 * (size_t)n);
  energies = (double*)malloc(sizeof(double) * (size_t)n);
  for (i = 0; i < n; ++i) {
    if (scanf("%d", &numbers[i]) != 1) return 2;
    for (k = 0; k < 3; ++k)
      if (scanf("%la", &positions[3 * i + k]) != 1) return 2;
  }
  if (nbcore_evaluate(model, n, positions, numbers, cell, pbc, 0, &energy, forces, virial, energies) != NBCORE_OK) {
    fprintf(stderr, "%s\n", nbcore_message());
    return 3;
  }
  printf("%a\n", energy);
  for (i = 0; i < 3 * n; ++i) printf("%a\n", forces[i]);
  for (k = 0; k < 9; ++k) printf("%a\n", virial[k]);
  for (i = 0; i < n; ++i) printf("%a\n", energies[i]);
  free(numbers), free(positions), free(forces), free(energies);
  return nbcore_free(model) == NBCORE_OK ? 0 : 1;
}
"""


@pytest.fixture(scope="module")
def potential():
    return nbcore.presets.nbody(
        species=["H", "C", "O"], cutoff=4.0, channels=4, seed=3, E0s={"H": -13.6, "C": -1030, "O": -2041}
    )


@pytest.fixture(scope="module")
def model_path(potential, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "a model.nbcore"
    potential.save(path)
    return path


def library():
    lib = ctypes.CDLL(paths.get_library())
    c_int, pointer, double = ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
    lib.nbcore_version.restype = lib.nbcore_message.restype = ctypes.c_char_p
    lib.nbcore_load.argtypes = [ctypes.c_char_p, pointer]
    lib.nbcore_free.argtypes = [pointer]
    lib.nbcore_cutoff.argtypes = [pointer, double]
    lib.nbcore_set_precision.argtypes = [pointer, c_int]
    lib.nbcore_set_skin.argtypes = [pointer, ctypes.c_double]
    lib.nbcore_set_max_bytes.argtypes = [pointer, ctypes.c_int64]
    lib.nbcore_searches.argtypes = [pointer, pointer]
    lib.nbcore_species.argtypes = [pointer, c_int, pointer, pointer]
    lib.nbcore_evaluate.argtypes = [pointer, ctypes.c_int64] + [pointer] * 4 + [c_int] + [double] * 4
    return lib


lib = library()


def message():
    return lib.nbcore_message().decode()


def load(path):
    handle = ctypes.c_void_p()
    assert lib.nbcore_load(os.fsencode(path), ctypes.byref(handle)) == OK, message()
    return handle


@pytest.fixture
def model(model_path):
    handle = load(model_path)
    yield handle
    lib.nbcore_free(handle)


def evaluate(model, positions, numbers, cell=None, pbc=(0, 0, 0), threads=0, n=None):
    """(status, energy, forces, virial, energies); what the library does not write is NaN."""
    positions = np.ascontiguousarray(positions, float).reshape(-1, 3)
    numbers = np.ascontiguousarray(numbers, np.intc)
    n = len(positions) if n is None else n
    out = [np.full(shape, np.nan) for shape in ((1,), (len(positions), 3), (3, 3), (len(positions),))]
    cell = None if cell is None else np.ascontiguousarray(cell, float)
    pbc = np.ascontiguousarray(pbc, np.intc)
    status = lib.nbcore_evaluate(
        model, n, positions.ctypes.data, numbers.ctypes.data, None if cell is None else cell.ctypes.data,
        pbc.ctypes.data, threads, *(a.ctypes.data for a in out),
    )  # fmt: skip
    return status, *out


MOLECULE = np.array([[0, 0, 0], [1.1, 0, 0], [-0.5, 1.0, 0.1], [-0.6, -0.9, 0.3]])
NUMBERS = [6, 8, 1, 1]


def crystal(n, seed=0):
    """About 0.08 atoms per cubic Angstrom, none nearer than 1 Angstrom to another."""
    rng = np.random.default_rng(seed)
    cell = np.array([[2.3 * n, 0, 0], [0.5, 2.3 * n, 0], [-0.4, 0.7, 2.3 * n]])
    grid = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), -1).reshape(-1, 3)
    return (grid / n) @ cell + rng.uniform(-0.4, 0.4, (n**3, 3)), rng.choice([1, 6, 8], n**3), cell


@pytest.mark.parametrize("standard", ["c99", "c11", "c++17"])
def test_program_in_c(standard, tmp_path, model_path, potential):
    """Compiled without warnings as C and C++; energy, forces, virial and energies of Python to the last bit."""
    cxx = standard.startswith("c++")
    source = tmp_path / ("md.cpp" if cxx else "md.c")
    source.write_text(PROGRAM)
    compiler = os.environ.get("CXX", "c++") if cxx else os.environ.get("CC", "cc")
    subprocess.run(
        [*compiler.split(), f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror", *paths.cflags(),
         str(source), *paths.libs(), "-o", str(tmp_path / "md")], check=True,
    )  # fmt: skip
    positions, numbers, cell = crystal(3)
    same_kernels = {**os.environ, "LD_PRELOAD": f"{os.environ.get('LD_PRELOAD', '')} {paths.get_library()}".strip()}
    for pbc in ((0, 0, 0), (1, 1, 0), (1, 1, 1)):
        lines = [f"{len(numbers)} {pbc[0]} {pbc[1]} {pbc[2]}", " ".join(float(x).hex() for x in cell.ravel())]
        lines += [f"{z} " + " ".join(float(x).hex() for x in r) for z, r in zip(numbers, positions, strict=True)]
        run = subprocess.run(
            [tmp_path / "md", model_path], input="\n".join(lines), capture_output=True, text=True, check=True,
            env=same_kernels,
        )  # fmt: skip
        expected = potential.compute(positions, numbers, cell, np.array(pbc, bool))
        got = np.array([float.fromhex(line) for line in run.stdout.split()])
        values = [[expected.energy], expected.forces.ravel(), expected.virial.ravel(), expected.energies]
        assert np.array_equal(got, np.concatenate(values))
    run = subprocess.run([tmp_path / "md", tmp_path / "absent"], capture_output=True, text=True)
    assert run.returncode == 4 and "absent: No such file" in run.stderr


def test_version_and_properties(model, potential):
    assert lib.nbcore_version().decode() == nbcore.build_info()["version"]
    cutoff, n, numbers = ctypes.c_double(), ctypes.c_int(), (ctypes.c_int * 2)(-1, -1)
    assert lib.nbcore_cutoff(model, ctypes.byref(cutoff)) == OK and cutoff.value == potential.cutoff
    assert lib.nbcore_species(model, 0, None, ctypes.byref(n)) == OK and n.value == 3
    assert lib.nbcore_species(model, 2, numbers, ctypes.byref(n)) == OK and n.value == 3 and list(numbers) == [1, 6]


def test_precision(model):
    exact = evaluate(model, MOLECULE, NUMBERS)
    assert lib.nbcore_set_precision(model, 16) == EARG and "16" in message()
    assert lib.nbcore_set_precision(None, 32) == EARG
    assert lib.nbcore_set_precision(model, 32) == OK
    single = evaluate(model, MOLECULE, NUMBERS)
    assert lib.nbcore_set_precision(model, 64) == OK
    assert np.array_equal(evaluate(model, MOLECULE, NUMBERS)[2], exact[2])
    assert 0 < np.abs(single[2] - exact[2]).max() < 1e-5 * np.abs(exact[2]).max()


def test_skin(model):
    """The same bits with any; without one every call searches."""
    searches = ctypes.c_int64()
    for skin, more in ((0.5, 2), (0.0, 8)):
        assert lib.nbcore_set_skin(model, skin) == OK
        before = searches.value
        for k in range(4):
            moved = np.array(MOLECULE) + 0.01 * k
            assert np.array_equal(evaluate(model, moved, NUMBERS)[2], evaluate(model, moved, NUMBERS)[2])
            lib.nbcore_searches(model, ctypes.byref(searches))
        assert searches.value - before == more
    for skin in (-1.0, np.nan, np.inf):
        assert lib.nbcore_set_skin(model, skin) == EARG and "skin must be 0 or more" in message()
    assert lib.nbcore_set_skin(None, 0.5) == EARG
    assert lib.nbcore_searches(model, None) == EARG and "searches is NULL" in message()


def test_max_bytes(model):
    """In parts the same to rounding; too little is an error that says what is needed."""
    positions, numbers, cell = crystal(14)
    whole = evaluate(model, positions, numbers, cell, (1, 1, 1))
    for bytes_given in (1000, -1):
        status = lib.nbcore_set_max_bytes(model, bytes_given)
        assert status == (OK if bytes_given > 0 else EARG)
    assert "must be 0 (no bound) or more, got -1" in message()
    assert evaluate(model, positions, numbers, cell, (1, 1, 1))[0] == EARG and "need at least" in message()
    needed = float(re.search("least ([0-9.]+) MB", message())[1])
    assert lib.nbcore_set_max_bytes(model, int(1e6 * needed)) == OK
    parts = evaluate(model, positions, numbers, cell, (1, 1, 1))
    assert parts[0] == OK and not np.array_equal(parts[2], whole[2])
    assert np.abs(parts[2] - whole[2]).max() < 1e-12 * np.abs(whole[2]).max()
    assert lib.nbcore_set_max_bytes(model, 0) == OK
    assert np.array_equal(evaluate(model, positions, numbers, cell, (1, 1, 1))[2], whole[2])


def test_unwanted_outputs_and_no_atoms(model, potential):
    positions, numbers = np.ascontiguousarray(MOLECULE), np.array(NUMBERS, np.intc)
    where = positions.ctypes.data, numbers.ctypes.data
    energy = ctypes.c_double()
    assert lib.nbcore_evaluate(model, 4, *where, None, None, 0, *[None] * 4) == OK
    assert lib.nbcore_evaluate(model, 4, *where, None, None, 0, ctypes.byref(energy), None, None, None) == OK
    assert energy.value == potential.compute(MOLECULE, NUMBERS).energy
    assert lib.nbcore_evaluate(model, 0, None, None, None, None, 0, ctypes.byref(energy), None, None, None) == OK
    assert energy.value == 0.0
    isolated = evaluate(model, [[0, 0, 0], [100, 0, 0]], [6, 1])
    assert isolated[0] == OK and isolated[1] == -1030 - 13.6 and not isolated[2].any()


def test_inputs_are_not_written(model):
    positions, numbers, cell = crystal(2)
    copies = positions.copy(), numbers.copy(), cell.copy()
    for array in (positions, numbers, cell):
        array.flags.writeable = False
    assert evaluate(model, positions, numbers, cell, (1, 1, 1))[0] == OK
    assert all(np.array_equal(a, b) for a, b in zip(copies, (positions, numbers, cell), strict=True))


cube = 5.0 * np.eye(3)
ALL = (1, 1, 1)


@pytest.mark.parametrize(
    "status, change, text",
    [
        (EARG, {"pbc": (0, 2, 0)}, r"pbc\[1\] must be 0 or 1, got 2"),
        (EARG, {"threads": -1}, "threads must be between 0 and 1024, got -1"),
        (EARG, {"threads": 10**6}, "threads"),
        (ESHAPE, {"n": -1}, "n must be between 0 and 2147483647, got -1"),
        (ESHAPE, {"n": 2**31}, "got 2147483648"),
        (ENONFINITE, {"positions": np.where(MOLECULE == 1.0, np.nan, MOLECULE)}, "y of atom 2 is nan"),
        (ENONFINITE, {"positions": np.where(MOLECULE == 1.1, np.inf, MOLECULE)}, "x of atom 1 is inf"),
        (ECELL, {"pbc": ALL}, "cell is NULL"),
        (ECELL, {"cell": cube * [1, 1, 0], "pbc": ALL}, "vector c is zero"),
        (ECELL, {"cell": np.ones((3, 3)), "pbc": ALL}, "in one plane"),
        (ECELL, {"cell": cube * np.nan, "pbc": ALL}, "x of vector a is nan"),
        (ECELL, {"cell": cube * 1e30, "pbc": ALL}, "too large"),
        (ECELL, {"cell": cube * 1e-9, "pbc": ALL}, "neighbours"),
        (EOVERLAP, {"positions": MOLECULE * [[1], [1], [1], [0]]}, "atoms 0 and 3 are 0 "),
        (ESPECIES, {"numbers": [6, 8, 7, 1]}, r"N \(atom 2\) .* \(H C O\)"),
        (ESPECIES, {"numbers": [6, 8, -1, 1]}, "atom 2"),
        (ESPECIES, {"numbers": [6, 8, 2**31 - 1, 1]}, "atom 2"),
    ],
)
def test_bad_structures(model, status, change, text):
    """The status, the message, no output touched, and the model as good as before."""
    before = evaluate(model, MOLECULE, NUMBERS)
    got = evaluate(model, **({"positions": MOLECULE, "numbers": NUMBERS} | change))
    assert got[0] == status, message()
    assert re.search(text, message())
    assert all(np.isnan(a).all() for a in got[1:])
    after = evaluate(model, MOLECULE, NUMBERS)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_null_arguments(model, model_path):
    handle, number, n = ctypes.c_void_p(), ctypes.c_double(), ctypes.c_int()
    data = np.zeros(3).ctypes.data
    for name, status in {
        "path": lib.nbcore_load(None, ctypes.byref(handle)),
        "model": lib.nbcore_load(os.fsencode(model_path), None),
        "model ": lib.nbcore_cutoff(None, ctypes.byref(number)),
        "cutoff": lib.nbcore_cutoff(model, None),
        "model  ": lib.nbcore_species(None, 0, None, ctypes.byref(n)),
        "n": lib.nbcore_species(model, 0, None, None),
        "numbers": lib.nbcore_species(model, 1, None, ctypes.byref(n)),
        "capacity": lib.nbcore_species(model, -1, None, ctypes.byref(n)),
        "model   ": lib.nbcore_evaluate(None, 0, *[None] * 4, 0, *[None] * 4),
        "positions": lib.nbcore_evaluate(model, 1, None, data, None, None, 0, *[None] * 4),
        "numbers ": lib.nbcore_evaluate(model, 1, data, None, None, None, 0, *[None] * 4),
    }.items():
        assert status == EARG, name
    assert message() == "numbers is NULL"
    assert handle.value is None
    assert lib.nbcore_free(None) == OK


def test_handles_are_never_used_twice(model_path):
    first = load(model_path)
    assert lib.nbcore_free(first) == OK
    second = load(model_path)
    assert second.value != first.value
    for stale in (first, ctypes.c_void_p(0xDEADBEEF), ctypes.c_void_p(2**64 - 1)):
        assert lib.nbcore_free(stale) == EARG
        assert evaluate(stale, MOLECULE, NUMBERS)[0] == EARG
        assert lib.nbcore_cutoff(stale, ctypes.byref(ctypes.c_double())) == EARG
        assert "was it freed?" in message()
    assert evaluate(second, MOLECULE, NUMBERS)[0] == OK
    assert lib.nbcore_free(second) == OK


def test_bad_files(tmp_path, model_path):
    def status(path):
        handle = ctypes.c_void_p(7)
        result = lib.nbcore_load(os.fsencode(path), ctypes.byref(handle))
        assert handle.value == 7, "the handle was written although loading failed"
        return result

    assert status(tmp_path / "absent.nbcore") == EIO and lib.nbcore_errno() == 2
    assert message() == f"{tmp_path / 'absent.nbcore'}: No such file or directory"
    assert status(tmp_path) == EIO and lib.nbcore_errno() == 21
    broken = tmp_path / "broken.nbcore"
    blob = model_path.read_bytes()
    for content, text in (
        (blob[:-1], "truncated"),
        (b"PK" + blob, "not an nbcore model"),
        (blob[:-1] + b"x", "SHA-256"),
    ):
        broken.write_bytes(content)
        assert status(broken) == EMODEL and text in message()


def test_energies_out_of_hand(tmp_path, model_path):
    """A model with absurd parameters gives a status, not infinities."""
    description, tensors = _core.read_model_file(model_path)
    wild = {name: 1e200 * array if name.startswith("parameters.") else array for name, array in tensors.items()}
    _core.write_model_file(tmp_path / "wild.nbcore", description, wild)
    model = load(tmp_path / "wild.nbcore")
    got = evaluate(model, MOLECULE, NUMBERS)
    assert got[0] == ENUMERICS and "not finite" in message()
    assert all(np.isnan(a).all() for a in got[1:])
    assert lib.nbcore_free(model) == OK


@pytest.mark.own_memory
def test_out_of_memory(model_path):
    """Two thousand million atoms in 8 GiB of address space."""
    program = """
        import ctypes, os, resource, sys
        from nbcore import paths
        lib = ctypes.CDLL(paths.get_library())
        lib.nbcore_message.restype = ctypes.c_char_p
        model, data = ctypes.c_void_p(), (ctypes.c_double * 3)()
        assert lib.nbcore_load(os.fsencode(sys.argv[1]), ctypes.byref(model)) == 0
        resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30,) * 2)
        null = ctypes.c_void_p()
        n = ctypes.c_int64(2**31 - 1)
        status = lib.nbcore_evaluate(model, n, data, data, null, null, 0, null, null, null, null)
        assert status == int(sys.argv[2]), status
        assert lib.nbcore_message() == b"out of memory"
        assert lib.nbcore_free(model) == 0
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(model_path), str(EMEMORY)], check=True)


def test_every_status_is_tested():
    """The list above is that of the header; only a bug in nbcore gives NBCORE_EINTERNAL."""
    with open(os.path.join(paths.get_include(), "nbcore", "nbcore.h")) as f:
        header = dict(re.findall(r"NBCORE_(E[A-Z]+|OK) = (\d+)", f.read()))
    assert header.pop("EINTERNAL") == "11"
    assert {name: int(value) for name, value in header.items()} == {name: globals()[name] for name in header}
    assert len(header) == 12


def test_messages_belong_to_threads(model):
    """Each thread sees its own last message, whatever the others do meanwhile."""
    barrier = threading.Barrier(4, timeout=20)  # a failing thread must not leave the others waiting

    def work(k):
        for _ in range(50):
            barrier.wait()
            assert evaluate(model, MOLECULE, NUMBERS, pbc=(k + 2, 0, 0))[0] == EARG
            barrier.wait()
            assert message() == f"pbc[0] must be 0 or 1, got {k + 2}"
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_one_model_on_many_threads(model):
    """Different structures at once on one model, and any number of threads inside: always the same bits."""
    structures = [(MOLECULE, NUMBERS), (*crystal(2), ALL), (*crystal(5), ALL), (*crystal(5, seed=1), (1, 0, 0))]
    expected = [evaluate(model, *s, threads=1) for s in structures]
    assert all(r[0] == OK for r in expected)

    def work(k):
        got = evaluate(model, *structures[k % 4], threads=1 + k % 3)
        return all(np.array_equal(a, b) for a, b in zip(got, expected[k % 4], strict=True))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(24)))


@pytest.mark.own_memory
def test_load_and_free_do_not_leak(model_path, tmp_path):
    """1000 cycles of a small model, 30 of one with all tables: the process does not grow by more than 1 MiB."""

    def resident():
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def cycles(path, n):
        for _ in range(n):
            model = load(path)
            assert evaluate(model, MOLECULE, NUMBERS)[0] == OK
            assert lib.nbcore_free(model) == OK

    small = tmp_path / "small.nbcore"
    nbcore.presets.nbody(species=["H", "C", "O"], cutoff=4.0, channels=2, levels=1, correlation=1).save(small)
    for path, n in ((small, 1000), (model_path, 30)):
        cycles(path, 10)  # until the allocator has what it needs
        before = resident()
        cycles(path, n)
        assert resident() - before < 2**20
