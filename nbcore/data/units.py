"""Units of data files: how many eV, Angstrom and eV/Angstrom^3 one of each is (CODATA as in ase.units)."""

from ase import units as _ase

from nbcore.errors import InputError

ENERGY = {
    "eV": 1.0,
    "Hartree": _ase.Hartree,
    "Ry": _ase.Rydberg,
    "kcal/mol": _ase.kcal / _ase.mol,
    "kJ/mol": _ase.kJ / _ase.mol,
}
LENGTH = {"Angstrom": 1.0, "Bohr": _ase.Bohr}
PRESSURE = {
    "eV/Angstrom^3": 1.0,
    "GPa": _ase.GPa,
    "kbar": 0.1 * _ase.GPa,
    "bar": 1e-4 * _ase.GPa,
    "Hartree/Bohr^3": _ase.Hartree / _ase.Bohr**3,
    "Ry/Bohr^3": _ase.Rydberg / _ase.Bohr**3,
}


def forces_unit(text: str, energy: str, length: str) -> float:
    """How many eV/Å one unit of force is; "auto" is `energy`/`length`, else "Hartree/Bohr" and the like.

    >>> forces_unit("auto", "Hartree", "Bohr") == forces_unit("Hartree/Bohr", "eV", "Angstrom")
    True
    """
    if text == "auto":
        return ENERGY[energy] / LENGTH[length]
    head, _, tail = text.rpartition("/")
    if head not in ENERGY or tail not in LENGTH:
        raise InputError(
            f"forces_unit: expected ENERGY/LENGTH with {', '.join(ENERGY)} and {', '.join(LENGTH)}, got {text!r}."
        )
    return ENERGY[head] / LENGTH[tail]
