"""normalise: a state over a scalar of its node."""

import numpy as np
import pytest

from nbcore.gates import GateRun

PARTS, SCALAR = [(0, 1, 3), (1, -1, 2, 9), (2, 1, 5)], [(0, 1, 1)]


def test_against_numpy():
    rng = np.random.default_rng(0)
    n = 4
    x = [rng.standard_normal((n, 2 * p[0] + 1, int(np.prod(p[2:])))) for p in PARTS]
    y_bar = [rng.standard_normal(part.shape) for part in x]
    rho = rng.uniform(0, 3, n)
    run = GateRun({"gate": "normalise", "offset": 0.5}, [PARTS, SCALAR])
    run.set_graph([0] * n, [], [], np.zeros((0, 3)))
    flat = lambda parts: np.concatenate([p.ravel() for p in parts])  # noqa: E731
    got = run.forward([], [flat(x), rho])
    factor = 1 / (0.5 + rho)
    np.testing.assert_allclose(got, flat([p * factor[:, None, None] for p in x]), rtol=1e-15)
    (x_bar, rho_bar), _, _ = run.adjoint(flat(y_bar), parameters=False)
    np.testing.assert_allclose(x_bar, flat([p * factor[:, None, None] for p in y_bar]), rtol=1e-15)
    expected = -(factor**2) * sum(np.sum(a * b, axis=(1, 2)) for a, b in zip(x, y_bar, strict=True))
    np.testing.assert_allclose(rho_bar, expected, rtol=1e-13)


def test_refusals():
    with pytest.raises(ValueError, match="two inputs"):
        GateRun({"gate": "normalise"}, [PARTS])
    for wrong in ([(0, 1, 2)], [(1, -1, 1)], [(0, -1, 1)], [(0, 1, 1), (1, -1, 1)]):
        with pytest.raises(ValueError, match="one scalar of even parity"):
            GateRun({"gate": "normalise"}, [PARTS, wrong])
    with pytest.raises(ValueError, match="offset must be"):
        GateRun({"gate": "normalise", "offset": 0.0}, [PARTS, SCALAR])
