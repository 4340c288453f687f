"""The plots of a run and of an evaluation: parity, learning curve, errors. Each call writes one PNG, or nothing.

Sets are (name, structures, predictions) as for `nbcore.results.compare`; those called "train" are drawn faint, behind.
Light and dark carry the meaning, colour only helps, so that everything survives a grey printer.
"""

from functools import partial

import numpy as np
from ase.data import chemical_symbols
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from nbcore.files import Kind, replacing
from nbcore.results.comparison import GPA, VOIGT, mae, neighbours, rmse

PLOT = Kind("plot of nbcore", b"nbcore plot")
DPI = 150
MANY = 5000  # points, from which a density is drawn
FAINT = dict(color="0.78", linewidths=0)
INK = ["#0b3c5d", "#d1495b", "#edae49", "#2e8b7a", "#7a5195", "#8a8a8a"]  # dark to light
MARKERS = "osD^vP"


def parity(path, sets, E0s, outputs=None) -> None:
    """Predicted against reference: energy per atom without the E0s {symbol: eV}, forces, stress and the components of
    the covariant outputs {name: Output} per atom, where there are any. E0s of several heads: {head: {symbol: eV}}.

    >>> parity("parity.png", [("test", structures, predictions)], potential.E0s)
    """
    panels = [
        ("energy", "energy − E0", "eV/atom", lambda s, p: _energies(s, p, E0s)),
        ("forces", "force components", "eV/Å", _forces),
        ("stress", "stress components", "GPa", _stress),
    ]
    for name, output in (outputs or {}).items():
        unit = f"{output.unit or 'data unit'}{'' if output.per_atom else '/atom'}"
        panels.append((name, f"{name} components", unit, partial(_output, output)))
    drawn = []
    for _, words, unit, pairs in panels:
        points = {name: _gather(structures, predictions, pairs) for name, structures, predictions in sets}
        points = {name: xy for name, xy in points.items() if len(xy)}
        if points:
            drawn.append((words, unit, points))
    figure, axes = _figure(len(drawn), 3.7)
    for ax, (words, unit, points) in zip(axes, drawn, strict=True):
        _parity_panel(ax, words, unit, points)
    _save(figure, path)


def _behind(name):
    """True for what was trained on, "train" or of a head "pbe train": it is drawn faint, behind."""
    return name == "train" or name.endswith(" train")


def _parity_panel(ax, words, unit, points):
    everything = np.concatenate(list(points.values()))
    low, high = everything.min(), everything.max()
    margin = 0.04 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    front = {name: xy for name, xy in points.items() if not _behind(name)} or points
    for name in points if front is not points else ():
        if _behind(name):
            ax.scatter(*points[name].T, s=6, rasterized=True, label=name, zorder=1, **FAINT)
    ax.plot(limits, limits, color="0.35", lw=0.8, zorder=3)
    _points(ax, front, extent=(*limits, *limits))
    scale, milli = (1e3, "m") if unit.startswith("eV") else (1.0, "")
    texts = {
        name: f"{name}  RMSE {scale * rmse(xy[:, 1] - xy[:, 0]):.3g}, MAE {scale * mae(xy[:, 1] - xy[:, 0]):.3g}, "
        f"n {len(xy)}"
        for name, xy in points.items()
    }
    _names(ax, texts, f"errors in {milli}{unit}")
    ax.set(xlim=limits, ylim=limits, xlabel=f"reference {words}, {unit}", ylabel=f"predicted {words}, {unit}")
    ax.set_aspect("equal")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(5))


