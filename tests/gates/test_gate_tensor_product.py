"""tensor_product against the outer product followed by Clebsch-Gordan coefficients."""

import itertools

import complex_states
import numpy as np
import pytest
from complex_states import from_complex, relative, to_complex

from nbcore import so3
from nbcore.gates import GateRun
from nbcore.so3 import real_clebsch_gordan

NO_EDGES = ([], [], np.zeros((0, 3)))


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


def random_states(rng, types, n=3):
    """Flat states of (l, parity, groups, group, complex)."""
    return [
        np.concatenate([rng.standard_normal(n * (2 * l + 1) * g * c) for l, _, g, c, _ in parts]) for parts in types
    ]


@pytest.mark.parametrize("parity", ["o3", "so3"])
@pytest.mark.parametrize("parities", ["natural", "all"])
def test_two_states(parity, parities):
    """Every part of one with every part of the other, unequal channels, pseudo-tensors among them."""
    rng, n = np.random.default_rng(3), 3
    sign = 1 if parity == "o3" else 0
    A = [(0, sign, 1, 4, False), (1, -sign, 2, 3, False), (1, sign, 1, 2, False)]
    B = [(2, sign, 1, 9, False), (1, -sign, 3, 1, False)]
    run = GateRun({"gate": "tensor_product", "l_max": 2, "parities": parities}, [A, B], parity=parity)
    run.set_graph([0] * n, *NO_EDGES)
    states = random_states(rng, [A, B])
    out, at, types = run.forward([], states), 0, []
    a, b = (to_real(x, parts, n) for x, parts in zip(states, [A, B], strict=True))
    for (x, p), (y, q) in itertools.product(zip(a, A, strict=True), zip(b, B, strict=True)):
        for L in range(abs(p[0] - q[0]), min(p[0] + q[0], 2) + 1):
            if parity == "o3" and parities == "natural" and p[1] * q[1] != (-1) ** L:
                continue
            C = real_clebsch_gordan(p[0], q[0], L)
            expected = np.einsum("xyz,nxa,nyb->nzab", C, x, y).ravel()
            assert np.abs(out[at : at + expected.size] - expected).max() < 1e-13 * np.abs(expected).max()
            at += expected.size
            types.append((L, p[1] * q[1], x.shape[2] * y.shape[2]))
    assert at == len(out) and types == run.output


def to_real(state, parts, n):
    arrays, at = [], 0
    for l, _, groups, group, _ in parts:
        size = n * (2 * l + 1) * groups * group
        arrays.append(state[at : at + size].reshape(n, 2 * l + 1, -1))
        at += size
    return arrays


def test_channel_by_channel():
    """pairs "same", of two states and of one with itself: x_a x_a has no odd l, these are left out."""
    rng, n, ls = np.random.default_rng(5), 3, [0, 1, 2]
    parts = [(l, 0, 1, 11, False) for l in ls]
    x, y = random_states(rng, [parts, parts])
    a, b = to_real(x, parts, n), to_real(y, parts, n)
    spec = {"gate": "tensor_product", "l_max": 3, "pairs": "same"}
    for states, second in [([x, y], b), ([x], a)]:
        run = GateRun(spec, [parts] * len(states), parity="so3")
        run.set_graph([0] * n, *NO_EDGES)
        out, at, types = run.forward([], states), 0, []
        for l1, l2 in itertools.product(ls, ls):
            if len(states) == 1 and l1 > l2:
                continue
            for L in range(abs(l1 - l2), min(l1 + l2, 3) + 1):
                expected = np.einsum("xyz,nxa,nya->nza", real_clebsch_gordan(l1, l2, L), a[l1], second[l2])
                if len(states) == 1 and l1 == l2 and L % 2:
                    assert np.abs(expected).max() < 1e-14
                    continue
                got = out[at : at + expected.size].reshape(expected.shape)
                assert np.abs(got - expected).max() < 1e-13 * np.abs(expected).max()
                at += expected.size
                types.append((L, 0, 11))
        assert at == len(out) and types == run.output


COMPLEX = [(0, 0, 2, 3, True), (1, 0, 4, 2, True), (2, 0, 2, 9, True)]
REAL = [(1, 0, 2, 2, False), (2, 0, 1, 3, False)]


