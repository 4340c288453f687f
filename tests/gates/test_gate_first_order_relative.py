"""first_order_relative against the sum over pairs written out, and eq. (12) of the paper."""

import itertools

import numpy as np
import pytest
from brute import harmonics, radial_functions

from nbcore.gates import GateRun
from nbcore.so3 import real_clebsch_gordan

BESSEL = {"basis": "bessel", "n": 3, "cutoff": 9.0}
INVERSE = {"basis": "inverse_power", "n": 4, "cutoff": 1.0, "r_min": 0.5, "envelope": "none"}


def pairs(rng, n_children):
    """Positions of the children of node 0 (they are nodes 1, 2, ...) and all ordered pairs of them."""
    positions = 2 * rng.standard_normal((n_children + 1, 3))
    i, j = np.array(list(itertools.permutations(range(1, n_children + 1), 2))).reshape(-1, 2).T
    return i, j, positions[i] - positions[j]


def coupled(l1, l2, l12, l, L, x, y, vector):
    """((x y)_l12 Y_l)_L for all channels of x (a) and y (b): [M][a][b]."""
    xy = np.einsum("uvw,ua,vb->wab", real_clebsch_gordan(l1, l2, l12), x, y)
    return np.einsum("wmM,wab,m->Mab", real_clebsch_gordan(l12, l, L), xy, harmonics(l, vector))


@pytest.mark.parametrize("parity", ["o3", "so3"])
@pytest.mark.parametrize("mode", ["mix", "all"])
@pytest.mark.parametrize("which", ["same", "all"])
def test_brute_force(parity, mode, which):
    rng = np.random.default_rng(5)
    ls, C, l_max, l_out = [0, 1, 2], 3, 3, 2
    i, j, r = pairs(rng, 4)
    H = [rng.standard_normal((5, 2 * l + 1, C)) for l in ls]
    parts = [(l, (-1) ** l if parity == "o3" else 0, C) for l in ls]
    spec = dict(gate="first_order_relative", l_max=l_max, l_out=l_out, radial=BESSEL, radial_mode=mode, channels=which)
    run = GateRun(spec | {"scale": 0.7}, [parts], parity=parity)
    run.set_graph([0] * 5, [0] * len(i), i, r, j)
    theta = rng.standard_normal(run.n_parameters)
    out = run.forward(theta, [np.concatenate([h.ravel() for h in H])])

    groups, path = {L: [] for L in range(l_out + 1)}, 0
    W = theta.reshape(-1, 3, C) / np.sqrt(3)
    for p, q in itertools.combinations_with_replacement(range(3), 2):
        l1, l2 = ls[p], ls[q]
        for l12 in range(abs(l1 - l2), l1 + l2 + 1):
            for l in range(l_max + 1):
                for L in range(abs(l12 - l), min(l12 + l, l_out) + 1):
                    if parity == "o3" and (l1 + l2 + l + L) % 2:
                        continue
                    if p == q and which == "same" and (l12 + l) % 2:
                        continue
                    sums = np.zeros((3 if mode == "all" else 1, C if which == "all" else 1, 2 * L + 1, C))
                    for a, b, vector in zip(i, j, r, strict=True):
                        x = 0.7 * coupled(l1, l2, l12, l, L, H[p][a], H[q][b], vector)
                        x = np.einsum("Mab->aMb", x) if which == "all" else np.einsum("Maa->Ma", x)[None]
                        B = radial_functions(BESSEL, np.linalg.norm(vector))
                        sums += B[:, None, None, None] * x if mode == "all" else (B @ W[path]) * x
                    groups[L] += list(sums.reshape(-1, 2 * L + 1, C))
                    path += 1
    assert mode == "all" or path == len(W)
    expected = []
    for L, group in groups.items():
        state = np.zeros((5, 2 * L + 1, len(group) * C))
        state[0] = np.concatenate(group, axis=1)
        expected.append(state.ravel())
    expected = np.concatenate(expected)
    assert out.shape == expected.shape
    assert np.abs(out - expected).max() < 1e-13 * np.abs(expected).max()


def sums_of_eq_12(H, i, j, r, C):
    """The gate as eq. (12) has it, scalar children: [s][a][m][b]."""
    spec = dict(
        gate="first_order_relative", l_min=1, l_max=1, l_out=1, radial=INVERSE, radial_mode="all", channels="all"
    )
    run = GateRun(spec, [[(0, 1, C)]])
    run.set_graph([0] * len(H), [0] * len(i), i, r, j)
    return run.forward([], [H.ravel()]).reshape(len(H), 3, 4, C, C)[0].transpose(1, 2, 0, 3)


def test_equation_12():
    """sum over i != j of |r_ij|^-s (psi_i x psi_j x r_ij), s = 0..3, on charges of C kinds."""
    rng = np.random.default_rng(2)
    i, j, r = pairs(rng, 5)
    H = rng.standard_normal((6, 3))
    expected = np.zeros((4, 3, 3, 3))
    for a, b, vector in zip(i, j, r, strict=True):
        y_z_x = np.sqrt(3) * vector[[1, 2, 0]]  # sqrt(4 pi) r Y_1m
        for s in range(4):
            expected[s] += np.linalg.norm(vector) ** -s * np.einsum("a,m,b->amb", H[a], y_z_x, H[b])
    got = sums_of_eq_12(H, i, j, r, 3)
    assert np.abs(got - expected).max() < 1e-13 * np.abs(expected).max()
    assert np.abs(expected).max() > 1


def test_one_scalar_channel_vanishes_and_its_generalisation_does_not():
    rng = np.random.default_rng(3)
    i, j, r = pairs(rng, 6)
    charges = rng.standard_normal((7, 1))
    assert np.abs(sums_of_eq_12(charges, i, j, r, 1)).max() < 1e-13
    spec = dict(gate="first_order_relative", l_max=0, radial=INVERSE | {"n": 3}, radial_mode="all")
    run = GateRun(spec, [[(0, 1, 1)]])
    run.set_graph([0] * 7, [0] * len(i), i, r, j)
    got = run.forward([], [charges.ravel()]).reshape(7, 3)[0, 2]  # B_2 = 1/r
    coulomb = sum(charges[a, 0] * charges[b, 0] / np.linalg.norm(d) for a, b, d in zip(i, j, r, strict=True))
    assert abs(got - coulomb) < 1e-13 * abs(coulomb)


@pytest.mark.parametrize(
    "options, parts, text",
    [
        ({"channels": "some"}, [[(0, 1, 2)]], 'channels must be "same" or "all", got "some"'),
        ({"radial_mode": "none"}, [[(0, 1, 2)]], 'radial_mode must be "mix" or "all"'),
        ({"l_max": -1}, [[(0, 1, 2)]], "l_max must be a whole number"),
        ({}, [[(0, 1, 2), (1, -1, 3)]], "same channels"),
        ({}, [], "takes one input"),
        ({"l_min": 1, "l_max": 1}, [[(0, 1, 2)]], "no path"),
    ],
)
def test_refusals(options, parts, text):
    with pytest.raises(ValueError, match=text):
        GateRun({"gate": "first_order_relative", **options}, parts)


def test_pairs_need_partners():
    run = GateRun({"gate": "first_order_relative"}, [[(0, 1, 1)]])
    with pytest.raises(ValueError, match="other child"):
        run.set_graph([0, 0], [0], [1], np.ones((1, 3)))
    run = GateRun({"gate": "zeroth_order"}, [[(0, 1, 1)]])
    with pytest.raises(ValueError, match="other gates none"):
        run.set_graph([0, 0], [0], [1], np.ones((1, 3)), [0])
