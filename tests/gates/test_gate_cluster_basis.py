"""cluster_basis against sums over clusters: every tuple of neighbours, coupled with SymPy's coefficients."""

import numpy as np
import pytest
from brute import radial_functions
from clusters import clusters, invariants

from nbcore.errors import InputError
from nbcore.gates import GateRun

RADIAL = {"basis": "chebyshev", "n": 3, "cutoff": 4.0, "envelope": "smooth"}


@pytest.mark.parametrize(
    "l_max, n_max", [([0, 2, 2], [3, 2, 1]), ([0, 3, 1, 1], [2, 1, 1, 1]), ([0, 0, 0, 2], [1] * 4)]
)
def test_sums_over_clusters_of_three_elements(l_max, n_max):
    rng = np.random.default_rng(len(l_max))
    species, counts = np.array([0, 0, 1, 2, 2, 2]), [3, 6]
    r = rng.standard_normal((sum(counts), 3))
    r *= rng.uniform(0.8, 3.9, len(r))[:, None] / np.linalg.norm(r, axis=1)[:, None]
    parent, child = np.repeat([1, 4], counts), rng.integers(0, 6, len(r))
    density = GateRun(dict(gate="density", l_max=3, radial=RADIAL), n_species=3)
    density.set_graph(species, parent, child, r)
    A = density.forward([])
    gate = GateRun(dict(gate="cluster_basis", l_max=l_max, n_max=n_max), [density.output_parts], n_species=3)
    gate.set_graph(species, [], [], np.zeros((0, 3)))
    B = gate.forward([], [A]).reshape(6, -1)
    for i in (1, 4):
        R = np.array([radial_functions(RADIAL, d) for d in np.linalg.norm(r[parent == i], axis=1)]).T
        expected = clusters(r[parent == i], species[child[parent == i]], 3, R, l_max, n_max)
        assert expected.shape == B[i].shape
        assert np.abs(B[i] - expected).max() < 1e-12 * np.abs(expected).max()
    assert not B[[0, 2, 3, 5]].any()  # no neighbours


def test_products_of_five():
    """Contractions of the invariant tensors with any state: here every factor is one of a scalar and a vector."""
    A = [np.random.default_rng(5).standard_normal(2 * l + 1) for l in range(2)]
    gate = GateRun(dict(gate="cluster_basis", l_max=[0, 0, 0, 0, 1], n_max=[1] * 5), [[(0, 1, 1), (1, -1, 1)]])
    gate.set_graph([0], [], [], np.zeros((0, 3)))
    expected = [A[0][0] ** nu for nu in range(1, 5)]
    for n_vectors in (0, 2, 4):
        ls = (0,) * (5 - n_vectors) + (1,) * n_vectors
        for T in invariants(ls, tuple(a == b for a, b in zip(ls, (None, *ls), strict=False))):
            for l in ls:
                T = np.tensordot(A[l], T, 1)
            expected.append(float(T))
    got = gate.forward([], [np.concatenate(A)])
    assert got.shape == (7,) and np.abs(got - expected).max() < 1e-13 * np.abs(expected).max()


def test_refusals():
    scalars = [(0, 1, 2), (1, -1, 2)]
    for spec, inputs, message in (
        (dict(n_max=[1]), [scalars], "n_max needs a number beside each of l_max, 3, got 1"),
        (dict(l_max=[0] * 6), [scalars], "l_max"),
        ({}, [[(1, 1, 2)]], "natural parity"),
        ({}, [[(0, 1, 2), (0, 1, 3)]], "one part per l"),
        ({}, [[(1, -1, 1)], [(1, -1, 1)]], "one input"),
        (dict(l_max=[1]), [[(1, -1, 2)]], "no product of the input is invariant"),
        (dict(l_max=[0, 2, 2, 2, 2]), [[(l, (-1) ** l, 300) for l in range(3)]], "too many products of 3 factors"),
        (dict(l_max=[0, 0, 0, 9, 9]), [[(l, (-1) ** l, 1) for l in range(10)]], "too many"),
    ):
        with pytest.raises(InputError, match=message):
            GateRun(dict(gate="cluster_basis", **spec), inputs)
