"""embedding: each node has the row of its species; the gradient of a row is the sum over its nodes."""

import numpy as np
import pytest

from nbcore.gates import GateRun


@pytest.mark.parametrize("channels", [1, 8, 13])
@pytest.mark.parametrize("parity", ["o3", "so3"])
def test_rows_of_the_table(channels, parity):
    rng, species = np.random.default_rng(channels), [0, 0, 2, 2, 2]
    run = GateRun({"gate": "embedding", "channels": channels}, [], 4, parity)
    assert run.parameters == {"E": (4, channels)} and run.output == [(0, 1 if parity == "o3" else 0, channels)]
    run.set_graph(species, [], [], np.zeros((0, 3)))
    E, bar = rng.standard_normal((4, channels)), rng.standard_normal((5, channels))
    assert np.array_equal(run.forward(E.ravel()).reshape(5, -1), E[species])
    gradient = run.adjoint(bar.ravel(), edges=True)[2].reshape(4, -1)
    assert np.allclose(gradient, [bar[:2].sum(0), 0 * bar[0], bar[2:].sum(0), 0 * bar[0]], rtol=1e-15, atol=1e-15)


def test_refusals():
    with pytest.raises(ValueError, match="it takes no input"):
        GateRun({"gate": "embedding"}, [[(0, 1, 3)]])
    with pytest.raises(ValueError, match="channels must be a whole number from 1 to 4096, got 0"):
        GateRun({"gate": "embedding", "channels": 0})
