"""edge_network: a layer at every edge, against NumPy."""

import numpy as np
import pytest

from nbcore.gates import GateRun

RADIAL = {"basis": "gaussian", "n": 5, "cutoff": 4.0, "envelope": "smooth", "centres": [-1.0, 0.0, 1.0, 2.0, 3.0],
          "widths": [0.8] * 5}  # fmt: skip


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("n_children", [3, 45])
def test_against_numpy(skip, n_children):
    rng, K, C, n = np.random.default_rng(1), 5, 11, 6
    spec = {"gate": "edge_network", "channels": C, "radial": RADIAL, "scale": 0.7, "skip": skip}
    run = GateRun(spec, [[(0, 1, K)]] + [[(0, 1, C)]] * skip)
    parent = [0] * n_children + [2, 2]
    child = rng.integers(0, n, n_children + 2).tolist()
    r = rng.standard_normal((len(parent), 3))
    r *= (rng.uniform(0.5, 3.9, len(r)) / np.linalg.norm(r, axis=1))[:, None]
    run.set_graph([0] * n, parent, child, r)
    assert run.parameters == {"R": (5, K), "b": (K,), "W": (K, C)}
    R, b, W = rng.standard_normal((5, K)), rng.standard_normal(K), rng.standard_normal((K, C))
    H, own = rng.standard_normal((n, K)), rng.standard_normal((n, C))
    inputs = [H.ravel()] + [own.ravel()] * skip
    got = run.forward(np.concatenate([R.ravel(), b, W.ravel()]), inputs).reshape(n, C)
    d = np.linalg.norm(r, axis=1)
    g = np.exp(-0.5 * ((d[:, None] - RADIAL["centres"]) / 0.8) ** 2)
    w = g @ R / np.sqrt(5) + b
    v = 1.5925 * np.tanh((H[child] * w) @ W / np.sqrt(K)) * ((1 - (d / 4.0) ** 2) ** 3)[:, None]
    expected = own.copy() if skip else np.zeros((n, C))
    np.add.at(expected, parent, 0.7 * v)
    assert np.abs(got - expected).max() < 1e-13 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("inputs", "more", "said"),
    [
        ([[(1, -1, 4)]], {}, "one part of even scalars"),
        ([[(0, 1, 4), (0, 1, 4)]], {}, "one part of even scalars"),
        ([[(0, 1, 4)], [(0, 1, 4)]], {}, "takes one input"),
        ([[(0, 1, 4)]], {"skip": True}, "with skip it takes two inputs"),
        ([[(0, 1, 4)], [(0, 1, 3)]], {"skip": True}, "must have the channels of the output"),
        ([[(0, 1, 4)]], {"radial": {"layers": [4]}}, "layers are none of them"),
    ],
)
def test_refusals(inputs, more, said):
    with pytest.raises(ValueError, match=said):
        GateRun({"gate": "edge_network", "channels": 4, **more}, inputs)
