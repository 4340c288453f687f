"""The layers point one way, files stay small, and nothing that runs code hides in a data format."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "cpp" / "src"
LAYERS = ["base", "so3", "ops", "gates", "network", "potential", "train"]
INTERFACES = ["capi", "python"]


def includes(path):
    return re.findall(r'^#include "([a-z0-9_]+)/', path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_includes_nothing_above_it(layer):
    below = LAYERS[: LAYERS.index(layer) + 1]
    files = [p for p in (SOURCES / layer).iterdir() if p.suffix in {".cpp", ".hpp"}]
    assert files
    for path in files:
        above = [name for name in includes(path) if name not in below]
        assert not above, f"{path.relative_to(ROOT)} includes {above}"


def test_interfaces_do_not_know_each_other():
    for layer in INTERFACES:
        for path in (SOURCES / layer).iterdir():
            other = [name for name in includes(path) if name in INTERFACES and name != layer]
            assert not other, f"{path.relative_to(ROOT)} includes {other}"


def test_only_the_python_layer_knows_python():
    for layer in [*LAYERS, "capi"]:
        for path in (SOURCES / layer).iterdir():
            assert not re.search(r"#include <(pybind11|Python)", path.read_text()), path


def test_gates_take_registers_by_their_functions():
    """A register may be one number of a thread: a pointer to it would be that of another lane (base/warp.hpp)."""
    for path in (SOURCES / "gates").glob("*.cpp"):
        cast = re.search(r"reinterpret_cast<[^>]*\b(V|Simd|Lane)\b", path.read_text())
        assert not cast, f"{path}: load_register, registers or take_registers in the place of {cast[0]}"


def test_files_stay_readable():
    suffixes = {".c", ".cpp", ".hpp", ".h", ".py", ".pyx"}
    folders = [ROOT / "cpp", ROOT / "nbcore", ROOT / "tests", ROOT / "examples", ROOT / "benchmarks", ROOT / "tools"]
    long = {
        str(p.relative_to(ROOT)): n
        for folder in folders
        for p in folder.rglob("*")
        if p.suffix in suffixes and (n := len(p.read_text().splitlines())) > 450
    }
    assert not long


def test_no_format_that_can_run_code():
    """Model files and checkpoints are data; what could execute code on loading is not used."""
    forbidden = re.compile(r"\bimport pickle\b|\bpickle\.loads?\(|allow_pickle\s*=\s*True|torch\.load|[^_.\w]eval\(")
    for path in (ROOT / "nbcore").rglob("*.py"):
        assert not forbidden.search(path.read_text()), path
