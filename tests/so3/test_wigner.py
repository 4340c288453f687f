"""Wigner matrices by independent routes, special rotations included."""
# ruff: noqa: E741 (l is the name of angular momentum)

import math

import numpy as np
import pytest
import so3_oracles as oracle
from scipy.linalg import expm
from scipy.spatial.transform import Rotation
from so3_oracles import check

from nbcore import so3
from nbcore.errors import InputError

R = oracle.rotations()


def complex_to_ours(D_textbook):
    """Our complex matrix acts on values Y(R r): the conjugate of <lm'| R |lm>, which acts on coefficients."""
    return D_textbook.conj()


def real(l, D_textbook):
    U = oracle.unitary(l)
    return (U @ complex_to_ours(D_textbook) @ U.conj().T).real


def test_group():  # A5
    worst = dict.fromkeys(["D(1) = 1", "D D^T = 1", "D(R^T) = D^T", "D(R1) D(R2) = D(R1 R2)", "complex D"], 0)
    R2 = np.roll(R, 7, axis=0)
    for l in range(11):
        D, one = so3.wigner_D(l, R), np.eye(2 * l + 1)
        errors = [
            so3.wigner_D(l, np.eye(3)) - one,
            D @ D.swapaxes(1, 2) - one,
            so3.wigner_D(l, R.swapaxes(1, 2)) - D.swapaxes(1, 2),
            D @ so3.wigner_D(l, R2) - so3.wigner_D(l, R @ R2),
        ]
        D = so3.complex_wigner_D(l, R)
        adjoint = D.conj().swapaxes(1, 2)
        complex_errors = [
            D @ adjoint - one,
            so3.complex_wigner_D(l, R.swapaxes(1, 2)) - adjoint,
            D @ so3.complex_wigner_D(l, R2) - so3.complex_wigner_D(l, R @ R2),
        ]
        errors.append(np.stack(complex_errors))
        worst = {name: max(w, np.abs(e).max()) for (name, w), e in zip(worst.items(), errors, strict=True)}
    for name, error in worst.items():
        check(f"A5 {name}", error, 1e-13)


def test_route_axis_angle():  # A5
    worst = 0
    for rotvec, matrix in zip(Rotation.from_matrix(R).as_rotvec(), R, strict=True):
        for l in (1, 2, 5, 10):
            J = oracle.generators(l)
            D = expm(-1j * sum(n * j for n, j in zip(rotvec, J, strict=True)))
            worst = max(
                worst,
                np.abs(so3.wigner_D(l, matrix) - real(l, D)).max(),
                np.abs(so3.complex_wigner_D(l, matrix) - complex_to_ours(D)).max(),
            )
    check("A5 exp(-i angle n J)", worst, 1e-13)


def test_route_euler():  # A5
    generator = np.random.default_rng(8)
    angles = generator.uniform(-np.pi, np.pi, size=(30, 3))
    angles[:6, 1] = [0.0, np.pi, -np.pi, 1e-9, np.pi - 1e-9, 1e-160]
    worst = 0
    for l in (1, 2, 3, 6, 10):
        m, d = np.arange(-l, l + 1), oracle.SmallD(l)
        for alpha, beta, gamma in angles:
            D = np.exp(-1j * alpha * m)[:, None] * d(beta) * np.exp(-1j * gamma * m)
            matrix = so3.matrix_from_euler(alpha, beta, gamma)
            worst = max(
                worst,
                np.abs(so3.wigner_D(l, matrix) - real(l, D)).max(),
                np.abs(so3.complex_wigner_D(l, matrix) - complex_to_ours(D)).max(),
            )
    check("A5 Euler angles and Wigner's sum", worst, 1e-13)


def test_route_spinors():  # A5
    """|l m> as (spin up)^(l+m) (spin down)^(l-m), each spinor rotated by its 2 x 2 matrix."""
    worst = 0
    for x, y, z, w in Rotation.from_matrix(R).as_quat():
        u = np.array([[w - 1j * z, -1j * x - y], [-1j * x + y, w + 1j * z]])  # exp(-i angle n sigma / 2); rows up, down
        matrix = Rotation.from_quat([x, y, z, w]).as_matrix()
        up, down = [np.ones(1)], [np.ones(1)]  # the powers of both, polynomials in (spin down) / (spin up)
        for powers, column in ((up, u[:, 0]), (down, u[:, 1])):
            for _ in range(20):
                powers.append(np.convolve(powers[-1], column))
        for l in (1, 2, 4, 7, 10):
            norm = np.sqrt([float(math.factorial(l + m) * math.factorial(l - m)) for m in range(-l, l + 1)])
            columns = [np.convolve(up[l + m], down[l - m])[::-1] * norm / norm[l + m] for m in range(-l, l + 1)]
            worst = max(worst, np.abs(so3.wigner_D(l, matrix) - real(l, np.transpose(columns))).max())
    check("A5 spinors", worst, 1e-13)


