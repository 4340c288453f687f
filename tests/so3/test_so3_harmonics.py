"""Harmonics against integer polynomials, quadrature, SciPy; gradients; arrays of every kind."""
# ruff: noqa: E741 (l is the name of angular momentum)

import itertools
import threading

import mpmath
import numpy as np
import pytest
import so3_oracles as oracle
from scipy.special import sph_harm_y
from so3_oracles import check

from nbcore import so3
from nbcore.errors import InputError

L = 20


def points():
    """Random points, axes, poles and their surroundings, very short and very long vectors."""
    generator = np.random.default_rng(7)
    axes = [s * np.eye(3)[a] for a in range(3) for s in (1.0, -1.0)]
    near_poles = [[1e-160, -1e-160, 1.0], [1e-160, 3.0, -1e-160], [1e-9, 2e-9, -1.0], [0.0, 1e-300, 2.5]]
    diagonal = [[1.0, 1.0, 0.0], [1.0, -1.0, 1.0]]
    random = generator.normal(size=(12, 3))
    return np.array([*axes, *near_poles, *diagonal, *random, *(1e-30 * random[:3]), *(1e5 * random[3:6])])


def worst_by_l(values, exact, l_max):
    """The largest error of each l over the largest |exact| of that l, in units of 2e-15 (l + 1)."""
    worst = 0
    for l in range(l_max + 1):
        lm = range(l * l, (l + 1) ** 2)
        scale = max(abs(exact[k]) for k in lm)
        for k in lm:
            error = abs(mpmath.mpf(float(values[k])) - exact[k])
            # what is below the smallest normal double has no relative accuracy
            worst = max(worst, float(error / max(scale, mpmath.mpf(2) ** -1022)) / (2e-15 * (l + 1)))
    return worst


def test_spherical_harmonics_are_exact_polynomials():  # A7
    Y = so3.spherical_harmonics(L, points())
    worst = max(worst_by_l(y, oracle.spherical_harmonics(L, r), L) for y, r in zip(Y, points(), strict=True))
    check("A7 spherical harmonics, of 2e-15 (l+1)", worst, 1)


def test_solid_harmonics_are_exact_polynomials():  # A7
    S = so3.solid_harmonics(L, points())
    worst = max(worst_by_l(s, oracle.solid_harmonics(L, r), L) for s, r in zip(S, points(), strict=True))
    check("A7 solid harmonics, of 2e-15 (l+1)", worst, 1)


@pytest.mark.parametrize("name", ["spherical_harmonics", "solid_harmonics"])
def test_gradients(name):  # A7
    r = points()[[0, 1, 4, 6, 7, 8, 12, 13, 14, 24, 27]]
    values, gradients = getattr(so3, name)(8, r, gradient=True)
    assert np.array_equal(values, getattr(so3, name)(8, r))
    worst = 0
    for point, rows in zip(r, gradients, strict=True):
        exact = oracle.gradient(getattr(oracle, name), 8, point)
        for l in range(1, 9):
            lm = range(l * l, (l + 1) ** 2)
            scale = max(abs(row[k]) for row in exact for k in lm)
            for a, k in itertools.product(range(3), lm):
                worst = max(worst, float(abs(float(rows[a, k]) - exact[a][k]) / scale) / (2e-15 * (l + 1)))
    assert not gradients[..., 0].any()
    check(f"A7 gradients of {name}, of 2e-15 (l+1)", worst, 1)


@pytest.mark.parametrize("name", ["spherical_harmonics", "solid_harmonics"])
def test_second_derivatives(name):  # A7
    r = points()[[0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 24, 27]]  # axes, both poles, around them; short and long
    l_max = 7
    values, gradients, hessians = getattr(so3, name)(l_max, r, hessian=True)
    expected = getattr(so3, name)(l_max, r, gradient=True)
    assert np.array_equal(values, expected[0]) and np.array_equal(gradients, expected[1])
    worst = 0
    for point, rows in zip(r, hessians, strict=True):
        exact = oracle.hessian(getattr(oracle, name), l_max, point)
        for l in range(l_max + 1):
            lm = range(l * l, (l + 1) ** 2)
            scale = max(abs(exact[a][b][k]) for a in range(3) for b in range(3) for k in lm)
            if l == 0 or (l == 1 and name == "solid_harmonics"):
                assert not rows[..., lm].any()
                continue
            for a, b, k in itertools.product(range(3), range(3), lm):
                worst = max(worst, float(abs(float(rows[a, b, k]) - exact[a][b][k]) / scale) / (2e-15 * (l + 1)))
    check(f"A7 second derivatives of {name}, of 2e-15 (l+1)", worst, 1)
    assert np.array_equal(hessians, np.swapaxes(hessians, 1, 2))


