"""edge_product: products of tensors of edges with those of their nodes, path by path; a network of edges."""

import numpy as np
import pytest
from brute import couple

import nbcore
from nbcore.errors import InputError
from nbcore.gates import GateRun

V, A = [(0, 1, 3), (1, -1, 3), (1, 1, 3)], [(0, 1, 3), (1, -1, 3), (2, 1, 3)]


@pytest.mark.parametrize("weights", ["channels", "paths"])
def test_against_numpy(weights):
    rng = np.random.default_rng(0)
    parent = [1, 0, 1, 1, 1, 1, 1]  # blocks of four edges, and what is left
    run = GateRun(dict(gate="edge_product", l_max=2, coupling=weights), [V, A])
    assert run.on_edges == ([True, False], True)
    assert [p[:2] for p in run.output] == [(0, -1), (0, 1), (1, -1), (1, 1), (2, -1), (2, 1)]
    run.set_graph([0] * 2, parent, [0] * 7, rng.standard_normal((7, 3)))
    theta = rng.standard_normal(run.n_parameters)
    w = theta.reshape(-1, 3 if weights == "channels" else 1)
    v, a = ([rng.standard_normal((n, 2 * l + 1, 3)) for l, _, _ in parts] for parts, n in ((V, 7), (A, 2)))
    got = run.forward(theta, [np.concatenate([x.ravel() for x in state]) for state in (v, a)])
    expected, p = [], 0
    for L, parity, _ in run.output:
        paths = [(i, j) for i, x in enumerate(V) for j, y in enumerate(A)
                 if x[1] * y[1] == parity and abs(x[0] - y[0]) <= L <= x[0] + y[0]]  # fmt: skip
        part = np.zeros((7, 2 * L + 1, 3))
        for i, j in paths:
            for e in range(7):
                for c in range(3):
                    product = couple(v[i][e, :, c], V[i][0], a[j][parent[e], :, c], A[j][0], L)
                    part[e, :, c] += w[p, c if weights == "channels" else 0] * product / np.sqrt(len(paths))
            p += 1
        expected.append(part.ravel())
    assert p == len(w) and np.abs(got - np.concatenate(expected)).max() < 1e-13


def test_parts_by_name():
    run = GateRun(dict(gate="edge_product", l_max=2, parts=["0e", "1e"]), [V, A])
    assert run.output == [(0, 1, 3), (1, 1, 3)]
    run = GateRun(dict(gate="edge_product", l_max=1, parities="natural"), [V, A])
    assert run.output == [(0, 1, 3), (1, -1, 3)]


def test_refusals():
    for inputs, message in (
        ([V], "two inputs"),
        ([V, [(0, 1, 2)]], "the same channels"),
        ([[(0, -1, 3)], [(0, 1, 3)]], "no product is one of the parts wanted"),
    ):
        with pytest.raises(InputError, match=message):
            GateRun(dict(gate="edge_product", l_max=0, parts=["0e"]), inputs)


def test_states_of_edges_stay_within_their_level():
    gates = nbcore.presets.allegro(species=["H"], cutoff=3.0).description["program"]["gates"]
    for change, message in (
        (
            dict(gate="mix", name="more", inputs=["x0", "sum"], channels=1),
            "sum is a state of nodes, expected is one of edges",
        ),
        (
            dict(gate="mix", name="more", inputs=["sum", "x0"], channels=1),
            "x0 is a state of edges, expected is one of nodes",
        ),
        (dict(gate="zeroth_order", name="more", inputs=["x0"]), "x0 is a state of edges"),
        (dict(gate="environment", name="more", inputs=["sum"], l_max=0), "expected is one of edges"),
    ):
        with pytest.raises(InputError, match=message):
            nbcore.Potential({"preset": "own", "options": {}, "species": ["H"], "cutoff": 3.0, "E0s": {"H": 0.0},
                              "program": {"gates": [*gates, change], "readout": ["energy"]}})  # fmt: skip
    for program in ({"readout": ["one"]}, {"readout": ["energy"], "outputs": {"q": {"slot": "one"}}}):
        one = dict(gate="mix", name="one", inputs=["x0"], channels=1)
        with pytest.raises(InputError, match="is a state of edges, not of nodes"):
            nbcore.Potential({"preset": "own", "options": {}, "species": ["H"], "cutoff": 3.0, "E0s": {"H": 0.0},
                              "program": {"gates": [*gates, one], **program}})  # fmt: skip