@pytest.mark.parametrize("conjugate", [False, True])
@pytest.mark.parametrize("types", [[COMPLEX], [COMPLEX, COMPLEX], [COMPLEX, REAL], [REAL, COMPLEX], [REAL, REAL]])
def test_complex_states(types, conjugate):
    """In the complex basis: textbook coefficients, complex multiplication, and nothing else."""
    rng, n = np.random.default_rng(6), 3
    spec = {"gate": "tensor_product", "l_max": 3, "algebra": "complex", "conjugate": conjugate}
    run = GateRun(spec, types, parity="so3")
    run.set_graph([0] * n, *NO_EDGES)
    states = random_states(rng, types)
    a, b = to_complex(states[0], types[0], n), to_complex(states[-1], types[-1], n)
    if conjugate:  # of the components in the real basis, which transforms like the state itself
        b = [so3.real_to_complex(l) @ (so3.complex_to_real(l) @ y).conj()
             for y, (l, *_) in zip(b, types[-1], strict=True)]  # fmt: skip
    expected = []
    for p, q in itertools.product(range(len(a)), range(len(b))):
        l1, l2 = types[0][p][0], types[-1][q][0]
        if len(types) == 2 or p <= q:
            expected += [complex_states.couple(a[p], l1, b[q], l2, L) for L in range(abs(l1 - l2), min(l1 + l2, 3) + 1)]
    assert relative(to_complex(run.forward([], states), run.output_parts, n), expected) < 1e-13


def test_conjugate_makes_norms():
    """The scalar of x with its conjugate is (-1)^l |x|^2 / sqrt(2l+1), real."""
    rng, n = np.random.default_rng(8), 2
    for l in range(4):
        parts = [(l, 0, 2, 5, True)]
        run = GateRun({"gate": "tensor_product", "l_max": 0, "pairs": "same", "conjugate": True}, [parts], parity="so3")
        run.set_graph([0] * n, *NO_EDGES)
        x = random_states(rng, [parts], n)
        norm = np.sum(np.abs(to_complex(x[0], parts, n)[0]) ** 2, axis=1)
        got = to_complex(run.forward([], x), run.output_parts, n)[0][:, 0]
        assert np.abs(got - (-1) ** l * norm / np.sqrt(2 * l + 1)).max() < 1e-13 * norm.max()


def test_unitary_covariance():
    """Complex states turned by complex Wigner matrices: products turn the same way."""
    rng, n = np.random.default_rng(7), 3
    run = GateRun({"gate": "tensor_product", "l_max": 4}, [COMPLEX], parity="so3")
    run.set_graph([0] * n, *NO_EDGES)
    x = random_states(rng, [COMPLEX])[0]
    out = to_complex(run.forward([], [x]), run.output_parts, n)
    for R in so3.random_rotations(3, 1):
        turned = [
            so3.complex_wigner_D(part[0], R) @ a for part, a in zip(COMPLEX, to_complex(x, COMPLEX, n), strict=True)
        ]
        got = to_complex(run.forward([], [from_complex(turned, COMPLEX)]), run.output_parts, n)
        expected = [so3.complex_wigner_D(part[0], R) @ a for part, a in zip(run.output, out, strict=True)]
        assert relative(got, expected) < 1e-12


def test_types_follow_the_rule():
    """Section 4.1 of the paper: (1, ..., 1) x (0, 1) has the type (1, 3, ..., 3, 2, 1)."""
    for L in range(1, 7):
        run = GateRun(
            {"gate": "tensor_product", "l_max": L + 1}, [[(l, 0, 1) for l in range(L + 1)], [(1, 0, 1)]], parity="so3"
        )
        tau = [sum(c for l, _, c in run.output if l == k) for k in range(L + 2)]
        assert tau == [1] + [3] * (L - 1) + [2, 1]
        product = so3.Irreps.from_type((1,) * (L + 1)).product(so3.Irreps.from_type((0, 1)))
        assert tuple(tau) == product.type


@pytest.mark.parametrize(
    "change, parts, text",
    [
        ({"n_blocks": 3}, [[(0, 1, 4)]], "4 channels cannot be cut into n_blocks = 3"),
        ({"n_blocks": 2, "blocks_over": "groups"}, [[(0, 1, 4)]], "1 groups cannot be cut into n_blocks = 2"),
        ({"blocks_over": "parts"}, [[(0, 1, 4)]], 'blocks_over must be "channels" or "groups"'),
        ({"l_max": -1}, [[(0, 1, 4)]], "l_max must be a whole number"),
        ({}, [[(0, 1, 4)]] * 3, "takes one input or two"),
        ({"pairs": "same"}, [[(0, 1, 4)], [(0, 1, 5)]], 'pairs "same" needs equal channels, got 4 and 5'),
        ({"pairs": "some"}, [[(0, 1, 4)]], 'pairs must be "all" or "same"'),
        ({"algebra": "dual"}, [[(0, 1, 4)]], 'algebra must be "real" or "complex"'),
        ({"parities": "odd"}, [[(0, 1, 4)]], 'parities must be "natural" or "all"'),
    ],
)
def test_refusals(change, parts, text):
    with pytest.raises(ValueError, match=text):
        GateRun({"gate": "tensor_product", **change}, parts)
