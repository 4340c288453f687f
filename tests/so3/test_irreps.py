"""Irreps: text, type arithmetic, layout; the product rule against a brute count."""
# ruff: noqa: E741 (l is the name of angular momentum)

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcore.errors import InputError
from nbcore.so3 import Irrep, Irreps

types = st.lists(st.integers(0, 3), max_size=5)
irreps_o3 = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([1, -1]), st.integers(0, 3)), max_size=4).map(Irreps)


@given(irreps_o3)
def test_text_there_and_back(irreps):
    assert Irreps(str(irreps)) == irreps and eval(repr(irreps)) == irreps
    assert pickle.loads(pickle.dumps(irreps)) == irreps and hash(Irreps(str(irreps))) == hash(irreps)


def test_text():
    assert Irreps(" 64x0e+ 32 x 1o ") == ((0, 1, 64), (1, -1, 32))
    assert Irreps("1o + 2e") == Irreps("1x1o + 1x2e")
    assert Irreps("4x0 + 2x10").type == (4, *[0] * 9, 2)
    assert Irreps("") == () and Irreps("").dim == 0 and Irreps("").l_max == -1 and str(Irreps("")) == ""
    assert Irreps("0x1o + 2x0e") == Irreps("2x0e")
    assert Irreps("2x1o")[0] == Irrep(1, -1, 2) and Irreps("2x1o")[0].dim == 6
    assert Irreps("2x1o") + "1x1o" == Irreps("2x1o + 1x1o")
    assert (Irreps("2x1o") + "1x0e + 1x1o").simplified() == Irreps("1x0e + 3x1o")


@given(types, types)
def test_product_is_the_kappa_formula(tau_1, tau_2):  # A10
    a, b = Irreps.from_type(tau_1), Irreps.from_type(tau_2)
    product = a.product(b)
    kappa = [
        sum(n1 * n2 for l1, n1 in enumerate(tau_1) for l2, n2 in enumerate(tau_2) if abs(l1 - l2) <= l3 <= l1 + l2)
        for l3 in range(product.l_max + 1)
    ]
    assert product.type == tuple(kappa) and product.dim == a.dim * b.dim
    assert [irrep.l for irrep in product] == sorted({irrep.l for irrep in product})


@pytest.mark.parametrize("n", range(2, 9))
def test_product_with_a_vector(n):  # A10, erratum of section 4.0.1
    expected = (1, *[3] * (n - 2), 2, 1) if n > 2 else (1, 2, 1)
    assert Irreps.from_type([1] * n).product(Irreps.from_type([0, 1])).type == expected


@given(irreps_o3, irreps_o3, st.integers(0, 8))
def test_product_with_parity(a, b, l_max):  # A10
    product = a.product(b)
    characters = {}  # of each (l, parity), counted one channel at a time
    for l1, p1, n1 in a:
        for l2, p2, n2 in b:
            for l3 in range(abs(l1 - l2), l1 + l2 + 1):
                characters[l3, p1 * p2] = characters.get((l3, p1 * p2), 0) + n1 * n2
    assert {(l, p): n for l, p, n in product} == characters
    assert a.product(b, l_max) == tuple(irrep for irrep in product if irrep.l <= l_max)
    assert b.product(a) == product


def test_harmonics():
    assert Irreps.harmonics(3) == Irreps("1x0e + 1x1o + 1x2e + 1x3o") and Irreps.harmonics(50).dim == 51**2


@given(irreps_o3)
def test_parts_and_join(irreps):
    x = np.arange(2.0 * irreps.dim).reshape(2, irreps.dim)
    parts = irreps.parts(x)
    assert [p.shape for p in parts] == [(2, 2 * l + 1, n) for l, _, n in irreps]
    if irreps:
        assert np.array_equal(irreps.join(parts), x)


def test_layout_is_m_then_channel():
    (part,) = Irreps("2x1o").parts(np.arange(6))
    assert part.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("irreps", "match"),
    [
        ("64x0e; 64x1o", "expected entries such as 64x0e"),
        ("0.5x1o", "expected entries such as 64x0e"),
        ("1x1e + ", "expected entries such as 64x0e"),
        ("2x1u", "expected entries such as 64x0e"),
        ("-2x1o", "multiplicity must not be negative, got -2"),
        ("1x51e", "l must be 0 to 50, got 51"),
        ("1x0e + 1x1", "with and without parity do not mix"),
        ([(1, -1, 2.0)], "must be integers"),
        ([(1.0, -1, 2)], "must be integers"),
        ([(-1, -1, 2)], "l must be 0 to 50, got -1"),
        ([(1, 0, 2)], "parity must be 1, -1 or None, got 0"),
        ([(1, -1)], r"expected \(l, parity, multiplicity\)"),
        ([3], r"expected \(l, parity, multiplicity\)"),
    ],
)
def test_errors(irreps, match):
    with pytest.raises(InputError, match=match):
        Irreps(irreps)


