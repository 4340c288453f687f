"""self_product against chains of products written out: values, and the space that correlation 3 spans."""

import numpy as np
import pytest
from brute import couple, natural

from nbcore.gates import GateRun


def gate(ls, l_max, correlation, o3=True, channels=1, n_species=1):
    parts = [(l, (-1) ** l if o3 else 0, channels) for l in ls]
    spec = {"gate": "self_product", "l_max": l_max, "correlation": correlation}
    return GateRun(spec, [parts], n_species, "o3" if o3 else "so3")


def outputs_per_weight(run, A):
    """[weight] -> {L: [node][m]}, times sqrt(number of weights of that L), for one channel."""
    n = len(A[0])
    run.set_graph([0] * n, [], [], np.zeros((0, 3)))
    state, results = np.concatenate([a.ravel() for a in A]), []
    for k in range(run.n_parameters):
        out, at, found = run.forward(np.eye(run.n_parameters)[k], [state]), 0, {}
        for l, _, _ in run.output:
            found[l] = out[at : at + n * (2 * l + 1)].reshape(n, 2 * l + 1)
            at += n * (2 * l + 1)
        results.append(found)
    count = {l: sum(bool(r[l].any()) for r in results) for l, _, _ in run.output}
    return [{l: x * np.sqrt(count[l]) for l, x in r.items() if x.any()} for r in results]


@pytest.mark.parametrize("o3", [True, False])
def test_one_and_two_factors(o3):
    """First A itself, then the products of parts l1 <= l2, with unit weights, in this order."""
    ls, rng = [0, 1, 2, 3], np.random.default_rng(1)
    A = [rng.standard_normal((3, 2 * l + 1)) for l in ls]
    for correlation in (1, 2):
        expected = []
        for L in range(4):
            expected.append((L, A[L]))
            if correlation == 2:
                for l1 in ls:
                    for l2 in range(l1, 4):
                        antisymmetric = l1 == l2 and L % 2
                        if abs(l1 - l2) <= L <= l1 + l2 and not antisymmetric and (natural(l1, l2, L) or not o3):
                            expected.append((L, [couple(x, l1, y, l2, L) for x, y in zip(A[l1], A[l2], strict=True)]))
        got = outputs_per_weight(gate(ls, 3, correlation, o3), A)
        assert len(got) == len(expected)
        for found, (L, x) in zip(got, expected, strict=True):
            assert list(found) == [L] and np.abs(found[L] - x).max() < 1e-14 * np.abs(x).max()


def chains(ls, L, o3):
    """All ((l1 l2) l12, l3) L that do not vanish, l12 unlimited."""
    for l1 in ls:
        for l2 in [l for l in ls if l >= l1]:
            for l12 in range(abs(l1 - l2), l1 + l2 + 1):
                for l3 in ls:
                    if abs(l12 - l3) <= L <= l12 + l3 and not (l1 == l2 and l12 % 2):
                        if (l1 + l2 + l3 + L) % 2 == 0 or not o3:
                            yield l1, l2, l12, l3


@pytest.mark.parametrize(
    "ls, o3, counts",
    [
        ([0, 1], True, [2, 2]),
        ([0, 1, 2], True, [5, 5, 6]),
        ([0, 1, 2, 3], True, [8, 12, 14]),
        ([0, 1, 2], False, [5, 6, 8]),
        ([1, 3], False, None),
        ([2], True, None),
    ],
)
def test_three_factors_span_everything_once(ls, o3, counts):
    """The functions of the gate and those of all chains span the same space, the gate's without redundancy."""
    rng, n = np.random.default_rng(2), 30
    A = {l: rng.standard_normal((n, 2 * l + 1)) for l in ls}
    l_max = len(counts) - 1 if counts else 2
    run = gate(ls, l_max, 3, o3)
    weights = outputs_per_weight(run, list(A.values()))
    lower = gate(ls, l_max, 2, o3)
    fewer = outputs_per_weight(lower, list(A.values())) if lower.output else []
    for L in range(l_max + 1):
        columns = [w[L].ravel() for w in weights if L in w]
        n_lower = sum(L in w for w in fewer)
        mine = np.array(columns[n_lower:]).reshape(-1, n * (2 * L + 1)).T
        all_of_them = [
            [couple(couple(A[l1][i], l1, A[l2][i], l2, l12), l12, A[l3][i], l3, L) for i in range(n)]
            for l1, l2, l12, l3 in chains(ls, L, o3)
        ]
        all_of_them = np.array(all_of_them).reshape(-1, n * (2 * L + 1)).T
        rank = np.linalg.matrix_rank(all_of_them, tol=1e-9) if all_of_them.size else 0
        assert mine.shape[1] == rank == (counts[L] if counts else rank)
        if rank:
            assert np.linalg.matrix_rank(mine, tol=1e-9) == rank
            left_over = mine - all_of_them @ np.linalg.lstsq(all_of_them, mine, rcond=1e-12)[0]
            assert np.abs(left_over).max() < 1e-11 * np.abs(mine).max()


