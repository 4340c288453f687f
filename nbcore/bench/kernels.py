"""Gates by themselves, forward and adjoint, their working set in L2, against the peak of the machine.

Operations are counted from the equations: a multiply-add is two, a multiplication alone one, and only non-zero
coefficients count. Contracting the radial functions belongs to the gate, and so does what an adjoint computes again
(radial weights, products of pairs). Tangent sweeps, those of training, are given as multiples of the plain ones.
"""

import numpy as np

from nbcore import _core, so3
from nbcore.bench.machine import l2_bytes
from nbcore.bench.record import Row
from nbcore.gates import GateRun

CHANNELS = (32, 64, 128)
NEIGHBOURS = 28  # of silicon at 5 Angstrom
L_HARMONICS, L_STATES, CORRELATION, N_RADIAL = 3, 1, 3, 8
RADIAL = {"basis": "bessel", "n": N_RADIAL, "cutoff": 5.0}


def rows(machine, channels=CHANNELS):
    """A Row for each gate, number of channels and sweep, one after the other as they are measured."""
    for n in channels:
        for gate in (zeroth_order, self_product, mix):
            for dtype in ("float64", "float32"):
                if dtype == "float64" or n == 64:
                    yield from _sweeps(machine, *gate(n), n, dtype)


def zeroth_order(channels):
    """(specification, inputs, operations of forward and adjoint per node) of a second level's sum over neighbours."""
    spec = dict(gate="zeroth_order", l_max=L_HARMONICS, l_out=L_HARMONICS, radial=RADIAL)
    inputs = [(l, (-1) ** l, channels) for l in range(L_STATES + 1)]
    paths = [
        (l1, l2, l3)
        for l1 in range(L_STATES + 1)
        for l2 in range(L_HARMONICS + 1)
        for l3 in range(abs(l1 - l2), min(l1 + l2, L_HARMONICS) + 1)
        if (l1 + l2 + l3) % 2 == 0
    ]
    couplings = [np.abs(so3.real_clebsch_gordan(*path)) > 1e-14 for path in paths]
    terms = sum(int(C.sum()) for C in couplings)  # of the matrix C Y, once per edge
    matrix = sum(int(C.any(axis=1).sum()) for C in couplings)  # its non-zero numbers, of all paths
    states, radial = sum(2 * l1 + 1 for l1, _, _ in paths), len(paths) * N_RADIAL
    forward = channels * (2 * matrix + states + 2 * radial) + 2 * terms
    # weights and w H again; t, Gram, H_bar, w_bar, B_bar
    adjoint = channels * (4 * matrix + 5 * states + 4 * radial) + 4 * terms
    return spec, inputs, NEIGHBOURS * forward, NEIGHBOURS * adjoint


def self_product(channels):
    """The same of the symmetric products of all that the sum has, to what atoms tell each other."""
    spec = dict(gate="self_product", l_max=L_STATES, correlation=CORRELATION)
    inputs = [(l, (-1) ** l, channels) for l in range(L_HARMONICS + 1)]
    pairs, weighted, sums, direct = _core.symmetric_product_terms(
        list(range(L_HARMONICS + 1)), L_STATES, CORRELATION, True
    )
    forward = 3 * pairs + 2 * weighted + 3 * sums + 2 * direct
    adjoint = (3 * pairs + 2 * weighted) + 6 * pairs + 2 * weighted + 6 * sums + 2 * direct
    return spec, inputs, channels * forward, channels * adjoint


def mix(channels):
    """The same of the mixing of the sum, all paths to as many channels."""
    spec, inputs, *_ = zeroth_order(channels)
    parts = GateRun(spec, [inputs]).output
    work = sum(2 * (2 * l + 1) * n * channels for l, _, n in parts)
    return dict(gate="mix", channels=channels), parts, work, work


def _sweeps(machine, spec, inputs, forward, adjoint, channels, dtype):
    name = f"{spec['gate']} {channels}" + (" float32" if dtype == "float32" else "")
    size = np.dtype(dtype).itemsize
    plain = {}
    for dual in (False, True):
        gate = GateRun(spec, [inputs], dtype=dtype)
        numbers = sum((2 * l + 1) * n for l, _, n in [*inputs, *gate.output])
        nodes = int(np.clip(l2_bytes() / 2 / (2 * size * numbers * (1 + dual)), 4, 32))
        _prepare(gate, inputs, nodes, dual)
        for sweep, work in (("forward", forward), ("adjoint", adjoint)):
            wanted = (not dual, dual)  # what inference wants, what training wants
            run = (
                gate.repeat_forward
                if sweep == "forward"
                else lambda times, g=gate, w=wanted: g.repeat_adjoint(times, *w)
            )
            seconds, fraction = machine.time(run, nodes * work, dtype)
            median = seconds[len(seconds) // 2]
            figures = {"us/node": 1e6 * median / nodes, "spread": f"{(seconds[-1] - seconds[0]) / median:.0%}"}
            if dual:
                ratio = median / nodes / plain[sweep]
                yield Row("kernels", f"{name} dual {sweep}", {**figures, "times plain": ratio}, ratio, False)
            else:
                plain[sweep] = median / nodes
                figures |= {"GFLOP/s": 1e-9 * work * nodes / median, "% of peak": 100 * fraction}
                yield Row("kernels", f"{name} {sweep}", figures, fraction)


def _prepare(gate, inputs, nodes, dual):
    """Random states on a random graph, and one forward and adjoint, after which the kernels can be repeated."""
    rng = np.random.default_rng(0)

    def random(shape):
        return (rng.standard_normal(shape), rng.standard_normal(shape)) if dual else rng.standard_normal(shape)

    parent = np.repeat(np.arange(nodes), NEIGHBOURS)
    r = rng.standard_normal((len(parent), 3))
    r *= rng.uniform(2.0, 4.9, (len(parent), 1)) / np.linalg.norm(r, axis=1, keepdims=True)
    gate.set_graph([0] * nodes, parent, rng.integers(nodes, size=len(parent)), (r, 0.1 * r) if dual else r)
    gate.forward(rng.standard_normal(gate.n_parameters), [random(nodes * _size(inputs))])
    gate.adjoint(random(nodes * _size(gate.output)), edges=not dual, parameters=dual)


def _size(parts):
    return sum((2 * l + 1) * n for l, _, n in parts)