def error_distributions(path, sets, E0s=None, outputs=None) -> None:
    """Force errors of atoms: against the force, by element, against the distance to the nearest neighbour.

    Of all sets but "train" if there are others. Without forces: the energy error per atom against the energy; without
    energies: the errors of the covariant outputs {name: Output} against their labels, per atom.
    """
    sets = [s for s in sets if not _behind(s[0])] or list(sets)
    labelled = [(name, *_atoms(structures, predictions)) for name, structures, predictions in sets]
    labelled = [entry for entry in labelled if len(entry[1])]
    if not labelled:
        if any(s.energy is not None and p.energy is not None for _, *both in sets for s, p in zip(*both, strict=True)):
            return _energy_errors(path, sets, E0s or {})
        return _output_errors(path, sets, outputs or {})
    figure, (by_force, by_element, by_distance) = _figure(3, 3.7)
    _points(by_force, {name: np.c_[f, df] for name, f, df, *_ in labelled}, log_y=True)
    by_force.set(xlabel="|reference force|, eV/Å", ylabel="|force error|, meV/Å")
    _points(by_distance, {name: np.c_[d, df][np.isfinite(d)] for name, f, df, d, _ in labelled}, log_y=True)
    by_distance.set(xlabel="distance to the nearest neighbour, Å", ylabel="|force error|, meV/Å")

    numbers = np.concatenate([z for *_, z in labelled])
    size = np.concatenate([df for _, _, df, *_ in labelled])
    positive = size[size > 0]
    bins = np.geomspace(max(positive.min(), positive.max() * 1e-4), positive.max(), 25) if len(positive) else 10
    for k, z in enumerate(np.unique(numbers)):
        style = dict(histtype="step", color=INK[k % len(INK)], linestyle=("-", "--", ":", "-.")[k % 4], lw=1.3)
        n = np.count_nonzero(numbers == z)
        by_element.hist(size[numbers == z], bins, weights=np.full(n, 100 / n), label=chemical_symbols[z], **style)
    by_element.set(xlabel="|force error|, meV/Å", ylabel="atoms of the element, %")
    for axis in (by_force.yaxis, by_distance.yaxis, by_element.xaxis):
        _logarithmic(axis)
    for ax in (by_force, by_element, by_distance):
        _names(ax)
    _save(figure, path)


def _energy_errors(path, sets, E0s):
    figure, (ax,) = _figure(1, 3.7)
    points = {name: _gather(s, p, lambda s, p: _energies(s, p, E0s)) for name, s, p in sets}
    _points(ax, {name: np.c_[xy[:, 0], 1e3 * (xy[:, 1] - xy[:, 0])] for name, xy in points.items() if len(xy)})
    ax.set(xlabel="reference energy − E0, eV/atom", ylabel="energy error, meV/atom")
    _names(ax)
    _save(figure, path)


def _output_errors(path, sets, outputs):
    figure, axes = _figure(max(len(outputs), 1), 3.7)
    for ax, (name, output) in zip(axes, outputs.items(), strict=False):
        points = {n: _gather(s, p, partial(_output, output)) for n, s, p in sets}
        _points(ax, {n: np.c_[xy[:, 0], xy[:, 1] - xy[:, 0]] for n, xy in points.items() if len(xy)})
        unit = f"{output.unit or 'data unit'}{'' if output.per_atom else '/atom'}"
        ax.set(xlabel=f"reference {name}, {unit}", ylabel=f"{name} error, {unit}")
        _names(ax)
    _save(figure, path)


def learning_curve(path, history, best_epoch=None, stage_two_epoch=None, outputs=None) -> None:
    """Energy and force error (stress, covariant outputs) of train and valid against the epoch.

    history: the rows of history.csv.
    """
    kinds = [
        ("energy", "energy RMSE, meV/atom", 1e3),
        ("forces", "force RMSE, meV/Å", 1e3),
        ("stress", "stress RMSE, GPa", GPA),
    ]
    for name, output in (outputs or {}).items():
        kinds.append((name, f"{name} RMSE, {output.unit or 'data unit'}{'' if output.per_atom else '/atom'}", 1.0))
    kinds = [k for k in kinds if any(row[f"{k[0]}_train"] is not None for row in history)]
    figure, axes = _figure(len(kinds), 3.4)
    epochs = [row["epoch"] for row in history]
    for ax, (kind, label, factor) in zip(axes, kinds, strict=True):
        for name, style in (("train", dict(color="0.6", lw=1.0)), ("valid", dict(color=INK[0], lw=1.4))):
            values = [row[f"{kind}_{name}"] for row in history]
            if any(v is not None for v in values):
                errors = [np.nan if v is None else factor * v for v in values]
                ax.plot(epochs, errors, label=name, marker="o" if len(epochs) < 12 else None, ms=3, **style)
        if stage_two_epoch:
            ax.axvline(stage_two_epoch + 0.5, color="0.3", lw=0.8, ls="--", label="stage two")
        if best_epoch:
            ax.axvline(best_epoch, color=INK[1], lw=0.9, ls=":", label=f"best, epoch {best_epoch}")
        ax.set(xlabel="epoch", ylabel=label)
        _logarithmic(ax.yaxis)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.grid(True, which="both", color="0.92", lw=0.5)
        ax.set_axisbelow(True)
    _names(axes[0])
    _save(figure, path)


# ---- what is drawn ----


def _gather(structures, predictions, pairs):
    """(n, 2) array of reference and prediction over all labelled structures."""
    found = [xy for s, p in zip(structures, predictions, strict=True) if (xy := pairs(s, p)) is not None]
    return np.concatenate([np.reshape(xy, (-1, 2)) for xy in found]) if found else np.empty((0, 2))


