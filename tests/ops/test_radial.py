"""Radial bases and envelopes, seen through the density of one neighbour: values, slopes, the way to the cutoff."""

import numpy as np
import pytest
from brute import radial_functions

from nbcore.gates import GateRun

CUTOFF = 4.5
BASES = [
    {"basis": "bessel", "n": 9},
    {"basis": "bessel", "n": 3, "frequencies": [0.9, 2.2, 7.0]},
    {"basis": "chebyshev", "n": 11},
    {"basis": "chebyshev", "n": 6, "decay": 3.0},
    {"basis": "gaussian", "n": 7},
    {"basis": "gaussian", "n": 3, "centres": [0.0, 1.2, 3.0], "widths": [2.0, 0.4, 0.7]},
    {"basis": "inverse_gaussian", "n": 5, "r_min": 0.7},
    {"basis": "inverse_gaussian", "n": 2, "centres": [0.9, 0.3], "widths": [0.2, 0.1]},
    {"basis": "inverse_power", "n": 6},
    {"basis": "damped_power", "n": 5, "r_min": 1.2},
    {"basis": "inverse_power", "n": 4, "first": 3},
    {"basis": "inverse_power", "n": 3, "first": -1},
    {"basis": "cheb_pow", "n": 5, "decay": 2.5},
    {"basis": "sbessel", "n": 6},
    {"basis": "windows", "n": 7, "span": 3},
    {"basis": "bessel", "n": 3, "inner": 1.8, "inner_width": 0.9},
]
ENVELOPES = [
    {"envelope": "polynomial", "power": 6},
    {"envelope": "polynomial", "power": 2},
    {"envelope": "polynomial", "power": 5},
    {"envelope": "cosine"},
    {"envelope": "smooth"},
    {"envelope": "tanh"},
    {"envelope": "xplor", "on": 2.9},
    {"envelope": "xplor", "on": 0.6},
]
DISTANCES = np.array([0.5, 0.7, 1.0, 1.7, 2.9, 4.0, 4.4])


