"""norm_activation: fragments times functions of their lengths, against NumPy."""

import numpy as np
import pytest

from nbcore.gates import GateRun

PARTS = [(0, 1, 3), (1, -1, 2, 5), (0, -1, 4), (2, 1, 9)]


@pytest.mark.parametrize("form", ["times", "unit"])
@pytest.mark.parametrize("scalars", ["function", "norm"])
def test_against_numpy(form, scalars):
    rng, epsilon = np.random.default_rng(0), 0.2
    x = [rng.standard_normal((4, 2 * p[0] + 1, int(np.prod(p[2:])))) for p in PARTS]
    x[1][2] = 0
    biases = [rng.standard_normal(a.shape[2]) for a in x]
    spec = {"gate": "norm_activation", "function": "softplus", "form": form, "scalars": scalars, "epsilon": epsilon}
    run = GateRun(spec, [PARTS])
    run.set_graph([0] * 4, [], [], np.zeros((0, 3)))
    assert run.parameters == {"b0": (3,), "b1": (10,), "b2": (4,), "b3": (9,)}
    got = run.forward(np.concatenate(biases), [np.concatenate([a.ravel() for a in x])])
    expected = []
    for (l, parity, *_), a, b in zip(PARTS, x, biases, strict=True):
        n = np.sqrt(np.sum(a**2, axis=1, keepdims=True) + epsilon**2)
        if l == 0 and parity == 1 and scalars == "function":
            expected.append(1.0419 * np.logaddexp(0, a + b))
        else:
            expected.append(1.0419 * np.logaddexp(0, n + b) * a / (n if form == "unit" else 1))
    expected = np.concatenate([a.ravel() for a in expected])
    assert np.abs(got - expected).max() < 1e-14 * np.abs(expected).max() * 4


def test_refusals():
    with pytest.raises(ValueError, match="epsilon must be"):
        GateRun({"gate": "norm_activation", "epsilon": 0.0}, [PARTS])
    with pytest.raises(ValueError, match="takes one input"):
        GateRun({"gate": "norm_activation"}, [PARTS, PARTS])