def test_weights_belong_to_a_species_and_a_channel():
    """out[i, c] = sum_k w[species of i, k, c] f_k(A[i, :, c]): the channels one by one."""
    ls, channels, species, rng = [0, 1, 2], 5, [0, 0, 1, 2, 2], np.random.default_rng(3)
    A = [rng.standard_normal((5, 2 * l + 1, channels)) for l in ls]
    run, one = gate(ls, 1, 3, channels=channels, n_species=3), gate(ls, 1, 3)
    run.set_graph(species, [], [], np.zeros((0, 3)))
    assert run.parameters == {"w": (3, one.n_parameters, channels)}
    w = rng.standard_normal((3, one.n_parameters, channels))
    out, at = run.forward(w.ravel(), [np.concatenate([a.ravel() for a in A])]), 0
    one.set_graph([0] * 5, [], [], np.zeros((0, 3)))
    for l, first in ((0, 0), (1, 5)):
        state = out[at : at + 5 * (2 * l + 1) * channels].reshape(5, 2 * l + 1, channels)
        at += state.size
        for c in range(channels):
            x = np.concatenate([a[:, :, c].ravel() for a in A])
            for i, z in enumerate(species):
                single = one.forward(w[z, :, c], [x])[first : first + 5 * (2 * l + 1)].reshape(5, 2 * l + 1)
                assert np.allclose(state[i, :, c], single[i], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "change, parts, text",
    [
        ({"correlation": 4}, [[(0, 1, 4)]], "correlation must be a whole number from 1 to 3, got 4"),
        ({}, [[(0, 1, 4), (0, 1, 4)]], "one part per l"),
        ({}, [[(0, 1, 4), (1, -1, 3)]], "mix first"),
        ({}, [[(1, 1, 4)]], "natural parity"),
        ({}, [], "takes one input"),
    ],
)
def test_refusals(change, parts, text):
    with pytest.raises(ValueError, match=text):
        GateRun({"gate": "self_product", **change}, parts)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("l_max", [0, 1, 2])
def test_straight_line_code_is_the_table(l_max, dtype):
    """Generated code (l = 0 .. 3, correlation 3) against the kernel that reads the tables, every sweep."""
    rng, n, parts = np.random.default_rng(l_max), 5, [(l, (-1) ** l, 11) for l in range(4)]
    tolerance = 1e-14 if dtype == "float64" else 1e-5
    straight, table = (
        GateRun({"gate": "self_product", "l_max": l_max, "correlation": 3, "kernel": kernel}, [parts], 2, dtype=dtype)
        for kernel in ("auto", "table")
    )
    theta = rng.standard_normal(table.n_parameters)
    x, x_dot = rng.standard_normal((2, n * 16 * 11))

    for dual in (False, True):
        nothing = np.zeros((0, 3))
        size = n * (l_max + 1) ** 2 * 11
        bar = tuple(rng.standard_normal((2, size))) if dual else rng.standard_normal(size)
        results = []
        for run in (straight, table):
            run.set_graph([0, 0, 1, 1, 1], [], [], (nothing, nothing) if dual else nothing)
            out = run.forward(theta, [(x, x_dot) if dual else x])
            sweeps = [(True, False), (False, True)] if dual else [(True, False), (True, True)]
            adjoints = [run.adjoint(bar, *want) for want in sweeps]
            found = [out, *(x_bar for (x_bar,), _, _ in adjoints), *(w_bar for _, _, w_bar in adjoints)]
            results.append([plane for array in found for plane in (array if isinstance(array, tuple) else [array])])
        for a, b in zip(*results, strict=True):
            if b is not None and b.size:
                assert np.abs(a - b).max() <= tolerance * np.abs(b).max()
