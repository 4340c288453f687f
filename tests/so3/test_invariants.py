"""Invariants: brute sums, no rotation changes them, adjoints by differences that are exact for polynomials."""
# ruff: noqa: E741 (l is the name of angular momentum)

import numpy as np
import pytest
import so3_oracles as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from nbcore import so3
from nbcore.errors import InputError
from nbcore.so3 import Irreps

R = oracle.rotations(4)
types = st.builds(
    lambda parities, entries: Irreps([(l, p if parities else None, n) for l, p, n in entries]),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1, -1]), st.integers(0, 2)), max_size=4),
)


def state(irreps, seed, kind, n=3):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, irreps.dim))
    return x + 1j * generator.normal(size=x.shape) if kind == "complex" else x


def functions(basis):
    return {
        "norms": (lambda x, i: so3.norms(x, i, 0.3), lambda x, i, b: so3.norms_adjoint(x, i, b, 0.3)),
        "power_spectrum": (so3.power_spectrum, so3.power_spectrum_adjoint),
        "bispectrum": (
            lambda x, i: so3.bispectrum(x, i, basis),
            lambda x, i, b: so3.bispectrum_adjoint(x, i, b, basis),
        ),
    }


@settings(max_examples=40)
@given(types, st.integers(0, 2**32), st.sampled_from(["real", "complex"]), st.integers(0, len(R) - 1))
def test_no_rotation_changes_them(irreps, seed, basis, k):
    x, y = state(irreps, seed, basis, 1)[0], state(irreps, seed + 1, basis, 1)[0]
    for rotation in (R[k], -R[k]) if irreps.has_parity else (R[k],):
        turned, other = (so3.rotate(v, irreps, rotation, basis=basis) for v in (x, y))
        scale = (1 + np.linalg.norm(x)) ** 3
        for name, (f, _) in functions(basis).items():
            assert np.abs(f(turned, irreps) - f(x, irreps)).max(initial=0) <= 1e-13 * scale, name
        assert np.abs(so3.dot(turned, other, irreps) - so3.dot(x, y, irreps)).max(initial=0) <= 1e-12 * scale


@settings(max_examples=40)
@given(types, st.integers(0, 2**32), st.sampled_from(["real", "complex"]))
def test_adjoints(irreps, seed, basis):
    """f along a line: five points give the derivative of polynomials to degree 4 without error."""
    x, dx, y, dy = (state(irreps, seed + k, basis) for k in range(4))

    def slope(g, h):
        return (8 * (g(h) - g(-h)) - (g(2 * h) - g(-2 * h))) / (12 * h)

    for name, (f, adjoint) in functions(basis).items():
        value = f(x, irreps)
        bar = state(Irreps([(0, None, value.shape[-1])]), seed + 9, basis if value.dtype.kind == "c" else "real")
        x_bar = adjoint(x, irreps, bar)
        assert x_bar.shape == x.shape and (x_bar.dtype == x.dtype or not irreps)
        h, bound = (1e-3, 1e-9) if name == "norms" else (0.5, 1e-12)
        got = np.vdot(x_bar, dx).real
        expected = slope(lambda t, f=f, bar=bar: np.vdot(bar, f(x + t * dx, irreps)).real, h)
        scale = 1 + np.linalg.norm(bar) * (1 + np.linalg.norm(x) + np.linalg.norm(dx)) ** 3
        assert abs(got - expected) <= bound * scale, name
    bar = state(Irreps([(0, None, irreps.channels)]), seed + 9, basis)
    x_bar, y_bar = so3.dot_adjoint(x, y, irreps, bar)
    got = np.vdot(x_bar, dx).real + np.vdot(y_bar, dy).real
    expected = slope(lambda t: np.vdot(bar, so3.dot(x + t * dx, y + t * dy, irreps)).real, 0.5)
    scale = np.linalg.norm(bar) * (np.linalg.norm(x) + np.linalg.norm(dx)) * (np.linalg.norm(y) + np.linalg.norm(dy))
    assert abs(got - expected) <= 1e-12 * (1 + scale)


