"""edge_embedding: radial functions with weights of each pair of elements, in the order of the edges."""

import numpy as np
import pytest
from brute import radial_functions

from nbcore.errors import InputError
from nbcore.gates import GateRun

RADIAL = {"basis": "bessel", "n": 5, "cutoff": 4.0, "envelope": "polynomial", "power": 6}


def test_against_numpy():
    rng = np.random.default_rng(0)
    species, parent, child = np.array([0, 0, 1, 2]), [0, 3, 0, 2, 2], [2, 1, 3, 3, 0]
    r = rng.standard_normal((5, 3)) + 0.5
    run = GateRun(dict(gate="edge_embedding", channels=3, radial=RADIAL), n_species=3)
    assert run.on_edges == ([], True) and run.output == [(0, 1, 3)]
    run.set_graph(species, parent, child, r)
    theta = rng.standard_normal(run.n_parameters)
    W = theta.reshape(run.parameters["W"])
    B = np.array([radial_functions(RADIAL, d) for d in np.linalg.norm(r, axis=1)])
    expected = [b @ W[species[i], species[j]] / np.sqrt(5) for b, i, j in zip(B, parent, child, strict=True)]
    assert np.abs(run.forward(theta).reshape(5, 3) - expected).max() < 1e-14


def test_refusals():
    with pytest.raises(InputError, match="takes no inputs"):
        GateRun(dict(gate="edge_embedding", radial=RADIAL), [[(0, 1, 2)]])
