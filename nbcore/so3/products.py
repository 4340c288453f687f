"""Clebsch-Gordan products of states, and the Clebsch-Gordan transform, with their adjoints."""
# ruff: noqa: E741 (l is the name of angular momentum)

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nbcore import _core
from nbcore.errors import InputError
from nbcore.so3 import states
from nbcore.so3.irreps import Irreps, product_channels


class Path(NamedTuple):
    """Entry x of one factor times entry y of the other gives the channels `start` to `stop` of (l, parity)."""

    x: int
    y: int
    l: int
    parity: int | None
    start: int
    stop: int


class TensorProduct:
    """The Clebsch-Gordan product of states of two types: made once, applied to any number of states.

    For each entry (l1, p1) of x and (l2, p2) of y and each l3 from |l1 - l2| to l1 + l2, with parity p1 p2,

        z_m3,c = sum over m1, m2 of C[m1, m2, m3] x_m1,c1 y_m2,c2.

    All pairs of channels are multiplied, c = c1 (channels of y) + c2 (Kondor's product; GElib's CGproduct, e3nn's
    FullTensorProduct), or with `channelwise` only equal ones, c = c1 = c2, where a single channel of one factor goes
    with every channel of the other (GElib's DiagCGproduct; the "uuu" and "uvu" of e3nn). Blocks of one (l3, parity)
    are joined in the order of the entries of x, then of y: `paths` lists them. The product of all pairs without cuts
    keeps the norm, |z| = |x| |y|.

    Parameters
    ----------
    irreps_x, irreps_y : Irreps or str
    l_max : int, optional
        leave out larger l3
    keep : Irreps or str, optional
        leave out every (l, parity) not named here
    channelwise : bool
    basis : "real" or "complex"
        of the states: C is `real_clebsch_gordan` or `clebsch_gordan`. Numbers of both kinds are taken in both bases;
        C is real in either, and products are bilinear, never sesquilinear

    Attributes
    ----------
    irreps_x, irreps_y, irreps : Irreps
        of x, y and z
    paths : list of Path

    States are arrays (..., irreps.dim), leading axes broadcast; or the list of their parts, arrays (..., 2l + 1,
    multiplicity), as `Irreps.parts` gives it; or a dict of them, by (l, parity) (by l without parities). float32,
    float64, complex64 and complex128 keep their type. The work is spread over `threads` (default as everywhere, one for
    little work), the GIL is released, and results have the same bits for any number of threads. `out` is written to
    instead of a new array.

    Raises
    ------
    InputError : states that do not fit their irreps or each other; one type has parities and the other has not; l3
        above 50; channelwise with unequal multiplicities, neither of them 1; `out` of another shape or type
    TypeError : states that are not numbers

    >>> product = TensorProduct("8x0e + 4x1o", "1x1o", l_max=1)
    >>> product.irreps
    Irreps('4x0e + 4x1e + 8x1o')
    >>> x, y = np.ones((100, 20)), np.ones(3)
    >>> z = product(x, y)
    >>> x_bar, y_bar = product.adjoint(x, y, z)
    >>> z.shape, x_bar.shape, y_bar.shape
    ((100, 40), (100, 20), (3,))
    """

    def __init__(
        self,
        irreps_x: "Irreps | str",
        irreps_y: "Irreps | str",
        l_max: int | None = None,
        keep: Iterable | str | None = None,
        channelwise: bool = False,
        basis: str = "real",
    ):
        if basis not in ("real", "complex"):
            raise InputError(f'TensorProduct: basis must be "real" or "complex", got {basis!r}')
        self.irreps_x, self.irreps_y = Irreps(irreps_x), Irreps(irreps_y)
        self.irreps = self.irreps_x.product(self.irreps_y, l_max, channelwise, keep)
        self.channelwise, self.basis = bool(channelwise), basis
        self.paths = []
        filled = {(l, p): 0 for l, p, _ in self.irreps}
        for i, a in enumerate(self.irreps_x):
            for j, b in enumerate(self.irreps_y):
                for l, parity in a.product(b):
                    if (l, parity) in filled:
                        start = filled[l, parity]
                        filled[l, parity] = stop = start + product_channels(a, b, channelwise)
                        self.paths.append(Path(i, j, l, parity, start, stop))
        place = {key: k for k, key in enumerate(filled)}
        self._kernel = _core.Product(
            *([(l, n) for l, _, n in irreps] for irreps in (self.irreps_x, self.irreps_y, self.irreps)),
            [(p.x, p.y, place[p.l, p.parity], p.start) for p in self.paths],
            self.channelwise,
            basis == "complex",
        )
        self._work = sum((2 * p.l + 1) * (p.stop - p.start) * 8 for p in self.paths)

    def __call__(
        self, x: ArrayLike, y: ArrayLike, out: np.ndarray | None = None, threads: int | None = None
    ) -> np.ndarray:
        """z, (..., irreps.dim)

        >>> product = TensorProduct("1x1", "1x1", l_max=0)
        >>> product([1.0, 2.0, 3.0], [0.5, 0.0, 1.0]) * -np.sqrt(3)  # the dot product
        array([3.5])
        """
        where = "tensor_product"
        dtype = states.common_dtype(where, x, y)
        x_parts, x_shape = states.blocks(where, "x", x, self.irreps_x, dtype, True)
        y_parts, y_shape = states.blocks(where, "y", y, self.irreps_y, dtype, True)
        batch = states.broadcast(where, "x and y", x_shape, y_shape)
        z = states.output(where, "out", out, (*batch, self.irreps.dim), dtype)
        if out is not None:
            states.apart(where, out, x, y)
        if z.size:
            self._kernel.forward(
                states.rows(x_parts, x_shape, batch),
                states.rows(y_parts, y_shape, batch),
                states.rows([z], batch, batch),
                self._threads(threads, z),
            )
        return z

    def adjoint(
        self, x: ArrayLike, y: ArrayLike, z_bar: ArrayLike, threads: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(x_bar, y_bar), the adjoints of both factors:

            x_bar = sum of C[m1, m2, m3] z_bar_m3 conj(y_m2),   y_bar = sum of C[m1, m2, m3] z_bar_m3 conj(x_m1),

        so that Re <z_bar, dz> = Re <x_bar, dx> + Re <y_bar, dy>, <a, b> = sum of conj(a) b: for a real function of the
        product with z_bar = df/d(Re z) + i df/d(Im z) they are the same derivatives of x and y. Where x or y was
        broadcast, its adjoint is summed over these axes.
        """
        where = "tensor_product adjoint"
        dtype = states.common_dtype(where, x, y, z_bar)
        _, x_shape = states.blocks(where, "x", x, self.irreps_x, dtype, True)
        _, y_shape = states.blocks(where, "y", y, self.irreps_y, dtype, True)
        x_bar, y_bar = self._adjoint(where, x, y, z_bar, (True, True), (None, None), threads)
        return states.summed(x_bar, x_shape), states.summed(y_bar, y_shape)

    def adjoint_x(
        self, y: ArrayLike, z_bar: ArrayLike, out: np.ndarray | None = None, threads: int | None = None
    ) -> np.ndarray:
        """x_bar alone, of the leading axes of y and z_bar together

        >>> product = TensorProduct("2x1o", "1x1o")
        >>> product.adjoint_x(np.ones(3), np.ones((7, 18))).shape
        (7, 6)
        """
        return self._adjoint("tensor_product adjoint", None, y, z_bar, (True, False), (out, None), threads)[0]

    def adjoint_y(
        self, x: ArrayLike, z_bar: ArrayLike, out: np.ndarray | None = None, threads: int | None = None
    ) -> np.ndarray:
        """y_bar alone, of the leading axes of x and z_bar together"""
        return self._adjoint("tensor_product adjoint", x, None, z_bar, (False, True), (None, out), threads)[1]

    def couple(self, T: ArrayLike, out: np.ndarray | None = None, threads: int | None = None) -> np.ndarray:
        """The Clebsch-Gordan transform of a matrix T (..., irreps_x.dim, irreps_y.dim): of T = x y^T it is the product.

        A matrix whose rows transform as x and columns as y, such as a block of a Hamiltonian between two sets of
        orbitals, becomes a state of type `irreps`; unless cut, the transform is orthogonal. Not for `channelwise`.

        >>> product = TensorProduct("1x0e + 1x1o", "1x0e + 1x1o")
        >>> T = np.arange(16.0).reshape(4, 4)
        >>> z = product.couple(T)
        >>> bool(np.allclose(product.uncouple(z), T))
        True
        """
        where, dim = "TensorProduct.couple", (self.irreps_x.dim, self.irreps_y.dim)
        self._pairs_of_all(where)
        dtype = states.common_dtype(where, T)
        T = np.ascontiguousarray(T, dtype=dtype)
        if T.shape[-2:] != dim:
            raise InputError(f"{where}: T must have shape (..., {dim[0]}, {dim[1]}), got {T.shape}")
        batch = T.shape[:-2]
        z = states.output(where, "out", out, (*batch, self.irreps.dim), dtype)
        if out is not None:
            states.apart(where, out, T)
        if z.size:
            self._kernel.couple(
                T.reshape(-1, dim[0] * dim[1]), states.rows([z], batch, batch), self._threads(threads, z)
            )
        return z

    def uncouple(self, z: ArrayLike, out: np.ndarray | None = None, threads: int | None = None) -> np.ndarray:
        """The matrix (..., irreps_x.dim, irreps_y.dim) of a state: the adjoint of `couple`, and its inverse unless the
        product is cut."""
        where = "TensorProduct.uncouple"
        self._pairs_of_all(where)
        dtype = states.common_dtype(where, z)
        z_parts, batch = states.blocks(where, "z", z, self.irreps, dtype, True)
        T = states.output(where, "out", out, (*batch, self.irreps_x.dim, self.irreps_y.dim), dtype, zeros=True)
        if out is not None:
            states.apart(where, out, z)
        if T.size and self.paths:
            self._kernel.uncouple(
                states.rows(z_parts, batch, batch),
                T.reshape(-1, self.irreps_x.dim * self.irreps_y.dim),
                self._threads(threads, T),
            )
        return T

    def __repr__(self) -> str:
        kind = ", channelwise" if self.channelwise else ""
        return f"TensorProduct({self.irreps_x} times {self.irreps_y} to {self.irreps}{kind}, {self.basis})"

    def _adjoint(self, where, x, y, z_bar, wanted, out, threads):
        given = [state for state in (x, y, z_bar) if state is not None]
        dtype = states.common_dtype(where, *given)
        shapes, parts = [], []
        for name, state, irreps in (("x", x, self.irreps_x), ("y", y, self.irreps_y), ("z_bar", z_bar, self.irreps)):
            found, shape = states.blocks(where, name, state, irreps, dtype, True) if state is not None else (None, ())
            parts.append(found), shapes.append(shape)
        batch = states.broadcast(where, "the states", *shapes)
        results, result_rows = [], []
        for want, given_out, irreps in zip(wanted, out, (self.irreps_x, self.irreps_y), strict=True):
            bar = states.output(where, "out", given_out, (*batch, irreps.dim), dtype, not self.paths) if want else None
            if given_out is not None:
                states.apart(where, given_out, *given)
            results.append(bar)
            result_rows.append(states.rows([bar], batch, batch) if want else [])
        if self.paths and all(batch):
            # a factor that is not wanted is not read; its place is taken by what is there
            x_rows, y_rows, z_rows = (
                [] if found is None else states.rows(found, shape, batch)
                for found, shape in zip(parts, shapes, strict=True)
            )
            self._kernel.adjoint(x_rows, y_rows, z_rows, *result_rows, self._threads(threads, z_bar))
        return results

    def _pairs_of_all(self, where):
        if self.channelwise:
            raise InputError(f"{where}: a channelwise product has no such transform")

    def _threads(self, threads, z):
        return states.thread_number(threads, np.size(z) * 8)


@lru_cache(maxsize=256)
def _product(irreps_x, irreps_y, l_max, channelwise, basis):
    return TensorProduct(irreps_x, irreps_y, l_max, None, channelwise, basis)


def tensor_product(
    x: ArrayLike,
    irreps_x: "Irreps | str",
    y: ArrayLike,
    irreps_y: "Irreps | str",
    l_max: int | None = None,
    channelwise: bool = False,
    basis: str = "real",
    threads: int | None = None,
) -> tuple[np.ndarray, "Irreps"]:
    """The Clebsch-Gordan product of two states: `TensorProduct(irreps_x, irreps_y, ..)(x, y)`, and its type.

    Parameters
    ----------
    x : (..., irreps_x.dim), laid out as `Irreps` says
    irreps_x : Irreps or str
    y : (..., irreps_y.dim), leading axes broadcast against those of x
    irreps_y : Irreps or str
    l_max : int, optional
        leave out larger l3; since the parts are in ascending order of l, this cuts off the end of z
    channelwise : bool
    basis : "real" or "complex"
    threads : int, optional

    Returns
    -------
    z : (..., irreps_z.dim)
    irreps_z : Irreps

    Raises
    ------
    InputError : x or y does not fit its irreps, one of irreps_x, irreps_y has parities and the other has not, l3
        above 50

    >>> z, irreps = tensor_product([1.0, 2.0, 3.0], "1x1o", [0.5, 0.0, 1.0], "1x1o")
    >>> str(irreps), float((-np.sqrt(3) * z[0]).round(6))  # the dot product
    ('1x0e + 1x1e + 1x2e', 3.5)
    """
    product = _product(Irreps(irreps_x), Irreps(irreps_y), l_max, channelwise, basis)
    return product(x, y, threads=threads), product.irreps
