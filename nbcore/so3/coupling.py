"""Clebsch-Gordan coefficients and products of states."""
# ruff: noqa: E741 (l is the name of angular momentum)

import numpy as np

from nbcore import _core
from nbcore.errors import InputError
from nbcore.so3.checks import angular_momentum, real_array
from nbcore.so3.irreps import Irreps


def clebsch_gordan(l1, l2, l3):
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


def real_clebsch_gordan(l1, l2, l3):
    """Clebsch-Gordan coefficients of real harmonics, real-valued.

    With U_l = complex_to_real(l), complex states coupled and written in real components give

        T[m1, m2, m3] = sum over n1, n2, n3 of conj(U_l1[m1, n1] U_l2[m2, n2]) U_l3[m3, n3] <l1 n1 l2 n2 | l3 n3>,

    real for even l1 + l2 + l3 and imaginary for odd: the result is T and T / i. So (1, 1, 1) is the cross product over
    sqrt(2) and (1, 1, 0) the dot product over -sqrt(3). Swapping the factors multiplies by (-1)^(l1 + l2 - l3).
    Arguments, shape, norm and errors as `clebsch_gordan`.

    >>> x, y = np.array([1.0, 2.0, 3.0]), np.array([-1.0, 0.5, 2.0])
    >>> yzx = [1, 2, 0]
    >>> np.einsum("abc,a,b->c", real_clebsch_gordan(1, 1, 1), x[yzx], y[yzx]) * np.sqrt(2)
    array([-5. ,  2.5,  2.5])
    >>> np.cross(x, y)[yzx]
    array([-5. ,  2.5,  2.5])
    """
    return _core.real_clebsch_gordan(*_angular_momenta("real_clebsch_gordan", l1, l2, l3))


def tensor_product(x, irreps_x, y, irreps_y, l_max=None):
    """The full Clebsch-Gordan product of two states, every channel of x with every channel of y.

    For each entry (l1, p1) of x and (l2, p2) of y, and each l3 from |l1 - l2| to l1 + l2,

        z_m3,(c1 c2) = sum over m1, m2 of C[m1, m2, m3] x_m1,c1 y_m2,c2,   parity p1 p2,   C = real_clebsch_gordan(l1,
        l2, l3).

    Parts of one (l3, parity) are joined in the order of the pairs of entries (those of x outermost), and within a pair
    channel c1 c2 is number c1 * (channels of y) + c2. The product is covariant under `rotate`, and without l_max it
    keeps the norm, |z| = |x| |y|.

    Parameters
    ----------
    x : (..., irreps_x.dim), laid out as `Irreps` says
    irreps_x : Irreps or str
    y : (..., irreps_y.dim), leading axes broadcast against those of x
    irreps_y : Irreps or str
    l_max : int, optional
        leave out larger l3; since the parts are in ascending order of l, this cuts off the end of z

    Returns
    -------
    z : (..., irreps_z.dim)
    irreps_z : Irreps, `irreps_x.product(irreps_y, l_max)`

    Raises
    ------
    InputError : x or y does not fit its irreps, one of irreps_x, irreps_y has parities and the other has not, l3
    above 50

    >>> z, irreps = tensor_product([1.0, 2.0, 3.0], "1x1o", [0.5, 0.0, 1.0], "1x1o")
    >>> str(irreps), float((-np.sqrt(3) * z[0]).round(6))  # the dot product
    ('1x0e + 1x1e + 1x2e', 3.5)
    """
    irreps_x, irreps_y = Irreps(irreps_x), Irreps(irreps_y)
    irreps_z = irreps_x.product(irreps_y, l_max)
    x_parts = irreps_x.parts(real_array("tensor_product", "x", x, (irreps_x.dim,)))
    y_parts = irreps_y.parts(real_array("tensor_product", "y", y, (irreps_y.dim,)))
    try:
        batch = np.broadcast_shapes(np.shape(x)[:-1], np.shape(y)[:-1])
    except ValueError:
        raise InputError(
            f"tensor_product: leading axes of x and y must broadcast, got {np.shape(x)} and {np.shape(y)}"
        ) from None

    blocks = {(irrep.l, irrep.parity): [] for irrep in irreps_z}
    for irrep_x, x_part in zip(irreps_x, x_parts, strict=True):
        for irrep_y, y_part in zip(irreps_y, y_parts, strict=True):
            for l, parity in irrep_x.product(irrep_y):
                if (l, parity) in blocks:
                    C = real_clebsch_gordan(irrep_x.l, irrep_y.l, l)
                    z = np.einsum("abm,...ac,...bd->...mcd", C, x_part, y_part, optimize=True)
                    blocks[l, parity].append(z.reshape(*batch, 2 * l + 1, irrep_x.multiplicity * irrep_y.multiplicity))
    if not blocks:
        return np.zeros((*batch, 0)), irreps_z
    return irreps_z.join([np.concatenate(block, axis=-1) for block in blocks.values()]), irreps_z


def _angular_momenta(where, l1, l2, l3):
    return (angular_momentum(where, name, l) for name, l in (("l1", l1), ("l2", l2), ("l3", l3)))
