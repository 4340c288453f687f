"""Radial networks, seen through the gates that read them: against a perceptron in NumPy, on the way to the cutoff."""

import numpy as np
import pytest
from brute import radial_functions
from differences import derivative

import nbcore
from nbcore.gates import GateRun

CUTOFF = 4.5
BASIS = {"basis": "bessel", "n": 8, "cutoff": CUTOFF, "envelope": "polynomial", "power": 5}
LAYERS = [[8], [5, 11], [64, 64, 64], [1, 3, 17, 2, 9, 33]]
DISTANCES = np.concatenate([np.linspace(0.3, 4.4, 57), [1e-3, CUTOFF]])  # more than a chunk of edges


def silu(x):
    return 1.679 * x / (1 + np.exp(-x))


def perceptron(radial, theta, r):
    """h(r) of flat weights, complex r too."""
    h = radial_functions(radial, r)
    for number, width in enumerate(radial["layers"], start=1):
        W, theta = theta[: len(h) * width].reshape(len(h), width), theta[len(h) * width :]
        h = h @ W / np.sqrt(len(h))
        if number < len(radial["layers"]) or radial.get("last_layer") != "linear":
            h = silu(h)
    assert theta.size == 0
    return h


def run_on(radial, r, dtype="float64"):
    """The density of single neighbours at these distances: its states are the radial functions."""
    direction = np.random.default_rng(1).standard_normal((len(r), 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    run = GateRun({"gate": "density", "l_max": 0, "radial": radial}, dtype=dtype)
    run.set_graph([0] * len(r), range(len(r)), range(len(r)), r[:, None] * direction)
    return run, direction


@pytest.mark.parametrize("last", ["silu", "linear"])
@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_values_and_slopes(layers, last):
    """Against NumPy, slopes by the complex step, function by function."""
    radial = BASIS | {"layers": layers, "last_layer": last}
    run, direction = run_on(radial, DISTANCES)
    theta = np.random.default_rng(2).standard_normal(run.n_parameters)
    widths = [8, *layers]
    assert run.parameters == {f"radial{k + 1}": (widths[k], widths[k + 1]) for k in range(len(layers))}
    h = run.forward(theta).reshape(len(DISTANCES), -1)
    expected = np.array([perceptron(radial, theta, r) for r in DISTANCES])
    assert np.abs(h - expected).max() < 1e-13 * np.abs(expected).max()
    assert np.abs(expected[:, -1]).max() > 1e-3
    usual = DISTANCES > 0.1  # sin(x)/x has no complex step at its centre
    slopes = np.array([perceptron(radial, theta, r + 1e-200j).imag / 1e-200 for r in DISTANCES])
    for n in range(0, layers[-1], 7):
        bar = np.zeros_like(h)
        bar[:, n] = 1
        slope = np.sum(run.adjoint(bar.ravel())[1] * direction, axis=1)
        assert np.abs(slope - slopes[:, n])[usual].max() < 1e-12 * np.abs(slopes).max()


@pytest.mark.parametrize("last", ["silu", "linear"])
def test_gradient_of_the_weights(last):
    """Of every layer, by the complex step of the perceptron in the weights."""
    radial = BASIS | {"layers": [6, 9, 3], "last_layer": last}
    run, _ = run_on(radial, DISTANCES)
    rng = np.random.default_rng(3)
    theta = rng.standard_normal(run.n_parameters)
    bar = rng.standard_normal(run.forward(theta).shape)
    gradient = run.adjoint(bar)[2]
    for k in rng.choice(run.n_parameters, 25, replace=False):
        moved = theta.astype(complex)
        moved[k] += 1e-200j
        expected = sum(bar.reshape(-1, 3)[i] @ perceptron(radial, moved, r) for i, r in enumerate(DISTANCES)).imag
        assert abs(gradient[k] - expected / 1e-200) < 1e-12 * np.abs(gradient).max()


def test_single_precision():
    radial = BASIS | {"layers": [16, 16, 8]}
    results = {}
    for dtype in ("float64", "float32"):
        run, _ = run_on(radial, DISTANCES, dtype)
        theta = np.random.default_rng(2).standard_normal(run.n_parameters)
        results[dtype] = run.forward(theta)
    a, b = results.values()
    assert 0 < np.abs(a - b).max() < 3e-6 * np.abs(a).max()


@pytest.mark.parametrize("envelope", [{"envelope": "polynomial", "power": 4}, {"envelope": "smooth"}], ids=str)
def test_way_to_the_cutoff(envelope):
    """No biases, silu(0) = 0: the network vanishes like the basis, with two continuous derivatives."""
    radial = BASIS | envelope | {"basis": "chebyshev", "layers": [12, 7]}
    delta = np.array([2e-3, 1e-3])
    run, direction = run_on(radial, CUTOFF - delta)
    theta = np.random.default_rng(4).standard_normal(run.n_parameters)
    h = np.abs(run.forward(theta).reshape(2, -1)).max(axis=1)
    assert abs(np.log2(h[0] / h[1]) - 3) < 0.05
    slope = np.abs(np.sum(run.adjoint(np.ones(14))[1] * direction, axis=1))
    assert abs(np.log2(slope[0] / slope[1]) - 2) < 0.05


def test_gates_have_networks_of_their_own():
    """Two gates with the same radial option: a set of weights for each."""
    pot = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=4, radial_layers=[6, 5])
    names = [name for name in pot.parameter_slices if "radial" in name]
    assert names == ["sum1.radial1", "sum1.radial2", "sum2.radial1", "sum2.radial2"]
    assert pot.parameter_slices["sum2.R"][1][1] == 5  # what the gate contracts is the last layer
    assert pot.description["options"]["radial_layers"] == [6, 5]
    linear = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=4)
    assert "radial_layers" not in linear.description["options"] and linear.radial_networks == {}


def test_pairs_of_parts_without_an_envelope():
    """first_order_relative over a composition scheme: slopes at distances beyond the unit of length."""
    radial = {"basis": "damped_power", "n": 3, "cutoff": 2.0, "r_min": 0.5, "envelope": "none", "layers": [4, 5]}
    run = GateRun({"gate": "first_order_relative", "l_max": 2, "radial": radial}, [[(0, 1, 2), (1, -1, 2)]])
    rng = np.random.default_rng(5)
    r, v = 3 * rng.standard_normal((6, 3)), rng.standard_normal((6, 3))
    theta, state = rng.standard_normal(run.n_parameters), rng.standard_normal(3 * 2 + 3 * 6)

    def forward(t=0.0):
        run.set_graph([0] * 3, [0, 0, 1, 2, 2, 2], [1, 2, 0, 0, 1, 1], r + t * v, [2, 1, 2, 1, 0, 0])
        return run.forward(theta, [state])

    bar = rng.standard_normal(forward().shape)
    value, error = derivative(lambda t: bar @ forward(t))
    forward()
    assert abs(np.sum(run.adjoint(bar)[1] * v) - value) < 1e-9 * abs(value) + 5 * error


@pytest.mark.parametrize(
    "layers, text",
    [
        ([8, 257], r"got \[8,257\]"),
        ([0], r"got \[0\]"),
        ([2.5], r"got \[2.5\]"),
        ([8] * 7, r"got \[8,8,8,8,8,8,8\]"),
        ("wide", 'got "wide"'),
    ],
)
def test_refusals(layers, text):
    expected = "layers must be a list of at most 6 whole numbers from 1 to 256, "
    with pytest.raises(ValueError, match=expected + text):
        GateRun({"gate": "density", "radial": BASIS | {"layers": layers}})
