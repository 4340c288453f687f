"""A1 to A4: Clebsch-Gordan coefficients against exact arithmetic."""
# ruff: noqa: E741 (l is the name of angular momentum)

import itertools
import math

import numpy as np
import pytest
import so3_oracles as oracle
import sympy
from so3_oracles import check
from sympy.physics.quantum.cg import CG

from nbcore import so3
from nbcore.errors import InputError


def triples(l_max):
    """All (l1, l2, l3) up to l_max, allowed or not."""
    return itertools.product(range(l_max + 1), repeat=3)


def allowed(l1, l2, l3):
    return abs(l1 - l2) <= l3 <= l1 + l2


def entries(l1, l2):
    return itertools.product(range(-l1, l1 + 1), range(-l2, l2 + 1))


def test_oracle_agrees_with_sympy():
    generator = np.random.default_rng(1)
    for _ in range(40):
        l1, l2 = map(int, generator.integers(0, 9, 2))
        l3 = int(generator.integers(abs(l1 - l2), l1 + l2 + 1))
        m1, m2 = int(generator.integers(-l1, l1 + 1)), int(generator.integers(-l2, l2 + 1))
        sign, square = oracle.clebsch_gordan(l1, m1, l2, m2, l3)
        value = CG(l1, m1, l2, m2, l3, m1 + m2).doit()
        assert sympy.sign(value) == sign and value**2 == sympy.Rational(square.numerator, square.denominator)


def test_all_to_10_within_2_ulp_and_zeros_exact():  # A1, A2
    worst = count = 0
    for l1, l2, l3 in triples(10):
        C = so3.clebsch_gordan(l1, l2, l3)
        assert C.shape == (2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1)
        rest = C.copy()
        if allowed(l1, l2, l3):
            for m1, m2 in entries(l1, l2):
                if abs(m1 + m2) <= l3:
                    at = m1 + l1, m2 + l2, m1 + m2 + l3
                    sign, square = oracle.clebsch_gordan(l1, m1, l2, m2, l3)
                    worst = max(worst, oracle.ulps(C[at], sign, square))
                    count += sign != 0
                    rest[at] = 0
        assert not rest.any()
    assert count == 71601
    check("A1 complex CG, l <= 10, ulp", worst, 2)


def real_by_definition(l1, l2, l3):
    """T or T / i in 64-bit mantissas: each complex coefficient spreads over the real m of the same sizes."""
    T = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1), dtype=np.clongdouble)
    half = np.sqrt(np.longdouble(0.5))

    def U(m, n):  # with Y_real,m = sum over n of U(m, n) Y_n
        if abs(m) != abs(n):
            return 0
        sign = (-1) ** m if n > 0 else 1
        return 1 if m == 0 else sign * half if m > 0 else sign * half * (-1j if n > 0 else 1j)

    for n1, n2 in entries(l1, l2):
        n3 = n1 + n2
        sign, square = oracle.clebsch_gordan(l1, n1, l2, n2, l3)
        if sign == 0:
            continue
        root = oracle.scaled_root(square, 160)
        c = sign * np.ldexp(np.longdouble(root >> 96) + np.ldexp(np.longdouble(root % 2**96), -96), -64)
        for m1, m2, m3 in itertools.product({n1, -n1}, {n2, -n2}, {n3, -n3}):
            T[l1 + m1, l2 + m2, l3 + m3] += np.conj(U(m1, n1) * U(m2, n2)) * U(m3, n3) * c
    odd = (l1 + l2 + l3) % 2
    return (T.imag, T.real) if odd else (T.real, T.imag)


def test_real_to_5_and_some_to_10_within_2_ulp():  # A1, A2
    sample = [(10, 10, 10), (10, 9, 8), (7, 10, 4), (9, 9, 1), (10, 10, 9)]
    worst = 0
    for l1, l2, l3 in itertools.chain(triples(5), sample):
        C = so3.real_clebsch_gordan(l1, l2, l3)
        assert C.shape == (2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1)
        if not allowed(l1, l2, l3):
            assert not C.any()
            continue
        expected, dropped = real_by_definition(l1, l2, l3)
        assert np.abs(dropped).max() < 1e-18
        zero = np.abs(expected) < 1e-18
        assert not C[zero].any() and C[~zero].all()
        worst = max(worst, (np.abs(C - expected)[~zero] / np.spacing(np.abs(C[~zero]))).max())
    check("A1 real CG, ulp", worst, 2)


@pytest.mark.parametrize("coefficients", [so3.clebsch_gordan, so3.real_clebsch_gordan])
def test_isometry_and_completeness(coefficients):  # A2
    worst = 0
    for l1, l2 in itertools.product(range(11), repeat=2):
        n = (2 * l1 + 1) * (2 * l2 + 1)
        C = np.concatenate([coefficients(l1, l2, l3).reshape(n, -1) for l3 in range(abs(l1 - l2), l1 + l2 + 1)], axis=1)
        worst = max(worst, np.abs(C @ C.T - np.eye(n)).max(), np.abs(C.T @ C - np.eye(n)).max())
    check(f"A2 C C^T = C^T C = 1, {coefficients.__name__}", worst, 2e-15)