def test_more_errors():
    with pytest.raises(InputError, match="multiplicity must not be negative"):
        Irreps.from_type((1, -1))
    with pytest.raises(InputError, match="must be integers"):
        Irreps.from_type((1, 0.5))
    with pytest.raises(InputError, match="one factor has parities"):
        Irreps("1x1o").product("1x1")
    with pytest.raises(InputError, match="l reaches 60, supported are 0 to 50; give l_max"):
        Irreps("1x30e").product("1x30e")
    assert Irreps("1x30e").product("1x30e", l_max=50).l_max == 50
    with pytest.raises(InputError, match="l_max must be 0 to 50, got 51"):
        Irreps("1x30e").product("1x30e", l_max=51)
    with pytest.raises(InputError, match=r"last axis of x must have length 3 \(1x1o\), got shape \(2, 4\)"):
        Irreps("1x1o").parts(np.zeros((2, 4)))
    with pytest.raises(InputError, match="must end in the shapes"):
        Irreps("1x1o").join([np.zeros((3, 2))])


# ---- arithmetic of types ----


def characters(irreps, n):
    """Traces of rotations about z and of inverted ones, and the traces of powers, with which types can be counted."""
    phi = 2 * np.pi * (np.arange(n) + 0.5) / n
    cosines = [
        (p or 1, multiplicity * (1 + 2 * sum(np.cos(m * phi) for m in range(1, l + 1))))
        for l, p, multiplicity in irreps
    ]
    return phi, sum(c for _, c in cosines), sum(p * c for p, c in cosines)


def counted(proper, improper, phi, l_max):
    """Multiplicities {(l, p)} of a representation with these characters, by integrals over all rotations."""
    found = {}
    for l in range(l_max + 1):
        chi = 1 + 2 * sum(np.cos(m * phi) for m in range(1, l + 1))
        weight = (1 - np.cos(phi)) / len(phi)
        for p in (1, -1):
            n = (weight * chi * (proper + p * improper) / 2).sum()
            assert abs(n - round(n)) < 1e-6
            found[l, p] = round(n)
    return found


@pytest.mark.parametrize("text", ["1x1o", "2x0e + 1x1o", "1x0o + 1x1e + 1x2e", "2x2e + 1x3o"])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4])
def test_powers_by_characters(text, n):
    irreps = Irreps(text)
    top = n * irreps.l_max
    phi, proper, improper = characters(irreps, 4 * top + 50)
    power = counted(proper**n, improper**n, phi, top)
    for l, p in power:
        assert irreps.power(n).multiplicity(l, p) == power[l, p]
    assert irreps**n == irreps.power(n)
    # the symmetric power: sums over cycle types, chi(g^k) of rotations by k phi
    traces = [None, *(characters_of_power(irreps, k, phi) for k in range(1, n + 1))]
    symmetric = [symmetric_trace(n, [None, *(t[i] for t in traces[1:])]) for i in range(2)]
    found = counted(*symmetric, phi, top)
    for (l, p), count in found.items():
        assert irreps.symmetric_power(n).multiplicity(l, p) == count
    assert irreps.symmetric_power(n).dim == math.comb(irreps.dim + n - 1, n)
    assert irreps.symmetric_power(n, 1) == irreps.symmetric_power(n).filter(1)
    assert irreps.power(n, l_max=1) == irreps.power(n).filter(1)


def characters_of_power(irreps, k, phi):
    chi = [n * (1 + 2 * sum(np.cos(m * k * phi) for m in range(1, l + 1))) for l, _, n in irreps]
    return sum(chi), sum(c * (p or 1) ** k for c, (_, p, _) in zip(chi, irreps, strict=True))


def symmetric_trace(n, traces):
    """h_n from power sums: n h_n = sum over k of p_k h_(n-k)"""
    h = [np.ones_like(traces[1])] if n else [1.0]
    for k in range(1, n + 1):
        h.append(sum(traces[j] * h[k - j] for j in range(1, k + 1)) / k)
    return h[n]


def test_the_type_of_the_paper():
    """(1, .., 1) x (0, 1) gives (1, 3, 3, .., 3, 2, 1), not what section 4.0.1 of arXiv:1803.01588 prints."""
    for L in range(2, 8):
        assert Irreps.from_type((1,) * (L + 1)).product(Irreps.from_type((0, 1))).type == (1, *[3] * (L - 1), 2, 1)


def test_arithmetic():
    a, b = Irreps("2x0e + 1x1o"), Irreps("3x1o")
    assert a * b == a.product(b) == a * "3x1o" and (a * b).dim == a.dim * b.dim
    assert str(2 * a) == str(a * 2) == "4x0e + 2x1o" and a.channels == 3 and (2 * a).dim == 2 * a.dim
    assert str(a + b) == "2x0e + 1x1o + 3x1o" and (a + b).simplified().multiplicity(1, -1) == 4
    assert str((a * b).filter(parity="natural")) == "3x0e + 6x1o + 3x2e"
    assert str((a * b).filter(parity=-1)) == "6x1o" and str((a * b).filter(l_max=0)) == "3x0e"
    assert str((a * b).filter(keep="1e + 2e")) == "3x1e + 3x2e"
    assert (a * b).filter(keep="1o") == a.product(b, keep="1o")
    assert str(Irreps("4x0e + 4x2e").product("1x1o", channelwise=True)) == "8x1o + 4x2o + 4x3o"
    assert Irreps("1x1").symmetric_power(3).type == (0, 1, 0, 1)
    with pytest.raises(InputError, match='parity must be 1, -1, "natural" or None'):
        a.filter(parity=2)
    with pytest.raises(InputError, match="expected a number of at least 0, got -1"):
        a**-1
    with pytest.raises(TypeError, match=r"expected a whole number, got 2\.5"):
        a * 2.5
    with pytest.raises(InputError, match="l reaches 60"):
        Irreps("1x30") ** 2
