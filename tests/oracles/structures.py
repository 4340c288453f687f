"""The structures on which other programs are run: a molecule, a cluster, and a crystal with images of its own atoms."""

import numpy as np

CUTOFF = 4.5  #: Angstrom, longer than half of the crystal's cell


def structures() -> dict:
    """name -> positions (Angstrom), numbers, cell (zeros: none)."""
    rng = np.random.default_rng(5)
    # acetylacetone, the enol: a ring of six closed by a hydrogen bond, drawn with bonds of usual lengths
    molecule = [
        (6, -2.50, -0.75, 0.00), (6, -1.22, 0.02, 0.00), (6, 0.02, -0.62, 0.00), (6, 1.25, 0.10, 0.00),
        (6, 2.53, -0.67, 0.00), (8, -1.27, 1.27, 0.00), (8, 1.25, 1.43, 0.00), (1, 0.32, 1.72, 0.00),
        (1, 0.03, -1.70, 0.00), (1, -3.35, -0.07, 0.00), (1, -2.54, -1.39, 0.88), (1, -2.54, -1.39, -0.88),
        (1, 3.38, 0.01, 0.00), (1, 2.58, -1.31, 0.88), (1, 2.58, -1.31, -0.88),
    ]  # fmt: skip
    methane = np.array(
        [[0, 0, 0], [0.63, 0.63, 0.63], [-0.63, -0.63, 0.63], [-0.63, 0.63, -0.63], [0.63, -0.63, -0.63]]
    )
    water = np.array([[0, 0, 0.12], [0, 0.76, -0.47], [0, -0.76, -0.47]])
    cell = np.array([[5.1, 0.3, -0.2], [0.4, 4.7, 0.5], [-0.3, 0.6, 5.6]])
    places = np.array([[0.1, 0.1, 0.1], [0.5, 0.1, 0.2], [0.3, 0.6, 0.1], [0.2, 0.2, 0.6], [0.7, 0.6, 0.5],
                       [0.4, 0.5, 0.8], [0.8, 0.9, 0.9], [0.8, 0.3, 0.8], [0.1, 0.8, 0.5]])  # fmt: skip
    raw = {
        "acac": (np.array([atom[1:] for atom in molecule]), [atom[0] for atom in molecule], np.zeros((3, 3))),
        "cluster": (np.vstack([methane, water + [3.1, 0.2, -0.3], water[:, [1, 2, 0]] + [-0.4, 3.2, 0.7]]),
                    [6, 1, 1, 1, 1, 8, 1, 1, 8, 1, 1], np.zeros((3, 3))),
        "triclinic": (places @ cell, [8, 6, 1, 1, 6, 8, 1, 1, 1], cell),
    }  # fmt: skip
    return {
        name: dict(positions=r + rng.normal(0, 0.05, r.shape), numbers=np.array(numbers), cell=cell)
        for name, (r, numbers, cell) in raw.items()
    }


def pairs(structure: dict, cutoff: float):
    """(i, j, shift) of all atoms j and their images within the cutoff of atom i, by brute force."""
    r, cell = structure["positions"], structure["cell"]
    images = range(-3, 4) if cell.any() else [0]
    found = []
    for shift in np.array(np.meshgrid(images, images, images)).reshape(3, -1).T:
        d = r[None] + shift @ cell - r[:, None]
        near = np.linalg.norm(d, axis=-1) < cutoff
        if not shift.any():
            np.fill_diagonal(near, False)
        found += [(i, j, *shift) for i, j in np.argwhere(near)]
    found = np.array(found)
    return found[:, 0], found[:, 1], found[:, 2:].astype(float)
