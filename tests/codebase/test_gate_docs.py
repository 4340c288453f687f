"""A gate is one C++ file, one test file and one page of documentation, whose table of options is that of the core."""

import re
from pathlib import Path

import pytest

from nbcore import gates

ROOT = Path(__file__).parents[2]


def documented(page, heading):
    """option -> (its default, what the row says) from the table with this heading."""
    rows = page.split(f"| {heading} | default | |\n|---|---|---|\n")[1].split("\n\n")[0]
    found = {}
    for row in rows.splitlines():
        names, defaults, text = (cell.strip() for cell in row.strip("|").split(" | ", 2))
        names, defaults = re.findall(r"`(\w+)`", names), defaults.split(", ")
        assert len(names) == len(defaults), row
        found |= {name: (default.strip("`"), text) for name, default in zip(names, defaults, strict=True)}
    return found


def shown(default):
    return str(default).lower() if isinstance(default, bool) else str(default)


def compare(page, heading, table):
    rows = documented(page, heading) if table else {}
    assert set(rows) == set(table)
    for option, (default, text) in rows.items():
        entry = table[option]
        assert default == shown(entry["default"]), option
        assert all(re.search(rf"\b{word}\b", text) for word in entry.get("choices", []))


@pytest.mark.parametrize("name", sorted(gates.available()))
def test_gate_has_its_files(name):
    assert (ROOT / "cpp" / "src" / "gates" / f"{name}.cpp").is_file()
    test = f"tests/gates/test_gate_{name}.py"
    assert (ROOT / test).is_file()
    page = (ROOT / "docs" / "gates" / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {name}\n") and test in page
    compare(page, "option", gates.available()[name]["options"])


def test_radial_options():
    page = (ROOT / "docs" / "gates" / "density.md").read_text(encoding="utf-8")
    compare(page, "option of `radial`", gates.radial_options())


def test_no_page_without_a_gate():
    pages = {p.stem for p in (ROOT / "docs" / "gates").glob("*.md")} - {"index"}
    assert pages == set(gates.available())