def functions(radial, r, bar=None):
    """B_n(r), or with bar [distance][n] the slopes sum_n bar B_n'(r), from edges in random directions."""
    direction = np.random.default_rng(1).standard_normal((len(r), 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    nodes = range(len(r))
    run = GateRun({"gate": "density", "l_max": 0, "radial": radial})
    run.set_graph([0] * len(r), nodes, nodes, r[:, None] * direction)
    B = run.forward([]).reshape(len(r), radial["n"])
    if bar is None:
        return B
    _, r_bar, _ = run.adjoint(bar)
    slope = np.sum(r_bar * direction, axis=1)
    assert np.allclose(r_bar, slope[:, None] * direction, rtol=1e-13, atol=1e-13 * np.abs(slope).max())
    return slope


@pytest.fixture(params=[(b, e) for b in BASES for e in ENVELOPES], ids=lambda p: f"{p[0]['basis']}-{p[1]['envelope']}")
def radial(request):
    return {"cutoff": CUTOFF} | request.param[0] | request.param[1]


def test_values(radial):
    expected = np.array([radial_functions(radial, r) for r in DISTANCES])
    assert np.abs(functions(radial, DISTANCES) - expected).max() < 1e-13 * np.abs(expected).max()


def test_slopes(radial):
    """Against the complex step, which has no error of differences."""
    expected = np.array([radial_functions(radial, r + 1e-200j).imag / 1e-200 for r in DISTANCES])
    for n in range(radial["n"]):
        bar = np.zeros_like(expected)
        bar[:, n] = 1
        slope = functions(radial, DISTANCES, bar)
        assert np.abs(slope - expected[:, n]).max() < 1e-12 * np.abs(expected).max()


def test_way_to_the_cutoff(radial):
    """Values vanish like the cube of the distance to the cutoff (C2), with the cosine like the square (C1)."""
    order = 2 if radial["envelope"] in ("cosine", "xplor") else 3
    delta = np.array([2e-3, 1e-3])
    B = np.abs(functions(radial, CUTOFF - delta)).max(axis=1)
    if radial["basis"] == "bessel" and "frequencies" not in radial:  # sin(n pi r/cutoff) has one more zero
        order += 1
    order += {"cheb_pow": 2.5, "sbessel": 3, "windows": 4}.get(radial["basis"], 0)  # their own ends
    if radial["basis"] == "inverse_gaussian" and B.max() == 0:
        return
    assert abs(np.log2(B[0] / B[1]) - order) < 0.02
    slope = functions(radial, CUTOFF - delta, np.ones((2, radial["n"])))
    assert np.abs(slope).max() < 100 * delta[0] ** (order - 1) * max(1, B.max() / delta[0] ** order)


def test_nothing_beyond_the_cutoff(radial):
    """Neighbours come from the largest cutoff of a network: a basis of a shorter one must not see them."""
    r = CUTOFF * np.array([1.0, 1.0001, 1.3, 2.0])
    assert not functions(radial, r).any()
    assert not functions(radial, r, np.ones((len(r), radial["n"]))).any()


def solid_moments(positions, l_max, length, n=2, dual=None):
    """A run of moments about the origin: sum over children of (r/length)^(l + 2n) Y_lm."""
    radial = {"basis": "solid", "n": n, "cutoff": length, "r_min": length / 2, "envelope": "none"}
    run = GateRun({"gate": "density", "l_max": l_max, "radial": radial}, parity="so3")
    zeros = [0] * len(positions)
    run.set_graph([0], zeros, zeros, positions if dual is None else (positions, dual))
    return run


def test_solid_moments():
    """Polynomials in x, y, z: against solid harmonics times powers of r^2, at the centre itself too."""
    from nbcore.so3 import solid_harmonics

    rng = np.random.default_rng(4)
    r, length, l_max = np.vstack([np.zeros(3), 3 * rng.standard_normal((5, 3))]), 2.5, 3
    out = solid_moments(r, l_max, length).forward([])
    S = np.sqrt(4 * np.pi) * solid_harmonics(l_max, r / length)
    B = (np.sum(r**2, axis=1)[:, None] / length**2) ** [0, 1]
    expected = np.concatenate([(S[:, l * l : (l + 1) ** 2].T @ B).ravel() for l in range(l_max + 1)])
    assert np.abs(out - expected).max() < 1e-13 * np.abs(expected).max()


def test_solid_moments_have_derivatives_at_their_centre():
    """Gradient and Hessian products at r = 0 and elsewhere, against differences of the polynomials."""
    rng = np.random.default_rng(5)
    r, v, h = np.vstack([np.zeros(3), rng.standard_normal((2, 3))]), rng.standard_normal((3, 3)), 1e-4
    run = solid_moments(r, 2, 1.7)
    bar = rng.standard_normal(run.forward([]).shape)

    def gradient(at):
        run = solid_moments(at, 2, 1.7)
        return np.sum(bar * run.forward([])), run.adjoint(bar)[1]

    numeric = (gradient(r + h * v)[0] - gradient(r - h * v)[0]) / (2 * h)
    assert abs(numeric - np.sum(gradient(r)[1] * v)) < 1e-6 * max(1, abs(numeric))
    dual = solid_moments(r, 2, 1.7, dual=v)
    dual.forward([])
    product = dual.adjoint((bar, 0 * bar), parameters=False)[1][1]
    numeric = (gradient(r + h * v)[1] - gradient(r - h * v)[1]) / (2 * h)
    assert np.abs(product - numeric).max() < 1e-6 * np.abs(numeric).max()


def test_smoothness_divides():
    """Function n by (n+1)^smoothness."""
    basis = {"basis": "bessel", "n": 9, "cutoff": CUTOFF}
    plain, smooth = functions(basis, DISTANCES), functions(basis | {"smoothness": 2}, DISTANCES)
    assert np.allclose(smooth * np.arange(1, 10) ** 2, plain, rtol=1e-14)
    bar = np.random.default_rng(2).standard_normal(plain.shape)
    slope, expected = (
        functions(basis | {"smoothness": 2}, DISTANCES, bar),
        functions(basis, DISTANCES, bar / np.arange(1, 10) ** 2),
    )
    assert np.allclose(slope, expected, rtol=1e-12, atol=1e-13)
    with pytest.raises(ValueError, match="smoothness must be a whole number from 0 to 4, got 5"):
        functions(basis | {"smoothness": 5}, DISTANCES)


def test_envelopes_are_one_at_the_atom():
    """All but tanh, that of n2p2."""
    for e in ENVELOPES:
        value = functions({"basis": "chebyshev", "n": 1, "cutoff": CUTOFF} | e, np.array([1e-9]))
        at_zero = np.tanh(1) ** 3 if e["envelope"] == "tanh" else 1
        assert abs(value[0, 0] - at_zero) < 1e-8


@pytest.mark.parametrize(
    "change, text",
    [
        ({"cutoff": 0}, "cutoff must be a number above 0"),
        ({"n": 0}, "n must be a whole number from 1 to 64, got 0 .*n_radial"),
        ({"envelope": "xplor", "on": 9.0}, "on must lie between 0 and the cutoff, 5, got 9"),
        ({"n": 3, "frequencies": [1.0]}, "frequencies must be n = 3 numbers, got 1"),
        ({"n": 2, "frequencies": [1.0, -1.0]}, "frequencies must be n = 2 numbers, each above 0"),
        ({"basis": "gaussian", "n": 2, "frequencies": [1.0, 2.0]}, "frequencies are those of the basis bessel"),
        ({"basis": "gaussian", "n": 2, "centres": [1.0, 2.0]}, "n = 2 numbers each, got 2 and 0"),
        ({"basis": "gaussian", "n": 1, "centres": [1.0], "widths": [0.0]}, "widths must be above 0"),
        ({"n": 1, "centres": [1.0], "widths": [1.0]}, "centres and widths are those of the bases gaussian"),
        ({"n": 65}, "n must be a whole number from 1 to 64, got 65"),
        ({"decay": -1.0}, "decay"),
        ({"r_min": 7.0}, "r_min must lie between 0 and the cutoff, 5, got 7"),
        ({"power": 1}, "power must be a whole number from 2 to 50, got 1 .of the polynomial envelope"),
        ({"width": 1.0}, 'no option "width"; there are basis, n, cutoff'),
        ({"envelope": "hard"}, '"polynomial", "cosine", "smooth", "none", "xplor" or "tanh", got "hard"'),
        ({"basis": "damped_power", "envelope": "none"}, "at most 7 functions, got n = 8"),
        ({"basis": "solid"}, 'goes with the envelope "none"'),
        ({"n": "eight"}, "radial: n must be a whole number"),
    ],
)
def test_refusals(change, text):
    with pytest.raises(ValueError, match=text):
        GateRun({"gate": "density", "radial": {"cutoff": 5.0} | change})
