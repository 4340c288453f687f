"""The Clebsch-Gordan product of states of random types."""
# ruff: noqa: E741 (l is the name of angular momentum)

import numpy as np
import pytest
import so3_oracles as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from nbcore import so3
from nbcore.errors import InputError
from nbcore.so3 import Irreps

R = oracle.rotations(5)


@st.composite
def factors(draw):
    """Two types, both of O(3) or both of SO(3), empty parts and repeated entries among them, and two states."""
    parities = [1, -1] if draw(st.booleans()) else [None]
    entry = st.tuples(st.integers(0, 4), st.sampled_from(parities), st.integers(0, 3))
    a, b = (Irreps(draw(st.lists(entry, max_size=4))) for _ in range(2))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    return a, generator.normal(size=(2, a.dim)), b, generator.normal(size=(2, b.dim))


def channels(irreps):
    """(entry, channel, its l, its parity), in order"""
    return [(k, c, l, p) for k, (l, p, n) in enumerate(irreps) for c in range(n)]


def dense(a, x, b, y):
    """Kronecker products of single channels, times C: {(l, parity): [(label, values)]} in the documented order."""
    x_parts, y_parts = a.parts(x), b.parts(y)
    result = {}
    for i, _ in enumerate(a):
        for j, _ in enumerate(b):
            for k1, c1, l1, p1 in channels(a):
                for k2, c2, l2, p2 in channels(b):
                    if (k1, k2) != (i, j):
                        continue
                    kron = np.kron(x_parts[i][:, c1], y_parts[j][:, c2])
                    for l3 in range(abs(l1 - l2), l1 + l2 + 1):
                        C = so3.real_clebsch_gordan(l1, l2, l3).reshape(-1, 2 * l3 + 1)
                        key = l3, None if p1 is None else p1 * p2
                        result.setdefault(key, []).append(((i, c1, j, c2), l1 + l2 - l3, kron @ C))
    return result


@settings(max_examples=60)
@given(factors())
def test_equals_the_dense_product(f):
    a, x, b, y = f
    z, irreps = so3.tensor_product(x[0], a, y[0], b)
    assert irreps == a.product(b) and z.shape == (irreps.dim,)
    expected = dense(a, x[0], b, y[0])
    norm = np.linalg.norm(x[0]) * np.linalg.norm(y[0])
    for (l, p, n), part in zip(irreps, irreps.parts(z), strict=True):
        assert n == len(expected[l, p])
        for c, (_, _, values) in enumerate(expected[l, p]):
            assert np.abs(part[:, c] - values).max() <= 1e-14 * norm
    assert abs(np.linalg.norm(z) - norm) <= 1e-14 * norm


@settings(max_examples=40)
@given(factors(), st.integers(0, len(R) - 1), st.booleans())
def test_covariant(f, k, inverted):
    a, x, b, y = f
    rotation = -R[k] if inverted and a.has_parity and b.has_parity else R[k]
    z, irreps = so3.tensor_product(x[0], a, y[0], b)
    rotated, _ = so3.tensor_product(so3.rotate(x[0], a, rotation), a, so3.rotate(y[0], b, rotation), b)
    norm = np.linalg.norm(x[0]) * np.linalg.norm(y[0])
    assert np.abs(rotated - so3.rotate(z, irreps, rotation)).max(initial=0) <= 1e-13 * norm


@settings(max_examples=40)
@given(factors(), st.floats(-3, 3), st.integers(0, 8))
def test_bilinear_and_truncated(f, factor, l_max):
    a, (x1, x2), b, (y1, y2) = f

    def product(x, y, l_max=None):
        return so3.tensor_product(x, a, y, b, l_max)[0]

    scale = 10 * (np.linalg.norm(x1) + np.linalg.norm(x2)) * (np.linalg.norm(y1) + np.linalg.norm(y2))
    left = product(x1 + factor * x2, y1) - product(x1, y1) - factor * product(x2, y1)
    right = product(x1, y1 + factor * y2) - product(x1, y1) - factor * product(x1, y2)
    assert max(np.abs(left).max(initial=0), np.abs(right).max(initial=0)) <= 1e-14 * scale
    # whole batches at once, and broadcast, are the same numbers; l_max is a slice
    both = product(np.stack([x1, x2]), np.stack([y1, y2]))
    assert np.allclose(both[1], product(x2, y2), rtol=0, atol=1e-15 * scale)
    assert product(np.stack([x1, x2])[:, None], np.stack([y1, y2, y1])).shape == (2, 3, both.shape[-1])
    z, irreps = so3.tensor_product(x1, a, y1, b, l_max)
    assert np.array_equal(z, product(x1, y1)[: irreps.dim]) and irreps.l_max <= l_max