def test_brute_sums():
    irreps = Irreps("2x1o + 1x0e + 2x2e + 1x1o")
    x = state(irreps, 0, "real", 1)[0]
    channels = {}
    for (l, p, n), part in zip(irreps, irreps.parts(x), strict=True):
        channels.setdefault((l, p), []).extend(part[:, c] for c in range(n))
    single = [part[:, c] for (_, _, n), part in zip(irreps, irreps.parts(x), strict=True) for c in range(n)]
    np.testing.assert_allclose(so3.norms(x, irreps), [np.linalg.norm(v) for v in single], rtol=1e-14)
    np.testing.assert_allclose(so3.norms(x, irreps, 2.0), [np.sqrt(v @ v + 2) for v in single], rtol=1e-14)
    np.testing.assert_allclose(so3.dot(x, 2 * x, irreps), [2 * v @ v for v in single], rtol=1e-14)
    expected = [
        channels[k.l, k.parity][k.c1] @ channels[k.l, k.parity][k.c2] for k in so3.power_spectrum_labels(irreps)
    ]
    np.testing.assert_allclose(so3.power_spectrum(x, irreps), expected, rtol=0, atol=1e-14)
    labels, got = so3.bispectrum_labels(irreps), so3.bispectrum(x, irreps)
    assert len(labels) == len(got)
    for label, value in zip(labels, got, strict=True):
        vectors = [
            channels[key][c] for *key, c in zip(label.l, label.parity, label.c, strict=True) for key in [tuple(key)]
        ]
        assert abs(np.einsum("abc,a,b,c", so3.real_clebsch_gordan(*label.l), *vectors) - value) <= 1e-13


@pytest.mark.parametrize("text", ["1x0e + 1x1o + 1x2e", "3x1o", "2x2e", "2x1e + 1x1o", "3x1 + 1x2", "2x0 + 2x3"])
def test_bispectrum_holds_each_independent_product_once(text):
    """As many as invariants of the third symmetric power, and linearly independent as functions of the state."""
    irreps = Irreps(text)
    b = so3.bispectrum(np.random.default_rng(0).normal(size=(200, irreps.dim)), irreps)
    expected = irreps.symmetric_power(3).multiplicity(0, 1 if irreps.has_parity else None)
    assert b.shape[1] == expected
    assert expected == 0 or np.linalg.matrix_rank(b) == expected
    p = so3.power_spectrum(np.random.default_rng(0).normal(size=(200, irreps.dim)), irreps)
    assert p.shape[1] == irreps.symmetric_power(2).multiplicity(0, 1 if irreps.has_parity else None)


def test_norms_at_zero():
    x = np.zeros((2, 4))
    assert not so3.norms(x, "1x0e + 1x1o").any() and not so3.norms_adjoint(x, "1x0e + 1x1o", np.ones(2)).any()
    assert np.array_equal(so3.norms(x, "1x0e + 1x1o", 4.0), np.full((2, 2), 2.0))


def test_number_types_layouts_and_errors():
    irreps = Irreps("2x0e + 1x1o")
    x = state(irreps, 0, "complex")
    for dtype in (np.complex64, np.complex128, np.float32, np.float64):
        v = (x.real if np.dtype(dtype).kind == "f" else x).astype(dtype)
        assert so3.norms(v, irreps).dtype == np.zeros(0, dtype).real.dtype
        assert so3.power_spectrum(v, irreps).dtype == so3.bispectrum(v, irreps).dtype == dtype
        assert so3.norms_adjoint(v, irreps, np.ones(3, v.real.dtype)).dtype == dtype
    assert np.array_equal(so3.norms(irreps.parts(x), irreps), so3.norms(x, irreps))
    assert so3.dot(x[:, None], x[None], irreps).shape == (3, 3, 3)
    assert so3.norms(np.zeros((4, 0)), "").size == 0
    with pytest.raises(InputError, match="norms: eps must not be negative, got -1"):
        so3.norms(x, irreps, -1)
    with pytest.raises(InputError, match=r"norms: x must have shape \(\.\.\., 5\)"):
        so3.norms(x[:, :4], irreps)
    with pytest.raises(InputError, match=r"p_bar must have shape \(\.\.\., 4\), got \(3,\)"):
        so3.power_spectrum_adjoint(x, irreps, np.ones(3))
    with pytest.raises(InputError, match="basis must be"):
        so3.bispectrum(x, irreps, "other")
