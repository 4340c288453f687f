"""Rotations against SciPy's, and back again; random rotations are even."""

import numpy as np
import pytest
import so3_oracles as oracle
from scipy.spatial.transform import Rotation
from scipy.stats import kstest

from nbcore import so3
from nbcore.errors import InputError

R = oracle.rotations(50)


def test_to_matrix_as_scipy():
    generator = np.random.default_rng(0)
    angles = generator.uniform(-7, 7, size=(40, 3))
    np.testing.assert_allclose(
        so3.matrix_from_euler(*angles.T), Rotation.from_euler("ZYZ", angles).as_matrix(), atol=5e-15
    )
    axis, angle = generator.normal(size=(40, 3)), generator.uniform(-10, 10, 40)
    rotvec = axis / np.linalg.norm(axis, axis=1)[:, None] * angle[:, None]
    np.testing.assert_allclose(
        so3.matrix_from_axis_angle(axis, angle), Rotation.from_rotvec(rotvec).as_matrix(), atol=5e-15
    )
    q = generator.normal(size=(40, 4))
    np.testing.assert_allclose(
        so3.matrix_from_quaternion(q), Rotation.from_quat(q, scalar_first=True).as_matrix(), atol=2e-15
    )


def test_there_and_back():
    atol = 2e-15
    alpha, beta, gamma = so3.euler_from_matrix(R)
    assert ((0 <= beta) & (beta <= np.pi)).all()
    np.testing.assert_allclose(so3.matrix_from_euler(alpha, beta, gamma), R, atol=atol)
    axis, angle = so3.axis_angle_from_matrix(R)
    assert ((0 <= angle) & (angle <= np.pi)).all()
    np.testing.assert_allclose(np.linalg.norm(axis, axis=-1), 1, rtol=1e-15)
    np.testing.assert_allclose(so3.matrix_from_axis_angle(axis, angle), R, atol=atol)
    q = so3.quaternion_from_matrix(R)
    np.testing.assert_allclose(np.linalg.norm(q, axis=-1), 1, rtol=1e-15)
    np.testing.assert_allclose(so3.matrix_from_quaternion(q), R, atol=atol)
    first = np.array([row[np.flatnonzero(row)[0]] for row in q])
    assert (first > 0).all()


def test_small_angles_keep_their_digits():
    axis = np.array([1.0, -2.0, 2.0]) / 3
    for angle in (1e-3, 1e-9, 1e-100):
        back_axis, back_angle = so3.axis_angle_from_matrix(so3.matrix_from_axis_angle(axis, angle))
        np.testing.assert_allclose(back_angle, angle, rtol=1e-12)
        np.testing.assert_allclose(back_axis, axis, rtol=1e-12)


def test_shapes():
    assert so3.matrix_from_euler(np.zeros((2, 1)), 0.0, np.zeros(4)).shape == (2, 4, 3, 3)
    assert so3.matrix_from_axis_angle([0.0, 0.0, 1.0], np.zeros((4, 2))).shape == (4, 2, 3, 3)
    assert so3.matrix_from_axis_angle(np.ones((5, 3)), 1.0).shape == (5, 3, 3)
    assert so3.matrix_from_quaternion(np.ones((2, 3, 4))).shape == (2, 3, 3, 3)
    assert so3.quaternion_from_matrix(np.zeros((0, 3, 3))).shape == (0, 4)
    assert [angle.shape for angle in so3.euler_from_matrix(R[:10].reshape(2, 5, 3, 3))] == [(2, 5)] * 3
    scipy = Rotation.random(4, random_state=2)
    assert np.array_equal(so3.quaternion_from_matrix(scipy), so3.quaternion_from_matrix(scipy.as_matrix()))


def test_random_rotations_are_even():
    M = so3.random_rotations(20000, seed=1)
    np.testing.assert_allclose(M @ M.swapaxes(1, 2), np.broadcast_to(np.eye(3), M.shape), atol=1e-15)
    np.testing.assert_allclose(np.linalg.det(M), 1, rtol=1e-14)
    angle = so3.axis_angle_from_matrix(M)[1]
    assert kstest(angle, lambda a: (a - np.sin(a)) / np.pi).pvalue > 0.01  # the density of angles is (1 - cos) / pi
    # mean of D_l is zero for l > 0 (Schur), to 5 standard deviations 1 / sqrt(20000 (2l + 1))
    for l in (1, 2, 3):  # noqa: E741
        assert np.abs(so3.wigner_D(l, M).mean(axis=0)).max() < 5 / np.sqrt(20000 * (2 * l + 1))


def test_random_rotations_follow_their_seed():
    assert np.array_equal(so3.random_rotations((2, 3), seed=5), so3.random_rotations((2, 3), seed=5))
    assert so3.random_rotations((2, 3), seed=5).shape == (2, 3, 3, 3) and so3.random_rotations().shape == (3, 3)
    generator = np.random.default_rng(5)
    first, second = so3.random_rotations(seed=generator), so3.random_rotations(seed=generator)
    assert np.array_equal(first, so3.random_rotations(seed=5)) and not np.array_equal(first, second)


def test_errors():
    with pytest.raises(InputError, match="matrix_from_axis_angle: axis must not be zero"):
        so3.matrix_from_axis_angle([0.0, 0.0, 0.0], 1.0)
    with pytest.raises(InputError, match="matrix_from_quaternion: q must not be zero"):
        so3.matrix_from_quaternion(np.zeros((3, 4)))
    with pytest.raises(InputError, match=r"q must have shape \(\.\.\., 4\), got \(3,\)"):
        so3.matrix_from_quaternion([1.0, 0.0, 0.0])
    with pytest.raises(InputError, match="beta must be finite, got nan"):
        so3.matrix_from_euler(0.0, np.nan, 0.0)
    with pytest.raises(InputError, match="the angles must broadcast"):
        so3.matrix_from_euler(np.zeros(2), np.zeros(3), 0.0)
    with pytest.raises(InputError, match="do not broadcast"):
        so3.matrix_from_axis_angle(np.ones((2, 3)), np.zeros(3))
    for function in (so3.euler_from_matrix, so3.axis_angle_from_matrix, so3.quaternion_from_matrix):
        with pytest.raises(InputError, match=f"{function.__name__}: R must be a rotation"):
            function(np.ones((3, 3)))
        with pytest.raises(InputError, match=f"{function.__name__}: .* improper"):
            function(np.diag([1.0, 1.0, -1.0]))
    with pytest.raises(TypeError, match="angle must be real numbers"):
        so3.matrix_from_axis_angle([1.0, 0.0, 0.0], "90 degrees")