def test_swapping_the_factors():
    for l1, l2, l3 in triples(6):
        C = so3.real_clebsch_gordan(l1, l2, l3)
        assert np.array_equal(so3.real_clebsch_gordan(l2, l1, l3).transpose(1, 0, 2), (-1) ** (l1 + l2 + l3) * C)


def test_full_tensor_50_50_50():  # A3
    C = so3.clebsch_gordan(50, 50, 50)
    worst, rest = 0, C.copy()
    for m1, m2 in entries(50, 50):
        if abs(m1 + m2) <= 50:
            at = m1 + 50, m2 + 50, m1 + m2 + 50
            worst = max(worst, oracle.ulps(C[at], *oracle.clebsch_gordan(50, m1, 50, m2, 50)))
            rest[at] = 0
    assert not rest.any()
    check("A3 (50, 50, 50) relative", worst * 2.0**-52, 1e-13)


@pytest.mark.parametrize("coefficients", [so3.clebsch_gordan, so3.real_clebsch_gordan])
def test_high_l(coefficients):  # A3
    C = coefficients(50, 50, 50)
    check("A3 norm of (50, 50, 50)", np.abs((C**2).sum(axis=(0, 1)) - 1).max(), 1e-13)
    C = C.reshape(-1, 101)
    check("A3 orthogonality of (50, 50, 50)", np.abs(C.T @ C - np.eye(101)).max(), 1e-13)
    blocks = [coefficients(22, 28, l3).reshape(45 * 57, -1) for l3 in range(6, 51)]
    C = np.concatenate(blocks, axis=1)
    assert C.shape == (45 * 57, 45 * 57)
    check("A3 completeness of 22 x 28", np.abs(C @ C.T - np.eye(len(C))).max(), 1e-13)
    for l1, l2, l3 in [(50, 50, 0), (50, 0, 50), (50, 1, 49), (50, 49, 1), (30, 45, 50)]:
        C = coefficients(l1, l2, l3).reshape(-1, 2 * l3 + 1)
        check(f"A3 orthogonality of {l1, l2, l3}", np.abs(C.T @ C - np.eye(2 * l3 + 1)).max(), 1e-13)
    assert abs(so3.clebsch_gordan(50, 50, 0)[50, 50, 0]) == pytest.approx(1 / math.sqrt(101), rel=4e-16)
    assert so3.clebsch_gordan(50, 0, 50)[50, 0, 50] == 1


def test_known_values_and_signs():
    assert so3.clebsch_gordan(1, 1, 2)[2, 2, 4] == 1
    assert so3.clebsch_gordan(1, 1, 1)[2, 1, 2] == pytest.approx(math.sqrt(0.5))  # <1 1 1 0|1 1> > 0
    # of real vectors in the order (y, z, x): (1,1,0) is -dot / sqrt(3), (1,1,1) is +cross / sqrt(2)
    a, b = np.array([0.3, -1.2, 0.7]), np.array([2.0, 0.4, -0.9])
    yzx = [1, 2, 0]
    dot = np.einsum("abm,a,b->m", so3.real_clebsch_gordan(1, 1, 0), a[yzx], b[yzx])
    cross = np.einsum("abm,a,b->m", so3.real_clebsch_gordan(1, 1, 1), a[yzx], b[yzx])
    np.testing.assert_allclose(dot, -a @ b / math.sqrt(3), rtol=1e-14)
    np.testing.assert_allclose(cross, np.cross(a, b)[yzx] / math.sqrt(2), rtol=1e-14)


@pytest.mark.parametrize("coefficients", [so3.clebsch_gordan, so3.real_clebsch_gordan])
@pytest.mark.parametrize("l", [(51, 1, 50), (1, 51, 50), (30, 30, 60), (2**40, 0, 0), (-1, 1, 1)])
def test_unsupported_l_is_an_error(coefficients, l):  # A4
    with pytest.raises(InputError, match=f"{coefficients.__name__}: l[123] must be 0 to 50, got"):
        coefficients(*l)


def test_l_of_another_type_is_an_error():  # A4
    with pytest.raises(TypeError, match=r"clebsch_gordan: l2 must be an integer, got 1\.0"):
        so3.clebsch_gordan(1, 1.0, 1)


def test_violated_triangle_is_zero_of_full_shape():
    assert so3.clebsch_gordan(1, 2, 5).shape == (3, 5, 11) and not so3.clebsch_gordan(1, 2, 5).any()
    assert so3.real_clebsch_gordan(4, 1, 2).shape == (9, 3, 5) and not so3.real_clebsch_gordan(4, 1, 2).any()