def test_second_derivatives_have_their_identities():
    """Solid harmonics are harmonic and homogeneous; derivatives of Y(r / |r|) know nothing of the length of r."""
    r = np.random.default_rng(8).normal(size=(20, 3))
    S, dS, ddS = so3.solid_harmonics(50, r, hessian=True)
    l = np.repeat(np.arange(51), 2 * np.arange(51) + 1)
    size = np.abs(ddS).max(axis=(1, 2)).clip(1e-300)
    assert (np.abs(np.trace(ddS, axis1=1, axis2=2)) / size).max() <= 1e-12
    euler = np.einsum("nabk,nb->nak", ddS, r) - (l - 1) * dS
    assert (np.abs(euler) / np.abs(dS).max(axis=1, keepdims=True).clip(1e-300))[..., 1:].max() <= 1e-11
    Y, dY, ddY = so3.spherical_harmonics(20, r, hessian=True)
    l = l[:441]
    rr = (r * r).sum(-1)[:, None]
    laplace = np.trace(ddY, axis1=1, axis2=2) + l * (l + 1) / rr * Y
    assert (np.abs(laplace) * rr / (1 + l) ** 2).max() <= 1e-13
    assert np.abs(np.einsum("nak,na->nk", dY, r)).max() <= 1e-12
    assert np.abs(np.einsum("nabk,na,nb->nk", ddY, r, r)).max() <= 1e-11


