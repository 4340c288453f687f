"""Products of states of any types: against dense sums, adjoints, transforms, all number types, threads, layouts."""
# ruff: noqa: E741 (l is the name of angular momentum)

import threading

import numpy as np
import pytest
import so3_oracles as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from nbcore import so3
from nbcore.errors import InputError
from nbcore.so3 import Irreps, TensorProduct

R = oracle.rotations(4)
dtypes = [np.float32, np.float64, np.complex64, np.complex128]


def numbers(generator, shape, dtype):
    x = generator.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * generator.normal(size=shape)
    return x.astype(dtype)


def dense(product):
    """The tensor of the product, (dim of x, dim of y, dim of z), from its definition; nothing of the kernels."""
    starts = [
        np.cumsum([0, *(i.dim for i in irreps)]) for irreps in (product.irreps_x, product.irreps_y, product.irreps)
    ]
    T = np.zeros((product.irreps_x.dim, product.irreps_y.dim, product.irreps.dim))
    coefficients = so3.real_clebsch_gordan if product.basis == "real" else so3.clebsch_gordan
    done = {}
    for i, (l1, p1, n1) in enumerate(product.irreps_x):
        for j, (l2, p2, n2) in enumerate(product.irreps_y):
            for k, (l3, p3, n3) in enumerate(product.irreps):
                if not abs(l1 - l2) <= l3 <= l1 + l2 or (p1 is not None and p1 * p2 != p3):
                    continue
                C = coefficients(l1, l2, l3)
                pairs = (
                    [(c, c) for c in range(max(n1, n2))]
                    if product.channelwise
                    else [(c1, c2) for c1 in range(n1) for c2 in range(n2)]
                )
                for c1, c2 in pairs:
                    c3 = done[k] = done.get(k, -1) + 1
                    a = starts[0][i] + (c1 if n1 > 1 else 0) + n1 * np.arange(2 * l1 + 1)
                    b = starts[1][j] + (c2 if n2 > 1 else 0) + n2 * np.arange(2 * l2 + 1)
                    c = starts[2][k] + c3 + n3 * np.arange(2 * l3 + 1)
                    T[np.ix_(a, b, c)] += C
    return T


@st.composite
def products(draw):
    parities = [1, -1] if draw(st.booleans()) else [None]
    channelwise = draw(st.booleans())
    channels = st.sampled_from([1, draw(st.integers(2, 9))]) if channelwise else st.integers(0, 3)
    entry = st.tuples(st.integers(0, 3), st.sampled_from(parities), channels)
    a, b = (Irreps(draw(st.lists(entry, max_size=3))) for _ in range(2))
    l_max = draw(st.sampled_from([None, 0, 2, 5]))
    basis = draw(st.sampled_from(["real", "complex"]))
    return TensorProduct(a, b, l_max, channelwise=channelwise, basis=basis), draw(st.integers(0, 2**32))


@settings(max_examples=80)
@given(products(), st.sampled_from(dtypes), st.integers(1, 9))
def test_equals_the_dense_sum_and_its_adjoints(p, dtype, n):
    product, seed = p
    generator = np.random.default_rng(seed)
    x, y, z_bar = (
        numbers(generator, (n, irreps.dim), dtype) for irreps in (product.irreps_x, product.irreps_y, product.irreps)
    )
    T = dense(product)
    eps = (1e-13 if np.dtype(dtype).itemsize in (8, 16) and np.finfo(dtype).eps < 1e-10 else 5e-6) * n
    z = product(x, y)
    assert z.dtype == dtype and z.shape == (n, product.irreps.dim)
    scale = np.linalg.norm(x) * np.linalg.norm(y)
    assert np.abs(z - np.einsum("abc,na,nb->nc", T, x, y)).max(initial=0) <= eps * max(scale, 1)
    x_bar, y_bar = product.adjoint(x, y, z_bar)
    assert x_bar.dtype == y_bar.dtype == dtype
    scale = np.linalg.norm(z_bar)
    assert np.abs(x_bar - np.einsum("abc,nc,nb->na", T, z_bar, y.conj())).max(initial=0) <= eps * max(
        scale * np.linalg.norm(y), 1
    )
    assert np.abs(y_bar - np.einsum("abc,nc,na->nb", T, z_bar, x.conj())).max(initial=0) <= eps * max(
        scale * np.linalg.norm(x), 1
    )
    assert np.array_equal(product.adjoint_x(y, z_bar), x_bar) and np.array_equal(product.adjoint_y(x, z_bar), y_bar)
    # <z_bar, z> = <x_bar, x> = <y_bar, y>, real parts
    inner = [np.vdot(a, b).real for a, b in ((z_bar, z), (x_bar, x), (y_bar, y))]
    assert max(inner) - min(inner) <= eps * max(1, np.linalg.norm(z_bar) * np.linalg.norm(x) * np.linalg.norm(y))


