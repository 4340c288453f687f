"""Gates one by one: which there are, and how each behaves on nodes and edges of your own."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from nbcore import _core
from nbcore.errors import InputError

__all__ = ["GateRun", "available", "radial_options"]


def available() -> dict:
    """name -> {"summary": str, "options": {option: {...}}, "pairs": bool} of every gate.

    An option has "type", "default" and "doc", and, where it has them, "low" (or "above", excluded), "high", "choices":
    the table that the core enforces. A default or an end of a range that is a name is the value of that other option;
    a default None means that not giving it is something else, which "doc" says. The table of the option "radial" is
    `radial_options`. "pairs" is true for gates whose edges are the pairs of a node's children.

    >>> available()["mix"]["summary"]
    'Linear mixing of channels, one matrix per part (Proposition 1); several inputs are summed'
    """
    return {
        name: {"summary": summary, "options": json.loads(options), "pairs": pairs}
        for name, (summary, options, pairs) in _core.gate_types().items()
    }


def radial_options() -> dict:
    """The options of radial functions, as `available` has those of gates.

    >>> radial_options()["n"]["high"]
    64
    """
    return json.loads(_core.radial_options())


class GateRun:
    """One gate on a small graph: forward and adjoint, plain and dual, in double or single precision.

    spec: the gate as in a program, {"gate": "mix", "channels": 8}. inputs: one list of parts per input, each part a
    tuple (l, parity, channels) or (l, parity, groups, group) or, for complex parts, (l, parity, groups, group, True):
    their groups come in pairs, real parts and imaginary parts. parity of a part: -1, 1, or 0 where it is not tracked.
    n_species: of the nodes. parity: "o3" or "so3".

    States are flat arrays, part after part, each [node][2l+1][channel]. Every array may be a pair (value, tangent)
    where r is one; then the sweep is dual: outputs come as pairs too. dtype: "float64" or "float32", of the kernels.
    embedded: the gate's nodes are rows of larger arrays, as in a block of a large system; the results are the same.

    Calls come in the order set_graph, forward, adjoint. Raises InputError for whatever does not fit.

    >>> run = GateRun({"gate": "mix", "channels": 2}, [[(0, 1, 3)]])
    >>> run.set_graph([0], [], [], np.zeros((0, 3)))
    >>> run.forward(np.ones(6), [np.ones(3)]).round(3)
    array([1.732, 1.732])
    """

    def __init__(self, spec: dict, inputs: Sequence=(), n_species: int = 1, parity: str = "o3", dtype: object="float64",
                 embedded: bool = False):  # fmt: skip
        parts = [[_whole_part(part) for part in state] for state in inputs]
        kinds = {"float64": _core.SingleGate, "float32": _core.SingleGateFloat}
        if np.dtype(dtype).name not in kinds:
            raise InputError(f'dtype must be "float64" or "float32", got {dtype!r}')
        if parity not in ("o3", "so3"):
            raise InputError(f'parity must be "o3" or "so3", got {parity!r}')
        kind, n_species = kinds[np.dtype(dtype).name], _whole("n_species", n_species)
        self._core = kind(json.dumps({"name": "gate", **spec}), parts, n_species, parity == "o3", embedded)
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
    def on_edges(self) -> tuple[list[bool], bool]:
        """Whether each input, and the output, is a state of the edges, in their order, and not of the nodes.

        >>> GateRun({"gate": "norm"}, [[(1, -1, 2)]]).on_edges
        ([False], False)
        """
        inputs, output = self._core.on_edges
        return list(inputs), output

    @property
    def parameters(self) -> dict:
        """name -> shape of the parameters, in the order of the flat vector."""
        return {name: tuple(shape) for name, shape in self._core.parameters}

    @property
    def n_parameters(self) -> int:
        """Length of the flat parameter vector."""
        return sum(int(np.prod(shape)) for shape in self.parameters.values())

    def set_graph(
        self, species: ArrayLike, parent: ArrayLike, child: ArrayLike, r: ArrayLike, partner: ArrayLike | None = ()
    ) -> None:
        """Nodes by species (ascending), edges (parent, child), r (n_edges, 3) = r_child - r_parent; a pair if dual.

        A gate of pairs also takes the other child of each edge, `partner`; then r = r_child - r_partner.
        """
        dual = isinstance(r, tuple)
        r = _pair(r) if dual else (_numbers(r), None)
        ends = [_wholes(name, x) for name, x in
                dict(species=species, parent=parent, child=child, partner=partner).items()]  # fmt: skip
        self._core.set_graph(*ends, r, dual)
        self._dual = dual

    def forward(self, parameters: ArrayLike, inputs: Sequence = ()) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """The output state, flat; a pair (value, tangent) for dual graphs."""
        out = self._core.forward(_numbers(parameters), [self._arrays(x) for x in inputs], self._dual)
        return out if self._dual else out[0]

    def adjoint(self, output_bar: ArrayLike, edges: bool = True, parameters: bool = True) -> tuple:
        """(adjoints of inputs, adjoint of r, adjoint of parameters), after `forward` with the same arguments.

        Sweeps that exist: plain with edges, with or without parameters; dual with either. The dual adjoint of
        parameters is its tangent alone, the share in a loss gradient.
        """
        inputs, r, theta = self._core.adjoint(self._arrays(output_bar), edges, parameters, self._dual)
        shape = None if r[0].size == 0 else (-1, 3)
        r = tuple(x.reshape(shape) if x is not None and shape else x for x in r)
        return ([x if self._dual else x[0] for x in inputs], r if self._dual else r[0], theta)

    def repeat_forward(self, times: int) -> None:
        """The kernel alone, `times` times, on what the last `forward` left: to be timed. Results are not read back."""
        self._core.repeat_forward(self._dual, _count(times))

    def repeat_adjoint(self, times: int, edges: bool = True, parameters: bool = True) -> None:
        """The same of the adjoint, after `adjoint`."""
        self._core.repeat_adjoint(edges, parameters, self._dual, _count(times))

    def _arrays(self, x):
        if isinstance(x, tuple):
            if not self._dual:
                raise InputError("a pair (value, tangent) needs a graph whose r is a pair")
            return _pair(x)
        x = _numbers(x)
        return (x, np.zeros_like(x)) if self._dual else (x, None)


def _numbers(x):
    try:
        return np.asarray(x, dtype=float)
    except (TypeError, ValueError) as e:
        raise InputError(f"an array of numbers is expected: {e}") from None


def _pair(x):
    if len(x) != 2:
        raise InputError(f"a pair (value, tangent) is expected, got {len(x)} arrays")
    return tuple(_numbers(a) for a in x)


def _whole(name, x):
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, (int, np.integer)) or abs(x) >= 2**31:
        raise InputError(f"{name} must be a whole number, got {x!r}")
    return int(x)


def _count(times):
    if _whole("times", times) < 0:
        raise InputError(f"times must not be negative, got {times}")
    return int(times)


def _wholes(name, list_):
    return [_whole(name, x) for x in list_]


def _whole_part(part):
    try:
        l, parity, *groups = part  # noqa: E741
    except (TypeError, ValueError):
        groups = []
    if len(groups) not in (1, 2, 3):
        raise InputError(f"a part is (l, parity, channels) or (l, parity, groups, group[, complex]), got {part}")
    is_complex = len(groups) == 3 and bool(groups.pop())
    n_groups, group = groups if len(groups) == 2 else (1, *groups)
    return (*(_whole("a number of a part", x) for x in (l, parity, n_groups, group)), is_complex)
