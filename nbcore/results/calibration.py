"""Are uncertainties worth anything? Expected against actual errors: their ranks, their sizes, in bins."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

BINS = 10


class Calibration(NamedTuple):
    """Expected and actual errors of some structures or atoms; sizes are root mean squares."""

    n: int
    spearman: float | None  #: rank correlation of |error| and expectation; None for fewer than three, or equal ones
    ratio: float  #: RMS of error / expectation: 1 is calibrated, 2 is twice too sure
    expected: list[float]  #: of each tenth, by expectation
    actual: list[float]  #: of the same ones

    @classmethod
    def of(cls, expected: ArrayLike, errors: ArrayLike) -> "Calibration":
        """Of expected errors (n,), positive, and actual ones (n,), of any sign; n > 0.

        >>> Calibration.of([1, 2, 3, 4], [2, -4, 6, -8])[:3]
        (4, 1.0, 2.0)
        """
        from scipy.stats import spearmanr

        u, e = np.asarray(expected, dtype=float), np.abs(np.asarray(errors, dtype=float))
        ranked = len(u) > 2 and np.ptp(u) > 0 and np.ptp(e) > 0
        groups = np.array_split(np.argsort(u, kind="stable"), min(BINS, len(u)))
        return cls(
            len(u),
            round(float(spearmanr(u, e).statistic), 12) if ranked else None,
            _rms(e / u),
            [_rms(u[g]) for g in groups],
            [_rms(e[g]) for g in groups],
        )

    def as_dict(self) -> dict:
        """As JSON has it."""
        return self._asdict()


def expectations(structures: Iterable, results: Sequence) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(expected, actual) errors of energies, of the forces of structures and of those of atoms, where there are labels.

    Energies in eV; forces in eV/Angstrom, root mean squares over the components of an atom, or of a structure. Results
    have an uncertainty, see `nbcore.Potential.compute`.
    """
    found = {"energy": [], "forces of structures": [], "forces of atoms": []}
    for s, r in zip(structures, results, strict=True):
        if s.energy is not None:
            found["energy"].append([(r.uncertainty.energy, r.energy - s.energy)])
        if s.forces is not None and len(s.forces):
            of_atoms = np.c_[r.uncertainty.forces, np.sqrt(np.mean((r.forces - s.forces) ** 2, axis=1))]
            found["forces of atoms"].append(of_atoms)
            found["forces of structures"].append(np.sqrt(np.mean(of_atoms**2, axis=0, keepdims=True)))
    return {name: tuple(np.concatenate(rows).T) for name, rows in found.items() if rows}


def calibrations(structures: Iterable, results: Sequence) -> dict[str, Calibration]:
    """{what: Calibration} of `expectations`."""
    return {name: Calibration.of(*pair) for name, pair in expectations(structures, results).items()}


def plot(path, sets) -> None:
    """Actual against expected errors, one panel per kind: points, the RMS of each tenth, the line of equality.

    sets: (name, structures, results) with uncertainties. Between the dotted lines errors are within twice and half of
    what was expected.
    """
    from nbcore.results import plots

    kinds = {}
    for name, structures, results in sets:
        for kind, pair in expectations(structures, results).items():
            kinds.setdefault(kind, {})[name] = pair
    figure, axes = plots._figure(max(len(kinds), 1), 3.7)
    for ax, (kind, pairs) in zip(axes, kinds.items(), strict=False):
        low, high = np.inf, 0.0
        for k, (name, (expected, errors)) in enumerate(pairs.items()):
            colour, marker = plots.INK[k % len(plots.INK)], plots.MARKERS[k % len(plots.MARKERS)]
            u, e = 1e3 * expected, 1e3 * np.abs(errors)
            few = np.linspace(0, len(u) - 1, min(len(u), 2000)).astype(int)
            ax.scatter(u[few], e[few], s=4, alpha=0.25, linewidths=0, color=colour, zorder=1, rasterized=True)
            c = Calibration.of(u, e)
            style = dict(color=colour, marker=marker, ms=4.5, lw=1.2, mec="white", mew=0.5, zorder=3)
            label = name if c.spearman is None else f"{name}: rank correlation {c.spearman:.2f}, ratio {c.ratio:.2f}"
            ax.plot(c.expected, c.actual, label=label, **style)
            low = min(low, *c.expected, *(x for x in c.actual if x > 0))
            high = max(high, *c.expected, *c.actual)
        ends = np.array([low / 1.5, high * 1.5])
        ax.plot(ends, ends, color="0.35", lw=0.9, zorder=2)
        for factor in (0.5, 2):
            ax.plot(ends, factor * ends, color="0.55", lw=0.8, ls=":", zorder=2)
        ax.set(xlim=ends, ylim=(ends[0] / 4, ends[1] * 2))
        unit = "meV" if kind == "energy" else "meV/Å"
        ax.set(xlabel=f"expected error, {kind}, {unit}", ylabel=f"|error|, {kind}, {unit}")
        for axis in (ax.xaxis, ax.yaxis):
            plots._logarithmic(axis)
        plots._names(ax, {text: text for text in ax.get_legend_handles_labels()[1]}, title="")
    plots._save(figure, path)


def _rms(x):
    return float(np.sqrt(np.mean(np.square(x))))
