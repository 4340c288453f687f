"""Lanes as threads (base/warp.hpp), emulated in random order: right kernels are right, planted faults are found."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

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
