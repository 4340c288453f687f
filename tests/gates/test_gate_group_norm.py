"""group_norm: every group of channels of a node by itself, against NumPy."""

import numpy as np
import pytest

from nbcore.gates import GateRun


def test_against_numpy():
    rng, parts = np.random.default_rng(0), [(0, 1, 3, 11)]
    x, gain, shift = rng.standard_normal((4, 3, 11)), rng.standard_normal((3, 11)), rng.standard_normal((3, 11))
    x[2, 1] = 0.7  # no spread: the shift alone
    run = GateRun({"gate": "group_norm", "epsilon": 1e-4}, [parts])
    run.set_graph([0] * 4, [], [], np.zeros((0, 3)))
    assert run.parameters == {"gain": (3, 11), "shift": (3, 11)} and run.output_parts == [(0, 1, 3, 11, False)]
    got = run.forward(np.concatenate([gain.ravel(), shift.ravel()]), [x.ravel()]).reshape(x.shape)
    centred = x - x.mean(axis=2, keepdims=True)
    expected = (1 + gain) * centred / np.sqrt((centred**2).mean(axis=2, keepdims=True) + 1e-4) + shift
    assert np.abs(got - expected).max() < 1e-13 and np.abs(got[2, 1] - shift[1]).max() < 1e-13


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([[(1, -1, 4)]], "one part of even scalars"),
        ([[(0, -1, 4)]], "one part of even scalars"),
        ([[(0, 1, 4), (0, 1, 4)]], "one part of even scalars"),
        ([[(0, 1, 1)]], "at least two channels"),
        ([[(0, 1, 2)], [(0, 1, 2)]], "takes one input"),
    ],
)
def test_refusals(inputs, said):
    with pytest.raises(ValueError, match=said):
        GateRun({"gate": "group_norm"}, inputs)
