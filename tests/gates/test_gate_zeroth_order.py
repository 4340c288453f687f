"""zeroth_order against the sum over children written out, and eqs. (10) and (11) of the paper."""

import itertools

import complex_states
import numpy as np
import pytest
from brute import harmonics, natural, neighbourhood, radial_functions

from nbcore.gates import GateRun
from nbcore.so3 import real_clebsch_gordan

CUTOFF, FRAGMENTS = 4.0, 4  # as many fragments as powers: nothing may be taken for the other
BESSEL = {"basis": "bessel", "n": 6, "cutoff": CUTOFF}
INVERSE = {"basis": "inverse_power", "n": 4, "cutoff": CUTOFF, "envelope": "smooth"}


def paths(ls, l_min, l_max, l_out, o3):
    """(part, l1, l2, l3) in the order of the weights."""
    for l2 in range(l_min, l_max + 1):
        for part, l1 in enumerate(ls):
            for l3 in range(abs(l1 - l2), min(l1 + l2, l_out) + 1):
                if natural(l1, l2, l3) or not o3:
                    yield part, l1, l2, l3


@pytest.mark.parametrize("parity", ["o3", "so3"])
@pytest.mark.parametrize("mode", ["mix", "all"])
@pytest.mark.parametrize("n_children", [1, 2, 33, 65])
def test_brute_force(parity, mode, n_children):
    rng = np.random.default_rng(n_children)
    ls, channels, l_out = [0, 1, 2], 3, 3
    H = [rng.standard_normal((5, 2 * l + 1, channels)) for l in ls]
    r, child = neighbourhood(rng, n_children, CUTOFF), rng.integers(0, 5, n_children)
    parts = [(l, (-1) ** l if parity == "o3" else 0, channels) for l in ls]
    spec = dict(gate="zeroth_order", l_max=3, l_out=l_out, radial=BESSEL, radial_mode=mode, scale=0.4)
    run = GateRun(spec, [parts], parity=parity)
    run.set_graph([0] * 5, [1] * n_children, child, r)
    theta = rng.standard_normal(run.n_parameters)
    out = run.forward(theta, [np.concatenate([h.ravel() for h in H])])

    all_paths = list(paths(ls, 0, 3, l_out, parity == "o3"))
    groups = {l: [] for l in range(l_out + 1)}
    W = theta.reshape(len(all_paths), 6, channels) / np.sqrt(6) if mode == "mix" else None
    for p, (part, l1, l2, l3) in enumerate(all_paths):
        A = np.zeros((6 if mode == "all" else 1, 2 * l3 + 1, channels))
        C = real_clebsch_gordan(l1, l2, l3)
        for j, vector in zip(child, r, strict=True):
            B, Y = radial_functions(BESSEL, np.linalg.norm(vector)), harmonics(l2, vector)
            x = 0.4 * np.einsum("abc,ak,b->ck", C, H[part][j], Y)
            A += B[:, None, None] * x if mode == "all" else x * (B @ W[p])
        groups[l3] += list(A)
    expected = []
    for l, group in groups.items():
        state = np.zeros((5, 2 * l + 1, len(group) * channels))
        state[1] = np.concatenate(group, axis=1)
        expected.append(state.ravel())
    expected = np.concatenate(expected)
    assert out.shape == expected.shape
    assert np.abs(out - expected).max() < 1e-13 * np.abs(expected).max()


def test_unequal_and_complex_states():
    """Parts of any width, as products have them; every second l2; complex ones in the complex basis, with textbook
    coefficients."""
    rng, n, radial = np.random.default_rng(9), 5, {**INVERSE, "first": 2}
    parts = [(0, 0, 2, 9, True), (1, 0, 3, 2, False), (1, 0, 2, 3, True), (2, 0, 2, 9, True), (0, 0, 1, 1, False)]
    r, child, parent = neighbourhood(rng, 40, CUTOFF), rng.integers(0, n, 40), rng.integers(0, n, 40)
    H = np.concatenate([rng.standard_normal(n * (2 * l + 1) * g * c) for l, _, g, c, _ in parts])
    spec = dict(gate="zeroth_order", l_max=2, l_step=2, l_out=3, radial=radial, radial_mode="all")
    run = GateRun(spec, [parts], parity="so3")
    run.set_graph([0] * n, parent, child, r)
    got = complex_states.to_complex(run.forward([], [H]), run.output_parts, n)

    groups = {}  # (l3, groups, group, complex) -> sums of paths and radial functions
    states = complex_states.to_complex(H, parts, n)
    for l2 in (0, 2):
        for (l1, _, *width), x in zip(parts, states, strict=True):
            for l3 in range(abs(l1 - l2), min(l1 + l2, 3) + 1):
                A = np.zeros((4, n, 2 * l3 + 1, x.shape[2]), dtype=complex)
                for i, j, vector in zip(parent, child, r, strict=True):
                    y = complex_states.couple(x[j], l1, complex_states.harmonics(l2, vector)[:, None], l2, l3)
                    A[:, i] += radial_functions(radial, np.linalg.norm(vector))[:, None, None] * y
                if not width[2] and (l1 + l2 + l3) % 2:  # of real states the real coupling is taken
                    A = A / 1j
                groups.setdefault((l3, 0, *width), []).extend(A)
    expected = [np.concatenate(groups[key], axis=-1) for key in sorted(groups)]
    assert [part[:2] + part[3:] for part in run.output_parts] == [key[:2] + key[3:] for key in sorted(groups)]
    assert complex_states.relative(got, expected) < 1e-13