@settings(max_examples=40)
@given(products(), st.sampled_from(dtypes))
def test_transform(p, dtype):
    product, seed = p
    if product.channelwise:
        with pytest.raises(InputError, match="a channelwise product has no such transform"):
            product.couple(np.zeros((0, 0)))
        return
    generator = np.random.default_rng(seed)
    a, b = product.irreps_x.dim, product.irreps_y.dim
    M, z = numbers(generator, (5, a, b), dtype), numbers(generator, (5, product.irreps.dim), dtype)
    eps = 1e-13 if np.finfo(dtype).eps < 1e-10 else 5e-6
    T = dense(product)
    coupled, matrix = product.couple(M), product.uncouple(z)
    assert np.abs(coupled - np.einsum("abc,nab->nc", T, M)).max(initial=0) <= eps * (1 + np.linalg.norm(M))
    assert np.abs(matrix - np.einsum("abc,nc->nab", T, z)).max(initial=0) <= eps * (1 + np.linalg.norm(z))
    if product.irreps.dim == a * b:  # nothing cut: orthogonal
        assert np.abs(product.uncouple(coupled) - M).max(initial=0) <= eps * (1 + np.linalg.norm(M))


@pytest.mark.parametrize("channelwise", [True, False])
@pytest.mark.parametrize("basis", ["real", "complex"])
def test_covariant_under_special_rotations(basis, channelwise):
    a, b = Irreps("3x0e + 3x1o + 1x3e"), Irreps("1x0o + 3x2e")
    product = TensorProduct(a, b, channelwise=channelwise, basis=basis)
    generator = np.random.default_rng(1)
    x, y = (numbers(generator, i.dim, complex if basis == "complex" else float) for i in (a, b))
    for rotation in [*R, *-R[-3:]]:
        turned = product(so3.rotate(x, a, rotation, basis=basis), so3.rotate(y, b, rotation, basis=basis))
        expected = so3.rotate(product(x, y), product.irreps, rotation, basis=basis)
        assert np.abs(turned - expected).max() <= 1e-12 * np.linalg.norm(x) * np.linalg.norm(y)


def test_complex_basis_is_the_real_one_transformed():
    """Complex components of real states: the product of the complex basis, with i for odd l1 + l2 + l3."""
    a, b = Irreps("2x1 + 1x2"), Irreps("3x0 + 2x2")
    generator = np.random.default_rng(2)
    x, y = generator.normal(size=(2, a.dim)), generator.normal(size=(2, b.dim))

    def to_complex(x, irreps):
        return irreps.join([so3.real_to_complex(i.l) @ p for i, p in zip(irreps, irreps.parts(x), strict=True)])

    real, complex_ = TensorProduct(a, b), TensorProduct(a, b, basis="complex")
    z, w = real(x, y), complex_(to_complex(x, a), to_complex(y, b))
    expected = real.irreps.parts(to_complex(z, real.irreps))
    got = complex_.irreps.parts(w)
    place = {(i.l, i.parity): k for k, i in enumerate(real.irreps)}
    for path in real.paths:
        odd = (a[path.x].l + b[path.y].l + path.l) % 2
        k, channels = place[path.l, path.parity], slice(path.start, path.stop)
        assert np.abs(got[k][..., channels] - (1j if odd else 1) * expected[k][..., channels]).max() <= 1e-14


def by_channels(product, x, y, z_bar):
    """z, x_bar, y_bar, path by path, without a dense tensor"""
    x_parts, y_parts = product.irreps_x.parts(x), product.irreps_y.parts(y)
    place = {(i.l, i.parity): k for k, i in enumerate(product.irreps)}
    z, z_bar_parts = (product.irreps.parts(v) for v in (np.zeros_like(z_bar), z_bar))
    x_bar, y_bar = [np.zeros_like(p) for p in x_parts], [np.zeros_like(p) for p in y_parts]
    for path in product.paths:
        a, b, k = x_parts[path.x], y_parts[path.y], place[path.l, path.parity]
        C = so3.real_clebsch_gordan(product.irreps_x[path.x].l, product.irreps_y[path.y].l, path.l)
        bar = z_bar_parts[k][..., path.start : path.stop]
        if product.channelwise:
            n = path.stop - path.start
            wide = [np.broadcast_to(v, (*v.shape[:-1], n)) for v in (a, b)]
            z[k][..., path.start : path.stop] = np.einsum("abc,nae,nbe->nce", C, *wide)
            for bars, i, axes, other in (
                (x_bar, path.x, "abc,nce,nbe->nae", b),
                (y_bar, path.y, "abc,nce,nae->nbe", a),
            ):
                full = np.einsum(axes, C, bar, np.broadcast_to(other, (*other.shape[:-1], n)).conj())
                bars[i] += full if bars[i].shape == full.shape else full.sum(-1, keepdims=True)
        else:
            bar = bar.reshape(*bar.shape[:-1], a.shape[-1], b.shape[-1])
            z[k][..., path.start : path.stop] = np.einsum("abc,nae,nbf->ncef", C, a, b).reshape(
                len(x), 2 * path.l + 1, -1
            )
            x_bar[path.x] += np.einsum("abc,ncef,nbf->nae", C, bar, b.conj())
            y_bar[path.y] += np.einsum("abc,ncef,nae->nbf", C, bar, a.conj())
    return [
        i.join(v) for i, v in zip((product.irreps, product.irreps_x, product.irreps_y), (z, x_bar, y_bar), strict=True)
    ]


