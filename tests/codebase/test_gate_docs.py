"""A gate is one C++ file, one test file and one page of documentation, which names every option."""

from pathlib import Path

import pytest

from nbcore import gates

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(gates.available()))
def test_gate_has_its_files(name):
    assert (ROOT / "cpp" / "src" / "gates" / f"{name}.cpp").is_file()
    test = f"tests/gates/test_gate_{name}.py"
    assert (ROOT / test).is_file()
    page = (ROOT / "docs" / "gates" / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {name}\n") and test in page
    for option in gates.available()[name]["options"]:
        assert f"`{option}`" in page, option


def test_no_page_without_a_gate():
    pages = {p.stem for p in (ROOT / "docs" / "gates").glob("*.md")} - {"index"}
    assert pages == set(gates.available())
