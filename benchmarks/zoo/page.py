"""Writes docs/zoo.md and its figures from the log of the zoo:  python benchmarks/zoo/page.py"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "accuracy"))

from figures import INK, LINES, _labels, _legend, _log_axes, _panels  # noqa: E402
from log import Log  # noqa: E402
from rows import ROWS  # noqa: E402
from table import newest, table  # noqa: E402

DOCS = HERE.parents[1] / "docs"
INTRO = """# The presets beside each other

Every preset on the same data with the same budget, on one core:

    python benchmarks/zoo --row acac --data DATA --minutes 1
    python benchmarks/zoo --row small_molecules --minutes 1 --test

float32, Muon and the schedule of `nbcore train`, for so many epochs as fit into the minutes of CPU time, with recipes
(`benchmarks/zoo/recipes.py`: cutoffs; everything else is what `nbcore init --preset` writes). Errors are RMSE on
validation data cut from the training file, forces in meV/Å and energies in meV/atom; "F larger" is that on molecules
larger than all that were trained on. µs/atom is an evaluation of energy and forces on the structures of the row, one at
a time, neighbour lists included. Sizes are `medium` where nothing is said; minutes are those of the whole command.
`ace` is better fitted by [least squares](presets/ace.md), half a minute for `small`. Presets that are missing were not
trained yet. This page is made by `python benchmarks/zoo/page.py`."""


def text(log, rows) -> str:
    """The page."""
    parts = [INTRO]
    for row in rows:
        parts += [f"## {ROWS[row].what[0].upper()}{ROWS[row].what[1:]}", table(log, row)]
        parts += [f"![Errors beside costs](figures/zoo_{row}.png)"]
    return "\n\n".join(parts) + "\n"


def figure(log, row):
    """Error against the cost of an evaluation, and against the CPU time of the training."""
    found = list(newest(log, row).items())
    drawing, (cost, time) = _panels(2, width=5.2, height=4.2)
    for k, ((preset, size), entry) in enumerate(found):
        name = preset if size == "medium" else f"{preset}, {size}"
        style = dict(color=INK[k % len(INK)], ls=LINES[k // len(INK) % len(LINES)])
        x, y = entry["us_per_atom"], 1e3 * entry["valid"]["forces_rmse"]
        cost.plot(x, y, "o", color=style["color"], ms=6)
        cost.annotate(name, (x, y), xytext=(5, 4), textcoords="offset points", fontsize=7)
        points = [(r["cpu"], 1e3 * r["forces_valid"]) for r in Log(log).history(entry["run"]) if r["cpu"]]
        time.plot(*zip(*points, strict=True), lw=1.3, label=name, **style)
    cost.margins(0.2)
    for ax, x in ((cost, "energy and forces, µs/atom on one core"), (time, "CPU seconds of training, one core")):
        _log_axes(ax)
        _labels(ax, ROWS[row].short, x, "validation force RMSE, meV/Å")
    _legend(time, loc="lower left", ncols=2)
    return drawing


def main() -> int:
    """Writes the page and a figure for each row in the log."""
    entries = (*Log(HERE).entries(tested=False), *Log(HERE).entries())
    rows = list(dict.fromkeys(entry["row"] for entry in entries))
    (DOCS / "zoo.md").write_text(text(HERE, rows))
    for row in rows:
        figure(HERE, row).savefig(DOCS / "figures" / f"zoo_{row}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
