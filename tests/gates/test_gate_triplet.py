"""triplet against sums over pairs of neighbours, written out."""

import itertools

import numpy as np
import pytest

from nbcore.gates import GateRun

CUTOFF = 4.0
ETA, SHIFT, ZETA = [0.05, 0.3, 0.3, 0.05, 1.0], [0.0, 0.4, 0.4, 1.5, 0.0], [1.0, 4.0, 4.0, 2.0, 1.0]
LAMBDA, ANGLE = [1.0, -1.0, 1.0, 1.0, -1.0], [0.2, 1.0, 2.0, 2.9, 1.0]


def cosine(r):
    return 0.5 * (1 + np.cos(np.pi * r / CUTOFF)) * (r < CUTOFF)


def function(form, n, r_j, r_k, r_jk, c):
    eta, s = ETA[n], SHIFT[n]
    if form == "ani":
        theta = np.arccos(0.95 * c)
        angular = 2 * ((1 + np.cos(theta - ANGLE[n])) / 2) ** (ZETA[n] + 0.5)
        return angular * np.exp(-eta * ((r_j + r_k) / 2 - s) ** 2) * cosine(r_j) * cosine(r_k)
    value = 2 ** (1 - ZETA[n]) * (1 + LAMBDA[n] * c) ** ZETA[n] * np.exp(-eta * ((r_j - s) ** 2 + (r_k - s) ** 2))
    if form == "narrow":
        value *= np.exp(-eta * (r_jk - s) ** 2) * cosine(r_jk)
    return value * cosine(r_j) * cosine(r_k)


def spec(form):
    options = {"gate": "triplet", "form": form, "cutoff": CUTOFF, "eta": ETA, "shift": SHIFT, "scale": 0.5}
    if form == "ani":
        return options | {"angle": ANGLE, "zeta": [z + 0.5 for z in ZETA]}
    return options | {"lambda": LAMBDA, "zeta": ZETA}


def neighbours(rng, n_atoms=3, n_species=3):
    """Parents, species of the children in order, edge vectors; some beyond the cutoff, one atom with one neighbour."""
    edges, parent, child = [], [], []
    for i, count in enumerate([12, 1, 23][:n_atoms]):
        z = np.sort(rng.integers(0, n_species, count))
        r = rng.normal(size=(count, 3))
        r *= (rng.uniform(0.9, 4.6, count) / np.linalg.norm(r, axis=1))[:, None]
        parent += [i] * count
        child += z.tolist()
        edges.append(r)
    return np.array(parent), np.array(child), np.concatenate(edges)


@pytest.mark.parametrize("form", ["wide", "narrow", "ani"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_brute_force(form, dtype):
    rng, n_species = np.random.default_rng(3), 3
    parent, child, r = neighbours(rng)
    species = [0, 1, 2]  # of the atoms, which are each other's children: any of the species serves
    run = GateRun(spec(form), [], n_species, dtype=dtype)
    run.set_graph(species, parent, child, r)
    pairs = list(itertools.combinations_with_replacement(range(n_species), 2))
    assert run.output_parts[0][:4] == (0, 1, len(pairs), len(ETA))
    got = run.forward([], []).reshape(3, len(pairs), len(ETA))
    expected = np.zeros(got.shape)
    for i in range(3):
        own = np.flatnonzero(parent == i)
        for j, k in itertools.combinations(own, 2):
            r_j, r_k, r_jk = (np.linalg.norm(v) for v in (r[j], r[k], r[j] - r[k]))
            pair = pairs.index(tuple(sorted((child[j], child[k]))))
            for n in range(len(ETA)):
                expected[i, pair, n] += 0.5 * function(form, n, r_j, r_k, r_jk, r[j] @ r[k] / (r_j * r_k))
    assert np.abs(got - expected).max() < (1e-12 if dtype == "float64" else 3e-5) * np.abs(expected).max()


def test_neighbours_in_line_and_on_top_of_each_other_are_finite():
    """cos = 1 and -1, where arccos has no slope, and r_jk = 0: value and adjoint are numbers."""
    r = np.array([[0, 0, 1.0], [0, 0, 2.0], [0, 0, -1.5], [0, 0, 1.0]])
    for form in ("wide", "narrow", "ani"):
        run = GateRun(spec(form), [], 1)
        run.set_graph([0], [0] * 4, [0] * 4, r)
        value = run.forward([], [])
        assert np.isfinite(value).all() and value.max() > 0
        _, r_bar, _ = run.adjoint(np.ones(len(value)))
        assert np.isfinite(r_bar).all()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"eta": [0.1]}, "eta needs a number per function, 5 as zeta has, got 1"),
        ({"lambda": [1.0, 1.0, 0.5, 1.0, 1.0]}, "lambda must be 1 or -1, got 0.5"),
        ({"zeta": [1.0, 2.5, 1.0, 1.0, 1.0]}, "whole numbers, got 2.5"),
        ({"angle": [0.1]}, "angle goes with ani"),
        ({"zeta": []}, "eta needs zeta beside it"),
        ({"zeta": [1.0] * 257}, "more than 256 numbers, 257"),
    ],
)
def test_what_does_not_go_together_is_named(given, said):
    with pytest.raises(ValueError, match=said):
        GateRun(spec("wide") | given, [], 2)


def test_the_usual_functions():
    """Without numbers: eight functions of Behler's kind, the grid of ANI-1x."""
    for form, n in (("wide", 8), ("narrow", 8), ("ani", 32)):
        run = GateRun({"gate": "triplet", "form": form, "cutoff": CUTOFF}, [], 2)
        assert run.output_parts[0][:4] == (0, 1, 3, n)
    grid = {"zeta": [32.0] * 32, "eta": [8.0] * 32, "angle": np.tile((np.arange(8) + 0.5) * np.pi / 8, 4).tolist(),
            "shift": np.repeat(0.9 + np.arange(4) * (CUTOFF - 0.9) / 4, 8).tolist()}  # fmt: skip
    written = GateRun({"gate": "triplet", "form": "ani", "cutoff": CUTOFF} | grid, [], 3)
    parent, child, r = neighbours(np.random.default_rng(0))
    results = []
    for one in (written, GateRun({"gate": "triplet", "form": "ani", "cutoff": CUTOFF}, [], 3)):
        one.set_graph([0, 1, 2], parent, child, r)
        results.append(one.forward([], []))
    assert np.allclose(*results, rtol=1e-13)