def _output(output, s, p):
    if output.name not in s.outputs or output.name not in p.outputs:
        return None
    pair = np.stack([output.independent(t).ravel() for t in (s.outputs[output.name], p.outputs[output.name])], -1)
    return pair if output.per_atom else pair / len(s.numbers)


def _energies(s, p, E0s):
    if s.energy is None or p.energy is None:
        return None
    own = E0s.get(getattr(s, "head", ""), E0s)  # of several heads each has its own
    free = sum(own.get(symbol, 0.0) for symbol in s.symbols)
    return np.array([s.energy - free, p.energy - free]) / len(s.numbers)


def _forces(s, p):
    return None if s.forces is None or p.forces is None else np.c_[np.ravel(s.forces), np.ravel(p.forces)]


def _stress(s, p):
    return None if s.stress is None or p.stress is None else GPA * np.c_[s.stress[VOIGT], np.asarray(p.stress)[VOIGT]]


def _atoms(structures, predictions, cutoff=4.0):
    """Per atom with a force label: |F| eV/Å, |error| meV/Å, nearest neighbour Å (inf beyond the cutoff), number."""
    rows = [(np.empty(0), np.empty(0), np.empty(0), np.empty(0, int))]
    for s, p in zip(structures, predictions, strict=True):
        if s.forces is None or p.forces is None:
            continue
        nearest = np.full(len(s.numbers), np.inf)
        first, _, distance = neighbours(s, cutoff)
        np.minimum.at(nearest, first, distance)
        size, error = np.linalg.norm(s.forces, axis=1), 1e3 * np.linalg.norm(p.forces - s.forces, axis=1)
        rows.append((size, error, nearest, np.asarray(s.numbers)))
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


# ---- how ----


def _figure(n_panels, side):
    figure = Figure(figsize=(side * n_panels, side), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, n_panels, squeeze=False)[0]
    for ax in axes:
        ax.tick_params(labelsize=7.5)
        ax.xaxis.label.set_size(8.5)
        ax.yaxis.label.set_size(8.5)
    return figure, axes


def _names(ax, texts=None, title=None):
    """What is drawn, with its marks, above the panel: nothing is written over points.

    texts: {name: text} where the names alone do not do; a density has no mark.
    """
    handles, names = ax.get_legend_handles_labels()
    marks = dict(zip(names, handles, strict=True))
    texts = texts or {name: name for name in marks}
    if not texts:  # a density names its sets at its scale
        return
    style = dict(fontsize=6.5, title_fontsize=6.5, frameon=False, handletextpad=0.3, labelspacing=0.25)
    none = Line2D([], [], linestyle="none")
    ax.legend(
        [marks.get(name, none) for name in texts], texts.values(), title=title, alignment="left", loc="lower left",
        bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2, ncols=1 if title else 4, columnspacing=1.0, **style,
    )  # fmt: skip


def _logarithmic(axis):
    """A logarithmic axis with plain numbers: 1, 2, 5, 10, ...; side by side only as many as there is room for."""
    (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
    low, high = axis.get_view_interval()
    crowded = axis.axis_name == "x" and high > 300 * low
    axis.set_major_locator(LogLocator(subs=(1,) if crowded else (1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _points(ax, sets, log_y=False, extent=None):
    """Points of several sets {name: (n, 2)}; a density by colour where there are many."""
    n = sum(map(len, sets.values()))
    if n > MANY:
        xy = np.concatenate(list(sets.values()))
        if log_y:
            xy = xy[xy[:, 1] > 0]
        scales = dict(yscale="log") if log_y else dict(extent=extent)
        drawn = ax.hexbin(
            *xy.T, gridsize=70, cmap="viridis_r", norm=LogNorm(), mincnt=1, linewidths=0.1, zorder=2, **scales
        )
        bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.7, pad=0.02)
        bar.ax.tick_params(labelsize=6.5)
        bar.set_label("points: " + ", ".join(sets), fontsize=6.5)
        return
    for k, (name, xy) in enumerate(sets.items()):
        style = dict(color=INK[k % len(INK)], marker=MARKERS[k % len(MARKERS)])
        ax.scatter(*xy.T, s=7, alpha=0.75, linewidths=0, label=name, zorder=2, **style)


def _save(figure, path):
    """Replaces a plot of nbcore; FileExistsError where a file of another kind is in the way."""
    with replacing(path, kind=PLOT) as f:
        figure.savefig(f, format="png", metadata={"Software": PLOT.mark.decode()})
