"""Python, C, C++, Fortran and Cython give the same energy, forces and virial."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from random_structures import TRICLINIC, network, positions

import nbcore
from nbcore import paths

HERE = Path(__file__).with_name("languages")
STRICT = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-O0"]
FRAMES = 12


def frames():
    """Triclinic, periodic along some directions, and clusters; up to 40 atoms."""
    rng = np.random.default_rng(2)
    for k in range(FRAMES):
        cell = (1.7 + 0.05 * k) * TRICLINIC
        x = positions(rng, 28 + k, cell=cell)
        yield x, rng.choice([1, 6, 8], len(x)), cell, [(1, 1, 1), (1, 0, 1), (0, 0, 0)][k % 3]


@pytest.fixture(scope="module", params=["nbody", "nbody-3"])
def model(request, tmp_path_factory):
    """(the potential, its file, what Python computes of the frames)"""
    potential = network(request.param)
    path = tmp_path_factory.mktemp("model") / "model.nbcore"
    potential.save(path)
    expected = []
    for x, z, cell, pbc in frames():
        r = potential.compute(x, z, cell, np.array(pbc, bool))
        expected.append(np.concatenate([[r.energy], r.forces.ravel(), r.virial.ravel()]))
    return path, expected


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return tmp_path_factory.mktemp("built")


def compiler(variable, default):
    command = os.environ.get(variable, default).split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} on this machine")
    return command


def bits(x):
    return f"{np.float64(x).view(np.uint64):016X}"


def said_by(program, path, threads, shown):
    """What a program prints of all frames, as numbers; shown: how it wants them."""
    lines = [str(threads)]
    for x, z, cell, pbc in frames():
        lines += [f"{len(x)} {pbc[0]} {pbc[1]} {pbc[2]}", *(shown(c) for c in cell.ravel())]
        for number, r in zip(z, x, strict=True):
            lines += [str(number), *(shown(c) for c in r)]
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"} | {"LD_PRELOAD": paths.get_library()}
    done = subprocess.run([program, path], input="\n".join(lines) + "\n", capture_output=True, text=True,
                          env=environment)  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    return done.stdout.split()


def assert_same(numbers, expected):
    numbers = np.split(np.array(numbers), np.cumsum([len(e) for e in expected])[:-1])
    for got, wanted in zip(numbers, expected, strict=True):
        assert np.abs(got - wanted).max() <= 1e-12 * np.abs(wanted).max()


def build(command, source, target):
    subprocess.run([*command, *STRICT, *paths.cflags(), HERE / source, *paths.libs(), "-o", target], check=True)
    return target


@pytest.mark.parametrize("language", ["c", "c++"])
def test_c_and_cpp(model, built, language):
    path, expected = model
    command = [*compiler("CC", "cc"), "-std=c99"] if language == "c" else [*compiler("CXX", "c++"), "-std=c++17"]
    program = built / language
    if not program.exists():
        build(command, "driver.c" if language == "c" else "driver.cpp", program)
    for threads in (1, 3):
        assert_same([float.fromhex(x) for x in said_by(program, path, threads, float.hex)], expected)


def test_fortran(model, built, monkeypatch):
    path, expected = model
    command = [*compiler("FC", "gfortran"), "-std=f2003", f"-J{built}"]
    program = built / "fortran"
    if not program.exists():
        build(command, "driver.f90", program)
    for threads in (1, 3):
        words = said_by(program, path, threads, bits)
        assert_same(np.array([int(word, 16) for word in words], np.uint64).view(float), expected)


def test_cython(model, built):
    path, expected = model
    target = built / ("driver" + sysconfig.get_config_var("EXT_SUFFIX"))
    if not target.exists():
        shutil.copy(HERE / "driver.pyx", built)
        package = Path(nbcore.__file__).parent.parent
        subprocess.run([sys.executable, "-m", "cython", "-3", "-I", package, "driver.pyx"], cwd=built, check=True)
        include = sysconfig.get_paths()["include"]
        subprocess.run([*compiler("CC", "cc"), "-shared", "-fPIC", "-O0", *paths.cflags(), f"-I{include}",
                        built / "driver.c", *paths.libs(), "-o", target], check=True)  # fmt: skip
    sys.path.insert(0, str(built))
    try:
        import driver
    finally:
        sys.path.remove(str(built))
    for (x, z, cell, pbc), wanted in zip(frames(), expected, strict=True):
        forces, virial = np.zeros_like(x), np.zeros((3, 3))
        energy = driver.compute(
            os.fsencode(path), x, z.astype(np.intc), cell, np.array(pbc, np.intc), 2, forces, virial
        )
        assert_same(np.concatenate([[energy], forces.ravel(), virial.ravel()]), [wanted])
