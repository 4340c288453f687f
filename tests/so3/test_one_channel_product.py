"""Channelwise products with a factor of one channel: against dense sums; large results, which pass by the caches."""
# ruff: noqa: E741 (l is the name of angular momentum)

import numpy as np
import pytest

from nbcore import so3

WIDE, SINGLE = "32x0e + 16x1o + 48x2e + 16x3o", "1x0e + 1x1o + 1x2e"  # 3o of WIDE meets nothing that is kept


def dense(product, x, y):
    """The same by einsum, path by path."""
    z = {(l, p): [] for l, p, _ in product.irreps}
    x_parts, y_parts = product.irreps_x.parts(x), product.irreps_y.parts(y)
    for path in product.paths:
        a, b = x_parts[path.x], y_parts[path.y]
        C = so3.real_clebsch_gordan(product.irreps_x[path.x].l, product.irreps_y[path.y].l, path.l)
        a, b = (np.broadcast_to(s, (*s.shape[:-1], path.stop - path.start)) for s in (a, b))
        z[path.l, path.parity].append(np.einsum("abk,nac,nbc->nkc", C, a.astype(float), b.astype(float)))
    return np.concatenate([np.concatenate(parts, axis=2).reshape(len(x), -1) for parts in z.values()], axis=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("swapped", [False, True])
def test_against_dense_sums(dtype, swapped):
    irreps = (SINGLE, WIDE) if swapped else (WIDE, SINGLE)
    product = so3.TensorProduct(*irreps, keep="1x0e + 1x1o + 1x2e", channelwise=True)
    rng = np.random.default_rng(1)
    x, y, z_bar = (
        rng.normal(size=(37, i.dim)).astype(dtype) for i in (product.irreps_x, product.irreps_y, product.irreps)
    )
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    z = product(x, y)
    np.testing.assert_allclose(z, dense(product, x, y), atol=tolerance * np.abs(z).max())
    x_bar, y_bar = product.adjoint(x, y, z_bar)
    for bar, basis, states in ((x_bar, product.irreps_x, x), (y_bar, product.irreps_y, y)):
        for k in rng.integers(basis.dim, size=5):
            step = np.zeros_like(states)
            step[:, k] = 1
            expected = (z_bar * (dense(product, step, y) if bar is x_bar else dense(product, x, step))).sum(axis=1)
            np.testing.assert_allclose(bar[:, k], expected, atol=20 * tolerance * np.abs(bar).max())
    alone = product.adjoint_x(y, z_bar), product.adjoint_y(x, z_bar)
    assert np.array_equal(alone[0], x_bar) and np.array_equal(alone[1], y_bar)


def test_large_results_have_the_same_bits():
    product = so3.TensorProduct("64x0e + 64x1o + 64x2e", SINGLE, channelwise=True)
    rng = np.random.default_rng(2)
    x, y = (rng.normal(size=(4000, i.dim)).astype(np.float32) for i in (product.irreps_x, product.irreps_y))
    z = product(x, y, threads=2)
    assert z.nbytes > 2**25
    for k in range(0, 4000, 731):
        assert np.array_equal(z[k : k + 1], product(x[k : k + 1], y[k : k + 1]))
