"""Registers whose lanes are threads (base/warp.hpp), emulated in random order, without a GPU.

Right kernels are right in every order, planted faults are found; and the kernel set `warp`, which is the text of all
gates in this form, gives the numbers of the set that is installed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nbcore

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The small kernels of warp/main.cpp with the emulation, compiled."""
    sources = TESTS.parent / "cpp" / "src"
    target = tmp_path_factory.mktemp("warp") / "warp"
    compiler = os.environ.get("CXX", "c++").split()
    flags = ["-std=c++20", "-O1", "-DNBCORE_WARP", '-DNBCORE_KERNEL_SET="warp"', f"-I{sources}"]
    files = [Path(__file__).with_name("warp") / "main.cpp", sources / "base" / "warp.cpp"]
    subprocess.run([*compiler, *flags, *files, "-o", target], check=True)
    return target


def run(program, seed):
    """name -> the rest of its line"""
    environment = {**os.environ, "NBCORE_WARP_SEED": str(seed)}
    out = subprocess.run([program], env=environment, capture_output=True, text=True, check=True).stdout
    return dict(line.split(" ", 1) for line in out.splitlines())


def test_right_kernels_are_right_in_every_order(program):
    numbers = np.arange(32)
    for seed in range(20):
        said = run(program, seed)
        assert float(said["right_read"]) == float(said["after"]) == ((32 - numbers) * numbers).sum()
        assert float(said["right_reuse"]) == 32 * (1 + 2 + 3)
        assert (float(said["right_add"]), float(said["right_write"]), float(said["work"])) == (1, 3, 77)
        assert float(said["sums"]) == 496 + 1e4 * (1 + 496) + 1e8 * (1 + 992)
        assert said["exception"] == "of lane 5"


def test_planted_faults_are_found(program):
    """A sync that is missing, two lanes that write to one place, lanes that part: wrong numbers, or an error."""
    said = [run(program, seed) for seed in range(20)]
    for name in ("read", "reuse", "add"):
        assert all(s[f"faulty_{name}"] != s[f"right_{name}"] for s in said), name
    assert {float(s["faulty_write"]) for s in said} == {3, 7}
    assert all("different ways" in s["divergence"] and "different ways" in s["mixture"] for s in said)


def numbers(package, path, **environment):
    """What tests/kernel_set_numbers.py writes with the nbcore in that folder."""
    places = [str(package), str(TESTS), str(TESTS / "contracts")]
    environment = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join(places), "NBCORE_NUM_THREADS": "1"}
    subprocess.run([sys.executable, TESTS / "kernel_set_numbers.py", path], env=environment, check=True)
    with np.load(path) as file:
        return {tuple(key.split("|")): file[key] for key in file.files}


@pytest.mark.slow
def test_the_set_warp_gives_the_same_numbers(tmp_path):
    """Every gate and preset, every sweep, both precisions, whatever the order of the lanes."""
    if not shutil.which("cmake") or not shutil.which("ninja"):
        pytest.skip("the set `warp` is built for this test: cmake and ninja are missing")
    tools = TESTS.parent / "tools"
    subprocess.run([sys.executable, tools / "dev.py", "warp"], check=True, cwd=TESTS.parent)
    of_processor = numbers(Path(nbcore.__file__).resolve().parents[1], tmp_path / "processor.npz")
    of_warp = numbers(TESTS.parent / "build" / "warp" / "site", tmp_path / "warp.npz")
    assert of_processor.pop(("kernel set",)) != of_warp.pop(("kernel set",)) == "warp"
    assert of_warp.keys() == of_processor.keys()
    wrong = {}
    for key, expected in of_processor.items():
        got = of_warp[key]
        assert got.shape == expected.shape, key
        scale = max(1.0, np.abs(expected).max(initial=0))
        difference = np.abs(got - expected).max(initial=0) / scale
        if not difference < (1e-13 if key[2] == "float64" else 1e-5):  # NaN is none
            wrong[key] = difference
    assert not wrong
