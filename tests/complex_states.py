"""States in the complex basis: the oracle of complex algebra, where Clebsch-Gordan coefficients are the textbook's."""

import numpy as np

from nbcore import so3


def to_complex(state, parts, n):
    """A flat state, parts as `GateRun.output_parts`, as a list of complex arrays [node][m][channel] in the complex
    basis."""
    arrays, at = [], 0
    for l, _, groups, group, is_complex in parts:
        size = n * (2 * l + 1) * groups * group
        x = state[at : at + size].reshape(n, 2 * l + 1, -1, 1 + is_complex, group)
        x = (x[..., 0, :] + 1j * x[..., 1, :]) if is_complex else x[..., 0, :]
        arrays.append(so3.real_to_complex(l) @ x.reshape(n, 2 * l + 1, -1))
        at += size
    assert at == len(state)
    return arrays


def from_complex(arrays, parts):
    """The way back; `arrays` of real parts must be real in the real basis."""
    flat = []
    for x, (l, _, groups, group, is_complex) in zip(arrays, parts, strict=True):
        x = (so3.complex_to_real(l) @ x).reshape(len(x), 2 * l + 1, groups // (1 + is_complex), 1, group)
        assert is_complex or np.abs(x.imag).max(initial=0) < 1e-12
        flat.append(np.concatenate([x.real, x.imag] if is_complex else [x.real], axis=3).ravel())
    return np.concatenate(flat)


def couple(x, l1, y, l2, l):
    """All pairs of channels of x [.., 2l1+1, a] and y [.., 2l2+1, b] by complex Clebsch-Gordan coefficients."""
    z = np.einsum("xyz,...xa,...yb->...zab", so3.clebsch_gordan(l1, l2, l), x, y)
    return z.reshape(*z.shape[:-2], -1)


def harmonics(l, vector):
    """Complex Y_l of a direction, sum_m |Y_lm|^2 = 2l+1."""
    return np.sqrt(4 * np.pi) * so3.complex_spherical_harmonics(l, vector)[l * l :]


def relative(a, b):
    """The largest difference of two lists of arrays, relative to the largest number."""
    assert len(a) == len(b) and all(x.shape == y.shape for x, y in zip(a, b, strict=True))
    return max(np.abs(x - y).max(initial=0) for x, y in zip(a, b, strict=True)) / max(
        np.abs(y).max(initial=0) for y in b
    )
