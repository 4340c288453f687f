"""Distances transformed by pairs of elements, and counts of neighbours: against the formulas, written out in NumPy."""

import numpy as np
import pytest

from nbcore.gates import GateRun

CUTOFF, RADII = 4.5, [0.31, 0.76, 0.66]
TRANSFORMS = [
    {"transform": "agnesi", "a": 1.2, "q": 0.9, "p": 4.5},
    {"transform": "agnesi"},
    {"transform": "soft", "steepness": 3.0},
]
DISTANCES = np.array([0.2, 0.7, 1.0, 1.7, 2.9, 4.0, 4.4])


def transformed(option, r, a, b):
    if option["transform"] == "agnesi":
        k, q, p = (option.get(name, usual) for name, usual in [("a", 1.0805), ("q", 0.9183), ("p", 4.5791)])
        t = r / (0.5 * (RADII[a] + RADII[b]))
        return 1 / (1 + k * t**q / (1 + t ** (q - p)))
    r0 = RADII[a] + RADII[b]
    p0, p1 = 0.75 * r0, 4 / 3 * r0
    slope = option["steepness"] / (p1 - p0)
    return p0 + (r - p0) * 0.5 * (1 + np.tanh(slope * (r - 0.5 * (p0 + p1))))


def chebyshev(option, r, a, b, n=4):
    """T_1 to T_n of the transformed distance, times the envelope of power 6 at r."""
    x, u = transformed(option, r, a, b), r / CUTOFF
    T = [1.0, x]
    while len(T) <= n:
        T.append(2 * x * T[-1] - T[-2])
    return np.array(T[1:]) * (1 - 28 * u**6 + 48 * u**7 - 21 * u**8)


def bessel(option, r, a, b, n=4):
    """sqrt(2/rc) sin(k pi x/rc) / x times the envelope of power 6 at r."""
    x, u = transformed(option, r, a, b), r / CUTOFF
    envelope = 1 - 28 * u**6 + 48 * u**7 - 21 * u**8
    return np.array([np.sqrt(2 / CUTOFF) * np.sin(k * np.pi * x / CUTOFF) / x * envelope for k in range(1, n + 1)])


def graph():
    """Parents of all elements with children of all elements at all distances."""
    pairs = [(a, b) for a in range(3) for b in range(3)]
    species, parent, child, r = [0, 1, 2], [], [], []
    for a, b in pairs:
        for distance in DISTANCES:
            parent.append(a), child.append(b), r.append(distance)
    return species, parent, child, np.array(r)


@pytest.mark.parametrize("basis", ["bessel", "chebyshev_unscaled"])
@pytest.mark.parametrize("option", TRANSFORMS, ids=lambda o: f"{o['transform']}{len(o)}")
def test_values_and_slopes(option, basis):
    functions = bessel if basis == "bessel" else chebyshev
    species, parent, child, r = graph()
    radial = {"basis": basis, "cutoff": CUTOFF, "n": 4, "radii": RADII, **option}
    run = GateRun({"gate": "density", "l_max": 0, "radial": radial}, n_species=3)
    rng = np.random.default_rng(1)
    direction = rng.standard_normal((len(r), 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    run.set_graph(species, parent, child, r[:, None] * direction)
    expected = np.zeros((3, 3, 4))
    for a, b, x in zip(parent, child, r, strict=True):
        expected[a, b] += functions(option, x, a, b)
    got = run.forward([]).reshape(3, 3, 4)
    size = np.abs(expected).max()
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13 * size)
    bar = rng.standard_normal((3, 3, 4))
    _, r_bar, _ = run.adjoint(bar.ravel())
    slopes = [
        bar[a, b] @ functions(option, x + 1e-200j, a, b).imag / 1e-200 for a, b, x in zip(parent, child, r, strict=True)
    ]
    np.testing.assert_allclose(np.sum(r_bar * direction, axis=1), slopes, rtol=1e-10, atol=1e-11 * size)


def test_a_count_of_neighbours():
    """tanh((B w)^2) of a network whose only layer has one unit."""
    radial = {"cutoff": CUTOFF, "n": 4, "layers": [1], "last_layer": "tanh_square"}
    run = GateRun({"gate": "density", "l_max": 0, "by_species": False, "radial": radial}, n_species=3)
    species, parent, child, r = graph()
    run.set_graph(species, parent, child, np.stack([r, 0 * r, 0 * r], axis=1))
    w = np.array([0.7, -0.4, 1.1, 0.3])
    B = np.array([np.sqrt(2 / CUTOFF) * np.sin(k * np.pi * r / CUTOFF) / r for k in range(1, 5)])
    u = r / CUTOFF
    z = (w / 2) @ (B * (1 - 28 * u**6 + 48 * u**7 - 21 * u**8))
    expected = [np.tanh(z[np.array(parent) == a] ** 2).sum() for a in range(3)]
    np.testing.assert_allclose(run.forward(w), expected, rtol=1e-13)


def test_refusals():
    def make(**options):
        return GateRun({"gate": "density", "radial": {"cutoff": CUTOFF, "transform": "agnesi", **options}}, n_species=3)

    with pytest.raises(ValueError, match="radii must be 3 numbers"):
        make()
    with pytest.raises(ValueError, match="radii must be 3 numbers, one per element, got 2"):
        make(radii=RADII[:2])
    with pytest.raises(ValueError, match="radii must be above 0"):
        make(radii=[0.3, 0.0, 0.5])
    with pytest.raises(ValueError, match="p must be above q"):
        make(radii=RADII, q=2.0, p=1.0)
