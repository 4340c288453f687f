"""What trajectories are judged by: bonds, radial distributions, order, temperature, drift."""

import numpy as np
from ase.data import covalent_radii

from nbcore import data, md


def structures(files):
    """(numbers, positions, cell): of all structures of the files, which hold the same atoms; cell lengths or None."""
    read = data.read(files, require=(), missing="mask")
    numbers = np.asarray(read[0].numbers)
    positions = np.array([s.positions for s in read if np.array_equal(s.numbers, numbers)])
    if len(positions) < len(read):
        raise ValueError(f"{files}: {len(read) - len(positions)} of {len(read)} structures have other atoms")
    return numbers, positions, edges(read[0].cell if np.any(read[0].pbc) else None)


def edges(cell):
    """The three lengths of a rectangular cell; None without one."""
    if cell is None:
        return None
    cell = np.asarray(cell)
    if np.abs(cell - np.diag(np.diag(cell))).max() > 1e-8:
        raise ValueError("cells must be rectangular")
    return np.diag(cell)


def distances(positions, first, second, cell):
    """(frames, pairs): between atoms `first` and `second`, nearest images."""
    d = positions[:, first] - positions[:, second]
    if cell is not None:
        d -= cell * np.round(d / cell)
    return np.linalg.norm(d, axis=-1)


class Bonds:
    """Bonds by the data: pairs that are bonded in all frames; hydrogen, which may hop, to its nearest heavy atom.

    Two heavy atoms are bonded below 1.3 times the sum of their covalent radii.
    """

    def __init__(self, numbers, positions, cell):
        self.cell, self.heavy, self.light = cell, np.flatnonzero(numbers > 1), np.flatnonzero(numbers == 1)
        i, j = (self.heavy[k] for k in np.triu_indices(len(self.heavy), 1))
        bonded = np.ones(len(i), bool)
        for frame in positions:
            r = distances(frame[None], i, j, cell)[0]
            bonded &= r < 1.3 * (covalent_radii[numbers[i]] + covalent_radii[numbers[j]])
        self.pairs = i[bonded], j[bonded]

    def ranges(self, positions):
        """{"bonds between heavy atoms": (shortest, longest), "hydrogen to its heavy atom": ...}, over all frames."""
        found = {}
        if len(self.pairs[0]):
            r = distances(positions, *self.pairs, self.cell)
            found["bonds between heavy atoms"] = (r.min(), r.max())
        if len(self.light) and len(self.heavy):
            nearest = np.array([self.nearest(frame)[1] for frame in positions])
            found["hydrogen to its heavy atom"] = (nearest.min(), nearest.max())
        return found

    def nearest(self, frame):
        """Of each hydrogen atom: which heavy atom (a number among these) is nearest, and its distance."""
        i, j = np.repeat(self.light, len(self.heavy)), np.tile(self.heavy, len(self.light))
        r = distances(frame[None], i, j, self.cell)[0].reshape(len(self.light), len(self.heavy))
        return r.argmin(axis=1), r.min(axis=1)

    def partners(self, positions):
        """The smallest and the largest number of hydrogen atoms that have the same nearest heavy atom."""
        counts = [np.bincount(self.nearest(frame)[0], minlength=len(self.heavy)) for frame in positions]
        return int(np.min(counts)), int(np.max(counts))


def shortest(positions, cell):
    """The shortest distance between any two atoms in any frame."""
    i, j = np.triu_indices(positions.shape[1], 1)
    return min(distances(frame[None], i, j, cell).min() for frame in positions)


def radial_distribution(numbers, positions, cell, a, b, width=0.05):
    """r (Angstrom, middles of bins up to half the shortest edge) and g(r) between two elements in a periodic cell."""
    i, j = np.meshgrid(np.flatnonzero(numbers == a), np.flatnonzero(numbers == b), indexing="ij")
    keep = i != j
    i, j = i[keep], j[keep]
    bins = np.arange(0.0, np.min(cell) / 2 + 1e-9, width)
    counts = np.zeros(len(bins) - 1)
    for frame in positions:
        counts += np.histogram(distances(frame[None], i, j, cell)[0], bins)[0]
    shells = 4 / 3 * np.pi * np.diff(bins**3)
    return (bins[1:] + bins[:-1]) / 2, counts / len(positions) / (len(i) / np.prod(cell) * shells)


def order(positions, k):
    """Mean over frames of |sum_j exp(i k.r_j)| / N: 1 in a crystal with this k, some N^(-1/2) in a liquid."""
    return float(np.abs(np.exp(1j * positions @ k).mean(axis=1)).mean())


def mean_temperature(folder, discard):
    """Mean of md.log after `discard` ps, and its statistical error from ten blocks; K."""
    _, fs, _, _, _, kelvin = md.read_log(folder)
    kept = kelvin[fs >= 1e3 * discard]
    blocks = [block.mean() for block in np.array_split(kept, 10) if len(block)]
    return float(kept.mean()), float(np.std(blocks, ddof=1) / np.sqrt(len(blocks))) if len(blocks) > 1 else np.inf


def drift(folder, atoms):
    """(slope x time / rms, rms in meV/atom, ps) of the total energy of an NVE run."""
    _, fs, _, _, energy, _ = md.read_log(folder)
    slope, rms = md.drift(fs / 1e3, 1e3 * energy / atoms)
    return slope * fs[-1] / 1e3 / rms, rms, fs[-1] / 1e3


def drift_bound(ps):
    """The bound M2 on slope x time / rms: 0.5 to 20 ps, 4e-3 per ps at 100 ps, 1e-3 per ps from 200 ps on."""
    return 0.5 if ps < 100 else 4e-3 * ps if ps < 200 else 1e-3 * ps
