"""Subnormal numbers are zero within a network: they cost hundreds of cycles each. The caller's mode stays as it was."""

import numpy as np
import pytest
from random_structures import molecule

import nbcore


def energies(factor, precision, threads):
    """Of a network whose last weights are multiplied by a factor."""
    potential = nbcore.presets.nbody(species=["H", "C", "O"], cutoff=3.2, channels=8)
    for name, (where, _) in potential.parameter_slices.items():
        if name.startswith("energy"):
            potential.parameters[where] *= factor
    potential.precision = precision
    systems = [molecule(np.random.default_rng(seed), 8) for seed in range(4)]
    return np.array([r.energy for r in potential.compute_many(systems, threads=threads)])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("precision", "normal", "subnormal"), [("float32", 1e-30, 1e-41), ("float64", 1e-290, 1e-312)])
def test_subnormal_numbers_are_zero(precision, normal, subnormal, threads):
    assert np.all(energies(normal, precision, threads) != 0)
    assert np.all(energies(subnormal, precision, threads) == 0)
    assert np.float64(1e-160) * np.float64(1e-160) > 0  # here they are what they were
    assert np.finfo(np.float64).tiny / np.float64(4) > 0
