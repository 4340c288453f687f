"""allegro: strictly local, the same in one block and in many, forces and loss gradients as differences say."""

import numpy as np
import pytest

import nbcore
from nbcore.data import Structure, Structures
from nbcore.train import Loss, loss_and_gradient

SMALL = dict(cutoff=3.0, channels=3, scalars=5, hidden=4)


def crystal(n, seed=0):
    rng = np.random.default_rng(seed)
    side = 2.0 * n ** (1 / 3)
    return rng.uniform(0, side, (n, 3)), rng.choice([1, 6, 8], n), side * np.eye(3)


@pytest.mark.parametrize("options", [{}, dict(products=3, parity="so3"), dict(radial="windows", coupling="paths")])
def test_no_atom_hears_beyond_the_cutoff(options):
    """Whatever the number of products: an atom farther than the cutoff changes no bit of an energy."""
    pot = nbcore.presets.allegro(species=["H", "C", "O"], seed=1, **(SMALL | options))
    x = np.array([[0, 0, 0], [2.0, 0, 0], [4.0, 0.3, 0], [6.0, 0, 0.1]])
    moved = x + [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0.3, 0.2, 0]]
    a, b = (pot.compute(r, [1, 6, 8, 1]).energies for r in (x, moved))
    assert a[0] == b[0] and a[1] == b[1] and a[2] != b[2]


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_blocks_and_threads(precision):
    """150 atoms in several blocks: energies, forces and virial of atoms one by one in cells of their own neighbours."""
    x, numbers, cell = crystal(150)
    pot = nbcore.presets.allegro(species=["H", "C", "O"], seed=1, products=2, **SMALL)
    pot.precision = precision
    whole = pot.compute(x, numbers, cell, True, threads=2)
    order = np.random.default_rng(1).permutation(150)
    again = pot.compute(x[order], numbers[order], cell, True, threads=1)
    tolerance = 1e-11 if precision == "float64" else 1e-4
    assert np.abs(again.energies - whole.energies[order]).max() < tolerance * np.abs(whole.energies).max()
    assert np.abs(again.forces - whole.forces[order]).max() < tolerance * np.abs(whole.forces).max()
    v, h = np.random.default_rng(2).standard_normal(x.shape), 1e-5
    if precision == "float64":
        slope = (
            pot.compute(x + h * v, numbers, cell, True).energy - pot.compute(x - h * v, numbers, cell, True).energy
        ) / (2 * h)
        assert abs(slope + np.sum(whole.forces * v)) < 1e-6 * np.abs(whole.forces * v).sum()


def test_the_loss_gradient():
    rng = np.random.default_rng(3)
    x, numbers, cell = crystal(12, seed=2)
    data = Structures([Structure(x, numbers, cell, (True,) * 3, energy=-3.0, forces=rng.standard_normal((12, 3)),
                                 stress=0.1 * np.eye(3))])  # fmt: skip
    pot = nbcore.presets.allegro(species=["H", "C", "O"], seed=1, **SMALL)
    _, gradient = loss_and_gradient(pot, data, Loss())
    start, direction, h = pot.parameters.copy(), rng.standard_normal(len(pot.parameters)), 1e-5
    values = []
    for step in (h, -h):
        pot.parameters[:] = start + step * direction
        values.append(loss_and_gradient(pot, data, Loss())[0])
    slope = (values[0] - values[1]) / (2 * h)
    assert abs(slope - gradient @ direction) < 1e-6 * np.abs(gradient * direction).sum()


def test_elements_are_added():
    """Energies without the new element stay; with it, at first, they are those of the element that it is like."""
    pot = nbcore.presets.allegro(species=["H", "O"], seed=1, **SMALL)
    more = nbcore.train.add_elements(pot, {"S": 0.0})
    x = np.array([[0, 0, 0], [0, 0, 1.1], [1.0, 0.2, -0.3]])
    for numbers, known in (([8, 1, 1], [8, 1, 1]), ([16, 1, 8], [8, 1, 8])):
        assert np.allclose(more.compute(x, numbers).energies, pot.compute(x, known).energies, rtol=1e-12)
