"""The tables as one picture: a panel of bars for each."""

from matplotlib.figure import Figure

from nbcore.bench.record import heading
from nbcore.files import replacing
from nbcore.results.plots import PLOT

DRAWN = ("% of peak", "us/atom")  # the column of a table that is drawn: the first that it has


def plot(path, rows, about) -> None:
    """Writes a PNG of all tables; rows without the column that is drawn are left out.

    >>> about = nbcore.bench.record.circumstances(nbcore.bench.Machine(quick=True))
    >>> plot("bench.png", [nbcore.bench.Row("models", "nbody 64", {"us/atom": 39.0})], about)
    """
    panels = []
    for table in dict.fromkeys(row.table for row in rows):
        of_table = [row for row in rows if row.table == table]
        column = next((c for c in DRAWN if any(c in row.figures for row in of_table)), None)
        bars = [(row.name, row.figures[column]) for row in of_table if column in row.figures]
        if bars:
            panels.append((table, column, bars))
    longest = max((len(bars) for *_, bars in panels), default=1)
    figure = Figure(figsize=(1 + 5.5 * max(1, len(panels)), 1.6 + 0.19 * longest), layout="constrained")
    for k, (table, column, bars) in enumerate(panels):
        ax = figure.add_subplot(1, len(panels), k + 1)
        names, values = zip(*bars, strict=True)
        ax.barh(range(len(bars)), values, color="#0b3c5d", height=0.7)
        ax.set_yticks(range(len(bars)), names, fontsize=7)
        ax.invert_yaxis()
        ax.set_title(table, fontsize=9)
        ax.set_xlabel(column, fontsize=8)
        ax.tick_params(axis="x", labelsize=7)
    figure.suptitle(heading(about), fontsize=7)
    with replacing(path, kind=PLOT) as f:
        figure.savefig(f, format="png", dpi=150, metadata={"Software": PLOT.mark.decode()})
