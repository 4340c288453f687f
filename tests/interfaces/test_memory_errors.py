"""Python without memory: each allocation of C++ refused, one after the other, ends in MemoryError and nothing else.

Objects are made before: where pybind11 has no memory to register a new one it frees it twice. What loading allocates is
refused in test_out_of_memory.py, through the C ABI.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import ctypes, sys
import numpy as np
import nbcore
from nbcore import presets

library = ctypes.CDLL(sys.argv[1])
rng = np.random.default_rng(0)
grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)
x = 2.3 * grid + 0.2 * rng.standard_normal((27, 3))
z = rng.choice([1, 8], 27)
potential = presets.nbody(["H", "O"], 4.0, channels=4, l_harmonics=2, radial_layers=[4], seed=3)

def save():
    potential.save("again.nbcore", overwrite=True)
    return open("again.nbcore", "rb").read()

def compute():
    return potential.compute(x, z, cell=7.0 * np.eye(3), pbc=True, threads=1).forces.tobytes()

def threaded():
    return potential.compute(x, z, threads=2).forces.tobytes()

def hessian_product():
    return potential.hvp(x, z, np.ones((27, 3)), threads=1).product.tobytes()

call = globals()[sys.argv[2]]
expected = call()
call()
refused, n = 0, 0
while True:
    library.refuse_after(n)
    try:
        got = call()
    except MemoryError:
        got = None
    ended = library.refuse_end() >= 0
    if ended:
        assert got == expected
        break
    assert got is None or got == expected, n
    refused += got is None
    if n % 50 == 0:
        assert call() == expected, n
    n += 1
assert call() == expected and refused > 0
before = library.not_given_back()
for k in list(range(0, n, max(1, n // 30))) * 2:
    library.refuse_after(k)
    try:
        call()
    except MemoryError:
        pass
    library.refuse_end()
call()
assert library.not_given_back() - before < 30, library.not_given_back() - before
print(n, refused)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    if os.environ.get("NBCORE_SANITIZED"):
        pytest.skip("sanitizers have an operator new of their own")
    to = tmp_path_factory.mktemp("refuse") / "librefuse.so"
    source = Path(__file__).with_name("refuse_new.cpp")
    compiler = os.environ.get("CXX", "c++").split()
    subprocess.run([*compiler, "-std=c++20", "-O1", "-shared", "-fPIC", source, "-o", to], check=True)
    return to


@pytest.mark.parametrize("call", ["save", "compute", "threaded", "hessian_product"])
def test_memory_errors(library, tmp_path, call):
    """Never a damaged file, a wrong number or the end of the program; afterwards the same bits, and nothing is kept."""
    environment = os.environ | {"LD_PRELOAD": " ".join([os.environ.get("LD_PRELOAD", ""), str(library)])}
    run = subprocess.run([sys.executable, "-c", PROGRAM, library, call], cwd=tmp_path, env=environment,
                         capture_output=True, text=True)  # fmt: skip
    assert run.returncode == 0, (run.returncode, run.stderr[-2000:])
