"""Irreps: text, type arithmetic, layout; the product rule against a brute count."""
# ruff: noqa: E741 (l is the name of angular momentum)

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
