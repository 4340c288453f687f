"""Rotations: matrices from Euler angles, axis and angle, quaternions, and back; random rotations.

A matrix R acts on column vectors, r -> R r, actively: it turns the vector and leaves the axes. Angles are in radians.
All functions work on arrays of rotations of any shape."""

import numpy as np
from numpy.typing import ArrayLike

from nbcore.errors import InputError
from nbcore.so3.checks import finite, rotation_matrices


def matrix_from_euler(alpha: ArrayLike, beta: ArrayLike, gamma: ArrayLike) -> np.ndarray:
    """R = R_z(alpha) R_y(beta) R_z(gamma): turn by gamma about z, by beta about y, by alpha about z, the axes fixed.

    Parameters
    ----------
    alpha, beta, gamma : float or arrays, broadcast against each other

    Returns
    -------
    R : (..., 3, 3)

    Raises
    ------
    InputError : NaN or Inf; shapes that do not broadcast

    >>> (matrix_from_euler(0.0, np.pi / 2, 0.0) @ [0.0, 0.0, 1.0]).round(6) + 0.0  # z goes to x
    array([1., 0., 0.])
    """
    angles = [
        finite("matrix_from_euler", name, angle) for name, angle in (("alpha", alpha), ("beta", beta), ("gamma", gamma))
    ]
    try:
        alpha, beta, gamma = np.broadcast_arrays(*angles)
    except ValueError:
        shapes = [angle.shape for angle in angles]
        raise InputError(f"matrix_from_euler: the angles must broadcast, got shapes {shapes}") from None
    return _about_z(alpha) @ _about_y(beta) @ _about_z(gamma)


