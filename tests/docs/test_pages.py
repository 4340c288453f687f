"""Pages: links lead somewhere, every page is reached from the index, the reference is what the docstrings say."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted((ROOT / "examples").rglob("README.md"))


def links(page):
    """(file, heading) of the links of a page to files of the repository, blocks of code left out."""
    text = re.sub(
        r"```.*?```|^    .*?$|`[^`\n]*`", "code", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            path, _, heading = target.partition("#")
            yield ((page.parent / path).resolve() if path else page), heading


def headings(page):
    """Names under which the headings of a page can be linked."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in found}


def reference():
    spec = importlib.util.spec_from_file_location("api_reference", ROOT / "tools" / "api_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for path, heading in links(page):
        assert path.exists(), f"{page.relative_to(ROOT)}: {path}"
        assert not heading or heading in headings(path), f"{page.relative_to(ROOT)}: {path.name}#{heading}"


def test_every_page_is_reached_from_the_index():
    reached, ahead = set(), [ROOT / "docs" / "index.md"]
    while ahead:
        page = ahead.pop()
        if page.is_dir():  # a link to a folder leads to its pages
            ahead += page.glob("*.md")
        elif page not in reached and page.suffix == ".md":
            reached.add(page)
            ahead += [path for path, _ in links(page)]
    assert not [str(p.relative_to(ROOT)) for p in PAGES if p not in reached]


def test_the_reference_is_up_to_date():
    assert reference().out_of_date() == [], "run tools/api_reference.py"


def test_every_public_name_is_in_the_reference():
    tool = reference()
    for name in tool.MODULES:
        text = tool.page(name)
        module = importlib.import_module(name)
        assert tool.public(module)
        for key, x in tool.public(module).items():
            assert f"## {key}\n" in text, f"{name}.{key}"
            assert getattr(x, "__doc__", None), f"{name}.{key} has no docstring"
