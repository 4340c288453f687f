"""What every function of so3 asks of its arguments."""
# ruff: noqa: E741 (l is the name of angular momentum)

import operator

import numpy as np

from nbcore._core import l_supported
from nbcore.errors import InputError

__all__ = ["angular_momentum", "finite", "floating_array", "l_supported", "real_array", "rotation_matrices"]


def angular_momentum(where, name, l):
    """`l` as an int from 0 to l_supported; TypeError for what is no integer, InputError outside the range."""
    try:
        value = operator.index(l)
    except TypeError:
        raise TypeError(f"{where}: {name} must be an integer, got {l!r}") from None
    if not 0 <= value <= l_supported:
        raise InputError(f"{where}: {name} must be 0 to {l_supported}, got {value}")
    return value


def real_array(where, name, values, tail=()):
    """`values` as a float64 array whose last axes are `tail`; TypeError for what is not real numbers."""
    return _real(where, name, values, tail).astype(np.float64, copy=False)


def floating_array(where, name, values, tail=()):
    """As `real_array`, but float32 stays float32."""
    array = _real(where, name, values, tail)
    return array.astype(np.float32 if array.dtype == np.float32 else np.float64, copy=False)


def _real(where, name, values, tail):
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{where}: {name} must be real numbers, got dtype {array.dtype}")
    if array.shape[array.ndim - len(tail) :] != tail:
        axes = ", ".join(map(str, ("...", *tail)))
        raise InputError(f"{where}: {name} must have shape ({axes}), got {array.shape}")
    return array


def finite(where, name, values, tail=()):
    """As `real_array`, and InputError for NaN and Inf."""
    array = real_array(where, name, values, tail)
    if not np.isfinite(array).all():
        at = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        raise InputError(f"{where}: {name} must be finite, got {array[at]} at index {at}")
    return array


def rotation_matrices(where, R, improper=False):
    """`R`, an array (..., 3, 3) or an object with as_matrix() such as SciPy's Rotation, as an array of rotations.

    InputError unless each R R^T = 1 to 1e-6 and det R = 1 (or -1, with `improper`).
    """
    matrices = finite(where, "R", R.as_matrix() if hasattr(R, "as_matrix") else R, (3, 3))
    defect = np.abs(matrices @ np.swapaxes(matrices, -1, -2) - np.eye(3)).max(axis=(-1, -2), initial=0)
    if (defect > 1e-6).any():
        raise InputError(f"{where}: R must be a rotation, but R R^T differs from 1 by {defect.max():.2g}")
    if not improper and (np.linalg.det(matrices) < 0).any():
        raise InputError(
            f"{where}: R must be a rotation, got an improper one (det R = -1). Use -R, a rotation, and multiply by the "
            "parity of what is rotated: (-1)^l for harmonics. so3.rotate does so for irreps with parity."
        )
    return matrices
