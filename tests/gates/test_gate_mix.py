"""mix against matrix products: inputs joined along their channels, one matrix per (l, parity), or one per species."""

import numpy as np
import pytest
from complex_states import relative, to_complex

from nbcore.gates import GateRun

STATES = [[(0, 1, 2, 3), (1, -1, 1, 4)], [(1, -1, 1, 9), (0, 1, 1, 1), (0, -1, 1, 2), (2, 1, 1, 8)]]


@pytest.mark.parametrize("channels", [1, 3, 8, 17, 40])
@pytest.mark.parametrize("share", ["all", "species"])
def test_brute_force(channels, share):
    rng, species = np.random.default_rng(channels), [0, 0, 0, 2, 2]
    n = len(species)
    x = [[rng.standard_normal((n, 2 * l + 1, g * c)) for l, _, g, c in state] for state in STATES]
    gain = [0.5, 2.0, 1.5]
    spec = {"gate": "mix", "channels": channels, "l_max": 1, "share": share, "gain": gain}
    run = GateRun(spec, STATES, 3)
    run.set_graph(species, [], [], np.zeros((0, 3)))
    assert run.output == [(0, -1, channels), (0, 1, channels), (1, -1, channels)]
    classes = 3 if share == "species" else 1
    assert run.parameters == {
        "W0o": (classes, 2, channels),
        "W0e": (classes, 7, channels),
        "W1o": (classes, 13, channels),
    }
    W = {name: rng.standard_normal(shape) for name, shape in run.parameters.items()}
    theta = np.concatenate([w.ravel() for w in W.values()])
    got = run.forward(theta, [np.concatenate([a.ravel() for a in state]) for state in x])

    joined = {"W0o": [x[1][2]], "W0e": [x[0][0], x[1][1]], "W1o": [x[0][1], x[1][0]]}
    expected = []
    for g, (name, arrays) in zip(gain, joined.items(), strict=True):
        F = np.concatenate(arrays, axis=2)
        w = W[name][species if share == "species" else [0] * n]
        expected.append(g * np.einsum("nmk,nkc->nmc", F, w).ravel() / np.sqrt(F.shape[2]))
    expected = np.concatenate(expected)
    assert np.abs(got - expected).max() < 1e-13 * np.abs(expected).max()


@pytest.mark.parametrize("algebra", ["real", "complex"])
def test_every_input_has_a_share_and_every_part_a_width_of_its_own(algebra):
    """Inputs of one matrix for all nodes and of one per species: the sum of two mixings, under one root."""
    rng, species = np.random.default_rng(2), [0, 0, 1, 2, 2]
    n, types = len(species), ["W0o", "W0e", "W1o", "W2e"]
    x = [np.concatenate([rng.standard_normal(n * (2 * l + 1) * g * c) for l, _, g, c in state]) for state in STATES]
    spec = {"gate": "mix", "widths": [4, 9, 3, 17], "algebra": algebra, "gain": [2.0, 1.0, 0.5, 3.0]}
    run = GateRun(spec | {"shares": ["species", "all"]}, STATES, 3)
    run.set_graph(species, [], [], np.zeros((0, 3)))
    assert [part[3] for part in run.output_parts] == [4, 9, 3, 17]
    assert list(run.parameters) == ["W0o", "W0e", "W0e_species", "W1o", "W1o_species", "W2e"]
    W = {name: rng.standard_normal(shape) for name, shape in run.parameters.items()}
    got = run.forward(np.concatenate([w.ravel() for w in W.values()]), x)
    expected = 0
    for input, share in enumerate(["species", "all"]):
        alone = GateRun(spec | {"share": share}, STATES, 3)
        alone.set_graph(species, [], [], np.zeros((0, 3)))
        theta = []
        for name, shape in zip(types, alone.parameters.values(), strict=True):
            own = [W[key] for key in (name, f"{name}_species") if key in W]
            own = [w for w in own if (w.shape[0] == 3) == (share == "species")]
            full = np.zeros(shape)
            if own:
                begin = 0 if input == 0 else shape[1] - own[0].shape[1]
                full[:, begin : begin + own[0].shape[1]] = own[0]
            theta.append(full.ravel())
        expected = expected + alone.forward(np.concatenate(theta), x)
    assert np.abs(got - expected).max() < 1e-13 * np.abs(expected).max()


