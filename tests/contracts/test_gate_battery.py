"""The battery that every gate passes, found by name. A new gate needs an entry in
gate_examples.EXAMPLES and nothing here."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from differences import derivative, five_point
from gate_examples import EXAMPLES, N_SPECIES, flat, graph, size, split

from nbcore import gates, so3

N_CASES = 8


def test_every_gate_has_examples():
    assert sorted(EXAMPLES) == sorted(gates.available()), "tests/contracts/gate_examples.py: one function per gate"


def test_every_option_is_documented():
    for name, gate in gates.available().items():
        assert gate["summary"], name
        for option, about in gate["options"].items():
            assert {"type", "default", "doc"} <= set(about), (name, option)


@dataclass
class Case:
    """A gate, a graph, and random numbers for everything it reads, each with a random tangent."""

    run: gates.GateRun
    example: object
    edges: tuple  #: species, parent, child
    partner: np.ndarray  #: the other child of each edge, for gates of pairs; else empty
    r: np.ndarray
    inputs: list
    theta: np.ndarray
    r_dot: np.ndarray
    inputs_dot: list
    out_bar: np.ndarray
    out_bar_dot: np.ndarray

    @property
    def n(self):
        return len(self.edges[0])

    @property
    def rows(self):
        """How many nodes, or edges, each input and the output has."""
        inputs, output = self.run.on_edges
        return [len(self.r) if on else self.n for on in inputs], len(self.r) if output else self.n

    def forward(self, t=0.0, r=None, inputs=None, theta=None):
        """The plain output at the point moved by t tangents, or at other arguments."""
        self.run.set_graph(*self.edges, self.r + t * self.r_dot if r is None else r, self.partner)
        x = [a + t * b for a, b in zip(self.inputs, self.inputs_dot, strict=True)] if inputs is None else inputs
        return self.run.forward(self.theta if theta is None else theta, x)

    def adjoint(self, t=0.0):
        """(inputs, r, theta) of the plain adjoint at the point moved by t tangents."""
        self.forward(t)
        inputs, r, theta = self.run.adjoint(self.out_bar + t * self.out_bar_dot)
        return inputs, r.reshape(-1, 3), theta

    def forward_dual(self):
        self.run.set_graph(*self.edges, (self.r, self.r_dot), self.partner)
        return self.run.forward(self.theta, list(zip(self.inputs, self.inputs_dot, strict=True)))


def make_case(name, seed, dtype="float64"):
    rng = np.random.default_rng([seed, *name.encode()])
    example = EXAMPLES[name](rng)
    run = gates.GateRun(example.spec, example.inputs, N_SPECIES, example.parity, dtype)
    species, parent, child, r = graph(rng)
    partner = rng.permutation(child) if gates.available()[name]["pairs"] else np.zeros(0, dtype=int)

    inputs_on_edges, output_on_edges = run.on_edges

    def states():
        return [rng.standard_normal(size(parts, len(parent) if on else len(species)))
                for parts, on in zip(example.inputs, inputs_on_edges, strict=True)]  # fmt: skip

    n_out = size(run.output, len(parent) if output_on_edges else len(species))
    return Case(
        run, example, (species, parent, child), partner, r, states(), rng.standard_normal(run.n_parameters),
        0.3 * rng.standard_normal(r.shape), states(), rng.standard_normal(n_out), rng.standard_normal(n_out),
    )  # fmt: skip


@pytest.fixture(
    params=[(name, seed) for name in sorted(EXAMPLES) for seed in range(N_CASES)], ids=lambda p: f"{p[0]}-{p[1]}"
)
def case(request):
    return make_case(*request.param)


def close(a, b, tolerance):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and np.all(np.isfinite(a))
    assert np.abs(a - b).max(initial=0) <= tolerance * max(1.0, np.abs(b).max(initial=0))


def close_to_differences(got, value_and_error):
    value, error = value_and_error
    scale = max(1.0, np.abs(got).max(initial=0))
    assert got.shape == value.shape and np.all(error <= 1e-7 * scale), "differences too coarse to say anything"
    assert np.all(np.abs(got - value) <= 1e-10 * scale + 5 * error)


def rotations():
    """Haar random, and those at which Euler angles and axis-angle forms break."""
    half, quarter = np.diag([1.0, -1, -1]), np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    special = [np.eye(3), half, half[::-1, ::-1], quarter, np.roll(np.eye(3), 1, axis=0)]
    special += [so3.matrix_from_euler(0.4, beta, 1.1) for beta in (1e-8, np.pi - 1e-8, np.pi)]
    return special + list(so3.random_rotations(3, np.random.default_rng(7)))


def rotate(state, parts, n, R, inversion):
    """D acts on the components of each part; parts of odd parity change sign under inversion."""
    sign = [(part[1] if inversion else 1) for part in parts]
    arrays = split(state, parts, n)
    return flat([s * np.einsum("mk,nkc->nmc", so3.wigner_D(part[0], R), a)
                 for s, part, a in zip(sign, parts, arrays, strict=True)])  # fmt: skip


def test_covariance(case):
    """Gate(D psi, R r) = D gate(psi, r), for improper rotations too where parity is tracked."""
    out, (n_in, n_out) = case.forward(), case.rows
    for k, R in enumerate(rotations()):
        inversion = case.example.parity == "o3" and k % 2 == 1
        inputs = [
            rotate(x, parts, n, R, inversion)
            for x, parts, n in zip(case.inputs, case.example.inputs, n_in, strict=True)
        ]
        got = case.forward(r=case.r @ (-R if inversion else R).T, inputs=inputs)
        expected = rotate(out, case.run.output, n_out, R, inversion)
        close(got, expected, 1e-12)


def test_order_of_edges_and_nodes(case):
    """Edges in any order; nodes of one species may change places, and nothing else changes."""
    rng = np.random.default_rng(3)
    out = case.forward()
    species, parent, child = (np.array(a) for a in case.edges)
    order = rng.permutation(len(parent))
    pairs, (on_edges, output_on_edges) = case.partner.size > 0, case.run.on_edges

    def reordered(state, parts, on, order):
        return flat([a[order] for a in split(state, parts, len(case.r))]) if on else state

    case.run.set_graph(species, parent[order], child[order], case.r[order], case.partner[order] if pairs else ())
    inputs = [reordered(x, p, on, order) for x, p, on in zip(case.inputs, case.example.inputs, on_edges, strict=True)]
    close(case.run.forward(case.theta, inputs), reordered(out, case.run.output, output_on_edges, order), 1e-13)

    new = np.lexsort((rng.random(case.n), species))  # new[k]: the node that now has number k
    number = np.argsort(new)

    def renumber(state, parts, on):
        return state if on else flat([a[new] for a in split(state, parts, case.n)])

    case.run.set_graph(species, number[parent], number[child], case.r, number[case.partner] if pairs else ())
    inputs = [renumber(x, p, on) for x, p, on in zip(case.inputs, case.example.inputs, on_edges, strict=True)]
    close(case.run.forward(case.theta, inputs), renumber(out, case.run.output, output_on_edges), 1e-13)


def test_nodes_do_not_hear_strangers(case):
    """A node without edges, and one whom nobody knows: change its state, and no other node notices."""
    (on_edges, output_on_edges), (n_in, n_out) = case.run.on_edges, case.rows
    out = split(case.forward(), case.run.output, n_out)
    inputs = [x.copy() for x in case.inputs]
    for x, parts, on, n in zip(inputs, case.example.inputs, on_edges, n_in, strict=True):
        for a in split(x, parts, n):
            if not on:
                a[1] += 1.0
    strangers = [] if output_on_edges else [1]
    for a, b in zip(split(case.forward(inputs=inputs), case.run.output, n_out), out, strict=True):
        assert np.array_equal(np.delete(a, strangers, 0), np.delete(b, strangers, 0))


def test_adjoint_of_the_tangent(case):
    """<out_bar, out_dot> = <in_bar, in_dot> + <r_bar, r_dot>; the tangents come from dual lanes."""
    out, out_dot = case.forward_dual()
    close(case.forward(), out, 1e-13)
    inputs_bar, r_bar, _ = case.adjoint()
    terms = [out_bar * dot for out_bar, dot in [(case.out_bar, out_dot)]]
    terms += [-a * b for a, b in zip(inputs_bar, case.inputs_dot, strict=True)]
    terms.append(-r_bar * case.r_dot)
    # cancellation of the parts of one edge, harmonics against radial functions, is within r_bar
    assert abs(sum(t.sum() for t in terms)) <= 1e-13 * sum(np.abs(t).sum() for t in terms)


def test_tangents(case):
    """The tangent of the tangent sweep is the derivative along the tangents of inputs and edges."""
    _, out_dot = case.forward_dual()
    close_to_differences(out_dot, derivative(case.forward))


def test_adjoint_of_parameters(case):
    """Outputs are polynomials in the weights, so that five points give their derivative exactly; not so of radial
    networks, and of gates that have weights within a function."""
    theta_dot = np.random.default_rng(5).standard_normal(case.run.n_parameters)
    theta_bar = case.adjoint()[2]
    assert theta_bar.shape == theta_dot.shape
    spec = case.example.spec
    bent = "layers" in spec.get("radial", {}) or spec["gate"] in ("edge_network", "norm_activation")
    along = derivative if bent else lambda f: (five_point(f), 0.0)
    slope, error = along(lambda t: case.forward(theta=case.theta + t * theta_dot))
    assert np.all(error <= 1e-8 * max(1.0, np.abs(slope).max(initial=0))), "differences too coarse to say anything"
    terms = case.out_bar * slope
    tolerance = 1e-12 * (np.abs(terms).sum() + np.abs(theta_bar * theta_dot).sum())
    assert abs(terms.sum() - theta_bar @ theta_dot) <= tolerance + 5 * np.sum(np.abs(case.out_bar) * error)


def test_wants_agree(case):
    """Adjoints of states and edges do not depend on whether those of parameters are asked for."""
    with_parameters = case.adjoint()
    case.forward()
    inputs, r, theta = case.run.adjoint(case.out_bar, edges=True, parameters=False)
    assert theta.size == 0
    for a, b in zip([*inputs, r.reshape(-1, 3)], [*with_parameters[0], with_parameters[1]], strict=True):
        close(a, b, 1e-14)


def test_dual_adjoint(case):
    """Tangent sweeps of the adjoint: values as in the plain one, tangents the derivatives along all tangents."""
    inputs, r, theta = case.adjoint()
    case.forward_dual()
    bar = (case.out_bar, case.out_bar_dot)
    inputs_dual, r_dual, _ = case.run.adjoint(bar, edges=True, parameters=False)
    case.forward_dual()
    inputs_again, _, theta_dot = case.run.adjoint(bar, edges=False, parameters=True)
    r_dual = tuple(x.reshape(-1, 3) for x in r_dual)

    close(r_dual[0], r, 1e-12)
    for a, b, c in zip(inputs_dual, inputs, inputs_again, strict=True):
        close(a[0], b, 1e-12), close(c[0], b, 1e-12), close(c[1], a[1], 1e-12)

    def along(t):
        inputs, r, theta = case.adjoint(t)
        return np.concatenate([*inputs, r.ravel(), theta])

    got = np.concatenate([*[x[1] for x in inputs_dual], r_dual[1].ravel(), theta_dot])
    close_to_differences(got, derivative(along))


def test_forward_overwrites_adjoint_accumulates(case):
    """Nothing is left of an earlier sweep in the output; two adjoint sweeps give the inputs twice the adjoint."""
    out, (inputs, _, _) = case.forward(), case.adjoint()
    case.forward(t=0.3)
    assert np.array_equal(case.forward(), out)
    case.run.adjoint(case.out_bar), case.run.adjoint(case.out_bar)
    for once, twice in zip(inputs, case.run.adjoint(np.zeros_like(case.out_bar))[0], strict=True):
        close(twice, 2 * once, 1e-13)


def test_nodes_within_larger_arrays(case):
    """What blocks of a large system give a gate: rows of states, of their adjoints and of the children that differ, and
    adjoints to be overwritten where nothing has been written. The same bits, and nothing else is touched."""
    example = case.example
    run = gates.GateRun(example.spec, example.inputs, N_SPECIES, example.parity, embedded=True)
    inside = replace(case, run=run)
    assert np.array_equal(inside.forward(), case.forward())
    for a, b in zip(inside.adjoint()[0] + list(inside.adjoint()[1:]), case.adjoint()[0] + list(case.adjoint()[1:]),
                    strict=True):  # fmt: skip
        assert np.array_equal(a, b)
    for a, b in zip(run.adjoint(case.out_bar)[0], case.run.adjoint(case.out_bar)[0], strict=True):  # added
        assert np.array_equal(a, b)
    bar = (case.out_bar, case.out_bar_dot)
    for wants in (dict(edges=True, parameters=False), dict(edges=False, parameters=True)):
        assert np.array_equal(inside.forward_dual(), case.forward_dual())
        (x, r, theta), (y, s, phi) = run.adjoint(bar, **wants), case.run.adjoint(bar, **wants)
        assert all(np.array_equal(a, b) for a, b in zip(x, y, strict=True))
        assert all(np.array_equal(a, b) for a, b in zip(r, s, strict=True) if wants["edges"])
        assert np.array_equal(theta, phi)


def test_no_edges_and_no_nodes(case):
    """Nodes that are all alone, and no nodes at all: finite numbers of the right shape."""
    case.run.set_graph(case.edges[0], [], [], np.zeros((0, 3)))
    on_edges, output_on_edges = case.run.on_edges
    out = case.run.forward(case.theta, [x[:0] if on else x for x, on in zip(case.inputs, on_edges, strict=True)])
    inputs, r, theta = case.run.adjoint(case.out_bar[: 0 if output_on_edges else None])
    assert out.shape == case.out_bar[: 0 if output_on_edges else None].shape and r.size == 0
    assert all(np.all(np.isfinite(x)) for x in [out, theta, *inputs])
    case.run.set_graph([], [], [], np.zeros((0, 3)))
    assert case.run.forward(case.theta, [np.zeros(0) for _ in case.inputs]).size == 0
    inputs, r, theta = case.run.adjoint(np.zeros(0))
    assert r.size == 0 and not theta.any()


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("seed", range(4))
def test_single_precision(name, seed):
    """float32 against float64: outputs and all adjoints, plain and dual."""
    exact, single = make_case(name, seed), make_case(name, seed, "float32")
    close_single(single.forward(), exact.forward())
    a, b = single.adjoint(), exact.adjoint()
    for x, y in zip([*a[0], *a[1:]], [*b[0], *b[1:]], strict=True):
        close_single(x, y)
    close_single(single.forward_dual()[1], exact.forward_dual()[1])
    bar = (exact.out_bar, exact.out_bar_dot)
    close_single(single.run.adjoint(bar, False, True)[2], exact.run.adjoint(bar, False, True)[2])


def close_single(a, b):
    assert a.dtype == b.dtype == float and a.shape == b.shape
    assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_unknown_option_is_refused(name):
    """With the gate and what it has."""
    example = EXAMPLES[name](np.random.default_rng(0))
    with pytest.raises(ValueError, match=rf"{name}.*colour"):
        gates.GateRun({**example.spec, "colour": 3}, example.inputs, N_SPECIES, example.parity)
