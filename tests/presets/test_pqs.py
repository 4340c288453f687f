"""pqs_gates against eq. (6) written out: sums over tuples of children of Cartesian tensors and states, coupled tuple by
tuple; the numbers of independent covariants; and the special cases, eqs. (10) and (11)."""

import itertools

import complex_states
import numpy as np
import pytest
from brute import couple, harmonics
from differences import derivative
from programs import run_program
from random_structures import SYMBOLS, molecule

import nbcore
from nbcore import so3
from nbcore.gates import GateRun
from nbcore.presets import pqs_gates

CUTOFF = 4.0
RADIAL = {"cutoff": CUTOFF, "envelope": "smooth"}
N = 3  #: children of the one parent


class Oracle:
    """States as lists of (l, parity, [m][channel], shape of the channels), real, or complex in the complex basis."""

    def __init__(self, parity, is_complex):
        self.o3, self.is_complex = parity == "o3", is_complex
        self.clebsch_gordan = so3.clebsch_gordan if is_complex else so3.real_clebsch_gordan

    def parity_of(self, l):
        return (-1) ** l if self.o3 else 0

    def product(self, A, B, itself=False):
        out = []
        for (p, a), (q, b) in itertools.product(enumerate(A), enumerate(B)):
            if itself and p > q:
                continue
            for L in range(abs(a[0] - b[0]), a[0] + b[0] + 1):
                z = np.einsum("xyz,xa,yb->zab", self.clebsch_gordan(a[0], b[0], L), a[2], b[2]).reshape(2 * L + 1, -1)
                out.append((L, a[1] * b[1], z, (a[2].shape[1], b[2].shape[1])))
        return out

    def power(self, psi, q):
        return psi if q == 1 else self.product(self.power(psi, q - 1), psi, itself=q == 2)

    def tensor_power(self, r, p):
        """[(l, harmonic)] of r x r x ..., p <= 2, from the Cartesian tensor; normalised as |r|^p Y_l."""
        v = np.array([r[1], r[2], r[0]])
        U = [so3.real_to_complex(l) if self.is_complex else np.eye(2 * l + 1) for l in range(3)]
        if p == 0:
            return [(0, np.ones(1))]
        if p == 1:
            return [(1, np.sqrt(3) * U[1] @ v)]
        tensor = np.outer(v, v)
        parts = [(l, np.einsum("abc,ab->c", so3.real_clebsch_gordan(1, 1, l), tensor)) for l in range(3)]
        assert np.abs(parts[1][1]).max() < 1e-13  # r x r is symmetric
        return [(0, -np.sqrt(3) * parts[0][1]), (2, np.sqrt(15 / 2) * U[2] @ parts[2][1])]

    def of_child(self, psi, r, p, q, s):
        """psi^(x q) x r^(x p) |r|^-s of one child for all s given, as zeroth_order orders it."""
        length = np.linalg.norm(r)
        radial = length ** -np.array(s, dtype=float) * (1 - (length / CUTOFF) ** 2) ** 3
        groups = {}
        for l2, y in self.tensor_power(r, p):
            if q == 0:
                groups[l2, self.parity_of(p), ()] = [(radial * y[:, None])]
                continue
            for l1, parity, x, shape in self.power(psi, q):
                for l in range(abs(l1 - l2), l1 + l2 + 1):
                    z = np.einsum("xyz,xa,y->za", self.clebsch_gordan(l1, l2, l), x, y)
                    key = (l, parity * self.parity_of(p), shape)
                    groups.setdefault(key, []).extend(radial[:, None, None] * z)
        return [(*key[:2], np.concatenate(groups[key], axis=1), key[2]) for key in sorted(groups)]

    def term(self, children, term, s):
        """The sum over all tuples of children, coupled tuple by tuple; exchange of two equal factors used once."""
        total = None
        for chosen in itertools.product(children, repeat=len(term)):
            of = [self.of_child(psi, r, p, q, s) for (psi, r), (p, q) in zip(chosen, term, strict=True)]
            state = of[0]
            for k, other in enumerate(of[1:]):
                state = self.product(state, other, itself=k == 0 and term[0] == term[1])
            arrays = [x for _, _, x, _ in state]
            total = arrays if total is None else [a + b for a, b in zip(total, arrays, strict=True)]
        return [(l, parity, x) for (l, parity, _, _), x in zip(state, total, strict=True)]


