"""Independent answers for the tests of so3: integers of any length, mpmath, SciPy. Nothing here uses nbcore."""
# ruff: noqa: E741 (l is the name of angular momentum)

import math
import operator
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
from scipy.spatial.transform import Rotation

factorial = cache(math.factorial)


def check(name, error, tolerance):
    """Asserts error <= tolerance; `pytest -s` prints what was measured."""
    print(f"{name:60} {float(error):9.2g}   must be <= {tolerance:.2g}")
    assert error <= tolerance, name


def clebsch_gordan(l1, m1, l2, m2, l3):
    """(sign, square) of <l1 m1 l2 m2 | l3 m1+m2> by Racah's formula: an integer and a fraction."""
    m3 = m1 + m2
    if abs(m3) > l3 or not abs(l1 - l2) <= l3 <= l1 + l2:
        return 0, Fraction(0)
    a, b, c = l1 + l2 - l3, l1 - l2 + l3, l2 + l3 - l1
    triangle = factorial(a) * factorial(b) * factorial(c)
    total = 0
    for k in range(max(0, l2 - l3 - m1, l1 - l3 + m2), min(a, l1 - m1, l2 + m2) + 1):
        denominator = math.prod(map(factorial, (k, a - k, l1 - m1 - k, l2 + m2 - k, b - l1 + m1 + k, c - l2 - m2 + k)))
        total += (-1) ** k * (triangle // denominator)
    weights = math.prod(factorial(l + m) * factorial(l - m) for l, m in ((l1, m1), (l2, m2), (l3, m3)))
    square = Fraction(total * total * (2 * l3 + 1) * weights, triangle * factorial(l1 + l2 + l3 + 1))
    return (total > 0) - (total < 0), square


def scaled_root(square, bits=200):
    """floor(sqrt(square) 2^bits) of a fraction"""
    return math.isqrt((square.numerator << 2 * bits) // square.denominator)


def ulps(value, sign, square, bits=200):
    """The distance of a double from sign sqrt(square), in units in its last place."""
    if sign == 0 or value == 0:
        return 0 if sign == 0 and value == 0 else math.inf
    exact = sign * scaled_root(square, bits)
    return float(abs(Fraction(value) * 2**bits - exact) / (Fraction(math.ulp(value)) * 2**bits))


def solid_harmonics(l_max, point):
    """S_lm of a point of three floats, taken as exact numbers: polynomials in integers, then 50 digits."""
    fractions = [Fraction(float(x)) for x in point]
    scale = math.lcm(*(f.denominator for f in fractions))
    x, y, z = (int(f * scale) for f in fractions)
    return _solid_harmonics(l_max, x, y, z, mpmath.mpf(scale))


def spherical_harmonics(l_max, point):
    """Y_lm of the direction of a point of three floats, as `solid_harmonics`."""
    with mpmath.workdps(50):
        length = mpmath.sqrt(sum(mpmath.mpf(float(x)) ** 2 for x in point))
        return [S / length ** math.isqrt(lm) for lm, S in enumerate(solid_harmonics(l_max, point))]


def gradient(harmonics, l_max, point):
    """d/dr of solid_harmonics or spherical_harmonics, [3][lm]: differences of step 1e-30 r, good to 30 digits."""
    rows = []
    with mpmath.workdps(100):
        exact = [mpmath.mpf(float(x)) for x in point]
        step = max(map(abs, exact)) * mpmath.mpf(10) ** -30
        for axis in range(3):
            ends = []
            for sign in (1, -1):
                r = [x + sign * step * (a == axis) for a, x in enumerate(exact)]
                S = _solid_harmonics(l_max, *r, mpmath.mpf(1))
                length = mpmath.sqrt(sum(x * x for x in r)) if harmonics is spherical_harmonics else mpmath.mpf(1)
                ends.append([s / length ** math.isqrt(lm) for lm, s in enumerate(S)])
            rows.append([(a - b) / (2 * step) for a, b in zip(*ends, strict=True)])
    return rows


def hessian(harmonics, l_max, point):
    """d^2/dr dr, [3][3][lm], by central differences as `gradient`, good to 30 digits."""
    with mpmath.workdps(120):
        exact = [mpmath.mpf(float(x)) for x in point]
        step = max(map(abs, exact)) * mpmath.mpf(10) ** -30

        def values(a, s, b, t):
            r = [x + step * (s * (k == a) + t * (k == b)) for k, x in enumerate(exact)]
            S = _solid_harmonics(l_max, *r, mpmath.mpf(1))
            length = mpmath.sqrt(sum(x * x for x in r)) if harmonics is spherical_harmonics else mpmath.mpf(1)
            return [v / length ** math.isqrt(lm) for lm, v in enumerate(S)]

        rows = [[None] * 3 for _ in range(3)]
        for a in range(3):
            for b in range(a, 3):
                ends = [values(a, s, b, t) for s, t in ((1, 1), (-1, -1), (1, -1), (-1, 1))]
                rows[a][b] = rows[b][a] = [
                    (p + q - u - v) / (4 * step * step) for p, q, u, v in zip(*ends, strict=True)
                ]
        return rows


def _solid_harmonics(l_max, x, y, z, scale):
    """Of (x, y, z) / scale: q_lm = (l-m)! Q_lm, q_l = (2l-1) z q_l-1 - (l+m-1)(l-m-1) r^2 q_l-2, q_mm = (2m-1)!!"""
    S = [None] * (l_max + 1) ** 2
    r2 = x * x + y * y + z * z
    cosine, sine = 1, 0
    with mpmath.workdps(max(50, mpmath.mp.dps)):
        for m in range(l_max + 1):
            before, q = 0, math.prod(range(1, 2 * m, 2))
            for l in range(m, l_max + 1):
                norm = mpmath.sqrt(
                    mpmath.mpf((2 * l + 1) * (2 if m else 1)) / (4 * factorial(l - m) * factorial(l + m)) / mpmath.pi
                )
                S[l * l + l + m] = norm * mpmath.mpf(q * cosine) / scale**l
                S[l * l + l - m] = norm * mpmath.mpf(q * (sine if m else cosine)) / scale**l
                before, q = q, (2 * l + 1) * z * q - (l + m) * (l - m) * r2 * before
            cosine, sine = x * cosine - y * sine, x * sine + y * cosine
    return S


def special_rotations():
    """Name -> matrix: identity, tiny, quarter, third, half and almost half turns, Euler poles and around them."""
    turns = {"identity": np.zeros(3)}
    for name, axis in (("x", [1, 0, 0]), ("y", [0, 1, 0]), ("z", [0, 0, 1]), ("110", [1, 1, 0]), ("111", [1, 1, 1])):
        unit = np.array(axis) / np.linalg.norm(axis)
        for angle in (1e-160, 1e-9, np.pi / 2, 2 * np.pi / 3, np.pi - 1e-9, np.pi):
            turns[f"{angle:.3g} about {name}"] = unit * angle
    matrices = {name: Rotation.from_rotvec(v).as_matrix() for name, v in turns.items()}
    for beta in (0.0, 1e-160, 1e-9, np.pi / 2, np.pi - 1e-9, np.pi):
        matrices[f"Euler (0.7, {beta:.3g}, -2.1)"] = Rotation.from_euler("ZYZ", [0.7, beta, -2.1]).as_matrix()
    for axis in "xyz":
        matrices[f"exact half turn about {axis}"] = np.diag([1.0 if a == axis else -1.0 for a in "xyz"])
    matrices["x to y to z to x"] = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return matrices


def rotations(n=10, seed=0):
    """The special rotations and n random ones, (..., 3, 3)."""
    return np.concatenate(
        [np.stack(list(special_rotations().values())), Rotation.random(n, random_state=seed).as_matrix()]
    )


def generators(l):
    """J_x, J_y, J_z of complex harmonics, m = -l..l."""
    m = np.arange(-l, l + 1)
    raising = np.diag(np.sqrt(l * (l + 1) - m[:-1] * m[1:]), -1)  # |m+1> <m|
    return (raising + raising.T) / 2, (raising - raising.T) / 2j, np.diag(m).astype(complex)


def unitary(l):
    """U with Y_real = U Y_complex, from the definitions of the two kinds of harmonics."""
    U = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)
    for m in range(-l, l + 1):
        # Y_real,m = sqrt(2) (-1)^m Re Y_m for m > 0, sqrt(2) (-1)^m Im Y_|m| for m < 0; conj Y_m = (-1)^m Y_-m
        k = abs(m)
        factor = (-1) ** k * math.sqrt(0.5)
        if m == 0:
            U[l, l] = 1
        elif m > 0:
            U[l + m, l + k], U[l + m, l - k] = factor, factor * (-1) ** k
        else:
            U[l + m, l + k], U[l + m, l - k] = -1j * factor, 1j * factor * (-1) ** k
    return U


class SmallD:
    """d^l_m'm(beta) = <l m'| exp(-i beta J_y) |l m> by Wigner's sum, in integers (values times 2^bits)."""

    bits = 300

    def __init__(self, l):
        self.l = l
        self.terms = {}  # (m', m): first power of sin, and the coefficients of it and of every second one after it
        for p in range(-l, l + 1):
            for m in range(-abs(p), abs(p) + 1):  # the other m by symmetry
                root = math.isqrt(math.prod(map(factorial, (l + p, l - p, l + m, l - m))) << 2 * self.bits)
                k = range(max(0, m - p), min(l + m, l - p) + 1)
                self.terms[p, m] = (
                    p - m + 2 * k[0],
                    [
                        (-1) ** (p - m + i)
                        * (root // (factorial(l + m - i) * factorial(i) * factorial(p - m + i) * factorial(l - p - i)))
                        for i in k
                    ],
                )

    def __call__(self, beta):
        l, n = self.l, 2 * self.l
        with mpmath.workdps(100):
            half = mpmath.mpf(float(beta)) / 2
            c, s = mpmath.cos(half), mpmath.sin(half)
            powers = [int(mpmath.ldexp(c ** (n - k) * s**k, self.bits)) for k in range(n + 1)]
        d = np.empty((n + 1, n + 1))
        for (p, m), (first, coefficients) in self.terms.items():
            total = sum(map(operator.mul, coefficients, powers[first::2]))
            value = math.ldexp(total >> self.bits, -self.bits)
            d[l + p, l + m] = d[l - m, l - p] = value
            d[l + m, l + p] = d[l - p, l - m] = (-1) ** (p - m) * value
        return d