def test_complex_radial_weights():
    """radial_mode "mix": one real weight for real and imaginary part."""
    rng, n, C = np.random.default_rng(2), 4, 3
    parts = [(0, 1, 2, C, True), (1, -1, 2, C, True)]
    r, child = neighbourhood(rng, 9, CUTOFF), rng.integers(0, n, 9)
    H = [rng.standard_normal((n, 2 * l + 1, 2 * C)) for l in (0, 1)]
    run = GateRun(dict(gate="zeroth_order", l_max=2, radial=BESSEL), [parts])
    plain = GateRun(dict(gate="zeroth_order", l_max=2, radial=BESSEL), [[(0, 1, C), (1, -1, C)]])
    theta = rng.standard_normal(run.n_parameters)
    assert run.parameters == plain.parameters
    planes = []
    for plane in (0, 1):
        plain.set_graph([0] * n, [0] * 9, child, r)
        planes.append(plain.forward(theta, [np.concatenate([h[..., plane * C : plane * C + C].ravel() for h in H])]))
    run.set_graph([0] * n, [0] * 9, child, r)
    got = complex_states.to_complex(run.forward(theta, [np.concatenate([h.ravel() for h in H])]), run.output_parts, n)
    real, imaginary = (complex_states.to_complex(x, plain.output_parts, n) for x in planes)
    assert complex_states.relative(got, [a + 1j * b for a, b in zip(real, imaginary, strict=True)]) < 1e-14


def test_unequal_parts_with_weights():
    """Each part has weights of its own, and gives what a gate of that part alone gives."""
    rng, n = np.random.default_rng(8), 5
    parts = [(0, 1, 1, 9, False), (1, -1, 1, 4, False), (1, 1, 2, 4, True), (2, 1, 1, 9, False)]
    r, child = neighbourhood(rng, 12, CUTOFF), rng.integers(0, n, 12)
    H = [rng.standard_normal((n, 2 * l + 1, g * c)) for l, _, g, c, _ in parts]
    spec = dict(gate="zeroth_order", l_max=2, l_out=2, radial=BESSEL, scale=0.5, parities="all")
    run = GateRun(spec, [parts])
    run.set_graph([0] * n, [0] * 12, child, r)
    W = {name: rng.standard_normal(shape) for name, shape in run.parameters.items()}
    assert {name: shape[2] for name, shape in run.parameters.items()} == {"R0": 9, "R1": 4, "R2": 4, "R3": 9}
    out = run.forward(np.concatenate([w.ravel() for w in W.values()]), [np.concatenate([h.ravel() for h in H])])
    found = dict(zip(run.output_parts, complex_states.to_complex(out, run.output_parts, n), strict=True))

    expected = {}
    for l2 in range(3):
        for number, part in enumerate(parts):
            l1, p1, _, width, is_complex = part
            alone = GateRun(spec | dict(l_min=l2, l_max=l2), [[part]])
            n_paths = alone.parameters["R"][0]
            taken, W[f"R{number}"] = W[f"R{number}"][:n_paths], W[f"R{number}"][n_paths:]
            alone.set_graph([0] * n, [0] * 12, child, r)
            x = complex_states.to_complex(alone.forward(taken.ravel(), [H[number].ravel()]), alone.output_parts, n)
            for (l3, p3, *_), y in zip(alone.output_parts, x, strict=True):
                expected.setdefault((l3, p3, width, is_complex), []).append(y)
    assert all(w.size == 0 for w in W.values())
    for (l3, p3, _, width, is_complex), x in found.items():
        assert complex_states.relative([x], [np.concatenate(expected[l3, p3, width, is_complex], axis=2)]) < 1e-13
    assert len(found) == len(expected)