def setting(parity, is_complex, widths=(2, 1), seed=0):
    """Children's states of l = 0, 1, their vectors, and what run_program wants; node 0 is the parent."""
    rng = np.random.default_rng(seed)
    r = rng.standard_normal((N, 3))
    r *= (rng.uniform(1.0, 3.0, N) / np.linalg.norm(r, axis=1))[:, None]
    parts = [(l, (-1) ** l if parity == "o3" else 0, 1 + is_complex, w, is_complex) for l, w in enumerate(widths)]
    flat = rng.standard_normal(sum((N + 1) * (2 * l + 1) * g * w for l, _, g, w, _ in parts))
    arrays = complex_states.to_complex(flat, parts, N + 1)
    if not is_complex:
        arrays = [(so3.complex_to_real(l) @ x).real for l, x in enumerate(arrays)]
    children = [
        ([(l, part[1], x[j], (x.shape[2],)) for (l, x), part in zip(enumerate(arrays), parts, strict=True)], r[j - 1])
        for j in range(1, N + 1)
    ]
    edges = [0] * N, list(range(1, N + 1)), r
    return children, edges, {"psi": (flat, parts)}


def of_parent(state, parts, is_complex):
    """[(l, parity, [m][channel])] of node 0."""
    arrays = complex_states.to_complex(state, parts, N + 1)
    if not is_complex:
        arrays = [(so3.complex_to_real(part[0]) @ x).real for part, x in zip(parts, arrays, strict=True)]
    return [(part[0], part[1], x[0]) for part, x in zip(parts, arrays, strict=True)]


def terms_of(gates):
    """slot -> its factors (p, q), from the names."""
    return {name: tuple((int(f[1]), int(f[2])) for f in name.split("_") if f[0] == "A") for name in gates[-1]["inputs"]}


def compare(gates, oracle, children, edges, states, parity, powers_of, l_out):
    program = {"gates": gates[:-1], "parity": parity}
    slots = run_program(program, [0] * (N + 1), edges, {}, 1, states)
    compared = 0
    for name, term in terms_of(gates).items():
        got = [part for part in of_parent(*slots[name], oracle.is_complex) if part[0] <= l_out]
        expected = [part for part in oracle.term(children, term, powers_of(name)) if part[0] <= l_out]
        assert [part[:2] for part in got] == [part[:2] for part in expected], name
        for (_, _, a), (_, _, b) in zip(got, expected, strict=True):
            assert a.shape == b.shape
            scale = max(np.abs(part[2]).max() for part in expected)
            assert np.abs(a - b).max() < 1e-13 * scale, name
            compared += 1
    return compared


@pytest.mark.parametrize("parity, is_complex", [("so3", False), ("o3", False), ("so3", True), ("o3", True)])
@pytest.mark.parametrize("l_out", [0, 2])
def test_2_2_3_is_the_dense_expansion(parity, is_complex, l_out):
    """Orders of the whole product: all 25 terms, of up to four children, every power by itself."""
    children, edges, states = setting(parity, is_complex)
    algebra = "complex" if is_complex else "real"
    gates = pqs_gates("g", 2, 2, 3, 4, l_out, RADIAL, "psi", 1, children=4, orders="total", algebra=algebra)
    assert len(terms_of(gates)) == 25
    oracle = Oracle(parity, is_complex)
    assert compare(gates, oracle, children, edges, states, parity, lambda name: range(4), l_out) > 50


@pytest.mark.parametrize("orders, n_terms", [((2, 2, 3, 2), 8 + 36), ((1, 1, 1, 3), 3 + 6 + 10)])
def test_orders_of_each_child(orders, n_terms):
    """The letter of eq. (6), to as many children as are asked for: here two, and all three."""
    children, edges, states = setting("so3", False, widths=(1, 1))
    *pqs, n_children = orders
    gates = pqs_gates("g", *pqs, 4, 1, RADIAL, "psi", 1, children=n_children)
    assert len(terms_of(gates)) == n_terms
    compare(gates, Oracle("so3", False), children, edges, states, "so3", lambda name: range(pqs[2] + 1), 1)


@pytest.mark.parametrize("parity", ["so3", "o3"])
def test_equal_powers(parity):
    """s_1 = .. = s_n: four times the same terms."""
    children, edges, states = setting(parity, False, widths=(1, 2))
    gates = pqs_gates("g", 2, 2, 3, 4, 1, RADIAL, "psi", 1, children=4, orders="total", powers="equal")
    assert len(terms_of(gates)) == 4 * 25
    compare(gates, Oracle(parity, False), children, edges, states, parity, lambda name: [int(name[-1])], 1)


