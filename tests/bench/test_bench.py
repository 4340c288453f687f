"""`nbcore bench`: everything runs once, quickly; counts of operations; comparison with recorded figures."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import nbcore
from nbcore import so3
from nbcore.bench import Machine, Row, compare, kernels, markdown, record
from nbcore.errors import InputError


@pytest.fixture
def unpinned():
    """Pinning is of the whole process: undone after the test."""
    cores = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cores)


def test_command(tmp_path):
    """All parts, once: tables, JSON, picture; the record agrees with itself and exit codes say so."""
    command = [sys.executable, "-m", "nbcore", "bench", "--quick"]
    out = subprocess.run(
        [*command, "--output", tmp_path / "out"], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    kernel_set = nbcore.build_info()["kernel_set"]
    assert out.count(f"kernels {kernel_set}") == out.count("## ") >= 1
    kept = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert kept["about"]["pinned_core"] in os.sched_getaffinity(0)
    assert (tmp_path / "out" / "bench.md").read_text().strip() == out.strip()
    assert (tmp_path / "out" / "bench.png").read_bytes().startswith(b"\x89PNG")

    kept["ratios"] = {name: 1e9 for name in kept["ratios"]}
    (tmp_path / "better.json").write_text(json.dumps(kept))
    checked = [*command, "--only", "kernels", "--json", "--check"]
    run = subprocess.run([*checked, "better.json"], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 1 and "mix 64 forward" in run.stderr
    assert json.loads(run.stdout)["rows"][0]["table"] == "kernels"
    run = subprocess.run(checked, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 3 and "no recorded figures" in run.stderr


def test_wrong_name():
    run = subprocess.run(
        [sys.executable, "-m", "nbcore", "bench", "--only", "kernel"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2 and "kernels" in run.stderr


def test_peak_is_a_peak(unpinned):
    """Nothing but multiply-adds has all of the peak, to what a shared machine allows."""
    machine = Machine()
    machine.pin()
    assert len(os.sched_getaffinity(0)) == 1
    from nbcore import _core

    count = _core.multiply_adds(1)
    _, fraction = machine.time(lambda times: _core.multiply_adds(1000 * times), work=2000 * count)
    assert 0.5 < fraction < 2
    assert machine.bandwidth(1 << 16) > 0.1  # GB/s


def test_operations_of_the_sum():
    """Counted once more: the multiply-adds that the equation needs, path by path, over random harmonics."""
    spec, inputs, forward, _ = kernels.zeroth_order(1)
    rng, per_edge = np.random.default_rng(0), 0
    for l1 in (0, 1):
        for l2 in range(4):
            for l3 in range(4):
                if abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0:
                    C = so3.real_clebsch_gordan(l1, l2, l3)
                    M = np.einsum("abc,b->ac", C, rng.standard_normal(2 * l2 + 1))
                    per_edge += 2 * np.count_nonzero(C) + 2 * np.count_nonzero(M) + (2 * l1 + 1) + 2 * 8
    assert forward == 28 * per_edge
    assert spec["gate"] == "zeroth_order" and [l for l, _, _ in inputs] == [0, 1]


def test_operations_of_products():
    """Without products (correlation 1) only the weighted states are left; each correlation adds."""
    from nbcore import _core

    assert _core.symmetric_product_terms([0, 1, 2], 1, 1, True) == (0, 0, 0, 1 + 3)
    two, three = (sum(_core.symmetric_product_terms([0, 1, 2], 1, k, True)) for k in (2, 3))
    assert 4 < two < three


def test_compare(tmp_path):
    """Fractions of the peak may not fall, ratios of training may not rise, by more than the margin."""
    rows = [
        Row("kernels", "a", {}, 0.40),
        Row("models", "b", {}, 4.0, more_is_better=False),
        Row("kernels", "new", {}, 0.1),
        Row("kernels", "only to read", {"us": 1.0}),
    ]
    path = tmp_path / "recorded.json"

    def recorded(a, b):
        kept = {"about": {"kernel_set": "x"}, "ratios": {"kernels: a": a, "models: b": b, "kernels: gone": 1.0}}
        path.write_text(json.dumps(kept))
        return compare(rows, path, "x", margin=0.2)

    assert recorded(0.41, 3.9) == [] and recorded(0.2, 9.0) == []
    assert recorded(0.6, 3.9) == ["kernels: a: 0.4, recorded 0.6 (-33 %)"]
    assert recorded(0.4, 3.0) == ["models: b: 4, recorded 3 (-33 %)"]
    with pytest.raises(InputError, match="recorded with kernels x, these are y"):
        compare(rows, path, "y")
    path.write_text("{}")
    with pytest.raises(InputError, match=r"recorded\.json: not what"):
        compare(rows, path, "x")


def test_tables():
    """One table per name, empty cells where a row has no such figure, the circumstances above each."""
    machine = Machine(quick=True)
    about = record.circumstances(machine)
    text = markdown([Row("one", "a", {"x": 1.23456}), Row("one", "b", {"y": 7}), Row("two", "c", {"x": None})], about)
    assert "| a | 1.235 |   |" in text and "| b |       | 7 |" in text
    assert text.count("GFLOP/s float64") == 2
