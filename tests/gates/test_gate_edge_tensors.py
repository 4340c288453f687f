"""edge_tensors: weights of each l times the harmonics of the edges."""

import numpy as np
import pytest
from brute import harmonics

from nbcore.errors import InputError
from nbcore.gates import GateRun


def test_against_numpy():
    rng = np.random.default_rng(0)
    r, w = rng.standard_normal((4, 3)), rng.standard_normal((4, 4, 3))
    run = GateRun(dict(gate="edge_tensors", l_max=3), [[(0, 1, 4, 3)]])
    assert run.on_edges == ([True], True)
    run.set_graph([0, 0], [1, 0, 1, 0], [0, 1, 1, 0], r)
    got = run.forward([], [w.ravel()])
    expected = [np.einsum("em,ec->emc", [harmonics(l, x) for x in r], w[:, l]).ravel() for l in range(4)]
    assert np.abs(got - np.concatenate(expected)).max() < 1e-13


def test_refusals():
    for inputs, message in (
        ([[(0, 1, 2)]], "a group of channels for each l to l_max = 2, 3 groups, has 1"),
        ([[(1, -1, 3, 2)]], "even scalars"),
        ([], "takes one input"),
    ):
        with pytest.raises(InputError, match=message):
            GateRun(dict(gate="edge_tensors"), inputs)
