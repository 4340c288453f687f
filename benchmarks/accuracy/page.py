"""Writes docs/accuracy.md and its figures from the log:  python benchmarks/accuracy/page.py [--check]

--check: writes nothing, and exits with 1 where the page is not what the log says (figures are not compared).
"""

import argparse
import math
import statistics
import sys
from pathlib import Path

from groups import CURVE, latest
from log import HERE, Log
from md_judge import bounds, inside
from published import SPEEDS
from rows import ROWS

DOCS = HERE.parents[1] / "docs"
TOGETHER = {  # rows that share a table: title, unit in words
    "rmd17_": "rMD17, 950 + 50 structures of split 01: MAE on the 1000 test structures, meV and meV/Å",
    "mlearn_": "mlearn: MAE on the test structures, meV/atom and eV/Å",
}
INTRO = """# Accuracy

Errors on published data sets, of models trained by one command each. `DATA` is a folder with the sets as extended XYZ:

    python benchmarks/accuracy acac --data DATA --size medium --seed 1

Settings are chosen on validation data cut from the training file; each model sees its test sets once. The
[log](../benchmarks/accuracy/results.jsonl) holds every such run with date, commit, settings and seed,
[test_evaluations.md](../benchmarks/test_evaluations.md) every evaluation of a test set. This page and its figures are
made from the log by `python benchmarks/accuracy/page.py`: of each size and settings the newest. Where several seeds
were trained it gives the mean and, behind ±, the standard deviation over seeds. Sizes are those of
`nbcore init --list-presets`. Seconds are CPU seconds of the whole command. µs/atom is an evaluation of energy and
forces with this very model on the structures of its row, one at a time, on one core, neighbour lists included. Values
of others are as they were published, with their own training and, where it is not said otherwise, the same split."""

CURVES_TEXT = """## Error against time

Validation error of the forces against the CPU seconds of the training."""
PARETO_TEXT = """## Error against cost

The dashed line is the smallest published error, of whatever cost. The costs of others were measured on another machine,
most with other weights of the same size; of those with an asterisk and an arrow a smaller network was timed:"""
LEARNING_TEXT = """## Error against the number of structures"""
RDF_TEXT = """Radial distribution functions of liquid water beside those of the training data, whose nuclei may be
quantum mechanical."""
DYNAMICS_TEXT = """## Molecular dynamics

`python benchmarks/accuracy/md_judge.py CASE MODEL --data FILE`; its help says what is judged and how."""


def text(log, drawn=()) -> str:
    """The page; drawn: names of the figures that there are."""
    parts, done = [INTRO], set()
    for name, row in ROWS.items():
        if name in done:
            continue
        prefix = next((p for p in TOGETHER if name.startswith(p) and row.first is None), None)
        if prefix:
            members = [r for n, r in ROWS.items() if n.startswith(prefix) and r.first is None]
            done |= {r.name for r in members}
            members = [r for r in members if latest(log.entries(), r.name)]
            parts += [f"## {TOGETHER[prefix]}", *together(log, members)] if members else []
        elif latest(log.entries(), name):
            parts += [f"## {title(row.what)}", *alone(log, row)]
    if "time_to_error" in drawn:
        parts += [CURVES_TEXT, image("time_to_error", "Validation error against seconds")]
    if "learning_curves" in drawn:
        parts += [LEARNING_TEXT, image("learning_curves", "Test error against number of structures")]
    if "pareto" in drawn:
        shown_rows = [name for name in SPEEDS if latest(log.entries(), name)]
        speeds = [
            f"- {speed.potential}, {ROWS[name].short}: {speed.us_per_atom:g} µs/atom{' or more' * speed.at_least}; "
            + speed.how
            for name in shown_rows
            for speed in SPEEDS[name]
        ]
        parts += [PARETO_TEXT, "\n".join(speeds), image("pareto", "Test error against cost")]
    if log.dynamics():
        parts += [DYNAMICS_TEXT, *dynamics(log)]
        if "water_rdf" in drawn:
            parts += [image("water_rdf", "Radial distributions of water"), RDF_TEXT]
    return "\n\n".join(parts) + "\n"


def title(words):
    """With a capital, but for names that have one already (rMD17)."""
    return words if words[1].isupper() else words[0].upper() + words[1:]


def image(name, words):
    """A picture of the page."""
    return f"![{words}](figures/{name}.png)"


