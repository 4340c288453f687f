"""ACE against its definition: energies of three elements as sums over clusters of up to five atoms."""

import numpy as np
import pytest
from brute import radial_functions
from clusters import clusters

import nbcore
from nbcore.errors import InputError


@pytest.mark.parametrize(
    "l_max, n_max, radial",
    [([0, 2, 2], [4, 2, 1], "chebyshev"), ([0, 1, 1, 1], [2, 2, 1, 1], "bessel"), ([0, 0, 0, 2], [1] * 4, "chebyshev")],
)
def test_energies_are_sums_over_clusters(l_max, n_max, radial):
    rng = np.random.default_rng(len(l_max) + l_max[-1])
    x, numbers = 1.6 * rng.standard_normal((6, 3)), np.array([1, 6, 8, 1, 8, 6])
    pot = nbcore.presets.ace(species=["H", "C", "O"], cutoff=4.0, l_max=l_max, n_max=n_max, radial=radial, seed=3)
    functions = {"basis": radial, "n": max(n_max), "cutoff": 4.0, "envelope": "smooth"}
    functions |= {"decay": 3.0} if radial == "chebyshev" else {}
    weights = pot.parameters.reshape(3, -1)
    energies = []
    for i, z in enumerate(numbers):
        r = x - x[i]
        d = np.linalg.norm(r, axis=1)
        near = (d > 0) & (d < 4)
        R = np.array([radial_functions(functions, a) for a in d[near]]).T / np.arange(1, max(n_max) + 1)[:, None] / 4
        elements = np.searchsorted([1, 6, 8], numbers[near])
        B = clusters(r[near], elements, 3, R, l_max, n_max)
        energies.append(weights[np.searchsorted([1, 6, 8], z)] @ B / np.sqrt(len(B)))
    result = pot.compute(x, numbers)
    assert np.abs(result.energies - energies).max() < 1e-12 * np.abs(energies).max()


@pytest.mark.parametrize("options", [dict(embedding="finnis_sinclair"), dict(embedding="shifted", channels=4)])
def test_embedded_forces_are_derivatives(options):
    x, numbers = 1.3 * np.random.default_rng(1).standard_normal((5, 3)), [1, 6, 8, 1, 6]
    pot = nbcore.presets.ace(species=["H", "C", "O"], cutoff=4.0, l_max=[0, 2, 1], n_max=[3, 2, 1], **options)
    forces, h = pot.compute(x, numbers).forces, 1e-5
    for i, a in ((0, 0), (3, 2)):
        step = np.zeros((5, 3))
        step[i, a] = h
        slope = (pot.compute(x + step, numbers).energy - pot.compute(x - step, numbers).energy) / (2 * h)
        assert abs(forces[i, a] + slope) < 1e-7 * np.abs(forces).max()


def test_refusals():
    for options, message in (
        (dict(l_max=[0, 1]), "n_max needs a number beside each of l_max, 2, got 4"),
        (dict(l_max=[9] * 4, n_max=[20] * 4), "too many products of 3 factors"),
    ):
        with pytest.raises(InputError, match=message):
            nbcore.presets.ace(species=["H", "C", "O"], cutoff=4.0, **options)