def test_small_d_at_50():  # A6
    d, worst = oracle.SmallD(50), 0
    betas = [*np.random.default_rng(9).uniform(0, np.pi, 44), 0.0, 1e-9, 1e-3, np.pi / 2, np.pi - 1e-9, np.pi]
    D = so3.complex_wigner_D(50, so3.matrix_from_euler(0.0, betas, 0.0))
    for computed, beta in zip(D, betas, strict=True):
        worst = max(worst, np.abs(computed - d(beta)).max())
    check("A6 d(beta) at l = 50, 50 angles", worst, 1e-12)


@pytest.mark.parametrize("l", [20, 35, 50])
def test_high_l(l):  # A6
    D = so3.wigner_D(l, R)
    check(f"A6 D D^T = 1, l = {l}", np.abs(D @ D.swapaxes(1, 2) - np.eye(2 * l + 1)).max(), 1e-12)
    both = D @ np.roll(D, 5, axis=0)
    check(f"A6 D D = D, l = {l}", np.abs(both - so3.wigner_D(l, R @ np.roll(R, 5, axis=0))).max(), 1e-12)
    r = np.random.default_rng(l).normal(size=(20, 3))
    Y, Y_rotated = (so3.spherical_harmonics(l, v)[..., l * l :] for v in (r, r @ R.swapaxes(1, 2)))
    check(f"A6 Y(R r) = D Y(r), l = {l}", np.abs(Y_rotated - Y @ D.swapaxes(1, 2)).max(), 1e-12)


def test_harmonics_rotate():  # A8
    r = np.concatenate([np.random.default_rng(1).normal(size=(20, 3)), np.eye(3), -np.eye(3)])
    for harmonics, wigner in (
        (so3.spherical_harmonics, so3.wigner_D),
        (so3.complex_spherical_harmonics, so3.complex_wigner_D),
    ):
        Y, Y_rotated, worst = harmonics(10, r), harmonics(10, r @ R.swapaxes(1, 2)), 0
        for l in range(11):
            lm = slice(l * l, (l + 1) ** 2)
            worst = max(worst, np.abs(Y_rotated[..., lm] - Y[:, lm] @ wigner(l, R).swapaxes(1, 2)).max())
        check(f"A8 Y(R r) = D Y(r), {wigner.__name__}", worst, 1e-13)


def test_l_1_is_the_rotation_itself():  # A8
    M = so3.random_rotations(seed=3)
    expected = [[M[1, 1], M[1, 2], M[1, 0]], [M[2, 1], M[2, 2], M[2, 0]], [M[0, 1], M[0, 2], M[0, 0]]]
    np.testing.assert_allclose(so3.wigner_D(1, M), expected, rtol=1e-15, atol=1e-16)


def test_clebsch_gordan_intertwines():
    M, worst = R[[3, 11, -1]], 0
    for l1, l2 in [(1, 1), (2, 1), (3, 3), (4, 6)]:
        for l3 in range(abs(l1 - l2), l1 + l2 + 1):
            for C, D in (
                (so3.real_clebsch_gordan(l1, l2, l3), so3.wigner_D),
                (so3.clebsch_gordan(l1, l2, l3), so3.complex_wigner_D),
            ):
                D1, D2, D3 = (D(l, M) for l in (l1, l2, l3))
                before = np.einsum("nia,njb,ijm->nabm", D1, D2, C)
                worst = max(worst, np.abs(before - np.einsum("abk,nmk->nabm", C, D3)).max())
    check("A8 (D x D) C = C D", worst, 1e-13)