def euler_from_matrix(R: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Euler angles of R = R_z(alpha) R_y(beta) R_z(gamma).

    beta is in [0, pi], alpha and gamma in [-pi, pi]. Where beta is 0 or pi only alpha +- gamma means anything; alpha
    is then 0. For every rotation, near those too, `matrix_from_euler` of the result is R to rounding.

    Parameters
    ----------
    R : (..., 3, 3) or a SciPy Rotation

    Returns
    -------
    alpha, beta, gamma : arrays (...)

    Raises
    ------
    InputError : R is not a rotation

    >>> np.round(euler_from_matrix(matrix_from_euler(0.1, 0.2, -0.3)), 6)
    array([ 0.1,  0.2, -0.3])
    """
    R = rotation_matrices("euler_from_matrix", R)
    alpha = np.arctan2(R[..., 1, 2], R[..., 0, 2])
    beta = np.arctan2(np.hypot(R[..., 0, 2], R[..., 1, 2]), R[..., 2, 2])
    # gamma is what is left of R: consistent with alpha even where alpha alone means nothing
    rest = np.swapaxes(_about_z(alpha), -1, -2) @ R
    return alpha, beta, np.arctan2(rest[..., 1, 0], rest[..., 1, 1])


def matrix_from_axis_angle(axis: ArrayLike, angle: ArrayLike) -> np.ndarray:
    """The rotation by `angle` about `axis`, counterclockwise seen from the tip of the axis (Rodrigues' formula).

    Parameters
    ----------
    axis : (..., 3), of any length but zero
    angle : float or (...), broadcast against the leading axes of `axis`

    Returns
    -------
    R : (..., 3, 3)

    Raises
    ------
    InputError : a zero axis; NaN or Inf; shapes that do not fit

    >>> (matrix_from_axis_angle([0.0, 0.0, 2.0], np.pi / 2) @ [1.0, 0.0, 0.0]).round(6) + 0.0
    array([0., 1., 0.])
    """
    axis = _unit("matrix_from_axis_angle", "axis", axis, 3)
    half = finite("matrix_from_axis_angle", "angle", angle) / 2
    try:
        half = np.broadcast_to(half, np.broadcast_shapes(half.shape, axis.shape[:-1]))[..., None]
    except ValueError:
        raise InputError(f"matrix_from_axis_angle: axis {axis.shape} and angle {half.shape} do not broadcast") from None
    vector = axis * np.sin(half)
    return _matrix(np.concatenate([np.broadcast_to(np.cos(half), (*vector.shape[:-1], 1)), vector], axis=-1))


def axis_angle_from_matrix(R: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Axis and angle of rotations.

    Parameters
    ----------
    R : (..., 3, 3) or a SciPy Rotation

    Returns
    -------
    axis : (..., 3), of length 1; z where the angle is 0
    angle : (...), in [0, pi]

    Raises
    ------
    InputError : R is not a rotation

    >>> axis, angle = axis_angle_from_matrix(np.diag([1.0, -1.0, -1.0]))
    >>> axis, round(float(angle), 6)
    (array([1., 0., 0.]), 3.141593)
    """
    q = quaternion_from_matrix(rotation_matrices("axis_angle_from_matrix", R))
    scale = np.abs(q[..., 1:]).max(axis=-1, keepdims=True, initial=0)  # may be too small to be squared
    turned = scale > 0
    axis = np.where(turned, q[..., 1:] / np.where(turned, scale, 1.0), [0.0, 0.0, 1.0])
    length = np.linalg.norm(axis, axis=-1, keepdims=True)
    return axis / length, 2 * np.arctan2(length * scale, q[..., :1])[..., 0]


def matrix_from_quaternion(q: ArrayLike) -> np.ndarray:
    """The rotation of a quaternion (w, x, y, z) = (cos(angle / 2), axis sin(angle / 2)); q and -q are the same
    rotation.

    Parameters
    ----------
    q : (..., 4), scalar first; brought to length 1

    Returns
    -------
    R : (..., 3, 3)

    Raises
    ------
    InputError : a zero quaternion; NaN or Inf; last axis not 4

    >>> matrix_from_quaternion([0.0, 0.0, 0.0, 1.0])  # half a turn about z
    array([[-1.,  0.,  0.],
           [ 0., -1.,  0.],
           [ 0.,  0.,  1.]])
    """
    return _matrix(_unit("matrix_from_quaternion", "q", q, 4))


def quaternion_from_matrix(R: ArrayLike) -> np.ndarray:
    """Quaternions (w, x, y, z) of rotations, of length 1, the first non-zero component positive.

    Parameters
    ----------
    R : (..., 3, 3) or a SciPy Rotation

    Returns
    -------
    q : (..., 4), scalar first

    Raises
    ------
    InputError : R is not a rotation

    >>> quaternion_from_matrix(np.eye(3))
    array([1., 0., 0., 0.])
    """
    R = rotation_matrices("quaternion_from_matrix", R)
    # 4 q q^T is linear in R; its row with the largest diagonal element is q times something that is not small
    # (Shepperd 1978).
    trace = np.trace(R, axis1=-2, axis2=-1)
    outer = np.empty((*R.shape[:-2], 4, 4))
    outer[..., 0, 0] = 1 + trace
    for a in range(3):
        b, c = (a + 1) % 3, (a + 2) % 3
        outer[..., 0, a + 1] = outer[..., a + 1, 0] = R[..., c, b] - R[..., b, c]
        outer[..., b + 1, a + 1] = outer[..., a + 1, b + 1] = R[..., a, b] + R[..., b, a]
        outer[..., a + 1, a + 1] = 1 - trace + 2 * R[..., a, a]
    row = np.argmax(np.diagonal(outer, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(outer, row[..., None, None], axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    first = np.take_along_axis(q, np.argmax(q != 0, axis=-1)[..., None], axis=-1)
    return q * np.sign(first) + 0.0


def random_rotations(shape: int | tuple[int, ...] = (), seed: int | np.random.Generator | None = None) -> np.ndarray:
    """Rotations drawn evenly from all rotations (Haar measure).

    Parameters
    ----------
    shape : int or tuple of int
    seed : int, numpy Generator or None

    Returns
    -------
    R : (*shape, 3, 3)

    >>> R = random_rotations(5, seed=1)
    >>> R.shape, bool(np.allclose(np.linalg.det(R), 1))
    ((5, 3, 3), True)
    """
    shape = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    # four normal numbers have no preferred direction, and directions in four dimensions are quaternions
    return matrix_from_quaternion(np.random.default_rng(seed).normal(size=(*shape, 4)))


def _about_z(angle):
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return _rows([[c, -s, zero], [s, c, zero], [zero, zero, one]])


def _about_y(angle):
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return _rows([[c, zero, s], [zero, one, zero], [-s, zero, c]])


def _matrix(q):
    """R = (w^2 - v^2) 1 + 2 v v^T + 2 w [v x] of unit quaternions (w, v)."""
    w, x, y, z = np.moveaxis(q, -1, 0)
    return _rows(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _rows(rows):
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _unit(where, name, vectors, n):
    vectors = finite(where, name, vectors, (n,))
    scale = np.abs(vectors).max(axis=-1, keepdims=True, initial=0)
    if (scale == 0).any():
        raise InputError(f"{where}: {name} must not be zero")
    vectors = vectors / scale
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
