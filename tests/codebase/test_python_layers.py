"""The Python packages import one way, as the C++ layers include: nothing imports what stands above it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "nbcore"
#: from the ground up; modules of one line may import each other
LAYERS = {
    "base": "_core _kernel_set _kernels _extras _source_tree _threads errors printable files sealed identity species "
            "arguments options paths version cell description ranks",
    "mathematics": "so3 gates",
    "structures": "outputs scheme scheme_arrays leaves",
    "potential": "potential hessian model_file evaluator network golden radial_networks result prepared saving "
                 "committee parameter_groups new_elements elasticity repulsion certificate "
                 "hierarchy",
    "presets": "presets",
    "importing": "importing",
    "data": "data",
    "results": "results",
    "train": "train",
    "configuration": "config config_data config_fine_tune config_messages config_tables config_values",
    "interfaces": "ase md bench scan cli __main__",
}  # fmt: skip
LEVEL = {module: k for k, modules in enumerate(LAYERS.values()) for module in modules.split()}
MODULES = sorted({p.relative_to(ROOT).parts[0].removesuffix(".py") for p in ROOT.rglob("*.py")} - {"__init__"})


def imported(path):
    """The modules and packages of nbcore that a file imports, at its head or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports stand under their whole names"
        if isinstance(node, ast.ImportFrom) and node.module == "nbcore":
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("nbcore."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("nbcore."))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_nothing_above_it(module):
    assert module in LEVEL, f"nbcore/{module} has no place in LAYERS yet"
    path = ROOT / module
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
        above = {name for name in imported(file) if LEVEL.get(name, 0) > LEVEL[module]}
        assert not above, f"{file.relative_to(ROOT.parent)} imports {', '.join(sorted(above))}"


def test_the_reader_of_imports_sees_all_of_them(tmp_path):
    source = (
        "import nbcore.train.fit\ndef f():\n    from nbcore import data, Potential\n    from nbcore.cli import main\n"
    )
    (tmp_path / "a.py").write_text(source)
    assert set(imported(tmp_path / "a.py")) == {"train", "data", "cli"}
