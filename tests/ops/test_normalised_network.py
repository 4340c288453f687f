"""Radial networks with biases, layer norms and elements, and envelopes behind networks: against NumPy."""

import numpy as np
import pytest
from brute import radial_functions

from nbcore.errors import InputError
from nbcore.gates import GateRun

CUTOFF, N_SPECIES = 4.5, 3
BASIS = {"basis": "bessel", "n": 8, "cutoff": CUTOFF, "envelope": "polynomial", "power": 5}
DISTANCES = np.linspace(0.3, 4.4, 54)  # more than a chunk of edges


def shapes(radial):
    """Of the parameters, in order."""
    found, before, layers = {}, radial["n"], radial["layers"]
    for k, width in enumerate(layers, start=1):
        found[f"radial{k}"] = (before, width)
        if radial["network"] == "normalised":
            if k == 1:
                found |= {"radial1_parent": (N_SPECIES, width), "radial1_child": (N_SPECIES, width)}
            else:
                found[f"radial{k}_bias"] = (width,)
            if k < len(layers) or radial["last_layer"] == "silu":
                found |= {f"radial{k}_gain": (width,), f"radial{k}_shift": (width,)}
        before = width
    return found


def functions(radial, theta, r, a, b):
    """What a gate reads at the distance r, complex too, of elements a and b."""
    W, at = {}, 0
    for name, shape in shapes(radial).items():
        W[name] = theta[at : at + int(np.prod(shape))].reshape(shape)
        at += int(np.prod(shape))
    assert at == theta.size
    envelope = 1 - 21 * (r / CUTOFF) ** 5 + 35 * (r / CUTOFF) ** 6 - 15 * (r / CUTOFF) ** 7
    h = radial_functions(radial, r)
    if radial["envelope_of"] == "network":
        h = h / envelope
    for k in range(1, len(radial["layers"]) + 1):
        h = h @ W[f"radial{k}"] / np.sqrt(len(h))
        if radial["network"] == "normalised":
            h = h + (W["radial1_parent"][a] + W["radial1_child"][b] if k == 1 else W[f"radial{k}_bias"])
        if f"radial{k}_gain" in W:
            h = (h - h.mean()) / np.sqrt(((h - h.mean()) ** 2).mean() + 1e-5)
            h = (1 + W[f"radial{k}_gain"]) * h + W[f"radial{k}_shift"]
        if k < len(radial["layers"]) or radial["last_layer"] == "silu":
            h = 1.679 * h / (1 + np.exp(-h))
        elif radial["last_layer"] == "tanh_square":
            h = np.tanh(h**2)
    if radial["network"] == "normalised" and radial["last_layer"] == "silu":
        h = np.append(h, 1.0)
    return h * envelope if radial["envelope_of"] == "network" else h


CASES = [
    dict(layers=[9, 6], network="normalised", last_layer="silu", envelope_of="network"),
    dict(layers=[8], network="normalised", last_layer="silu", envelope_of="basis"),
    dict(layers=[5, 16, 1], network="normalised", last_layer="tanh_square", envelope_of="network"),
    dict(layers=[7, 3], network="normalised", last_layer="linear", envelope_of="network"),
    dict(layers=[9, 8], network="plain", last_layer="silu", envelope_of="network"),
    dict(layers=[9, 4], network="plain", last_layer="linear", envelope_of="network"),
    dict(layers=[1], network="plain", last_layer="tanh_square", envelope_of="network"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join(map(str, c.values())))
def test_values_slopes_and_gradients(case):
    radial = BASIS | case
    rng = np.random.default_rng(0)
    n = len(DISTANCES)
    species = np.sort(rng.integers(0, N_SPECIES, n))
    direction = rng.standard_normal((n, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    run = GateRun({"gate": "density", "l_max": 0, "by_species": False, "radial": radial}, n_species=N_SPECIES)
    child = rng.permutation(n)
    run.set_graph(species, range(n), child, DISTANCES[:, None] * direction)
    assert run.parameters == shapes(radial)
    theta = 0.7 * rng.standard_normal(run.n_parameters)
    pairs = [(r, species[i], species[child[i]]) for i, r in enumerate(DISTANCES)]
    expected = np.array([functions(radial, theta, *pair) for pair in pairs])
    got = run.forward(theta).reshape(n, -1)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13 * np.abs(expected).max())
    bar = rng.standard_normal(expected.shape)
    _, r_bar, gradient = run.adjoint(bar.ravel())
    slopes = [
        b @ functions(radial, theta, r + 1e-200j, *z).imag / 1e-200 for b, (r, *z) in zip(bar, pairs, strict=True)
    ]
    size = np.abs(slopes).max()
    np.testing.assert_allclose(np.sum(r_bar * direction, axis=1), slopes, rtol=0, atol=1e-11 * size)
    for k in rng.choice(run.n_parameters, min(25, run.n_parameters), replace=False):
        moved = theta.astype(complex)
        moved[k] += 1e-200j
        one = sum(b @ functions(radial, moved, *pair) for b, pair in zip(bar, pairs, strict=True)).imag / 1e-200
        assert abs(gradient[k] - one) < 1e-11 * np.abs(gradient).max()


def test_an_unknown_network():
    with pytest.raises(InputError, match="network must be"):
        GateRun({"gate": "density", "radial": BASIS | {"layers": [4], "network": "deep"}})
