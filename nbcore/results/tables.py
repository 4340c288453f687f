"""Errors as people read them: tables in meV and GPa, remarks, the worst structures."""

from typing import NamedTuple

import numpy as np
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from nbcore.printable import printable
from nbcore.results.comparison import GPA, nearest


class Column(NamedTuple):
    """A figure of Errors in a table: what it is called, its unit, factor and number of decimals."""

    figure: str
    head: str
    unit: str
    factor: float
    decimals: int


ENERGY = [
    Column("energy_rmse", "RMSE", "meV", 1e3, 1),
    Column("energy_mae", "MAE", "meV", 1e3, 1),
    Column("energy_rmse_per_atom", "RMSE", "meV/atom", 1e3, 2),
    Column("energy_mae_per_atom", "MAE", "meV/atom", 1e3, 2),
]
FORCES = [
    Column("forces_rmse", "RMSE", "meV/Å", 1e3, 1),
    Column("forces_mae", "MAE", "meV/Å", 1e3, 1),
    Column("forces_max", "largest", "meV/Å", 1e3, 0),
    Column("forces_percent", "RMSE", "% of RMS", 1, 1),
]
STRESS = [Column("stress_rmse", "RMSE", "GPa", GPA, 3), Column("stress_mae", "MAE", "GPa", GPA, 3)]
GROUPS = {"energy": ENERGY, "forces": FORCES, "stress": STRESS}
SHORT = {"energy": ENERGY[::2], "forces": FORCES[::3], "stress": STRESS[:1]}


def table(rows, width, short=False):
    """The errors of several sets, one row each; on a narrow screen energies, forces and stress stand below each other.

    width: of the screen in characters. short: RMSE only, as at the end of a training. A figure without labels is `-`.

    >>> console = rich.console.Console()
    >>> console.print(table([compare("test", structures, predictions)], console.width))
    """
    groups = dict(SHORT if short else GROUPS)
    outputs = {name: output for e in rows for name, output in e.kinds.items()}
    for group, figure in (("energy", "energy_rmse"), ("forces", "forces_rmse"), ("stress", "stress_rmse")):
        if (outputs or group == "stress") and all(getattr(e, figure) is None for e in rows):
            del groups[group]
    for name, output in outputs.items():
        groups[name] = output_columns(output, short)
    wide = _grid(rows, groups)
    if Console(width=1000).measure(wide).maximum <= width:
        return wide
    return Group(*(_grid(rows, {group: columns}) for group, columns in groups.items()))


def _grid(rows, groups):
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    grid.add_column("")
    grid.add_column("\nn\n", justify="right")
    for group, columns in groups.items():
        for k, c in enumerate(columns):
            grid.add_column(
                Text(printable(f"{group if k == 0 else ''}\n{c.head}\n{c.unit}")), justify="right", no_wrap=True
            )
    for e in rows:
        cells = [number(value_of(e, group, c), c) for group, columns in groups.items() for c in columns]
        grid.add_row(Text(printable(f"  {e.name}")), str(e.n_structures), *cells)
    return grid


def output_columns(output, short=False):
    """The columns of a covariant output, in the unit of its data."""
    unit = output.unit or "data unit"
    columns = [Column("rmse", "RMSE", unit, 1, -3), Column("mae", "MAE", unit, 1, -3)]
    if not output.per_atom:
        columns += [
            Column("rmse_per_atom", "RMSE", f"{unit}/atom", 1, -3),
            Column("mae_per_atom", "MAE", f"{unit}/atom", 1, -3),
        ]
    percent = Column("percent", "RMSE", "% of std", 1, 1)
    return [columns[-2], percent] if short else [*columns, percent]


def value_of(errors, group, column):
    """The figure of a column; None where it is not labelled."""
    if group in GROUPS:
        return getattr(errors, column.figure)
    return errors.of_output(group)[column.figure] if group in errors.kinds else None


def number(value, column):
    """One cell: in the unit of its column, `-` for what is not labelled. decimals -3: three figures."""
    if value is None:
        return "-"
    if column.decimals < 0:
        return f"{column.factor * value:.{-column.decimals}g}"
    return f"{column.factor * value:.{column.decimals}f}"


def remarks(rows):
    """What the reader should know beside the figures: sentences for lines that begin with `!`."""
    beyond = [e for e in rows if e.outside]
    said = [
        f"{e.name} reaches beyond the training data: {e.outside} of {e.n_structures} structures have a pair closer "
        "than any such pair in train."
        for e in beyond
    ]
    if beyond:
        said[-1] += " Expect larger errors there; add such structures if you will simulate them."
    return said + offsets(rows)


def offsets(rows):
    """A sentence for each set whose energies are off by a constant."""
    said = []
    for e in rows:
        if e.offset:
            without = f"{1e3 * e.offset.rmse:.1f} meV, {1e3 * e.offset.rmse_per_atom:.2f} meV/atom"
            said.append(
                f"The energies of {e.name} are off by a constant: {e.offset}, predicted minus reference. Another code, "
                f"other E0s, or a training not at its end? Without it: RMSE {without}; the figures contain it."
            )
    return said


def by_element(e):
    """The line `forces by element`: RMSE in meV/Å; None where no forces are labelled."""
    parts = [f"{symbol} {1e3 * value:.1f}" for symbol, value in e.by_element.items()]
    return "   ".join(parts) or None


def worst(e, n):
    """One line for each of the n worst structures: set and frame, errors, the atom, its shortest pair."""
    lines = []
    for case in e.worst(n):
        s, words = case.structure, []
        if case.energy is not None:
            words.append(f"E {1e3 * case.energy:+.0f} meV")
        pair = case.closer
        if case.forces is not None and case.forces.size:
            atom = int(np.abs(case.forces).max(axis=1).argmax())
            words.append(f"F {1e3 * np.abs(case.forces).max():.0f} meV/Å (atom {atom}, {s.symbols[atom]})")
            pair = pair or nearest(s, atom)
        for name, error in case.outputs.items():
            unit = f" {e.kinds[name].unit}".rstrip()
            words.append(f"{name} {np.abs(error).max(initial=0):.3g}{unit}")
        if pair:
            words.append(f"{pair}, closer than any in train" if case.closer else str(pair))
        lines.append(f"{stem(s.file)} {s.frame}  " + "  ".join(words))
    return lines


def stem(path):
    """The name of a data file as tables show it: without folder and without .xyz, .xz and the like.

    >>> stem("data/test_MD_300K.xyz.xz")
    'test_MD_300K'
    """
    name = str(path).replace("\\", "/").rsplit("/", 1)[-1]
    for suffix in (".gz", ".xz", ".bz2", ".extxyz", ".xyz"):
        name = name.removesuffix(suffix) or name
    return name
