"""Gates one by one: which there are, and how each behaves on nodes and edges of your own."""

import json

import numpy as np

from nbcore import _core
from nbcore.errors import InputError

__all__ = ["GateRun", "available"]


def available() -> dict:
    """name -> {"summary": str, "options": {option: {"type", "default", "doc"}}, "pairs": bool} of every gate.

    "pairs" is true for gates whose edges are the pairs of a node's children.

    >>> available()["mix"]["summary"]
    'Linear mixing of channels, one matrix per part (Proposition 1); several inputs are summed'
    """
    return {
        name: {"summary": summary, "options": json.loads(options), "pairs": pairs}
        for name, (summary, options, pairs) in _core.gate_types().items()
    }


class GateRun:
    """One gate on a small graph: forward and adjoint, plain and dual, in double or single precision.

    spec: the gate as in a program, {"gate": "mix", "channels": 8}. inputs: one list of parts per input, each part a
    tuple (l, parity, channels) or (l, parity, groups, group) or, for complex parts, (l, parity, groups, group, True):
    their groups come in pairs, real parts and imaginary parts. parity of a part: -1, 1, or 0 where it is not tracked.
    n_species: of the nodes. parity: "o3" or "so3".

    States are flat arrays, part after part, each [node][2l+1][channel]. Every array may be a pair (value, tangent);
    then the sweep is dual: outputs come as pairs too.

    >>> run = GateRun({"gate": "mix", "channels": 2}, [[(0, 1, 3)]])
    >>> run.set_graph([0], [], [], np.zeros((0, 3)))
    >>> run.forward(np.ones(6), [np.ones(3)]).round(3)
    array([1.732, 1.732])
    """

    def __init__(self, spec: dict, inputs=(), n_species: int = 1, parity: str = "o3", dtype="float64"):
        parts = [[_whole_part(part) for part in state] for state in inputs]
        kind = _core.SingleGateFloat if np.dtype(dtype) == np.float32 else _core.SingleGate
        self._core = kind(json.dumps({"name": "gate", **spec}), parts, n_species, parity == "o3")
        self._dual = False

    @property
    def output(self) -> list[tuple[int, int, int]]:
        """Parts of the output, (l, parity, channels)."""
        return [(l, parity, groups * group) for l, parity, groups, group, _ in self._core.output]

    @property
    def output_parts(self) -> list[tuple[int, int, int, int, bool]]:
        """The same as another gate takes them, (l, parity, groups, group, complex)."""
        return [(*part, bool(is_complex)) for *part, is_complex in self._core.output]

    @property
    def parameters(self) -> dict:
        """name -> shape of the parameters, in the order of the flat vector."""
        return {name: tuple(shape) for name, shape in self._core.parameters}

    @property
    def n_parameters(self) -> int:
        """Length of the flat parameter vector."""
        return sum(int(np.prod(shape)) for shape in self.parameters.values())

    def set_graph(self, species, parent, child, r, partner=()) -> None:
        """Nodes by species (ascending), edges (parent, child), r (n_edges, 3) = r_child - r_parent; a pair if dual.

        A gate of pairs also takes the other child of each edge, `partner`; then r = r_child - r_partner.
        """
        self._dual = isinstance(r, tuple)
        r = tuple(np.asarray(x, dtype=float) for x in r) if self._dual else (np.asarray(r, dtype=float), None)
        self._core.set_graph(list(species), list(parent), list(child), list(partner), r, self._dual)

    def forward(self, parameters, inputs=()):
        """The output state, flat; a pair (value, tangent) for dual graphs."""
        out = self._core.forward(np.asarray(parameters, dtype=float), [self._pair(x) for x in inputs], self._dual)
        return out if self._dual else out[0]

    def adjoint(self, output_bar, edges: bool = True, parameters: bool = True):
        """(adjoints of inputs, adjoint of r, adjoint of parameters), after `forward` with the same arguments.

        Sweeps that exist: plain with edges, with or without parameters; dual with either. The dual adjoint of
        parameters is its tangent alone, the share in a loss gradient.
        """
        inputs, r, theta = self._core.adjoint(self._pair(output_bar), edges, parameters, self._dual)
        shape = None if r[0].size == 0 else (-1, 3)
        r = tuple(x.reshape(shape) if x is not None and shape else x for x in r)
        return ([x if self._dual else x[0] for x in inputs], r if self._dual else r[0], theta)

    def repeat_forward(self, times: int) -> None:
        """The kernel alone, `times` times, on what the last `forward` left: to be timed. Results are not read back."""
        self._core.repeat_forward(self._dual, times)

    def repeat_adjoint(self, times: int, edges: bool = True, parameters: bool = True) -> None:
        """The same of the adjoint, after `adjoint`."""
        self._core.repeat_adjoint(edges, parameters, self._dual, times)

    def _pair(self, x):
        if isinstance(x, tuple):
            return tuple(np.asarray(a, dtype=float) for a in x)
        x = np.asarray(x, dtype=float)
        return (x, np.zeros_like(x)) if self._dual else (x, None)


def _whole_part(part):
    l, parity, *groups = part  # noqa: E741
    match groups:
        case [channels]:
            return l, parity, 1, channels, False
        case [n_groups, group]:
            return l, parity, n_groups, group, False
        case [n_groups, group, is_complex]:
            if is_complex and n_groups % 2:
                raise InputError(f"a complex part has pairs of groups, got {part}")
            return l, parity, n_groups, group, bool(is_complex)
    raise InputError(f"a part is (l, parity, channels) or (l, parity, groups, group[, complex]), got {part}")