@pytest.mark.parametrize("algebra", ["real", "complex"])
def test_fan_in_is_the_number_under_the_root(algebra):
    """Channels that are zero, and another number of incoming channels: the bits of the mixing without them."""
    rng, n, few, more = np.random.default_rng(3), 4, [(0, 1, 1, 3), (1, -1, 1, 5)], [(0, 1, 1, 7), (1, -1, 1, 6)]
    x = [rng.standard_normal((n, 2 * l + 1, c)) for l, _, _, c in few]
    padded = [np.pad(a, ((0, 0), (0, 0), (0, c - a.shape[2]))) for a, (_, _, _, c) in zip(x, more, strict=True)]
    spec, results = {"gate": "mix", "channels": 9, "algebra": algebra}, []
    W = None
    for options, parts, inputs in (({}, few, x), ({"fan_in": [3, 5]}, more, padded)):
        run = GateRun(spec | options, [parts])
        run.set_graph([0] * n, [], [], np.zeros((0, 3)))
        shapes = list(run.parameters.values())
        if W is None:
            W = [rng.standard_normal(shape) for shape in shapes]
        theta = [
            np.pad(w, [(0, b - a) for a, b in zip(w.shape, s, strict=True)]) for w, s in zip(W, shapes, strict=True)
        ]
        results.append(
            run.forward(np.concatenate([w.ravel() for w in theta]), [np.concatenate([a.ravel() for a in inputs])])
        )
    assert np.array_equal(*results)
    with pytest.raises(ValueError, match="fan_in needs one number per output part, 2, got 1"):
        GateRun(spec | {"fan_in": [3]}, [few])


@pytest.mark.parametrize("channels", [1, 3, 8, 17])
@pytest.mark.parametrize("share", ["all", "species"])
def test_complex_weights(channels, share):
    """F W in the complex basis, complex and real inputs together; W is an array (classes, inputs, channels, 2)."""
    rng, species = np.random.default_rng(channels), [0, 0, 1, 2, 2]
    n = len(species)
    states = [
        [(0, 1, 4, 3, True), (1, -1, 2, 4, True), (1, -1, 3, 3, False)],
        [(1, -1, 1, 9, False), (0, 1, 2, 5, True), (2, 1, 2, 8, True)],
    ]
    x = [np.concatenate([rng.standard_normal(n * (2 * l + 1) * g * c) for l, _, g, c, _ in state]) for state in states]
    spec = {"gate": "mix", "channels": channels, "l_max": 1, "share": share, "algebra": "complex", "gain": [1.0, 0.5]}
    run = GateRun(spec, states, 3)
    run.set_graph(species, [], [], np.zeros((0, 3)))
    classes = 3 if share == "species" else 1
    assert run.parameters == {"W0e": (classes, 11, channels, 2), "W1o": (classes, 22, channels, 2)}
    assert run.output_parts == [(0, 1, 2, channels, True), (1, -1, 2, channels, True)]
    W = [rng.standard_normal(shape) for shape in run.parameters.values()]
    got = run.forward(np.concatenate([w.ravel() for w in W]), x)

    a, b = (to_complex(state, parts, n) for state, parts in zip(x, states, strict=True))
    expected = []
    for gain, w, arrays in zip([1.0, 0.5], W, [[a[0], b[1]], [a[1], a[2], b[0]]], strict=True):
        F = np.concatenate(arrays, axis=2)
        w = w.view(complex)[..., 0][species if share == "species" else [0] * n]
        expected.append(gain * np.einsum("nmk,nkc->nmc", F, w) / np.sqrt(2 * F.shape[2]))
    assert relative(to_complex(got, run.output_parts, n), expected) < 1e-13


def test_real_part_is_read_by_real_weights():
    """A readout: real weights on a complex scalar are Re(F W), W = W_re - i W_im of its two planes."""
    rng, n = np.random.default_rng(1), 4
    parts = [(0, 0, 2, 5, True)]
    run = GateRun({"gate": "mix", "channels": 1}, [parts], parity="so3")
    run.set_graph([0] * n, [], [], np.zeros((0, 3)))
    x, W = rng.standard_normal(n * 10), rng.standard_normal((2, 5))
    expected = (to_complex(x, parts, n)[0][:, 0] @ (W[0] - 1j * W[1])).real / np.sqrt(10)
    assert np.abs(run.forward(W.ravel(), [x]) - expected).max() < 1e-14