def test_third_power_of_a_state():
    """Q = 3: psi x psi x psi of a child, and products of three children."""
    children, edges, states = setting("so3", False, widths=(1, 1))
    gates = pqs_gates("g", 1, 3, 0, 4, 1, RADIAL, "psi", 1, children=4, orders="total")
    assert {"g_psi2", "g_psi3"} <= {gate["name"] for gate in gates}
    compare(gates, Oracle("so3", False), children, edges, states, "so3", lambda name: [0], 1)


def test_eqs_10_and_11_are_special_cases():
    """The sums of eq. (10) and the double sums of eq. (11), pair by pair, i = j included."""
    children, edges, states = setting("so3", False)
    gates = pqs_gates("g", 1, 1, 3, 4, 2, RADIAL, "psi", 1, powers="equal")
    slots = run_program({"gates": gates[:-1], "parity": "so3"}, [0] * (N + 1), edges, {}, 1, states)
    for s in range(4):
        eq_10, eq_11 = {}, {}
        single = []
        for psi, r in children:
            length = np.linalg.norm(r)
            weight = length ** (1.0 - s) * (1 - (length / CUTOFF) ** 2) ** 3
            sums = {}
            for l1, _, x, _ in psi:
                for c, l in itertools.product(range(x.shape[1]), range(abs(l1 - 1), l1 + 2)):
                    sums[l1, c, l] = weight * couple(x[:, c], l1, harmonics(1, r), 1, l)
            single.append(sums)
        for key in single[0]:
            eq_10.setdefault(key[2], []).append(sum(x[key] for x in single))
        for a, b in itertools.product(single[0], repeat=2):
            for L in range(abs(a[2] - b[2]), min(a[2] + b[2], 2) + 1):
                double = sum(couple(x[a], a[2], y[b], b[2], L) for x in single for y in single)
                eq_11.setdefault(L, []).append(double)
        for slot, expected in ((f"g_A11_s{s}", eq_10), (f"g_A11_A11_s{s}", eq_11)):
            for l, sums in expected.items():
                got = np.concatenate([x for L, _, x in of_parent(*slots[slot], False) if L == l], axis=1)
                for x in sums:  # as a set: up to the sign that exchanging factors brings
                    nearest = np.abs(np.stack([got.T - x, got.T + x])).max(axis=2).min()
                    assert nearest < 1e-13 * np.abs(got).max()


def test_nothing_is_kept_that_nobody_reads():
    """Products have no l above what the mixing or a longer product can use; terms that reach no output are left out."""
    gates = pqs_gates("g", 2, 2, 3, 4, 0, RADIAL, "psi", 1, children=4, orders="total")
    l_max = {gate["name"]: gate.get("l_out", gate["l_max"]) for gate in gates}
    assert l_max["g_A01_A01_A10_A10"] == 0 and l_max["g_A01_A01_A10"] == 1 and l_max["g_A11_A11"] == 0
    assert l_max["g_A11"] == 2 and l_max["g_A10_A11"] == 0
    alone = pqs_gates("g", 2, 1, 1, 4, 0, RADIAL, children=1)
    assert [gate["name"] for gate in alone] == ["g_A01", "g_A20", "g_A21", "g"]
    assert all(gate["l_max"] == 0 for gate in alone[:-1])


