"""Cartesian tensors: their irreps, norms and rotations; the formulas of dipoles and (hyper)polarizabilities."""
# ruff: noqa: E741 (l is the name of angular momentum)

import math
from itertools import permutations

import numpy as np
import pytest
import so3_oracles as oracle
from so3_oracles import check

from nbcore import so3
from nbcore.errors import InputError

R = oracle.rotations(6)


def turned(T, rank, rotation):
    """R R .. R T, axis by axis"""
    for axis in range(T.ndim - rank, T.ndim):
        T = np.moveaxis(np.tensordot(T, rotation, axes=(axis, 1)), -1, axis)
    return T


def symmetrised(T, rank):
    lead = T.ndim - rank
    orders = list(permutations(range(lead, T.ndim)))
    return sum(T.transpose(*range(lead), *order) for order in orders) / len(orders)


def power(r, n):
    """r x r x .. x r"""
    T = np.ones(r.shape[:-1])
    for _ in range(n):
        T = T[..., None] * r.reshape(*r.shape[:-1], *(1,) * (T.ndim - r.ndim + 1), 3)
    return T


@pytest.mark.parametrize("l", range(7))
def test_traceless_tensors(l):
    x = np.random.default_rng(l).normal(size=(4, 2 * l + 1))
    T = so3.spherical_to_cartesian(l, x)
    assert T.shape == (4, *(3,) * l)
    check(f"back, l = {l}", np.abs(so3.cartesian_to_spherical(l, T) - x).max(), 1e-14)
    check("norm", abs(np.linalg.norm(T) / np.linalg.norm(x) - 1), 1e-14)
    check("symmetric", np.abs(symmetrised(T, l) - T).max(), 1e-14)
    if l >= 2:
        check("traceless", np.abs(np.trace(T, axis1=1, axis2=2)).max(), 1e-14)
    r = np.random.default_rng(1).normal(size=(5, 3))
    S = so3.solid_harmonics(l, r)[:, l * l :]
    factor = math.sqrt(4 * math.pi * math.factorial(l) / math.prod(range(1, 2 * l + 2, 2)))
    check("powers of a vector", np.abs(so3.cartesian_to_spherical(l, power(r, l)) - factor * S).max(), 1e-13)


