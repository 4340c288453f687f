"""finnis_sinclair: the two forms against the formulas in long arithmetic, at zero and far from it."""

import mpmath
import numpy as np
import pytest

from nbcore.errors import InputError
from nbcore.gates import GateRun

EXPONENTS = [1.0, 0.5, 0.25, 2.0, 3.0]
X = [0.0, 1e-13, -3e-9, 2e-7, 1e-6, -1.3e-6, 4e-6, 1e-3, -0.2, 1.0, 7.0, -900.0]


def exact(form, m, x):
    y, m = abs(mpmath.mpf(x)), mpmath.mpf(m)
    if form == "smooth":
        g = mpmath.exp(-((10**6 * y) ** 3))
        value = (1 - g) * y**m + mpmath.mpf(10) ** (6 * (1 - m)) * g * y
    elif m == 1:
        value = y
    else:
        n = 1 / m
        a, b = n ** (n / (1 - n)) * mpmath.exp(-y), n ** (1 / (1 - n)) * mpmath.exp(-y)
        value = (a + y) ** m - b
    return mpmath.sign(x) * value


@pytest.mark.parametrize("form", ["smooth", "shifted"])
def test_against_long_arithmetic(form):
    gate = GateRun(dict(gate="finnis_sinclair", form=form, exponents=EXPONENTS), [[(0, 1, 5)]])
    gate.set_graph([0] * len(X), [], [], np.zeros((0, 3)))
    got = gate.forward([], [np.repeat(X, 5)]).reshape(-1, 5)
    [slopes], _, _ = gate.adjoint(np.ones(got.size))
    for row, slope, x in zip(got, slopes.reshape(-1, 5), X, strict=True):
        for value, d, m in zip(row, slope, EXPONENTS, strict=True):
            with mpmath.workdps(40):
                wanted = float(exact(form, m, x))
                h = max(abs(mpmath.mpf(x)), mpmath.mpf(10) ** -9) * mpmath.mpf(10) ** -12
                derivative = float((exact(form, m, x + h) - exact(form, m, x - h)) / (2 * h))
            assert abs(value - wanted) <= 1e-13 * abs(wanted) + (1e-15 if form == "shifted" else 0)
            assert abs(d - derivative) <= 1e-9 * abs(derivative) + 1e-15


@pytest.mark.parametrize("form", ["smooth", "shifted"])
def test_tangents(form):
    """Of values and of slopes, whose tangents are second derivatives; away from zero, where these are none."""
    x = np.array([1e-3, -0.2, 1.0, 7.0, -900.0])
    gate = GateRun(dict(gate="finnis_sinclair", form=form, exponents=EXPONENTS), [[(0, 1, 5)]])
    gate.set_graph([0] * len(x), [], [], (np.zeros((0, 3)), np.zeros((0, 3))))
    _, dot = gate.forward([], [(np.repeat(x, 5), np.ones(25))])
    [(slope, curvature)], _, _ = gate.adjoint((np.ones(25), np.zeros(25)), parameters=False)
    assert np.allclose(dot, slope, rtol=1e-12, atol=0)
    for got, (a, m) in zip(curvature, [(a, m) for a in x for m in EXPONENTS], strict=True):
        with mpmath.workdps(40):
            h = abs(mpmath.mpf(float(a))) * mpmath.mpf(10) ** -8
            f = [exact(form, m, float(a) + k * h) for k in (-1, 0, 1)]
            wanted = float((f[0] - 2 * f[1] + f[2]) / h**2)
        assert abs(got - wanted) <= 1e-9 * max(abs(wanted), 1e-3)


def test_refusals():
    for spec, inputs, message in (
        (dict(exponents=[1.0]), [[(0, 1, 2)]], "exponents needs a number per channel, 2, got 1"),
        (dict(exponents=[0.0, 1.0]), [[(0, 1, 2)]], "above 0 and at most 4, got 0"),
        ({}, [[(0, -1, 2)]], "even scalars"),
        ({}, [[(0, 1, 2), (1, -1, 2)]], "even scalars"),
        ({}, [], "one input"),
    ):
        with pytest.raises(InputError, match=message):
            GateRun(dict(gate="finnis_sinclair", **spec), inputs)
