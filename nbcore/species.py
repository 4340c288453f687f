"""Chemical symbols and atomic numbers."""

import numpy as np

from nbcore.errors import InputError, SpeciesError

SYMBOLS = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr "
    "Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W "
    "Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt "
    "Ds Rg Cn Nh Fl Mc Lv Ts Og"
).split()
NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS) if number}


def atomic_numbers(species) -> list[int]:
    """Atomic numbers of symbols or numbers, SpeciesError for what is neither.

    >>> atomic_numbers(["C", "H"]), atomic_numbers([6, 1])
    ([6, 1], [6, 1])
    """
    array = np.asarray(species)
    if array.size == 0:
        return []
    if array.ndim != 1:
        raise InputError(f"species must be one symbol or atomic number per atom, got an array of shape {array.shape}")
    if array.dtype.kind == "U":
        unknown = [s for s in array.tolist() if s not in NUMBERS]
        if unknown:
            raise SpeciesError(f"{unknown[0]!r} is not a chemical symbol")
        return [NUMBERS[s] for s in array.tolist()]
    if array.dtype.kind not in "iu":
        raise TypeError(f"species must be symbols or atomic numbers, got {array.dtype}")
    strange = array[(array < -(2**31)) | (array > 2**31 - 1)]
    if strange.size:
        raise SpeciesError(f"{strange[0]} is not an atomic number")
    return array.tolist()


def symbols(numbers) -> list[str]:
    """Chemical symbols of atomic numbers.

    >>> symbols([1, 8])
    ['H', 'O']
    """
    return [SYMBOLS[z] for z in numbers]
