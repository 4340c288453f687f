"""Clebsch-Gordan coefficients."""
# ruff: noqa: E741 (l is the name of angular momentum)

import numpy as np

from nbcore import _core
from nbcore.so3.checks import angular_momentum


def clebsch_gordan(l1: int, l2: int, l3: int) -> np.ndarray:
    """Clebsch-Gordan coefficients C[m1, m2, m3] = <l1 m1 l2 m2 | l3 m3> of complex harmonics (Condon-Shortley phase).

    For states x, y that transform as x -> D_l1 x, y -> D_l2 y, sum over m1, m2 of C[m1, m2, m3] x_m1 y_m2 transforms
    with D_l3 (`complex_wigner_D` or its conjugate: C is real). The alternating sum of Racah's formula is taken in
    integers, so each entry is exact to the last place, and zeros are exact.

    Parameters
    ----------
    l1, l2, l3 : int, 0 to 50

    Returns
    -------
    C : (2 l1 + 1, 2 l2 + 1, 2 l3 + 1), m = -l..l on each axis; zero where |l1 - l2| <= l3 <= l1 + l2 fails, else
        sum over m1, m2 of C[m1, m2, m] C[m1, m2, n] = delta_mn

    Raises
    ------
    InputError : an l outside 0..50
    TypeError : an l is not an integer

    >>> clebsch_gordan(1, 1, 0)[:, ::-1, 0].diagonal().round(6)  # (1, -1), (0, 0), (-1, 1)
    array([ 0.57735, -0.57735,  0.57735])
    """
    return _core.clebsch_gordan(*_angular_momenta("clebsch_gordan", l1, l2, l3))


def real_clebsch_gordan(l1: int, l2: int, l3: int) -> np.ndarray:
    """Clebsch-Gordan coefficients of real harmonics, real-valued.

    With U_l = complex_to_real(l), complex states coupled and written in real components give

        T[m1, m2, m3] = sum over n1, n2, n3 of conj(U_l1[m1, n1] U_l2[m2, n2]) U_l3[m3, n3] <l1 n1 l2 n2 | l3 n3>,

    real for even l1 + l2 + l3 and imaginary for odd: the result is T and T / i. So (1, 1, 1) is the cross product over
    sqrt(2) and (1, 1, 0) the dot product over -sqrt(3). Swapping the factors multiplies by (-1)^(l1 + l2 - l3).
    Arguments, shape, norm and errors as `clebsch_gordan`.

    >>> import numpy as np
    >>> x, y = np.array([1.0, 2.0, 3.0]), np.array([-1.0, 0.5, 2.0])
    >>> yzx = [1, 2, 0]
    >>> np.einsum("abc,a,b->c", real_clebsch_gordan(1, 1, 1), x[yzx], y[yzx]) * np.sqrt(2)
    array([-5. ,  2.5,  2.5])
    >>> np.cross(x, y)[yzx]
    array([-5. ,  2.5,  2.5])
    """
    return _core.real_clebsch_gordan(*_angular_momenta("real_clebsch_gordan", l1, l2, l3))


def _angular_momenta(where, l1, l2, l3):
    return (angular_momentum(where, name, l) for name, l in (("l1", l1), ("l2", l2), ("l3", l3)))