def test_arguments():
    rotation = Rotation.random(4, random_state=1)
    matrices = rotation.as_matrix()
    assert np.array_equal(so3.wigner_D(3, rotation), so3.wigner_D(3, matrices))
    assert so3.wigner_D(2, matrices.reshape(2, 2, 3, 3)).shape == (2, 2, 5, 5)
    assert so3.wigner_D(2, matrices[0]).shape == (5, 5)
    assert np.array_equal(so3.wigner_D(2, matrices)[1], so3.wigner_D(2, matrices[1]))
    assert so3.wigner_D(0, np.zeros((0, 3, 3))).shape == (0, 1, 1)


@pytest.mark.parametrize("D", [so3.wigner_D, so3.complex_wigner_D])
def test_errors(D):
    with pytest.raises(InputError, match=rf"{D.__name__}: R must be a rotation, but R R\^T differs from 1 by 0.02"):
        D(2, 1.01 * np.eye(3))
    with pytest.raises(InputError, match="improper"):
        D(2, -np.eye(3))
    with pytest.raises(InputError, match=r"R must have shape \(\.\.\., 3, 3\), got \(3,\)"):
        D(2, [1.0, 0.0, 0.0])
    with pytest.raises(InputError, match=r"R must be finite, got nan at index \(1, 2\)"):
        D(2, np.where(np.arange(9).reshape(3, 3) == 5, np.nan, np.eye(3)))
    with pytest.raises(InputError, match="l must be 0 to 50, got 51"):
        D(51, np.eye(3))
    with pytest.raises(TypeError, match="R must be real numbers"):
        D(2, "rotation")
    with pytest.raises(TypeError, match="l must be an integer"):
        D("2", np.eye(3))


def test_all_l_at_once():
    matrices = so3.wigner_D_to(12, R)
    assert len(matrices) == 13
    for l, D in enumerate(matrices):
        assert np.array_equal(D, so3.wigner_D(l, R))
    for threads in (1, 2, 5):
        assert all(map(np.array_equal, so3.wigner_D_to(12, R, threads=threads), matrices))
    assert [D.shape for D in so3.wigner_D_to(1, np.zeros((0, 3, 3)))] == [(0, 1, 1), (0, 3, 3)]


def test_rotated_states():
    """Batches of rotations, both bases, all number types; the rotation back is the adjoint."""
    irreps = so3.Irreps("2x0e + 3x1o + 1x2e + 1x2o + 2x5o")
    generator = np.random.default_rng(0)
    x = generator.normal(size=(len(R), irreps.dim))
    turned = so3.rotate(x, irreps, R)
    for k, rotation in enumerate(R):
        assert np.abs(turned[k] - so3.rotate(x[k], irreps, rotation)).max() <= 1e-14
    parts = [so3.wigner_D(i.l, R) @ p for i, p in zip(irreps, irreps.parts(x), strict=True)]
    assert np.abs(turned - irreps.join(parts)).max() <= 1e-14
    assert np.abs(so3.rotate(turned, irreps, np.swapaxes(R, 1, 2)) - x).max() <= 1e-13
    mixed = np.where(np.arange(len(R))[:, None, None] % 2, R, -R)
    signs = np.repeat([-1 if i.parity == -1 else 1 for i in irreps], [i.dim for i in irreps])
    expected = np.where(np.arange(len(R))[:, None] % 2, turned, signs * turned)
    assert np.abs(so3.rotate(x, irreps, mixed) - expected).max() <= 1e-14
    y = generator.normal(size=x.shape)
    assert abs((turned * y).sum() - (x * so3.rotate(y, irreps, np.swapaxes(R, 1, 2))).sum()) <= 1e-12

    z = irreps.join([so3.real_to_complex(i.l) @ p for i, p in zip(irreps, irreps.parts(x), strict=True)])
    expected = irreps.join([so3.real_to_complex(i.l) @ p for i, p in zip(irreps, irreps.parts(turned), strict=True)])
    assert np.abs(so3.rotate(z, irreps, R, basis="complex") - expected).max() <= 1e-13
    assert so3.rotate(x[:, None, None], irreps, R[:3]).shape == (len(R), 1, 3, irreps.dim)
    for dtype in (np.float32, np.complex64, np.complex128):
        low = so3.rotate(x.astype(dtype), irreps, R)
        assert low.dtype == dtype and np.abs(low - turned).max() <= 1e-5
    assert so3.rotate(x.astype(np.float32), irreps, R, basis="complex").dtype == np.complex64
    assert np.array_equal(so3.rotate(irreps.parts(x), irreps, R), turned)
    assert so3.rotate(np.zeros((4, 0)), "", R[0]).shape == (4, 0)
