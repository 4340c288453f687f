"""activation: silu on scalars, of unit size for normal numbers."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from nbcore.gates import GateRun


def test_silu_everywhere():
    """From where exp underflows to where it would overflow, the derivative too."""
    x = np.concatenate([np.linspace(-12, 12, 97), [-800.0, -700.0, -40.0, 0.0, 40.0, 700.0, 800.0]])
    run = GateRun({"gate": "activation"}, [[(0, 1, len(x))]])
    run.set_graph([0], [], [], np.zeros((0, 3)))
    assert np.allclose(run.forward([], [x]), 1.679 * x * expit(x), rtol=2e-15, atol=1e-290)
    (slope,), _, _ = run.adjoint(np.ones(len(x)))
    assert np.allclose(slope, 1.679 * expit(x) * (1 + x * expit(-x)), rtol=2e-15, atol=1e-15)


def test_second_derivatives_of_large_numbers():
    """The tangent of the slope where exp(-x) is infinite: zero, not inf times zero."""
    x = np.array([-1e4, -800.0, -3.0, 800.0])
    run = GateRun({"gate": "activation"}, [[(0, 1, 4)]])
    run.set_graph([0], [], [], (np.zeros((0, 3)), np.zeros((0, 3))))
    run.forward([], [(x, np.ones(4))])
    (slope,), _, _ = run.adjoint((np.ones(4), np.zeros(4)), parameters=False)
    s = expit(x)
    assert np.allclose(slope[1], 1.679 * s * (1 - s) * (2 + x * (1 - 2 * s)), rtol=1e-13, atol=1e-15)


def test_normal_numbers_keep_unit_size():
    second_moment = quad(lambda x: (1.679 * x * expit(x)) ** 2 * np.exp(-x * x / 2) / np.sqrt(2 * np.pi), -12, 12)[0]
    assert abs(second_moment - 1) < 5e-3


@pytest.mark.parametrize("parts", [[(1, -1, 4)], [(0, -1, 4)], [(0, 1, 4), (2, 1, 4)]])
def test_scalars_only(parts):
    with pytest.raises(ValueError, match="scalars of even parity only"):
        GateRun({"gate": "activation"}, [parts])