@pytest.mark.parametrize("mode", ["mix", "all"])
def test_species_of_the_children(mode):
    """Without an input: a state whose row is that of the child's species in E; gradients of E too."""
    rng, n, C = np.random.default_rng(6), 6, 5
    species = np.sort(rng.integers(0, 3, n))
    r, child, parent = neighbourhood(rng, 40, CUTOFF), rng.integers(0, n, 40), rng.integers(0, n, 40)
    spec = dict(gate="zeroth_order", l_max=2, radial=BESSEL, radial_mode=mode, scale=0.4)
    run, state = GateRun(spec | dict(channels=C), [], 3), GateRun(spec, [[(0, 1, C)]], 3)
    E, R = rng.standard_normal((3, C)), rng.standard_normal(state.n_parameters)
    assert run.parameters == {"E": (3, C), **state.parameters} and run.output_parts == state.output_parts
    for one in (run, state):
        one.set_graph(species, parent, child, r)
    out, expected = run.forward([*E.ravel(), *R]), state.forward(R, [E[species].ravel()])
    assert np.array_equal(out, expected)
    bar = rng.standard_normal(len(out))
    (_, r_bar, theta_bar), (inputs, expected_r, expected_R) = run.adjoint(bar), state.adjoint(bar)
    assert np.allclose(r_bar, expected_r, rtol=1e-13, atol=1e-13) and np.allclose(theta_bar[3 * C :], expected_R)
    of_E = np.zeros((3, C))
    np.add.at(of_E, species, inputs[0].reshape(n, C))
    assert np.allclose(theta_bar[: 3 * C], of_E.ravel(), rtol=1e-12, atol=1e-13)


@pytest.fixture
def paper():
    """Children with states of l = 0, 1, 2, four fragments each, and the gate of eq. (10), s = 0..3."""
    rng = np.random.default_rng(4)
    n = 5
    psi = {l: rng.standard_normal((n, 2 * l + 1, FRAGMENTS)) for l in range(3)}
    r = neighbourhood(rng, n, CUTOFF)
    spec = dict(gate="zeroth_order", l_min=1, l_max=1, l_out=3, radial=INVERSE, radial_mode="all")
    run = GateRun(spec, [[(l, 0, FRAGMENTS) for l in psi]], parity="so3")
    run.set_graph([0] * n, [0] * n, range(n), r)
    out = run.forward([], [np.concatenate([x.ravel() for x in psi.values()])])
    return n, psi, r, run, out


def first_node(out, parts, n):
    """[l] -> array [2l+1][channel] of node 0, for parts that may share an l."""
    found, at = [], 0
    for l, _, channels in parts:
        found.append(out[at : at + (2 * l + 1) * channels].reshape(2 * l + 1, channels))
        at += n * (2 * l + 1) * channels
    return found


def eq_10(n, psi, r, s):
    """[l3] -> list of (l1, [2l3+1][channel]): sum_i |r_i|^-s psi_i x r_i, r as a covariant of l = 1."""
    length = np.linalg.norm(r, axis=1)
    weight = length ** (1.0 - s) * (1 - (length / CUTOFF) ** 2) ** 3  # |r|^-s r = |r|^(1-s) times the direction
    sums = {}
    for l1 in psi:
        for l3 in range(abs(l1 - 1), l1 + 2):
            total = sum(
                w * np.einsum("abc,ak,b->ck", real_clebsch_gordan(l1, 1, l3), x, harmonics(1, v))
                for w, x, v in zip(weight, psi[l1], r, strict=True)
            )
            sums.setdefault(l3, []).append((l1, total))
    return sums


def test_eq_10_to_the_letter(paper):
    n, psi, r, run, out = paper
    for (l3, _, channels), A in zip(run.output, first_node(out, run.output, n), strict=True):
        A = A.reshape(2 * l3 + 1, -1, 4, FRAGMENTS)  # [m][path][s][fragment]
        for s in range(4):
            for path, (_, expected) in enumerate(eq_10(n, psi, r, s)[l3]):
                assert np.allclose(A[:, path, s], expected, rtol=1e-12, atol=1e-13)
        assert channels == 4 * FRAGMENTS * len(eq_10(n, psi, r, 0)[l3])