def test_natural_parities():
    run = GateRun(
        {"gate": "mix", "channels": 2, "parities": "natural"}, [[(0, 1, 3), (0, -1, 4), (1, -1, 2), (1, 1, 2)]]
    )
    assert run.output == [(0, 1, 2), (1, -1, 2)] and run.parameters == {"W0e": (1, 3, 2), "W1o": (1, 2, 2)}


@pytest.mark.parametrize(
    "change, parts, text",
    [
        ({"channels": 0}, STATES, "channels must be a whole number from 1 to 4096, got 0"),
        ({"channels": 2.5}, STATES, "channels must be a whole number"),
        ({"share": "level"}, STATES, 'share must be "all" or "species"'),
        ({"gain": [1.0]}, STATES, "gain needs one number per output part"),
        ({"l_max": 0}, [[(1, 1, 3)]], "no input part has l <= l_max"),
        ({}, [], "at least one input"),
        ({"algebra": "quaternion"}, STATES, 'algebra must be "real" or "complex"'),
        ({"parities": "odd"}, STATES, 'parities must be "all" or "natural"'),
        ({"shares": ["all"]}, STATES, "shares needs one word per input, 2, got 1"),
        ({"shares": ["all", "level"]}, STATES, 'shares must be "all" or "species" for each input, got "level"'),
        ({"widths": [3]}, STATES, "widths needs one number per output part, 4, got 1"),
    ],
)
def test_refusals(change, parts, text):
    with pytest.raises(ValueError, match=text):
        GateRun({"gate": "mix", **change}, parts)


def test_wrong_lengths_are_refused():
    """Parameters, states, edges, species."""
    run = GateRun({"gate": "mix", "channels": 2}, [[(0, 1, 3)]], n_species=2)
    none = np.zeros((0, 3))
    run.set_graph([0, 1], [], [], none)
    with pytest.raises(ValueError, match="6 parameters, got 5"):
        run.forward(np.zeros(5), [np.zeros(6)])
    with pytest.raises(ValueError, match="1 inputs, got 2"):
        run.forward(np.zeros(6), [np.zeros(6)] * 2)
    with pytest.raises(ValueError, match="6 numbers expected, got 9"):
        run.forward(np.zeros(6), [np.zeros(9)])
    for species, parent, child, r, text in [
        ([1, 0], [], [], none, "ascending"),
        ([0, 2], [], [], none, "ascending"),
        ([0], [0], [1], np.ones((1, 3)), "edge 0 leads to no node"),
        ([0], [0], [0], none, "same length"),
    ]:
        with pytest.raises(ValueError, match=text):
            run.set_graph(species, parent, child, r)


@pytest.mark.parametrize("channels", [1, 8, 17])
@pytest.mark.parametrize("bias", ["all", "species"])
def test_a_bias_is_added_to_even_scalars_alone(channels, bias):
    """What the mixing without it gives, and gain times the constant of the node's species; none for the tangents."""
    rng, species = np.random.default_rng(channels), [0, 0, 2, 2]
    parts, n = [(0, -1, 2), (0, 1, 3), (1, -1, 5)], 4
    spec = {"gate": "mix", "channels": channels, "gain": [3.0, 2.0, 5.0]}
    x, dx = rng.standard_normal((2, n * (2 + 3 + 15)))
    results = {}
    for kind in ("none", bias):
        run = GateRun(spec | {"bias": kind}, [parts], 3)
        run.set_graph(species, [], [], (np.zeros((0, 3)), np.zeros((0, 3))))
        if kind == "none":
            W = rng.standard_normal(sum(int(np.prod(s)) for s in run.parameters.values()))
            results[kind] = run.forward(W, [(x, dx)])
        else:
            assert run.parameters["bias"] == (3 if bias == "species" else 1, channels)
            b = rng.standard_normal(run.parameters["bias"])
            results[kind] = run.forward(np.concatenate([W, b.ravel()]), [(x, dx)])
    even = slice(n * channels, 2 * n * channels)
    value = results["none"][0].copy()
    value[even] += 2 * (b[species] if bias == "species" else np.repeat(b, n, axis=0)).ravel()
    assert np.allclose(results[bias][0], value, rtol=1e-14, atol=1e-15)
    assert np.array_equal(results[bias][1], results["none"][1])
    for given, said in (({"algebra": "complex"}, "real"), ({"parts": ["0o", "1o"]}, "even scalars")):
        with pytest.raises(ValueError, match=said):
            GateRun({"gate": "mix", "bias": bias} | given, [parts], 3)


