"""tensor_product against the outer product followed by Clebsch-Gordan coefficients (G1)."""

import numpy as np
import pytest

from nbcore.gates import GateRun
from nbcore.so3 import real_clebsch_gordan


@pytest.mark.parametrize("parity", ["o3", "so3"])
@pytest.mark.parametrize("sets, over", [(1, "channels"), (3, "groups"), (3, "channels")])
def test_brute_force(parity, sets, over):
    """Channels of a set are those of every sets-th group, or of every sets-th channel within the groups; the number of
    sets may be that of the channels too."""
    rng, n, ls = np.random.default_rng(1), 3, [0, 1, 2]
    groups, group = (2 * sets, 3) if over == "groups" else (2, sets)
    parts = [(l, (-1) ** l if parity == "o3" else 0, groups, group) for l in ls]
    A = [rng.standard_normal((n, 2 * l + 1, groups, group)) for l in ls]
    run = GateRun({"gate": "tensor_product", "l_max": 3, "n_blocks": sets, "blocks_over": over}, [parts], parity=parity)
    run.set_graph([0] * n, [], [], np.zeros((0, 3)))
    out, at, types = run.forward([], [np.concatenate([a.ravel() for a in A])]), 0, []
    for s in range(sets):
        of_set = [(a[:, :, s::sets] if over == "groups" else a[..., s::sets]).reshape(n, a.shape[1], -1) for a in A]
        for p, l1 in enumerate(ls):
            for q, l2 in list(enumerate(ls))[p:]:
                for L in range(abs(l1 - l2), min(l1 + l2, 3) + 1):
                    if parity == "o3" and (l1 + l2 + L) % 2:
                        continue
                    kron = np.einsum("nxa,nyb->nxyab", of_set[p], of_set[q])
                    expected = np.einsum("xyz,nxyab->nzab", real_clebsch_gordan(l1, l2, L), kron)
                    got = out[at : at + expected.size].reshape(expected.shape)
                    assert np.abs(got - expected).max() < 1e-13 * max(1, np.abs(expected).max())
                    at += expected.size
                    types.append((L, (-1) ** L if parity == "o3" else 0, expected.shape[2] * expected.shape[3]))
    assert at == len(out) and types == run.output


def test_norm_is_kept():
    """All L together keep the norm: |a x b| = |a| |b|, here a and b two different parts."""
    rng = np.random.default_rng(2)
    run = GateRun({"gate": "tensor_product", "l_max": 5}, [[(2, 0, 1), (3, 0, 1)]], parity="so3")
    run.set_graph([0], [], [], np.zeros((0, 3)))
    a, b = rng.standard_normal(5), rng.standard_normal(7)
    out = run.forward([], [np.concatenate([a, b])])
    at, norm = 0, 0.0
    for k, (l, _, _) in enumerate(run.output):
        if 5 <= k < 10:  # after 2 x 2 -> 0..4 comes 2 x 3 -> 1..5
            norm += np.sum(out[at : at + 2 * l + 1] ** 2)
        at += 2 * l + 1
    assert [l for l, _, _ in run.output][5:10] == [1, 2, 3, 4, 5]
    assert abs(norm - (a @ a) * (b @ b)) < 1e-13 * norm


@pytest.mark.parametrize(
    "change, parts, text",
    [
        ({"n_blocks": 3}, [[(0, 1, 4)]], "4 channels cannot be cut into n_blocks = 3"),
        ({"n_blocks": 2, "blocks_over": "groups"}, [[(0, 1, 4)]], "1 groups cannot be cut into n_blocks = 2"),
        ({"blocks_over": "parts"}, [[(0, 1, 4)]], 'blocks_over must be "channels" or "groups"'),
        ({"l_max": -1}, [[(0, 1, 4)]], "l_max must be a whole number"),
        ({}, [[(0, 1, 4)], [(0, 1, 4)]], "takes one input"),
    ],
)
def test_refusals(change, parts, text):
    with pytest.raises(ValueError, match=text):
        GateRun({"gate": "tensor_product", **change}, parts)