@pytest.mark.parametrize(
    "l_max, factors, iterated, independent",
    [
        (3, 2, (4, 6, 7), (4, 3, 5)),
        (3, 3, (23, 51, 65), (8, 12, 14)),
        (2, 3, (11, 21, 23), (5, 5, 6)),
        (1, 3, (4, 6, 3), (2, 2, 1)),
        (2, 4, (55, 124, 148), (9, 9, 13)),
    ],
)
def test_numbers_of_covariants(l_max, factors, iterated, independent):
    """Paths of ((A x A) x A) x .. with one channel of natural parity, and the rank of what they give."""
    rng, n = np.random.default_rng(1), 20
    parts = [(l, (-1) ** l, 1) for l in range(l_max + 1)]
    A = rng.standard_normal(n * (l_max + 1) ** 2)
    states = {"A": (A, [(l, p, 1, c, False) for l, p, c in parts])}
    gates = []
    for k in range(2, factors + 1):  # pseudo-tensors and every l on the way, natural parity in the end
        last = dict(l_max=2, parities="natural") if k == factors else dict(l_max=k * l_max, parities="all")
        gates.append(dict(gate="tensor_product", name=f"A{k}", inputs=[f"A{k - 1}" if k > 2 else "A", "A"], **last))
    no_edges = ([], [], np.zeros((0, 3)))
    state, parts = run_program({"gates": gates, "parity": "o3"}, [0] * n, no_edges, {}, 1, states)[f"A{factors}"]
    arrays = complex_states.to_complex(state, parts, n)
    for L in range(3):
        columns = [x.reshape(-1) for part, x in zip(parts, arrays, strict=True) if part[0] == L]
        assert len(columns) == iterated[L]
        values = np.linalg.svd(np.array(columns), compute_uv=False)
        assert np.sum(values > 1e-10 * values[0]) == independent[L]


def test_exchange_halves_the_product_of_a_sum_with_itself():
    """One channel: the paths of a self product are the independent ones (4, 3, 5 for L = 0, 1, 2)."""
    run = GateRun({"gate": "tensor_product", "l_max": 2}, [[(l, (-1) ** l, 1) for l in range(4)]])
    assert [sum(part[0] == L for part in run.output) for L in range(3)] == [4, 3, 5]


def network(parity, algebra):
    """Two levels of (2, 2, 1) gates."""
    options = dict(radial={"cutoff": 3.2, "envelope": "smooth"}, powers="equal", parities="natural", algebra=algebra,
                   children=4, orders="total")  # fmt: skip
    gates = pqs_gates("psi1", 2, 2, 1, 2, 1, **options)
    gates += pqs_gates("psi2", 2, 2, 1, 2, 0, before="psi1", l_before=1, **options)
    gates += [dict(gate="mix", name=f"energy{k}", inputs=[f"psi{k}"], channels=1, l_max=0) for k in (1, 2)]
    program = {"parity": parity, "gates": gates, "readout": ["energy1", "energy2"]}
    description = {"species": SYMBOLS, "cutoff": 3.2, "E0s": dict.fromkeys(SYMBOLS, 0.0), "program": program}
    potential = nbcore.Potential(description, seed=2)
    potential.scale = 1 / np.abs(potential.compute(*molecule(np.random.default_rng(3), 7)).forces).max()
    return potential


@pytest.mark.parametrize("parity, algebra", [("o3", "real"), ("so3", "real"), ("so3", "complex")])
def test_as_a_potential(parity, algebra, tmp_path):
    """Invariance, forces, mirror images, the model file."""
    potential = network(parity, algebra)
    x, species = molecule(np.random.default_rng(3), 7)
    r = potential.compute(x, species)
    R = so3.random_rotations((), 3)
    turned = potential.compute(x @ R.T, species)
    assert abs(turned.energy - r.energy) < 1e-11 and np.abs(turned.forces - r.forces @ R.T).max() < 1e-11
    assert (abs(potential.compute(-x, species).energy - r.energy) < 1e-11) == (parity == "o3")
    v = np.random.default_rng(4).standard_normal(x.shape)
    value, error = derivative(lambda t: potential.compute(x + t * v, species).energy, 0.02)
    assert error < 1e-7 and abs(value + np.sum(r.forces * v)) < 1e-9 + 5 * error
    potential.save(tmp_path / "pqs.nbcore")
    assert nbcore.Potential.load(tmp_path / "pqs.nbcore").compute(x, species).energy == r.energy


@pytest.mark.parametrize(
    "change, text",
    [
        ({"P": -1}, "P must be a whole number of at least 0, got -1"),
        ({"Q": 1.5}, "Q must be a whole number"),
        ({"P": 0, "Q": 0}, "P and Q are both 0"),
        ({"powers": "some"}, 'powers must be "all" or "equal"'),
        ({"orders": "some"}, 'orders must be "each" or "total"'),
        ({"children": 0}, "children must be a whole number of at least 1, got 0"),
    ],
)
def test_refusals(change, text):
    arguments = dict(name="g", P=1, Q=1, S=1, channels=2, l_out=1, radial=RADIAL) | change
    with pytest.raises(nbcore.errors.InputError, match=text):
        pqs_gates(**arguments)