def test_a_skipped_input_is_added_as_it_is():
    rng, parts = np.random.default_rng(4), [(0, 1, 3), (1, -1, 5)]
    like = [(0, 1, 9), (1, -1, 9)]
    x, y = rng.standard_normal(2 * (3 + 15)), rng.standard_normal(2 * 9 * 4)
    plain = GateRun({"gate": "mix", "channels": 9}, [parts])
    skip = GateRun({"gate": "mix", "channels": 9, "skip": True}, [parts, like])
    W = rng.standard_normal(plain.n_parameters)
    for run in (plain, skip):
        run.set_graph([0, 0], [], [], np.zeros((0, 3)))
    assert skip.parameters == plain.parameters
    assert np.allclose(skip.forward(W, [x, y]), plain.forward(W, [x]) + y, rtol=1e-15, atol=1e-15)
    out_bar = rng.standard_normal(len(y))
    assert np.array_equal(skip.adjoint(out_bar)[0][1], out_bar)
    for inputs in ([parts], [parts, parts], [parts, like[::-1]]):
        with pytest.raises(ValueError, match="with skip"):
            GateRun({"gate": "mix", "channels": 9, "skip": True}, inputs)


@pytest.mark.parametrize("share", ["all", "species"])
def test_tied_parts_have_one_matrix(share):
    """Each part uses the rows of the inputs that have it."""
    rng, species = np.random.default_rng(5), [0, 1, 1, 2]
    states = [[(0, 1, 2, 3), (1, -1, 2, 3), (2, 1, 2, 3)], [(0, 1, 1, 4)], [(0, 1, 1, 5), (2, 1, 1, 5)]]
    run = GateRun({"gate": "mix", "channels": 9, "tied": True, "share": share, "bias": "all"}, states, 3)
    run.set_graph(species, [], [], np.zeros((0, 3)))
    classes = 3 if share == "species" else 1
    assert run.parameters == {"W": (classes, 15, 9), "bias": (1, 9)} and [p[0] for p in run.output] == [0, 1, 2]
    W, bias = rng.standard_normal((classes, 15, 9)), rng.standard_normal(9)
    x = [[rng.standard_normal((4, 2 * p[0] + 1, p[2] * p[3])) for p in state] for state in states]
    flat = [np.concatenate([a.ravel() for a in state]) for state in x]
    got = run.forward(np.concatenate([W.ravel(), bias]), flat)
    w = W[species if share == "species" else [0] * 4] / np.sqrt(15)
    expected = [
        np.einsum("nmk,nkc->nmc", np.concatenate([x[0][0], x[1][0], x[2][0]], axis=2), w) + bias,
        np.einsum("nmk,nkc->nmc", x[0][1], w[:, :6]),
        np.einsum("nmk,nkc->nmc", np.concatenate([x[0][2], x[2][1]], axis=2), w[:, [*range(6), *range(10, 15)]]),
    ]
    expected = np.concatenate([a.ravel() for a in expected])
    assert np.abs(got - expected).max() < 1e-13 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("states", "more", "said"),
    [
        ([[(0, 1, 4), (1, -1, 3)]], {}, "equal channels"),
        ([[(0, 1, 4), (0, 1, 4)]], {}, "different kinds"),
        ([[(0, 1, 4)], [(1, -1, 4)]], {}, "input 2 has no even scalars"),
        ([[(0, 1, 4), (1, -1, 4)]], {"widths": [2, 2]}, "widths goes with matrices that are not tied"),
    ],
)
def test_what_cannot_be_tied(states, more, said):
    with pytest.raises(ValueError, match=said):
        GateRun({"gate": "mix", "tied": True, **more}, states)