@settings(max_examples=40)
@given(factors())
def test_swapped_factors(f):
    a, x, b, y = f
    z, irreps = so3.tensor_product(y[0], b, x[0], a)
    norm = np.linalg.norm(x[0]) * np.linalg.norm(y[0])
    expected = dense(a, x[0], b, y[0])
    for (l, p, _), part in zip(irreps, irreps.parts(z), strict=True):
        # the same channels, sorted by the factor that now comes first, each with the sign (-1)^(l1 + l2 - l)
        swapped = sorted(expected[l, p], key=lambda path: (path[0][2], path[0][0], path[0][3], path[0][1]))
        for c, (_, power, values) in enumerate(swapped):
            assert np.abs(part[:, c] - (-1) ** power * values).max() <= 1e-14 * norm


def test_products_of_harmonics():
    """Y_1 x Y_1 of one vector: the l = 1 part vanishes, the others are Gaunt factors times Y_0 and Y_2."""
    Y = so3.spherical_harmonics(2, [0.2, -0.5, 0.9])
    z, irreps = so3.tensor_product(Y[1:4], "1x1o", Y[1:4], "1x1o")
    assert str(irreps) == "1x0e + 1x1e + 1x2e"
    np.testing.assert_allclose(z[0], -3 / np.sqrt(3) / (4 * np.pi), rtol=1e-14)
    np.testing.assert_allclose(z[1:4], 0, atol=1e-16)
    np.testing.assert_allclose(z[4:], np.sqrt(2 / 3) * 3 / np.sqrt(20 * np.pi) * Y[4:], rtol=1e-14)


def test_nothing_times_something():
    z, irreps = so3.tensor_product(np.zeros((5, 0)), "", np.ones((5, 3)), "1x1o")
    assert z.shape == (5, 0) and irreps == ()


def test_rotate():
    x = np.random.default_rng(0).normal(size=(7, 13))
    np.testing.assert_allclose(so3.rotate(x[:, :4], "1x0e + 1x1o", -np.eye(3)), x[:, :4] * [1, -1, -1, -1])
    np.testing.assert_allclose(so3.rotate(x[:, :4], "1x0o + 1x1e", -np.eye(3)), x[:, :4] * [-1, 1, 1, 1])
    mirror = np.diag([1.0, 1.0, -1.0])
    r = np.array([0.3, 0.4, 0.5])
    np.testing.assert_allclose(
        so3.rotate(so3.spherical_harmonics(3, r), Irreps.harmonics(3), mirror),
        so3.spherical_harmonics(3, mirror @ r),
        atol=1e-15,
    )
    turned = so3.rotate(x, "2x0 + 2x1 + 1x2", R[-1])
    np.testing.assert_allclose(turned[:, 2:8].reshape(7, 3, 2), so3.wigner_D(1, R[-1]) @ x[:, 2:8].reshape(7, 3, 2))


def test_errors():
    with pytest.raises(InputError, match=r"tensor_product: x must have shape \(\.\.\., 3\) \(1x1o\), got \(4,\)"):
        so3.tensor_product(np.zeros(4), "1x1o", np.zeros(3), "1x1o")
    with pytest.raises(InputError, match="leading axes of x and y must broadcast"):
        so3.tensor_product(np.zeros((2, 3)), "1x1o", np.zeros((3, 3)), "1x1o")
    with pytest.raises(InputError, match="one factor has parities"):
        so3.tensor_product(np.zeros(3), "1x1o", np.zeros(3), "1x1")
    with pytest.raises(TypeError, match="tensor_product: states must be numbers"):
        so3.tensor_product(np.zeros(3), "1x1o", ["a", "b", "c"], "1x1o")
    with pytest.raises(InputError, match="rotate: .* improper"):
        so3.rotate(np.zeros(3), "1x1", -np.eye(3))
    with pytest.raises(InputError, match="rotate: leading axes of x and R must broadcast"):
        so3.rotate(np.zeros((3, 3)), "1x1", np.stack([np.eye(3)] * 2))
