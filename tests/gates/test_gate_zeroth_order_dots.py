"""zeroth_order_dots against the sum over children written out, and against Cormorant's recursion for edge states."""

import numpy as np
import pytest
from brute import envelope, harmonics, natural, neighbourhood, radial_functions

from nbcore.gates import GateRun
from nbcore.so3 import real_clebsch_gordan

CUTOFF = 4.0
BESSEL = {"basis": "bessel", "n": 5, "cutoff": CUTOFF, "envelope": "polynomial", "power": 5, "smoothness": 1}


def bessel(r):
    return radial_functions(BESSEL, r) / np.arange(1, BESSEL["n"] + 1)


def aggregate(parent, child, r, weights, H, l_max, l_out, o3):
    """Sum over edges of w[edge][l2][channel] Y_l2 x H_child: state after state, paths by l2, then part of H."""
    n, channels = H[0].shape[0], H[0].shape[2]
    groups = {l3: [] for l3 in range(l_out + 1)}
    for l2 in range(l_max + 1):
        for h in H:
            l1 = (h.shape[1] - 1) // 2
            for l3 in range(abs(l1 - l2), min(l1 + l2, l_out) + 1):
                if o3 and not natural(l1, l2, l3):
                    continue
                A, C = np.zeros((n, 2 * l3 + 1, channels)), real_clebsch_gordan(l1, l2, l3)
                for i, j, vector, w in zip(parent, child, r, weights, strict=True):
                    A[i] += w[l2] * np.einsum("abc,ak,b->ck", C, h[j], harmonics(l2, vector))
                groups[l3].append(A)
    return np.concatenate([np.concatenate(group, axis=2).ravel() for group in groups.values()])


def dots(state, i, j):
    """[part and channel] scalar products of the states of two nodes, over sqrt(2l+1)."""
    return np.concatenate([np.sum(F[i] * F[j], axis=0) / np.sqrt(F.shape[1]) for F in state])


@pytest.mark.parametrize("parity", ["o3", "so3"])
@pytest.mark.parametrize("n_children", [1, 2, 17, 33])
def test_brute_force(parity, n_children):
    """Several states of unequal channels, a node that is its own child, more children than are taken at a time."""
    rng = np.random.default_rng(n_children)
    n, l_max, l_out, types = 5, 3, 2, [([0, 1, 2], 3), ([0, 3], 9), ([1], 2)]
    states = [[rng.standard_normal((n, 2 * l + 1, channels)) for l in ls] for ls, channels in types]
    parent = [1] * n_children + [3, 3]
    child = [*rng.integers(0, n, n_children), 3, 0]
    r = neighbourhood(rng, n_children + 2, CUTOFF)
    parts = [[(l, (-1) ** l if parity == "o3" else 0, channels) for l in ls] for ls, channels in types]
    run = GateRun(dict(gate="zeroth_order_dots", l_max=l_max, l_out=l_out, radial=BESSEL, scale=0.4), parts,
                  parity=parity)  # fmt: skip
    run.set_graph([0] * n, parent, child, r)
    theta = rng.standard_normal(run.n_parameters)
    out = run.forward(theta, [np.concatenate([F.ravel() for F in state]) for state in states])

    n_dots = 3 * 3 + 2 * 9 + 2
    assert run.parameters == {"R": (4, 5, 3), "V": (4, n_dots, 3)}
    R, V = theta[:60].reshape(4, 5, 3) / np.sqrt(5), theta[60:].reshape(4, n_dots, 3) / np.sqrt(n_dots)
    weights = []
    for i, j, vector in zip(parent, child, r, strict=True):
        length = np.linalg.norm(vector)
        X = envelope(BESSEL, length) * np.concatenate([dots(state, i, j) for state in states])
        weights.append(np.einsum("n,lnc->lc", bessel(length), R) + np.einsum("k,lkc->lc", X, V))
    expected = 0.4 * aggregate(parent, child, r, weights, states[0], l_max, l_out, parity == "o3")
    assert out.shape == expected.shape
    assert np.abs(out - expected).max() < 1e-13 * np.abs(expected).max()


def test_recursion_of_edge_states():
    """g^(s+1) = [g^s + (F_i^s . F_j^s) + eta^s(r)] W^s for three levels, under one mask: linear in the products of all
    levels, so that the gate needs no state of edges."""
    rng = np.random.default_rng(2)
    n, channels, l_max, n_dots = 4, 3, 2, 6
    states = [[rng.standard_normal((n, 2 * l + 1, channels)) for l in (0, 1)] for _ in range(3)]
    parent, child = [0, 0, 1, 2, 2, 3], [1, 2, 0, 3, 0, 2]
    r = neighbourhood(rng, len(parent), CUTOFF)
    W_g, W_dots, W_eta = (rng.standard_normal((3, l_max + 1, k, channels)) for k in (channels, n_dots, 5))

    weights = []
    for i, j, vector in zip(parent, child, r, strict=True):
        length = np.linalg.norm(vector)
        mask = envelope(BESSEL, length)
        g = np.zeros((l_max + 1, channels))
        for s, state in enumerate(states):
            joined = [(g, W_g), (np.tile(dots(state, i, j), (l_max + 1, 1)), W_dots)]
            joined.append((np.tile(bessel(length) / mask, (l_max + 1, 1)), W_eta))
            g = sum(np.einsum("lk,lkc->lc", x, W[s]) for x, W in joined)
        weights.append(mask * g)
    expected = aggregate(parent, child, r, weights, states[2], l_max, 1, o3=True)

    V, R, carried = [], 0, np.array([np.eye(channels)] * (l_max + 1))
    for s in (2, 1, 0):  # what level s adds goes through the later W_g
        V.append(np.einsum("lkc,lcd->lkd", W_dots[s], carried))
        R = R + np.einsum("lkc,lcd->lkd", W_eta[s], carried)
        carried = np.einsum("lkc,lcd->lkd", W_g[s], carried)
    parts = [[(0, 1, channels), (1, -1, channels)]] * 3
    run = GateRun(dict(gate="zeroth_order_dots", l_max=l_max, l_out=1, radial=BESSEL), parts)
    run.set_graph([0] * n, parent, child, r)
    theta = np.concatenate([R.ravel() * np.sqrt(5), np.concatenate(V, axis=1).ravel() * np.sqrt(3 * n_dots)])
    out = run.forward(theta, [np.concatenate([F.ravel() for F in state]) for state in states[::-1]])
    assert np.abs(out - expected).max() < 1e-13 * np.abs(expected).max()


@pytest.mark.parametrize(
    "change, inputs, text",
    [
        ({}, [], "takes states as inputs"),
        ({}, [[(0, 1, 4), (1, -1, 5)]], r"\(zeroth_order_dots\): all parts of the input must have the same channels"),
        ({"l_out": 0, "l_min": 2}, [[(0, 1, 4)]], "no path leads to"),
        ({"l_max": 11}, [[(0, 1, 4)]], "l_max must be a whole number from 0 to 10"),
        ({"radial": {"cutoff": -1.0}}, [[(0, 1, 4)]], "cutoff must be a number above 0"),
    ],
)
def test_refusals(change, inputs, text):
    with pytest.raises(ValueError, match=text):
        GateRun({"gate": "zeroth_order_dots", **change}, inputs)
