"""Radial functions and the repulsion of a MACE model, as nbcore's options."""

import numpy as np

from nbcore.importing.e3nn_modules import array, attribute, child, class_of, refuse
from nbcore.importing.torch_file import attributes, children
from nbcore.species import symbols


def radial_option(module, where, numbers):
    """The option "radial" of gates and the factor of its functions. numbers: atomic numbers, in nbcore's order.

    With apply_cutoff = False the envelope multiplies the networks, not the functions.
    """
    basis, cutoff = child(module, "bessel_fn", where), child(module, "cutoff_fn", where)
    r_max, power = float(array(cutoff, "r_max", where)), int(array(cutoff, "p", where))
    radial, factor = {"cutoff": r_max, "envelope": "polynomial", "power": power}, 1.0
    if class_of(basis) == "BesselBasis":
        frequencies = array(basis, "bessel_weights", where, None) * r_max / np.pi
        n = len(frequencies)
        radial |= {"basis": "bessel", "n": n}
        if np.abs(frequencies - np.arange(1, n + 1)).max() > 1e-14 * n:  # those of files in float32 are rounded
            radial["frequencies"] = frequencies.tolist()
        factor = float(array(basis, "prefactor", where)) / np.sqrt(2 / r_max)
    elif class_of(basis) == "ChebychevBasis":
        orders = array(basis, "n", where, 1, None)[0]
        if not np.array_equal(orders, np.arange(1, len(orders) + 1)):
            refuse(where, f"its Chebyshev polynomials are of the orders {orders.tolist()}, expected 1, 2, ...")
        radial |= {"basis": "chebyshev_unscaled", "n": len(orders)}
    else:
        centres = array(basis, "gaussian_weights", where, None)
        n = len(centres)
        coefficient = attribute(basis, "coeff", (int, float), where)
        if n < 2 or not np.allclose(centres, np.linspace(0, r_max, n), rtol=0, atol=1e-12 * r_max):
            refuse(where, "the centres of its Gaussians are not at equal distances from 0 to r_max")
        if abs(coefficient * (r_max / (n - 1)) ** 2 + 0.5) > 1e-12:
            refuse(where, f"the width of its Gaussians (coeff = {coefficient}) is not their distance")
        radial |= {"basis": "gaussian", "n": n}
    if attributes(module).get("apply_cutoff", True) is not True:
        radial["envelope_of"] = "network"
    return radial | _transform(module, where, numbers), factor


def _transform(module, where, numbers):
    """The options of a transformed distance."""
    transform = children(module).get("distance_transform")
    if transform is None:
        return {}
    known = {
        "AgnesiTransform": ("agnesi", dict(a="a", q="q", p="p")),
        "SoftTransform": ("soft", dict(steepness="alpha")),
    }
    if class_of(transform) not in known:
        refuse(where, f"its distances are transformed by {class_of(transform)}, which is not known")
    kind, names = known[class_of(transform)]
    found = {name: float(array(transform, theirs, where)) for name, theirs in names.items()}
    return {"transform": kind, "radii": _radii(transform, numbers, where).tolist(), **found}


def _radii(module, numbers, where):
    """Covalent radii of the elements, from a table by atomic number."""
    table = array(module, "covalent_radii", where, None)
    if numbers.min() < 0 or numbers.max() >= len(table):
        refuse(where, "its table of covalent radii does not have all elements")
    return table[numbers]


def repulsion(model, where, numbers, scale):
    """The repulsion of a description, None where there is none; MACE has it inside the scale.

    The constants that are no tensors of the file are those of mace-torch 0.3.
    """
    module = children(model).get("pair_repulsion_fn")
    if module is None:
        return None
    where, radii = f"{where}: pair_repulsion_fn", _radii(module, numbers, where)
    atoms = list(zip(symbols(numbers.tolist()), radii, strict=True))
    pairs = {f"{a}-{b}": float(r + s) for a, r in atoms for b, s in atoms if a <= b}
    exponent, prefactor = (float(array(module, name, where)) for name in ("a_exp", "a_prefactor"))
    screening = dict(
        coulomb=14.3996, length=0.529 * prefactor, exponent=exponent, power=int(array(module, "p", where)),
        weights=array(module, "c", where, 4).tolist(), decays=[3.2, 0.9423, 0.4028, 0.2016], scale=scale,
    )  # fmt: skip
    return {"kind": "zbl", "radii": pairs, "screening": screening}
