"""The border of GateRun: whatever does not fit is an InputError, in any order of calls; nothing crashes."""

import numpy as np
import pytest
from gate_examples import EXAMPLES, N_SPECIES

from nbcore import gates
from nbcore.errors import InputError

MIX = {"gate": "mix", "channels": 2}
SCALARS = [[(0, 1, 3)]]


def ready(dual=False):
    run = gates.GateRun(MIX, SCALARS)
    r = np.zeros((0, 3))
    run.set_graph([0, 0], [], [], (r, r) if dual else r)
    return run


@pytest.mark.parametrize(
    "inputs, text",
    [
        ([[]], "at least one part"),
        ([[(11, 1, 3)]], "l of a part must be 0 to 10, got 11"),
        ([[(-1, 1, 3)]], "l of a part must be 0 to 10, got -1"),
        ([[(0, 0, 3)]], "parity of a part must be 1 or -1, got 0"),
        ([[(0, 2, 3)]], "parity of a part"),
        ([[(0, 1, 0)]], "1 to 1048576 channels"),
        ([[(0, 1, -3)]], "1 to 1048576 channels"),
        ([[(0, 1, 2**20 + 1)]], "1 to 1048576 channels"),
        ([[(0, 1, 2**16, 2**16)]], "1 to 1048576 channels"),
        ([[(0, 1, 2**31)]], "whole number"),
        ([[(0, 1, 3, 5, True)]], "come in pairs"),
        ([[(0, 1)]], "a part is"),
        ([[7]], "a part is"),
        ([[(0.5, 1, 3)]], "whole number"),
        ([[(10, 1, 2**20)]] , "numbers per node"),
        ([[(0, 1, 1)] * 4097], "at most 4096 parts"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_states_without_sense(inputs, text, dtype):
    with pytest.raises(InputError, match=text):
        gates.GateRun(MIX, inputs, dtype=dtype)


@pytest.mark.parametrize(
    "arguments",
    [dict(n_species=n) for n in (0, -1, 10**9, 1.5, True)]
    + [dict(parity="both"), dict(dtype="int32"), dict(dtype="float16")],
)
def test_arguments_without_sense(arguments):
    with pytest.raises(InputError):
        gates.GateRun(MIX, SCALARS, **arguments)


CALLS = {
    "forward before the graph": lambda: gates.GateRun(MIX, SCALARS).forward(np.ones(6), [np.ones(3)]),
    "adjoint before the graph": lambda: gates.GateRun(MIX, SCALARS).adjoint(np.ones(2)),
    "adjoint before forward": lambda: ready().adjoint(np.ones(4)),
    "repeat before forward": lambda: ready().repeat_forward(1),
    "repeat before adjoint": lambda: after_forward().repeat_adjoint(1),
    "repeat a part of a time": lambda: after_forward().repeat_forward(1.5),
    "repeat less than never": lambda: after_forward().repeat_forward(-1),
    "adjoint of another graph": lambda: another_graph(),
    "too few parameters": lambda: ready().forward(np.ones(5), [np.ones(6)]),
    "too many inputs": lambda: ready().forward(np.ones(6), [np.ones(6)] * 2),
    "no inputs": lambda: ready().forward(np.ones(6)),
    "short state": lambda: ready().forward(np.ones(6), [np.ones(5)]),
    "long state": lambda: ready().forward(np.ones(6), [np.ones(7)]),
    "state of text": lambda: ready().forward(np.ones(6), [["a"] * 6]),
    "tangent of a plain graph": lambda: ready().forward(np.ones(6), [(np.ones(6), np.ones(6))]),
    "short tangent": lambda: ready(dual=True).forward(np.ones(6), [(np.ones(6), np.ones(5))]),
    "three tangents": lambda: ready(dual=True).forward(np.ones(6), [(np.ones(6),) * 3]),
    "short adjoint": lambda: after_forward().adjoint(np.ones(3)),
    "edges and parameters of a tangent sweep": lambda: after_forward(dual=True).adjoint(np.ones(4)),
    "species that descend": lambda: ready().set_graph([1, 0], [], [], np.zeros((0, 3))),
    "unknown species": lambda: ready().set_graph([0, 1], [], [], np.zeros((0, 3))),
    "edge to no node": lambda: ready().set_graph([0, 0], [0], [2], np.ones((1, 3))),
    "edge from no node": lambda: ready().set_graph([0, 0], [-1], [1], np.ones((1, 3))),
    "unequal ends": lambda: ready().set_graph([0, 0], [0, 1], [1], np.ones((1, 3))),
    "short r": lambda: ready().set_graph([0, 0], [0], [1], np.ones(2)),
    "half a node": lambda: ready().set_graph([0, 0], [0.5], [1], np.ones((1, 3))),
    "partner of no pair": lambda: ready().set_graph([0, 0], [0], [1], np.ones((1, 3)), [0]),
}  # fmt: skip


def after_forward(dual=False):
    run = ready(dual)
    run.forward(np.ones(6), [np.ones(6)])
    return run


def another_graph():
    run = after_forward()
    run.set_graph([0], [], [], np.zeros((0, 3)))
    return run.adjoint(np.ones(2))


@pytest.mark.parametrize("name", CALLS)
def test_calls_that_do_not_fit(name):
    with pytest.raises(InputError):
        CALLS[name]()


def test_arrays_of_any_kind_are_read():
    """Strided, single precision, integers, lists: the same numbers."""
    run, x = ready(), np.arange(12.0)
    expected = run.forward(np.ones(6), [x[::2].copy()])
    for other in (x[::2], x[::2].astype(np.float32), x[::2].astype(int), x[::2].tolist(), x[::2].reshape(2, 3)):
        assert np.array_equal(run.forward(np.ones(6), [other]), expected)
        assert np.array_equal(run.forward(np.ones(12, dtype=np.float32)[::2], [other]), expected)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_nothing_crashes(name):
    """Parts and options drawn from everything that is or is not allowed: a gate that runs, or InputError."""
    rng, ran = np.random.default_rng([8, *name.encode()]), 0
    table = gates.available()[name]["options"]
    for _ in range(150):
        spec, inputs = {"gate": name}, []
        for option, entry in table.items():
            values = [entry[key] for key in ("low", "high") if isinstance(entry.get(key), int)]
            values += entry.get("choices", []) + [entry["default"]] * 3
            spec[option] = values[rng.integers(len(values))]
        spec = {k: v for k, v in spec.items() if not (isinstance(v, str) and v in table) and v is not None}
        if "channels" in spec and spec["channels"] == 4096:
            spec["channels"] = 5
        parity, tidy = str(rng.choice(["o3", "so3"])), rng.random() < 0.6
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            parts = []
            for l in rng.permutation(3)[: rng.integers(0 if not tidy else 1, 4)].tolist():
                if tidy:  # what most gates take
                    parts.append((l, (-1) ** l if parity == "o3" else 0, 1, 3, False))
                else:
                    parts.append((int(rng.choice([l, l, -1, 11])), int(rng.choice([-1, 1, 0])), int(rng.choice([1, 2])),
                                  int(rng.choice([0, 1, 3, 4])), bool(rng.random() < 0.2)))  # fmt: skip
            one_scalar = [(0, 1 if parity == "o3" else 0, 1, 1, False)]  # what some gates take as their second input
            inputs.append(one_scalar if inputs and rng.random() < 0.3 else parts)
        try:
            run = gates.GateRun(spec, inputs, N_SPECIES, parity, embedded=bool(rng.random() < 0.5))
        except InputError as e:
            assert len(str(e)) > 20
            continue
        pairs = gates.available()[name]["pairs"]
        run.set_graph([0, 1, 1], [0, 0, 2], [1, 2, 2], rng.normal(size=(3, 3)), [2, 1, 0] if pairs else ())
        states = [rng.normal(size=3 * sum((2 * p[0] + 1) * p[2] * p[3] for p in parts)) for parts in inputs]
        out = run.forward(rng.normal(size=run.n_parameters), states)
        assert np.all(np.isfinite(out)) and len(run.adjoint(np.ones_like(out))[0]) == len(inputs)
        ran += 1
    assert ran > 0
