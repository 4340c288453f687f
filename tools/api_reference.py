"""Writes docs/api/ from the docstrings:  python tools/api_reference.py          (--check: says what is out of date)

One page per public module: its docstring, then every name of its `__all__` (or, without one, what it defines) with its
signature and docstring; of classes also the public methods and properties.
"""

import importlib
import inspect
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "api"
sys.path.insert(0, str(ROOT))  # these sources, whatever is installed
MODULES = ["nbcore"] + [
    f"nbcore.{name}"
    for name in "ase certificate data elasticity errors evaluator gates parameter_groups paths presets results so3 "
                "train".split()
]  # fmt: skip


def public(module) -> dict:
    """name -> object of what a module offers, in the order of its `__all__`, without other modules."""
    own = [name for name, x in vars(module).items() if getattr(x, "__module__", None) == module.__name__]
    names = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
    return {name: x for name in names if not inspect.ismodule(x := getattr(module, name))}


def members(cls) -> dict:
    """name -> function of the public methods and properties that a class defines itself and describes."""
    found = {}
    for name, x in vars(cls).items():
        x = getattr(x, "__func__", None) or getattr(x, "fget", None) or getattr(x, "func", None) or x
        if not name.startswith("_") and callable(x) and inspect.getdoc(x):
            found[name] = x
    return found


def signature(name, x, of=None) -> str:
    """`name(arguments) -> result`; the name alone for what is no call. Addresses of defaults are left out."""
    if isinstance(vars(of).get(name) if of else None, property):
        return name
    try:
        text = str(inspect.signature(x))
    except (TypeError, ValueError):
        return name
    return name + re.sub(r" at 0x[0-9a-f]+", "", text.replace("(self, ", "(").replace("(self)", "()"))


def markdown(docstring: str) -> str:
    """A docstring as Markdown: indented lines and examples become blocks."""
    out, block = [], []
    for line in [*docstring.splitlines(), ""]:
        is_code = line.startswith(("    ", ">>> ", "... ")) or (block and block[0].startswith(">>>") and line)
        if is_code:
            block.append(line)
            continue
        if block:
            out += ["```python" if block[0].startswith(">>>") else "```", *block, "```"]
            block = []
        out.append(re.sub(r"(?<![`\w])([*_]\w)", r"\\\1", line))
    return "\n".join(out).strip()


def entry(level: str, head: str, x) -> list[str]:
    """The heading, the signature and the docstring of one thing."""
    return [
        f"{level} {head.partition('(')[0]}",
        "",
        "```python",
        head,
        "```",
        "",
        markdown(inspect.getdoc(x) or ""),
        "",
    ]


def page(name: str) -> str:
    """The page of one module."""
    module = importlib.import_module(name)
    lines = [f"# {name}", "", markdown(inspect.getdoc(module) or ""), ""]
    for key, x in public(module).items():
        if inspect.isclass(x):
            lines += entry("##", signature(key, x), x)
            for member, function in members(x).items():
                lines += entry("###", signature(member, function, x), function)
        elif callable(x):
            lines += entry("##", signature(key, x), x)
        else:
            lines += [f"## {key}", "", f"A value of type `{type(x).__name__}`.", ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def pages() -> dict[Path, str]:
    """path -> text of all pages."""
    texts = {FOLDER / f"{name}.md": page(name) for name in MODULES}
    index = ["# Reference", "", "Written from the docstrings by `python tools/api_reference.py`.", ""]
    for name in MODULES:
        first = (inspect.getdoc(importlib.import_module(name)) or "").partition("\n\n")[0].replace("\n", " ")
        index.append(f"- [`{name}`]({name}.md): {first}")
    return texts | {FOLDER / "index.md": "\n".join(index) + "\n"}


def out_of_date() -> list[str]:
    """Names of pages that are not what the docstrings say, or that no module has any more."""
    texts = pages()
    changed = [path.name for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text]
    return changed + sorted(path.name for path in FOLDER.glob("*.md") if path not in texts)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(f"out of date: {', '.join(names)}; run tools/api_reference.py" if (names := out_of_date()) else 0)
    FOLDER.mkdir(exist_ok=True)
    written = pages()
    for old in set(FOLDER.glob("*.md")) - set(written):
        old.unlink()
    for path, text in written.items():
        path.write_text(text, "utf-8")
