"""invariants: contractions of Cartesian tensors, which NumPy's einsum takes from the directions themselves."""

import numpy as np
import pytest

from nbcore import so3
from nbcore.gates import GateRun

HOP = ["", "i,i", "ij,ij", "ij,jk,ki", "ijk,ijk", "ijk,ijl,abk,abl", "i,ij,j", "i,ij,jk,k", "i,j,k,ijk",
       "i,ijk,jkl,l", "ij,jkl,ikl", "ij,jk,ilm,klm", "ij,ijk,abk,ab"]  # fmt: skip
MORE = [",i,i", "i,i,j,j", "ijkl,ijkl", "ij,kl,ijkl", "ij,jk,kl,lm,mi"]
DELTA = np.eye(3)


def traceless(u):
    """Symmetric traceless tensors of a unit vector, rank 0 to 4, written out; T : T = 1, 1, 2/3, 2/5, 8/35."""
    u3, u4 = np.einsum("i,j,k", u, u, u), np.einsum("i,j,k,l", u, u, u, u)
    t3 = u3 - (np.einsum("ij,k", DELTA, u) + np.einsum("ik,j", DELTA, u) + np.einsum("jk,i", DELTA, u)) / 5
    pairs = [("ij", "kl"), ("ik", "jl"), ("il", "jk"), ("jk", "il"), ("jl", "ik"), ("kl", "ij")]
    t4 = u4 - sum(np.einsum(f"{a},{b}->ijkl", DELTA, np.outer(u, u)) for a, b in pairs) / 7
    t4 += sum(np.einsum(f"{a},{b}->ijkl", DELTA, DELTA) for a, b in pairs[:3]) / 35
    return [np.array(1.0), u, np.outer(u, u) - DELTA / 3, t3, t4]


def state_and_tensors(rng, n_channels, l_max):
    """A state, sums of harmonics times weights, and the tensors that are the same sums, of norm |psi^l|."""
    u = rng.standard_normal((6, 3))
    u /= np.linalg.norm(u, axis=1)[:, None]
    weights = rng.standard_normal((6, n_channels))
    state, tensors, per_direction = [], [], [traceless(one) for one in u]
    for l in range(l_max + 1):  # noqa: E741
        Y = np.array([so3.spherical_harmonics(l, one)[-(2 * l + 1) :] for one in u])
        Y /= np.linalg.norm(Y[0])
        state.append(np.einsum("em,ec->mc", Y, weights))
        T = np.stack([t[l] for t in per_direction])
        T = T / np.linalg.norm(T[0])
        tensors.append(np.einsum("e...,ec->c...", T, weights))
    return state, tensors


@pytest.mark.parametrize("terms", [HOP, MORE])
def test_against_einsum(terms):
    rng, n, l_max = np.random.default_rng(3), 11, 3 if terms is HOP else 4
    state, tensors = state_and_tensors(rng, n, l_max)
    order = [2, 0, 3, 1, 4][: l_max + 1] if l_max == 4 else [2, 0, 3, 1]
    parts = [(k, (-1) ** k, n) for k in order]
    run = GateRun({"gate": "invariants"} | ({} if terms is HOP else {"terms": terms}), [parts])
    run.set_graph([0], [], [], np.zeros((0, 3)))
    assert run.output_parts == [(0, 1, len(terms), n, False)]
    got = run.forward([], [np.concatenate([state[k].ravel() for k in order])]).reshape(len(terms), n)
    for row, term in zip(got, terms, strict=True):
        factors = term.split(",")
        expected = np.einsum(",".join("Z" + f for f in factors) + "->Z", *[tensors[len(f)] for f in factors])
        assert np.abs(row - expected).max() < 1e-13 * np.abs(expected).max(), term


def test_numbers_of_invariants():
    counts = {(4, 3): 13, (4, 2): 6, (3, 3): 7, (3, 2): 5, (2, 3): 4, (2, 2): 3, (4, 1): 2, (1, 3): 1, (4, 0): 1}
    for (n_max, l_max), count in counts.items():
        run = GateRun({"gate": "invariants", "n_max": n_max, "l_max": l_max}, [[(k, (-1) ** k, 2) for k in range(4)]])
        assert run.output == [(0, 1, 2 * count)]


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (["i,j"], "every index twice, it has i 1 time"),
        (["ii"], "is zero, the tensors have no trace"),
        (["ijk,ijk"], "its input no part with l = 3"),
        (["i,I"], "must be letters"),
        ([",".join(["i,i"] * 3)], "more than 5 factors"),
    ],
)
def test_refused_terms(terms, said):
    with pytest.raises(ValueError, match=said):
        GateRun({"gate": "invariants", "terms": terms}, [[(k, (-1) ** k, 2) for k in range(3)]])


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([(0, 1, 2), (1, 1, 2)], "natural parity"),
        ([(0, 1, 2), (1, -1, 3)], "the same channels"),
        ([(0, 1, 2), (0, 1, 2)], "l = 0 twice"),
        ([(2, 1, 2)], "none of the tensors"),
    ],
)
def test_refused_inputs(parts, said):
    with pytest.raises(ValueError, match=said):
        GateRun({"gate": "invariants", "l_max": 1}, [parts])