def test_float32():  # A7
    exact = points()
    exact = exact[(np.abs(exact).max(-1) < 1e30) & (np.abs(exact).max(-1) > 1e-29)]
    r = exact.astype(np.float32)
    worst = 0
    for name, l_max in (("spherical_harmonics", 20), ("solid_harmonics", 7)):
        low, high = (getattr(so3, name)(l_max, p, hessian=True) for p in (r, r.astype(float)))
        for single, double in zip(low, high, strict=True):
            assert single.dtype == np.float32 and single.shape == double.shape
            for l in range(l_max + 1):
                lm = slice(l * l, (l + 1) ** 2)
                axes = tuple(range(1, double.ndim))
                size = np.abs(double[..., lm]).max(axis=axes, keepdims=True)
                normal = (size > 1e-30) & (size < 1e35)  # what float32 holds
                error = np.abs(single[..., lm] - double[..., lm]) / np.where(normal, size, 1)
                worst = max(worst, np.where(normal, error, 0).max() / (3e-7 * (l + 1)))
    check("A7 harmonics and derivatives in float32, of 3e-7 (l+1)", worst, 1)
    assert so3.complex_spherical_harmonics(2, r).dtype == np.complex64
    with pytest.raises(InputError, match="would exceed 1e37"):
        so3.solid_harmonics(10, np.float32([1e5, 0, 0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_out_and_places(dtype):
    r = np.random.default_rng(9).normal(size=(1237, 3)).astype(dtype)
    for name in ("spherical_harmonics", "solid_harmonics"):
        f = getattr(so3, name)
        for l_max in (0, 1, 2, 3, 5):  # rows shorter and longer than a register
            expected = f(l_max, r, hessian=True, threads=1)
            for threads in (2, 5):
                assert all(map(np.array_equal, f(l_max, r, hessian=True, threads=threads), expected))
            for k in (0, 1236):
                assert all(np.array_equal(a, b[k]) for a, b in zip(f(l_max, r[k], hessian=True), expected, strict=True))
            out = tuple(np.full_like(e, np.nan) for e in expected)
            assert all(a is b for a, b in zip(f(l_max, r, hessian=True, out=out), out, strict=True))
            assert all(map(np.array_equal, out, expected))
            assert f(l_max, r, out=out[0]) is out[0]
    with pytest.raises(InputError, match=r"spherical_harmonics: out must have shape \(1237, 4\) and dtype float"):
        so3.spherical_harmonics(1, r, out=np.zeros((3, 4), dtype))
    with pytest.raises(InputError, match="spherical_harmonics: out must hold 2 arrays, got 1"):
        so3.spherical_harmonics(1, r, gradient=True, out=np.zeros((1237, 4), dtype))


def test_high_l_is_finite_and_accurate():
    r = points()[[5, 6, 9, 12, 13]]
    worst = max(
        worst_by_l(y, oracle.spherical_harmonics(50, p), 50)
        for y, p in zip(so3.spherical_harmonics(50, r), r, strict=True)
    )
    check("A7 spherical harmonics to l = 50, of 2e-15 (l+1)", worst, 1)
    for harmonics in (so3.spherical_harmonics, so3.solid_harmonics):
        assert all(np.isfinite(x).all() for x in harmonics(50, r, gradient=True))


def test_lengths_do_not_matter():
    r = np.random.default_rng(3).normal(size=(5, 3))
    Y = so3.spherical_harmonics(6, r)
    for scale in (2.0**-1015, 2.0**-500, 2.0**1015):
        assert np.array_equal(so3.spherical_harmonics(6, scale * r), Y)
    assert np.array_equal(so3.spherical_harmonics(1, [0, 0, 5e-324]), so3.spherical_harmonics(1, [0, 0, 1]))


def test_complex_against_scipy():
    r = np.random.default_rng(5).normal(size=(50, 3))
    theta, phi = np.arctan2(np.hypot(r[:, 0], r[:, 1]), r[:, 2]), np.arctan2(r[:, 1], r[:, 0])
    Y = so3.complex_spherical_harmonics(12, r)
    expected = [sph_harm_y(l, m, theta, phi) for l in range(13) for m in range(-l, l + 1)]
    check("complex harmonics against SciPy", np.abs(Y - np.transpose(expected)).max(), 1e-13)


def test_conventions():
    x, y, z = r = np.array([2.0, 3.0, 6.0]) / 7
    Y = so3.spherical_harmonics(2, r)
    np.testing.assert_allclose(Y[0], np.sqrt(1 / (4 * np.pi)), rtol=1e-15)
    np.testing.assert_allclose(Y[1:4], np.sqrt(3 / (4 * np.pi)) * np.array([y, z, x]), rtol=1e-15)
    second = [x * y, y * z, (3 * z * z - 1) / np.sqrt(12), x * z, (x * x - y * y) / 2]
    np.testing.assert_allclose(Y[4:], np.sqrt(15 / (4 * np.pi)) * np.array(second), rtol=2e-15)
    complex_Y = so3.complex_spherical_harmonics(1, r)
    np.testing.assert_allclose(complex_Y[3], -np.sqrt(3 / (8 * np.pi)) * (x + 1j * y), rtol=1e-15)


@pytest.mark.parametrize("l", [0, 1, 2, 5, 17, 50])
def test_unitary_between_real_and_complex(l):  # A8
    U = so3.complex_to_real(l)
    check(f"A8 U U^+ = 1, l = {l}", np.abs(U @ U.conj().T - np.eye(2 * l + 1)).max(), 1e-15)
    np.testing.assert_allclose(U, oracle.unitary(l), atol=1e-16)
    assert np.array_equal(so3.real_to_complex(l), U.conj().T)
    r = np.random.default_rng(l).normal(size=(7, 3))
    real, complex_ = so3.spherical_harmonics(l, r)[:, l * l :], so3.complex_spherical_harmonics(l, r)[:, l * l :]
    np.testing.assert_allclose(complex_ @ U.T, real, atol=1e-14)


def quadrature(n):
    """Directions and weights, exact for polynomials to degree 2n - 1: Gauss in z, even steps in phi."""
    z, w = np.polynomial.legendre.leggauss(n)
    phi = np.arange(2 * n) * np.pi / n
    s = np.sqrt(1 - z * z)[:, None]
    r = np.stack([s * np.cos(phi), s * np.sin(phi), np.broadcast_to(z[:, None], (n, 2 * n))], axis=-1)
    return r.reshape(-1, 3), np.repeat(w * np.pi / n, 2 * n)


def test_orthonormal_on_the_sphere():  # A9
    r, w = quadrature(21)
    for harmonics in (so3.spherical_harmonics, so3.complex_spherical_harmonics):
        Y = harmonics(20, r)
        check("A9 orthonormality to l = 20", np.abs((Y.conj().T * w) @ Y - np.eye(441)).max(), 1e-13)


def test_gaunt_integrals():  # A9
    r, w = quadrature(9)
    Y, Y_complex = so3.spherical_harmonics(8, r), so3.complex_spherical_harmonics(8, r)
    worst = 0
    for l1, l2 in itertools.product(range(5), repeat=2):
        for l3 in range(9):
            C = so3.clebsch_gordan(l1, l2, l3)
            factor = C[l1, l2, l3] * np.sqrt((2 * l1 + 1) * (2 * l2 + 1) / (4 * np.pi * (2 * l3 + 1)))
            at = [slice(l * l, (l + 1) ** 2) for l in (l1, l2, l3)]
            real = np.einsum("n,na,nb,nc->abc", w, *(Y[:, s] for s in at))
            complex_ = np.einsum(
                "n,na,nb,nc->abc", w, Y_complex[:, at[0]], Y_complex[:, at[1]], Y_complex[:, at[2]].conj()
            )
            worst = max(
                worst,
                np.abs(real - factor * so3.real_clebsch_gordan(l1, l2, l3)).max(),
                np.abs(complex_ - factor * C).max(),
            )
    check("A9 Gaunt integrals, l1, l2 <= 4", worst, 1e-13)


def test_addition_theorem_and_parity():  # A9
    a, b = np.random.default_rng(2).normal(size=(2, 20, 3))
    Ya, Yb = so3.spherical_harmonics(10, a), so3.spherical_harmonics(10, b)
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    worst = 0
    for l in range(11):
        lm = slice(l * l, (l + 1) ** 2)
        P = np.polynomial.legendre.Legendre.basis(l)(cosine)
        worst = max(worst, np.abs((Ya[:, lm] * Yb[:, lm]).sum(-1) - (2 * l + 1) / (4 * np.pi) * P).max())
        assert np.array_equal(so3.spherical_harmonics(10, -a)[:, lm], (-1) ** l * Ya[:, lm])
    check("A9 addition theorem", worst, 1e-13)


def test_arrays_of_every_kind():
    r = np.random.default_rng(4).normal(size=(4, 5, 3))
    Y, dY = so3.spherical_harmonics(3, r, gradient=True)
    assert Y.shape == (4, 5, 16) and dY.shape == (4, 5, 3, 16)
    for k in np.ndindex(4, 5):  # bits do not depend on the neighbours
        assert np.array_equal(so3.spherical_harmonics(3, r[k]), Y[k])
    read_only = r.copy()
    read_only.setflags(write=False)
    variants = [np.asfortranarray(r), r[..., ::-1].copy()[..., ::-1], read_only, r.astype(">f8"), r.tolist()]
    for same in variants:
        assert np.array_equal(so3.spherical_harmonics(3, same), Y)
    assert np.array_equal(so3.spherical_harmonics(2, r[::-2, ::2]), so3.spherical_harmonics(2, r)[::-2, ::2])
    f32 = r.astype(np.float32)
    assert so3.spherical_harmonics(3, f32).dtype == so3.solid_harmonics(3, f32).dtype == np.float32
    assert np.array_equal(so3.spherical_harmonics(1, [1, 0, 0]), so3.spherical_harmonics(1, [1.0, 0.0, 0.0]))
    empty, gradient = so3.spherical_harmonics(3, np.zeros((0, 3)), gradient=True)
    assert empty.shape == (0, 16) and gradient.shape == (0, 3, 16)
    assert so3.solid_harmonics(0, np.zeros((2, 3))).shape == (2, 1)


def test_threads_give_the_same():
    r = np.random.default_rng(6).normal(size=(2000, 3))
    expected, results = so3.solid_harmonics(6, r), {}
    threads = [threading.Thread(target=lambda k=k: results.update({k: so3.solid_harmonics(6, r)})) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(results[k], expected) for k in range(4))


@pytest.mark.parametrize("harmonics", [so3.spherical_harmonics, so3.solid_harmonics, so3.complex_spherical_harmonics])
def test_errors(harmonics):
    name = "solid_harmonics" if harmonics is so3.solid_harmonics else "spherical_harmonics"
    with pytest.raises(InputError, match=f"{name}: component y of vector 1 is nan"):
        harmonics(2, [[1.0, 0.0, 0.0], [1.0, np.nan, 0.0]])
    with pytest.raises(InputError, match=f"{name}: component z of vector 0 is inf"):
        harmonics(2, [1.0, 0.0, np.inf])
    with pytest.raises(InputError, match=rf"{name}: vectors must have shape \(\.\.\., 3\), got \(2,\)"):
        harmonics(2, [1.0, 0.0])
    with pytest.raises(InputError, match="l_max must be 0 to 50, got 51"):
        harmonics(51, [1.0, 0.0, 0.0])
    with pytest.raises(InputError, match="l_max must be 0 to 50, got -1"):
        harmonics(-1, [1.0, 0.0, 0.0])
    for wrong in ("abc", None, [1j, 0, 0], [True, False, False]):
        with pytest.raises(TypeError, match="vectors must be real numbers"):
            harmonics(2, wrong)
    with pytest.raises(TypeError, match=r"l_max must be an integer, got 2\.0"):
        harmonics(2.0, [1.0, 0.0, 0.0])


def test_zero_vectors_and_overflow():
    with pytest.raises(InputError, match="spherical_harmonics: vector 1 is zero and has no direction"):
        so3.spherical_harmonics(2, [[1.0, 0.0, 0.0], [0.0, -0.0, 0.0]])
    assert so3.solid_harmonics(2, np.zeros(3))[1:].any() == np.False_
    with pytest.raises(InputError, match="solid_harmonics: vector 0 of length 1e.10 is too long"):
        so3.solid_harmonics(50, [1e10, 0.0, 0.0])