@pytest.mark.parametrize("l", range(5))
def test_traceless_tensors_rotate(l):
    T = np.random.default_rng(l).normal(size=(3, *(3,) * l))
    x = so3.cartesian_to_spherical(l, T)
    for rotation in R:
        expected = x @ so3.wigner_D(l, rotation).T
        assert np.abs(so3.cartesian_to_spherical(l, turned(T, l, rotation)) - expected).max() <= 1e-13


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("rank", range(5))
def test_states_of_tensors(rank, symmetric):
    T = np.random.default_rng(rank).normal(size=(2, 4, *(3,) * rank))
    T = symmetrised(T, rank) if symmetric else T
    x = so3.tensor_to_spherical(T, rank, symmetric)
    irreps = so3.cartesian_irreps(rank, symmetric)
    assert x.shape == (2, 4, irreps.dim)
    assert irreps.dim == ((rank + 1) * (rank + 2) // 2 if symmetric else 3**rank)
    check(f"norm of rank {rank}", np.abs(np.linalg.norm(x) / np.linalg.norm(T) - 1), 1e-14)
    check("back", np.abs(so3.spherical_to_tensor(x, rank, symmetric) - T).max(), 1e-13)
    for rotation in [*R, *-R[-2:]]:  # inversions, too: the parity is part of the irreps
        expected = so3.rotate(x, irreps, rotation)
        got = so3.tensor_to_spherical(turned(T, rank, rotation), rank, symmetric)
        assert np.abs(got - expected).max() <= 1e-12 * np.abs(x).max()
        back = so3.spherical_to_tensor(expected, rank, symmetric)
        assert np.abs(back - turned(T, rank, rotation)).max() <= 1e-12 * np.abs(T).max()


@pytest.mark.parametrize("symmetric", [True, False])
def test_powers_of_a_vector_are_positive_multiples_of_harmonics(symmetric):
    r = np.array([0.3, -0.5, 0.8])
    for rank in range(6):
        irreps = so3.cartesian_irreps(rank, symmetric)
        parts = irreps.parts(so3.tensor_to_spherical(power(r, rank), rank, symmetric))
        for irrep, part in zip(irreps, parts, strict=True):
            Y = so3.spherical_harmonics(irrep.l, r)[irrep.l**2 :]
            factors = Y @ part / (Y @ Y)
            assert np.abs(part - Y[:, None] * factors).max() <= 1e-14
            assert (factors > -1e-15).all() and (irrep.l % 2 != rank % 2 or (factors > 0.01).any())


def test_dipole_polarizability_hyperpolarizability():
    generator = np.random.default_rng(0)
    mu, alpha, beta = (symmetrised(generator.normal(size=(3,) * n), n) for n in (1, 2, 3))
    np.testing.assert_array_equal(so3.tensor_to_spherical(mu, 1), mu[[1, 2, 0]])
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = alpha
    second = np.array([2 * xy, 2 * yz, (2 * zz - xx - yy) / np.sqrt(3), 2 * xz, xx - yy]) / np.sqrt(2)
    np.testing.assert_allclose(
        so3.tensor_to_spherical(alpha, 2), [(xx + yy + zz) / np.sqrt(3), *second], rtol=0, atol=1e-15
    )
    vector = np.einsum("ijj->i", beta)
    first = so3.tensor_to_spherical(beta, 3)[:3]
    np.testing.assert_allclose(first, np.sqrt(3 / 5) * vector[[1, 2, 0]], rtol=0, atol=1e-14)
    # the part of l = 1 is (v delta + delta v + delta v) / 5; what is left is traceless
    l1 = so3.spherical_to_tensor([*first, *np.zeros(7)], 3)
    expected = (
        np.einsum("i,jk->ijk", vector, np.eye(3))
        + np.einsum("j,ik->ijk", vector, np.eye(3))
        + np.einsum("k,ij->ijk", vector, np.eye(3))
    ) / 5
    np.testing.assert_allclose(l1, expected, rtol=0, atol=1e-15)
    assert np.abs(np.einsum("ijj->i", beta - l1)).max() <= 1e-14


def test_axial_vector_of_an_unsymmetric_tensor():
    T = np.random.default_rng(1).normal(size=(3, 3))
    x = so3.tensor_to_spherical(T, 2, symmetric=False)
    axial = np.array([T[1, 2] - T[2, 1], T[2, 0] - T[0, 2], T[0, 1] - T[1, 0]]) / np.sqrt(2)
    np.testing.assert_allclose(x[1:4], axial[[1, 2, 0]], rtol=0, atol=1e-15)
    symmetric = so3.tensor_to_spherical((T + T.T) / 2, 2)
    np.testing.assert_allclose(np.delete(x, [1, 2, 3]), symmetric, rtol=0, atol=1e-15)


def test_types():
    assert str(so3.cartesian_irreps(1)) == "1x1o" and str(so3.cartesian_irreps(4)) == "1x0e + 1x2e + 1x4e"
    assert str(so3.cartesian_irreps(1, parity=1)) == "1x1e"
    assert so3.cartesian_irreps(3, symmetric=False).type == (1, 3, 2, 1)
    x = so3.tensor_to_spherical(np.eye(3, dtype=np.float32), 2)
    assert x.dtype == np.float32 and so3.spherical_to_tensor(x, 2).dtype == np.float32
    assert so3.tensor_to_spherical(np.zeros((0, 3, 3)), 2).shape == (0, 6)
    assert so3.tensor_to_spherical(2, 0).shape == (1,) and so3.cartesian_to_spherical(0, [3.0, 4.0]).shape == (2, 1)


def test_errors():
    T = np.arange(9.0).reshape(3, 3)
    with pytest.raises(InputError, match="T must be totally symmetric, but its unsymmetric part is 0.24 of its norm"):
        so3.tensor_to_spherical(T, 2)
    expected = so3.tensor_to_spherical((T + T.T) / 2, 2)
    np.testing.assert_allclose(so3.tensor_to_spherical(T, 2, tolerance=np.inf), expected, atol=1e-14)
    with pytest.raises(InputError, match=r"T must have shape \(\.\.\., 3, 3\), got \(3,\)"):
        so3.tensor_to_spherical(np.zeros(3), 2)
    with pytest.raises(InputError, match=r"x must have shape \(\.\.\., 5\), got \(4,\)"):
        so3.spherical_to_cartesian(2, np.zeros(4))
    with pytest.raises(InputError, match="l must be 0 to 6, got 7"):
        so3.spherical_to_cartesian(7, np.zeros(15))
    with pytest.raises(InputError, match="parity must be 1 or -1, got 2"):
        so3.cartesian_irreps(1, parity=2)
    with pytest.raises(TypeError, match="T must be real numbers"):
        so3.cartesian_to_spherical(1, [1j, 0, 0])


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_scalars_are_tensors_without_axes(shape):
    x = np.random.default_rng(0).standard_normal((*shape, 1))
    tensor = so3.spherical_to_tensor(x, 0)
    assert tensor.shape == shape and np.array_equal(tensor, x[..., 0])
    assert np.array_equal(so3.tensor_to_spherical(tensor, 0), x)
