"""density against its formula: A[lm][z n] = scale sum_j Y_lm(r_j) B_n(|r_j|), children of species z."""

import numpy as np
import pytest
from brute import harmonics, neighbourhood, radial_functions

from nbcore.gates import GateRun

RADIAL = {"basis": "bessel", "n": 5, "cutoff": 4.0}


@pytest.mark.parametrize("l_min", [0, 1])
def test_brute_force(l_min):
    rng = np.random.default_rng(1)
    r = neighbourhood(rng, 45, 4.0)
    species, child = [0, 1, 1, 2], rng.integers(0, 4, 45)
    run = GateRun({"gate": "density", "l_max": 4, "l_min": l_min, "radial": RADIAL, "scale": 0.3}, n_species=4)
    run.set_graph(species, [2] * 45, child, r)
    out, at = run.forward([]), 0
    for l in range(l_min, 5):
        A = np.zeros((4, 2 * l + 1, 4, 5))  # [node][m][species][n]
        for j, vector in zip(child, r, strict=True):
            A[2, :, species[j]] += 0.3 * np.outer(
                harmonics(l, vector), radial_functions(RADIAL, np.linalg.norm(vector))
            )
        got = out[at : at + A.size].reshape(A.shape)
        assert np.abs(got - A).max() < 1e-13 * max(1, np.abs(A).max())
        at += A.size
    assert at == len(out)
    assert run.output == [(l, (-1) ** l, 4 * 5) for l in range(l_min, 5)]


def test_all_species_together():
    """by_species false adds the groups of the species; l_step 2 leaves out every second l, from the largest down."""
    rng = np.random.default_rng(3)
    r, child = neighbourhood(rng, 20, 4.0), rng.integers(0, 4, 20)
    spec = {"gate": "density", "l_max": 3, "radial": RADIAL}
    every = GateRun(spec, n_species=3)
    few = GateRun({**spec, "l_step": 2, "by_species": False}, n_species=3)
    for run in (every, few):
        run.set_graph([0, 1, 1, 2], [1] * 20, child, r)
    assert few.output == [(1, -1, 5), (3, -1, 5)]
    A, at, expected = every.forward([]), 0, []
    for l, _, _ in every.output:
        size = 4 * (2 * l + 1) * 3 * 5
        if l % 2:
            expected.append(A[at : at + size].reshape(4, 2 * l + 1, 3, 5).sum(axis=2).ravel())
        at += size
    expected = np.concatenate(expected)
    assert np.abs(few.forward([]) - expected).max() < 1e-14 * np.abs(expected).max()


def test_scaling_law():
    """With inverse powers term s grows like lambda^(1-s) when all is lambda times as large."""
    r = neighbourhood(np.random.default_rng(2), 9, 4.0)

    def sums(scale):
        radial = {"basis": "inverse_power", "n": 4, "cutoff": 4.0 * scale, "envelope": "smooth"}
        run = GateRun({"gate": "density", "l_max": 1, "l_min": 1, "radial": radial})
        run.set_graph([0], [0] * 9, [0] * 9, scale * r)
        return run.forward([]).reshape(3, 4)

    for scale in (0.5, 1.7, 30.0):
        assert np.allclose(sums(scale), sums(1.0) * scale ** (1.0 - np.arange(4)), rtol=1e-13, atol=0)


def test_takes_no_inputs():
    with pytest.raises(ValueError, match="takes no inputs"):
        GateRun({"gate": "density"}, [[(0, 1, 4)]])
    with pytest.raises(ValueError, match="l_max must be a whole number from 0 to 10, got 11"):
        GateRun({"gate": "density", "l_max": 11})