def test_eq_11_as_a_double_sum(paper):
    """sum_ij |r_i|^-s |r_j|^-s psi_i x psi_j x r_i x r_j, pair by pair, against the product of two sums."""
    n, psi, r, run, out = paper
    product = GateRun(
        {"gate": "tensor_product", "l_max": 2, "n_blocks": 4, "blocks_over": "groups"},
        [_parts(run, FRAGMENTS)],
        parity="so3",
    )
    product.set_graph([0] * n, [], [], np.zeros((0, 3)))
    factorised = first_node(product.forward([], [out]), product.output, n)
    single = [eq_10(1, {l: x[i : i + 1] for l, x in psi.items()}, r[i : i + 1], 2) for i in range(n)]

    at = len(factorised) // 4 * 2  # parts of the set s = 2
    types = [l for l, _, _ in run.output]
    for p, q in itertools.combinations_with_replacement(range(len(types)), 2):
        for L in range(abs(types[p] - types[q]), min(types[p] + types[q], 2) + 1):
            expected = 0
            for i, j in itertools.product(range(n), repeat=2):
                a = np.concatenate([x for _, x in single[i][types[p]]], axis=1)
                b = np.concatenate([x for _, x in single[j][types[q]]], axis=1)
                ab = np.einsum("xyz,xa,yb->zab", real_clebsch_gordan(types[p], types[q], L), a, b)
                expected = expected + ab.reshape(2 * L + 1, -1)
            assert np.abs(factorised[at] - expected).max() < 1e-12 * max(1, np.abs(expected).max())
            at += 1
    assert at == len(factorised) // 4 * 3


def _parts(run, group):
    return [(l, parity, channels // group, group) for l, parity, channels in run.output]


def test_scaling_law(paper):
    """lambda^(1-s) for eq. (10), lambda^(2-2s) for eq. (11)."""
    n, psi, r, run, out = paper
    state = np.concatenate([x.ravel() for x in psi.values()])
    scale = 1.3
    radial = INVERSE | {"cutoff": CUTOFF * scale}
    larger = GateRun(dict(gate="zeroth_order", l_min=1, l_max=1, l_out=3, radial=radial, radial_mode="all"),
                     [[(l, 0, FRAGMENTS) for l in psi]], parity="so3")  # fmt: skip
    larger.set_graph([0] * n, [0] * n, range(n), scale * r)
    A = larger.forward([], [state])
    for (l, _, _), a, b in zip(run.output, first_node(A, run.output, n), first_node(out, run.output, n), strict=True):
        a, b = (x.reshape(2 * l + 1, -1, 4, FRAGMENTS) for x in (a, b))
        assert np.allclose(a, b * scale ** (1.0 - np.arange(4))[:, None], rtol=1e-12, atol=1e-14)

    product = GateRun(
        {"gate": "tensor_product", "l_max": 2, "n_blocks": 4, "blocks_over": "groups"},
        [_parts(run, FRAGMENTS)],
        parity="so3",
    )
    product.set_graph([0] * n, [], [], np.zeros((0, 3)))
    a, b = (first_node(product.forward([], [x]), product.output, n) for x in (A, out))
    for k, (x, y) in enumerate(zip(a, b, strict=True)):
        s = k // (len(a) // 4)
        assert np.allclose(x, y * scale ** (2.0 - 2 * s), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "change, parts, text",
    [
        ({}, [[(0, 1, 4), (1, -1, 2, 5)]], "parts of the input must have one group"),
        ({"radial_mode": "some"}, [[(0, 1, 4)]], 'radial_mode must be "mix" or "all"'),
        ({"parities": "odd"}, [[(0, 1, 4)]], 'parities must be "natural" or "all"'),
        ({"l_step": 3}, [[(0, 1, 4)]], "l_step must be a whole number from 1 to 2"),
        ({"l_out": 0, "l_min": 2}, [[(0, 1, 4)]], "no path leads to"),
        ({"radial": {"cutoff": -1.0}}, [[(0, 1, 4)]], "cutoff must be a number above 0, at most 1000000, got -1.0"),
        (
            {"radial": {"basis": "sinc"}},
            [[(0, 1, 4)]],
            'basis must be "bessel", "chebyshev", .* or "windows", got "sinc"',
        ),
        ({}, [[(0, 1, 4)], [(0, 1, 4)]], "takes one input, the state of the children, or none: their species"),
        ({"channels": 0}, [], "channels must be a whole number from 1 to 4096, got 0"),
    ],
)
def test_refusals(change, parts, text):
    with pytest.raises(ValueError, match=text):
        GateRun({"gate": "zeroth_order", **change}, parts)