def table(head, rows) -> str:
    """Markdown; the first column is text, the others numbers."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown(values) -> str:
    """Three digits; of several seeds mean ± standard deviation, two digits of it; a dash of nothing."""
    values = [v for v in values if v is not None]
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:.3g}"
    mean, spread = statistics.mean(values), statistics.stdev(values)
    digits = min(4, max(0, 1 - math.floor(math.log10(spread)))) if spread > 0 else 2
    return f"{mean:.{digits}f} ± {spread:.{digits}f}"


def ours(key, entries):
    """How a group is called: size, what was set, seeds."""
    words = [f"nbcore `{key.size}`", *(f"`{setting}`" for setting in key.settings)]
    if key.structures:
        words.append(f"{key.structures} structures")
    seeds = [str(e["seed"]) for e in entries]
    return f"{', '.join(words)} (seed{'s' * (len(seeds) > 1)} {', '.join(seeds)})"


def costs(entries):
    """Parameters, CPU seconds, us/atom, commit and date."""
    return [
        f"{entries[-1]['parameters']}",
        f"{statistics.mean(e['cpu_seconds'] for e in entries):.0f}",
        f"{statistics.mean(e['us_per_atom'] for e in entries):.3g}",
        f"{entries[-1]['commit'] or '-'}, {entries[-1]['date']}",
    ]


COSTS = ["parameters", "training, s", "µs/atom", "commit, date"]


def alone(log, row):
    """The table of one row: our groups, then what is published."""
    columns = [(test, figure) for test in row.tests for figure in row.figures]
    one = len(row.tests) == 1
    head = [""] + [f"{'' if one else f'{test}: '}{f.name} {f.measure}, {f.unit}" for test, f in columns] + COSTS
    rows = [
        [ours(key, entries), *(shown([f.of(e["tests"][t]) for e in entries]) for t, f in columns), *costs(entries)]
        for key, entries in latest(log.entries(), row.name).items()
    ]
    known = row.published
    for name in known.values if known else ():
        cells = [known.of(test, f.name).get(name) for test, f in columns]
        rows.append([name, *("-" if c is None else f"{c:g}" for c in cells), *[""] * len(COSTS)])
    notes = [row.note] if row.note else []
    notes += [f"Published: {known.source}."] if known else []
    return [table(head, rows), *([" ".join(notes)] if notes else [])]


def together(log, rows):
    """One table of several rows: energy / forces of our groups and of others; then what ours cost."""
    groups = {row.name: latest(log.entries(), row.name) for row in rows}
    keys = list(dict.fromkeys(key for found in groups.values() for key in found))
    others = list(dict.fromkeys(name for row in rows for name in row.published.values))
    lines, cost = [], []
    for row in rows:
        cells = []
        for key in keys:
            entries, (test,) = groups[row.name].get(key, []), row.tests
            both = [shown([f.of(e["tests"][test]) for e in entries]) for f in row.figures[:2]]
            cells.append(" / ".join(both) if entries else "")
            if entries:
                stress = [f for f in row.figures if f.name == "stress"]
                extra = [f"{shown([f.of(e['tests'][test]) for e in entries])} {f.unit}" for f in stress]
                cost.append([f"{row.name.partition('_')[2]}, {ours(key, entries)}", *costs(entries), *(extra or [""])])
        for name in others:
            values = [row.published.of("test", f).get(name) for f in ("energy", "forces")]
            cells.append("" if values == [None, None] else " / ".join("-" if v is None else f"{v:g}" for v in values))
        lines.append([row.name.partition("_")[2], *cells])
    heads = [", ".join([f"nbcore `{k.size}`", *(f"`{s}`" for s in k.settings)])
             + (f", {k.structures} structures" if k.structures else "") for k in keys]  # fmt: skip
    parts = [table(["energy / forces", *heads, *others], lines)]
    if cost:
        stress = any(line[-1] for line in cost)
        head = ["", *COSTS, *(["stress MAE"] if stress else [])]
        parts.append(table(head, [line if stress else line[:-1] for line in cost]))
    sources = dict.fromkeys(row.published.source for row in rows)
    return [*parts, " ".join(f"Published: {source}." for source in sources)]


def dynamics(log):
    """A table for each case: the newest run of each model and temperature."""
    newest = {(e["case"], e["model"], e["kelvin"], e["ps"]): e for e in log.dynamics()}
    parts = []
    for entry in newest.values():
        name = f" of {entry['name']}" if entry["name"] else ""
        parts.append(
            f"**{entry['case']}**{name}: {entry['kelvin']:g} K, {entry['ps']:g} ps, seed {entry['seed']}, "
            f"model {entry['model'][:8]}, {entry['commit']}, {entry['date']}"
            + (f". Broke off: {entry['broken'].splitlines()[0]}" if entry["broken"] else "")
        )
        rows = [
            [what, f"{value:.4g} {unit}".strip(), bounds(low, high), verdict(value, low, high)]
            for what, value, unit, low, high in entry["checks"]
        ]
        if rows:
            parts.append(table(["", "found", "bound", ""], rows))
    return parts


def verdict(value, low, high):
    """ok, missed, or nothing where there is no bound."""
    return "" if low is None and high is None else "ok" if inside(value, low, high) else "missed"


def main(arguments=None) -> int:
    """0; with --check 1 where the page is another."""
    p = argparse.ArgumentParser("page.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--check", action="store_true")
    p.add_argument("--log", metavar="DIR", help="another folder for the log")
    p.add_argument("--output", metavar="DIR", type=Path, default=DOCS, help="where accuracy.md is written (docs)")
    args = p.parse_args(arguments)
    from figures import FIGURES

    log, path = Log(args.log), args.output / "accuracy.md"
    made = {name: draw(log) for name, draw in FIGURES.items()}
    made = {name: figure for name, figure in made.items() if figure is not None}
    page = text(log, made)
    if args.check:
        good = path.exists() and path.read_text() == page
        print(f"{path}: {'as the log says' if good else 'not what the log says: python benchmarks/accuracy/page.py'}")
        return 0 if good else 1
    (args.output / "figures").mkdir(parents=True, exist_ok=True)
    for name, figure in made.items():
        figure.savefig(args.output / "figures" / f"{name}.png", metadata={"Software": None})
    path.write_text(page)
    print(f"{path}, {', '.join(made) or 'no'} figures; drawn beside tested runs: notes {CURVE!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
