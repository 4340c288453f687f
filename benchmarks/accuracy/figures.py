"""The figures of docs/accuracy.md, drawn from the log."""

import textwrap

import numpy as np
from groups import forces_of, label, latest, wanted_curves
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from published import SPEEDS
from rows import ROWS

DPI = 130
INK = ["#0b3c5d", "#d1495b", "#2e8b7a", "#edae49", "#7a5195", "#5a5a5a"]
LINES = ["-", "--", "-.", ":"]
MARKERS = "osD^vP"


def _panels(n, width=3.9, height=3.3):
    columns = 2 if n == 4 else min(n, 3)
    lines = -(-n // columns)
    figure = Figure(figsize=(width * columns, height * lines), dpi=DPI, layout="constrained")
    axes = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for ax in axes[n:]:
        ax.remove()
    for ax in axes[:n]:
        ax.tick_params(labelsize=8)
        ax.grid(True, which="both", color="0.93", lw=0.6)
        ax.set_axisbelow(True)
    return figure, axes[:n]


def _number(x, _=None):
    """1000 for 1e3: plain numbers at the ticks of logarithmic axes."""
    return f"{x:g}"


def _log_axes(ax, x=True, y=True):
    """Logarithmic, with plain numbers; between the decades too where there are few."""
    for axis, scale, limits in ((ax.xaxis, ax.set_xscale, ax.get_xlim), (ax.yaxis, ax.set_yscale, ax.get_ylim)):
        if (axis is ax.xaxis and not x) or (axis is ax.yaxis and not y):
            continue
        scale("log")
        low, high = limits()
        few = high / low < 100
        axis.set_major_formatter(FuncFormatter(_number))
        axis.set_minor_formatter(FuncFormatter(_some) if few else NullFormatter())
        axis.set_tick_params(which="minor", labelsize=8, pad=5)


def _some(x, _=None):
    """Numbers at 2 and 5 of a decade alone."""
    return f"{x:g}" if round(x / 10 ** np.floor(np.log10(x))) in (2, 5) else ""


def _legend(ax, **where):
    """Long settings on several lines, so that the legend leaves room to the axes."""
    handles, texts = ax.get_legend_handles_labels()
    texts = ["\n".join(textwrap.wrap(text, 36)) for text in texts]
    ax.legend(handles, texts, fontsize=7, frameon=False, **where).set_in_layout(False)


def _labels(ax, title, x, y):
    ax.set_title(title, fontsize=9)
    ax.set_xlabel(x, fontsize=8.5)
    ax.set_ylabel(y, fontsize=8.5)


def time_to_error(log):
    """Force error on the validation data against CPU seconds of the training; None without histories."""
    curves = {name: [(entry, h) for entry in found if (h := log.history(entry["run"]))]
              for name, found in wanted_curves(log).items()}  # fmt: skip
    curves = {name: found for name, found in curves.items() if found}
    if not curves:
        return None
    figure, axes = _panels(len(curves))
    for ax, (name, found) in zip(axes, curves.items(), strict=True):
        for k, (entry, history) in enumerate(found):
            points = [(row["cpu"], 1e3 * row["forces_valid"]) for row in history if row["cpu"] and row["forces_valid"]]
            if points:
                style = dict(color=INK[k % len(INK)], ls=LINES[k // len(INK) % len(LINES)], lw=1.3)
                ax.plot(*np.transpose(points), label=label(entry), **style)
        _log_axes(ax)
        _labels(ax, ROWS[name].short, "CPU seconds of training, one core", "validation force RMSE, meV/Å")
        _legend(ax, loc="best")
    return figure


def learning_curves(log):
    """Force error on the first test against the number of structures, where there is more than one; else None."""
    curves = {}
    for name, row in ROWS.items():
        for key, entries in latest(log.entries(), name).items():
            n = entries[0]["train"]["n_structures"]
            value = np.mean([forces_of(row, e, next(iter(row.tests))) for e in entries])
            curves.setdefault((name, key.size, key.settings), []).append((n, value))
    curves = {key: sorted(points) for key, points in curves.items() if len({n for n, _ in points}) > 1}
    if not curves:
        return None
    names = list(dict.fromkeys(name for name, _, _ in curves))
    figure, axes = _panels(len(names))
    for ax, name in zip(axes, names, strict=True):
        mine = {key: points for key, points in curves.items() if key[0] == name}
        for k, ((_, size, settings), points) in enumerate(mine.items()):
            text = ", ".join([size, *settings])
            ax.plot(*np.transpose(points), marker=MARKERS[k % 6], ms=4, lw=1.2, color=INK[k % 6], label=text)
        _log_axes(ax)
        row = ROWS[name]
        _labels(ax, f"{row.short}, {next(iter(row.tests))}", "structures trained on", _axis(row.figures[1]))
        _legend(ax)
    return figure


def _axis(figure):
    return f"force {figure.measure}, {figure.unit}"


def pareto(log):
    """Force error against the cost of an evaluation, beside potentials whose cost is known; None without entries."""
    names = [name for name in SPEEDS if latest(log.entries(), name)]
    if not names:
        return None
    figure, axes = _panels(len(names), width=4.6)
    for ax, name in zip(axes, names, strict=True):
        row = ROWS[name]
        test, chosen = next(iter(row.tests)), row.figures[1]
        others = row.published.of(test, "forces") if row.published else {}
        for k, speed in enumerate(SPEEDS.get(name, [])):
            x, y = speed.us_per_atom, others[speed.potential]
            ax.plot(x, y, MARKERS[1 + k % 5], color="0.45", ms=6, label=speed.potential + " *" * speed.at_least)
            if speed.at_least:
                ax.annotate("", (x * 2.2, y), (x * 1.15, y), arrowprops=dict(arrowstyle="->", color="0.45"))
        groups = [(key, entries) for key, entries in latest(log.entries(), name).items() if key.structures is None]
        points = [
            (np.mean([e["us_per_atom"] for e in entries]), np.mean([forces_of(row, e, test) for e in entries]), key)
            for key, entries in groups
        ]
        for k, (x, y, key) in enumerate(sorted(points, key=lambda p: p[0])):
            text = ", ".join(["nbcore " + key.size, *key.settings])
            ax.plot(x, y, "o", color=INK[k % len(INK)], ms=7, label=text)
        if row.published and (best := row.published.best(test, "forces")):
            ax.axhline(best[0], color="0.6", lw=0.9, ls="--", zorder=0, label=f"best published: {best[1]}")
        ax.margins(0.15)
        _log_axes(ax)
        low, high = ax.get_xlim()
        wider = max(1.0, np.sqrt(100 * low / high))  # two decades at least
        ax.set_xlim(low / wider, high * wider)
        _labels(ax, f"{row.short}, {test}", "energy and forces, µs/atom on one core", _axis(chosen))
        _legend(ax)
    return figure


def water_rdf(log):
    """Radial distributions of the newest water run beside those of the data; None without one."""
    runs = [e for e in log.dynamics() if e["case"] == "water"]
    paths = [log.folder / "history" / f"rdf-{e['model'][:8]}.csv" for e in runs]
    paths = [path for path in paths if path.exists()]
    if not paths:
        return None
    with open(paths[-1]) as f:
        names = f.readline().strip().split(",")
    table = dict(zip(names, np.loadtxt(paths[-1], delimiter=",", skiprows=1).T, strict=True))
    figure, axes = _panels(3, width=3.3, height=2.9)
    for ax, pair in zip(axes, ("O-O", "O-H", "H-H"), strict=True):
        ax.plot(table["r"], table[f"{pair} data"], color="0.55", lw=2.2, label="data")
        ax.plot(table["r"], table[f"{pair} nbcore"], color=INK[0], lw=1.2, label="nbcore")
        inter = table["r"] > 1.3 if pair == "O-H" else table["r"] > 1.9 if pair == "H-H" else table["r"] > 0
        top = max(table[f"{pair} {who}"][inter].max() for who in ("data", "nbcore"))
        ax.set_ylim(0, 1.25 * top)  # bonds within a molecule go beyond
        _labels(ax, pair, "r, Å", "g(r)")
        _legend(ax)
    return figure


FIGURES = {f.__name__: f for f in (time_to_error, learning_curves, pareto, water_rdf)}
