"""environment: sums over the edges of a node, of weights times harmonics."""

import numpy as np
import pytest
from brute import harmonics

from nbcore.errors import InputError
from nbcore.gates import GateRun


@pytest.mark.parametrize("l_max", [0, 2])
def test_against_numpy(l_max):
    rng = np.random.default_rng(0)
    parent = np.array([2, 0, 2, 0, 2])
    r, w = rng.standard_normal((5, 3)), rng.standard_normal((5, l_max + 1, 3))
    run = GateRun(dict(gate="environment", l_max=l_max, scale=0.5), [[(0, 1, l_max + 1, 3)]])
    assert run.on_edges == ([True], False)
    run.set_graph([0] * 3, parent, [0, 1, 1, 0, 2], r)
    got, expected = run.forward([], [w.ravel()]), []
    for l in range(l_max + 1):
        of_edges = np.einsum("em,ec->emc", [harmonics(l, x) for x in r], w[:, l])
        expected += [0.5 * np.sum(of_edges[parent == i], axis=0).ravel() for i in range(3)]
    assert np.abs(got - np.concatenate(expected)).max() < 1e-13


def test_refusals():
    with pytest.raises(InputError, match="a group of channels for each l to l_max = 2, 3 groups, has 1"):
        GateRun(dict(gate="environment"), [[(0, 1, 2)]])
