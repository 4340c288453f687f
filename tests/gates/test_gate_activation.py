"""activation: functions of scalars, of unit size for normal numbers."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from nbcore.gates import GateRun, available


def silu(x):
    s = expit(x)
    return 1.679 * np.array([x * s, s * (1 + x * expit(-x)), s * (1 - s) * (2 + x * (1 - 2 * s))])


def tanh(x):
    y, slope = np.tanh(x), 4 * expit(2 * x) * expit(-2 * x)
    return 1.5925 * np.array([y, slope, -2 * y * slope])


def ssp(x):
    s = expit(x)
    return 1.8756 * np.array([np.logaddexp(0, x) - np.log(2), s, s * (1 - s)])


def celu(x):
    e, below = np.exp(10 * np.minimum(x, 0)), x < 0
    return 1.408 * np.array([np.maximum(x, 0) + (e - 1) / 10, e, 10 * e * below])


def softplus(x):
    s = expit(x)
    return 1.0419 * np.array([np.logaddexp(0, x), s, s * (1 - s)])


FUNCTIONS = dict(silu=silu, tanh=tanh, ssp=ssp, celu=celu, softplus=softplus)  #: x -> value, slope, second derivative
EVERYWHERE = np.concatenate(
    [np.linspace(-12, 12, 97), np.geomspace(1e-12, 1e-2, 9), [-1e4, -800, -700, -40, 40, 700, 800, 1e4]]
)


def run_at(x, name, parity=1, dtype="float64"):
    """A run with 1 as tangent of every number, and its output: values, slopes."""
    run = GateRun({"gate": "activation", "function": name}, [[(0, parity, len(x))]], dtype=dtype)
    run.set_graph([0], [], [], (np.zeros((0, 3)), np.zeros((0, 3))))
    return run, run.forward([], [(x, np.ones(len(x)))])


def test_there_are_no_others():
    assert available()["activation"]["options"]["function"]["choices"] == list(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_everywhere(name):
    """From where exp underflows to where it would overflow: value, slope and, tangent of the slope, second derivative;
    where exp(-x) is infinite that is zero, not inf times zero."""
    x = EVERYWHERE
    expected = FUNCTIONS[name](x)
    run, (value, slope) = run_at(x, name)
    (bar,), _, _ = run.adjoint((np.ones(len(x)), np.zeros(len(x))), parameters=False)
    for got, exact in zip([value, slope, *bar], [expected[0], expected[1], expected[1], expected[2]], strict=True):
        assert np.allclose(got, exact, rtol=1e-13, atol=4e-15)
    if name == "silu":  # a product with x: relative precision where the others have absolute
        assert np.allclose(value, expected[0], rtol=2e-15, atol=1e-290)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_single_precision(name):
    x = np.float32(EVERYWHERE).astype(float)
    for got, exact in zip(run_at(x, name, dtype="float32")[1], FUNCTIONS[name](x), strict=False):
        assert np.allclose(got, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"softplus"}))
def test_zero_stays_zero(name):
    _, (value, _) = run_at(np.zeros(1), name)
    assert value == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_normal_numbers_keep_unit_size(name):
    def density(x):
        return FUNCTIONS[name](x)[0] ** 2 * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)

    assert abs(quad(density, -12, 12)[0] - 1) < 5e-3


@pytest.mark.parametrize("name", FUNCTIONS)
def test_odd_scalars_take_an_odd_function(name):
    """Whatever is chosen for the even ones beside them."""
    x = EVERYWHERE
    run = GateRun({"gate": "activation", "function": name}, [[(0, 1, len(x)), (0, -1, len(x))]])
    run.set_graph([0], [], [], np.zeros((0, 3)))
    got = run.forward([], [np.concatenate([x, x])])
    assert np.allclose(got, np.concatenate([FUNCTIONS[name](x)[0], tanh(x)[0]]), rtol=1e-13, atol=2e-15)
    assert run.output == [(0, 1, len(x)), (0, -1, len(x))]


@pytest.mark.parametrize("parts", [[(1, -1, 4)], [(0, 1, 4), (2, 1, 4)]])
def test_scalars_only(parts):
    with pytest.raises(ValueError, match="scalars only, its input has a part with l = [12]"):
        GateRun({"gate": "activation"}, [parts])
