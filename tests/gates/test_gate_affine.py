"""affine: scales and shifts of channels, per species or of all nodes."""

import numpy as np
import pytest

from nbcore.gates import GateRun

PARTS = [(0, 1, 3), (1, -1, 2, 5), (0, -1, 4)]  # of the last, which changes sign under reflection, nothing may be added


@pytest.mark.parametrize("share, shift", [("species", True), ("all", True), ("species", False)])
def test_against_numpy(share, shift):
    rng, species = np.random.default_rng(0), np.array([0, 0, 1, 2, 2])
    run = GateRun({"gate": "affine", "share": share, "shift": shift}, [PARTS], n_species=3)
    classes = 3 if share == "species" else 1
    names = [(f"scale{k}", (classes, n)) for k, n in enumerate((3, 10, 4))]
    names[1:1] = [("shift0", (classes, 3))] * shift
    assert [(name, tuple(shape)) for name, shape in run.parameters.items()] == names
    weights = {name: rng.standard_normal(shape) for name, shape in names}
    states = [rng.standard_normal((5, 2 * p[0] + 1, int(np.prod(p[2:])))) for p in PARTS]
    run.set_graph(species.tolist(), [], [], np.zeros((0, 3)))
    got = run.forward(
        np.concatenate([w.ravel() for w in weights.values()]), [np.concatenate([x.ravel() for x in states])]
    )
    of = species if share == "species" else np.zeros(5, int)
    expected = [(1 + weights[f"scale{k}"][of])[:, None, :] * x for k, x in enumerate(states)]
    if shift:
        expected[0] += weights["shift0"][of][:, None, :]
    assert np.abs(got - np.concatenate([x.ravel() for x in expected])).max() < 1e-15 * 8
    assert run.output == [(0, 1, 3), (1, -1, 10), (0, -1, 4)]


def test_refusals():
    with pytest.raises(ValueError, match="takes one input"):
        GateRun({"gate": "affine"}, [PARTS, PARTS])
    with pytest.raises(ValueError, match="real parts only"):
        GateRun({"gate": "affine"}, [[(0, 1, 2, 3, True)]])