@pytest.mark.parametrize("dtype", dtypes)
@pytest.mark.parametrize(
    ("a", "b", "channelwise"),
    [
        ("64x0e + 64x1o + 64x2e", "64x0e + 64x1o + 64x2e", True),  # rows that are registers already
        ("65x0e + 65x1o + 65x2e", "1x0e + 1x1o + 1x2e + 1x3o", True),  # one channel of y for all of x
        ("8x0e + 5x1o + 1x2e", "16x0e + 3x1o", False),
        ("1x10e", "1x12e + 1x3o", False),  # chunks of one register
        ("200x1o", "3x1o", False),
    ],
)
def test_sizes_threads_and_places(a, b, channelwise, dtype):
    """Every branch of the driver gives the numbers of the dense sum, and bits that depend on the state alone."""
    product = TensorProduct(a, b, channelwise=channelwise)
    generator = np.random.default_rng(3)
    n = 150
    x, y, z_bar = (numbers(generator, (n, i.dim), dtype) for i in (product.irreps_x, product.irreps_y, product.irreps))
    z, (x_bar, y_bar) = product(x, y, threads=1), product.adjoint(x, y, z_bar, threads=1)
    eps = 1e-13 if np.finfo(dtype).eps < 1e-10 else 1e-5
    for got, expected in zip((z, x_bar, y_bar), by_channels(product, x[:3], y[:3], z_bar[:3]), strict=True):
        assert np.abs(got[:3] - expected).max() <= eps * np.abs(expected).max()
    for threads in (2, 3, 7):
        assert np.array_equal(product(x, y, threads=threads), z)
        again = product.adjoint(x, y, z_bar, threads=threads)
        assert np.array_equal(again[0], x_bar) and np.array_equal(again[1], y_bar)
    for k in (0, 77, n - 1):
        assert np.array_equal(product(x[k], y[k]), z[k])
        assert np.array_equal(product.adjoint_x(y[k], z_bar[k]), x_bar[k])
    results = {}
    callers = [threading.Thread(target=lambda k=k: results.update({k: product(x, y)})) for k in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(np.array_equal(results[k], z) for k in range(3))


def test_broadcasting_and_layouts():
    product = TensorProduct("3x0e + 2x1o", "2x0e + 1x2e")
    generator = np.random.default_rng(4)
    x, y = generator.normal(size=(4, 1, product.irreps_x.dim)), generator.normal(size=(5, product.irreps_y.dim))
    z = product(x, y)
    assert z.shape == (4, 5, product.irreps.dim)
    full = np.broadcast_to(x, (4, 5, x.shape[-1])), np.broadcast_to(y, (4, 5, y.shape[-1]))
    assert np.array_equal(product(*(f.copy() for f in full)), z)
    z_bar = generator.normal(size=z.shape)
    x_bar, y_bar = product.adjoint(x, y, z_bar)
    assert x_bar.shape == x.shape and y_bar.shape == y.shape
    expected = product.adjoint(*(f.copy() for f in full), z_bar)
    np.testing.assert_allclose(x_bar, expected[0].sum(1, keepdims=True), rtol=1e-13)
    np.testing.assert_allclose(y_bar, expected[1].sum(0), rtol=1e-13)
    kinds = [
        np.asfortranarray,
        lambda a: a[..., ::-1].copy()[..., ::-1],
        lambda a: a.astype(">f8"),
        lambda a: a.tolist(),
    ]
    for kind in kinds:
        assert np.array_equal(product(kind(x), kind(y)), z)
    a, b = full[0][::-1, ::2], full[1][::-1, ::2]
    assert np.array_equal(product(a, b), z[::-1, ::2])
    # parts and dicts of parts instead of arrays
    parts = product.irreps_x.parts(x)
    assert np.array_equal(product(parts, y), z)
    assert np.array_equal(product({(0, 1): parts[0], (1, -1): parts[1]}, y), z)
    assert np.array_equal(product({(1, -1): parts[1], (0, 1): parts[0], (2, 1): np.zeros((4, 1, 5, 0))}, y), z)
    so3_product = TensorProduct("3x0 + 2x1", "2x0 + 1x2")
    assert np.array_equal(np.sort(so3_product({0: parts[0], 1: parts[1]}, y)), np.sort(z))
    assert product(x[:0], y[0]).shape == (0, 1, product.irreps.dim)


def test_out():
    product = TensorProduct("3x0e + 2x1o", "2x1o", l_max=1)
    x, y = np.ones((6, 9)), np.ones((6, 6))
    z = np.full((6, product.irreps.dim), np.nan)
    assert product(x, y, out=z) is z and np.array_equal(z, product(x, y))
    x_bar = np.full((6, 9), np.nan)
    assert product.adjoint_x(y, z, out=x_bar) is x_bar and np.array_equal(x_bar, product.adjoint(x, y, z)[0])
    with pytest.raises(InputError, match=r"out must have shape \(6, \d+\) and dtype float64, got \(6, 3\)"):
        product(x, y, out=np.zeros((6, 3)))
    with pytest.raises(InputError, match="contiguous"):
        product(x, y, out=np.asfortranarray(z))
    square = TensorProduct("1x1o", "1x0e")
    with pytest.raises(InputError, match="out must not share memory"):
        square(same := np.ones((2, 3)), [1.0], out=same)


def test_what_no_path_reaches():
    product = TensorProduct("2x0e + 1x3o", "1x0e", l_max=1)  # l = 3 has no product
    x_bar, y_bar = product.adjoint(np.ones(9), np.ones(1), np.ones(2))
    assert np.array_equal(x_bar, [1, 1, *[0] * 7]) and np.array_equal(y_bar, [2])
    nothing = TensorProduct("1x3o", "1x0e", l_max=1)
    assert nothing(np.ones((4, 7)), [1.0]).shape == (4, 0)
    x_bar, y_bar = nothing.adjoint(np.ones((4, 7)), [1.0], np.ones((4, 0)))
    assert not x_bar.any() and x_bar.shape == (4, 7) and not y_bar.any()
    assert not nothing.uncouple(np.ones((4, 0))).any()


def test_not_finite_stays_where_it_is():
    product = TensorProduct("5x0e + 5x1o", "5x1o", channelwise=True)
    x, y = np.ones((40, 20)), np.ones((40, 15))
    expected = product(x, y)
    x[7] = np.nan
    z = product(x, y)
    assert np.isnan(z[7]).all() and np.array_equal(np.delete(z, 7, 0), np.delete(expected, 7, 0))


def test_keep_and_paths():
    product = TensorProduct("4x0e + 4x1o", "1x0e + 1x1o", keep="0e + 1o", channelwise=True)
    assert str(product.irreps) == "8x0e + 8x1o"
    assert [(p.x, p.y, p.l, p.start, p.stop) for p in product.paths] == [
        (0, 0, 0, 0, 4), (0, 1, 1, 0, 4), (1, 0, 1, 4, 8), (1, 1, 0, 4, 8)
    ]  # fmt: skip


def test_errors():
    with pytest.raises(InputError, match="channelwise needs equal multiplicities, or 1"):
        TensorProduct("4x0e", "3x0e", channelwise=True)
    with pytest.raises(InputError, match="l reaches 60, supported are 0 to 50; give l_max"):
        TensorProduct("1x30", "1x30")
    with pytest.raises(InputError, match="basis must be .*, got 'cartesian'"):
        TensorProduct("1x0", "1x0", basis="cartesian")
    product = TensorProduct("2x0e + 1x1o", "1x1o")
    with pytest.raises(InputError, match=r"x must hold one part for each of \[\(0, 1\), \(1, -1\)\]"):
        product({(0, 1): np.ones((1, 2))}, np.ones(3))
    with pytest.raises(InputError, match=r"the part 2x0e of x must end in \(1, 2\), got \(1, 3\)"):
        product([np.ones((1, 3)), np.ones((3, 1))], np.ones(3))
    with pytest.raises(TypeError, match="states must be numbers"):
        product(np.ones(5), np.array(["a"] * 3))
    with pytest.raises(InputError, match="threads must be a whole number"):
        product(np.ones(5), np.ones(3), threads=0)
