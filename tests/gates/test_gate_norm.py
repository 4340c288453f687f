"""norm: lengths of fragments, smooth at zero."""

import numpy as np
import pytest

from nbcore.gates import GateRun

PARTS = [(0, -1, 3), (1, -1, 5), (2, 1, 2, 9)]


def test_against_numpy():
    rng = np.random.default_rng(0)
    states = [rng.standard_normal((4, 2 * p[0] + 1, int(np.prod(p[2:])))) for p in PARTS]
    states[1][2] = 0
    for epsilon in (0.1, 2.0):
        run = GateRun({"gate": "norm", "epsilon": epsilon}, [PARTS])
        run.set_graph([0] * 4, [], [], np.zeros((0, 3)))
        got = run.forward([], [np.concatenate([x.ravel() for x in states])])
        expected = np.concatenate([(np.sqrt(np.sum(x**2, axis=1) + epsilon**2) - epsilon).ravel() for x in states])
        assert np.abs(got - expected).max() < 1e-15 * np.abs(expected).max() * 4
    assert run.output == [(0, 1, 3), (0, 1, 5), (0, 1, 18)]


def test_no_kink_at_zero():
    """Value and slope are zero where psi is; the second derivative is 1/epsilon."""
    run = GateRun({"gate": "norm", "epsilon": 0.5}, [[(1, -1, 1)]])
    v = np.array([0.3, -0.4, 1.2])
    run.set_graph([0], [], [], (np.zeros((0, 3)), np.zeros((0, 3))))
    value, dot = run.forward([], [(np.zeros(3), v)])
    assert value == 0 and dot == 0
    [(x_bar, x_bar_dot)], _, _ = run.adjoint((np.ones(1), np.zeros(1)), parameters=False)
    assert np.all(x_bar == 0) and np.allclose(x_bar_dot, v / 0.5, rtol=1e-15)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, 1e4, "small"])
def test_refusals(epsilon):
    with pytest.raises(ValueError, match="epsilon must be"):
        GateRun({"gate": "norm", "epsilon": epsilon}, [PARTS])
    with pytest.raises(ValueError, match="takes one input"):
        GateRun({"gate": "norm"}, [PARTS, PARTS])


def test_weighted_norms_are_added_to_the_scalars():
    rng, parts = np.random.default_rng(1), [(1, -1, 2, 5), (0, 1, 2, 5), (2, 1, 2, 5), (0, -1, 2, 5)]
    states = [rng.standard_normal((4, 2 * p[0] + 1, 10)) for p in parts]
    run = GateRun({"gate": "norm", "epsilon": 0.3, "weighted": True}, [parts])
    run.set_graph([0] * 4, [], [], np.zeros((0, 3)))
    assert run.output == [(0, 1, 10)] and run.parameters == {"t": (3, 10)}
    t = rng.standard_normal((3, 10))
    got = run.forward(t.ravel(), [np.concatenate([x.ravel() for x in states])]).reshape(4, 10)
    lengths = [np.sqrt(np.sum(states[k] ** 2, axis=1) + 0.09) - 0.3 for k in (0, 2, 3)]
    assert np.allclose(got, states[1][:, 0] + sum(a * n for a, n in zip(t, lengths, strict=True)), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("parts", "said"),
    [([(0, 1, 4), (1, -1, 3)], "must have the same channels"), ([(0, 1, 4)], "even scalars alone")],
)
def test_refusals_of_weighted_norms(parts, said):
    with pytest.raises(ValueError, match=said):
        GateRun({"gate": "norm", "weighted": True}, [parts])
