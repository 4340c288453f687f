"""E0: the energies of the free atoms, from one-atom frames, from a least-squares fit, or given."""

from dataclasses import dataclass, field

import numpy as np
from ase.data import atomic_numbers

from nbcore.data.structure import Structures, _symbols
from nbcore.data.whole_sets import energies_per_atom
from nbcore.errors import InputError

ROWS = 20_000  # structures that are fitted at once


@dataclass
class ReferenceEnergies:
    """`energies` symbol -> eV; `source` isolated, fit, given or none, of a fine-tuning also model or shifted; `rank` of
    a fit; what to tell the user."""

    energies: dict[str, float]
    source: str
    rank: int | None = None
    remarks: list[str] = field(default_factory=list)


def reference_energies(structures: Structures, E0s: dict | str = "auto") -> ReferenceEnergies:
    """Decides the E0 of every element in `structures`.

    Without any energy they are zero ("none"). E0s: "isolated" takes the one-atom frames (InputError if an element has
    none), "fit" minimises
    sum_s ((E_s - sum_z n_sz E0_z) / N_s)^2 (the shortest solution where the compositions leave some open), "auto" is
    "isolated" where every element has one, else "fit"; a table gives them.

    >>> data = nbcore.data.read(["train.xyz", "isolated_atoms.xyz"])
    >>> {element: round(energy, 4) for element, energy in reference_energies(data).energies.items()}
    {'H': -13.615, 'C': -1027.5201, 'O': -2038.8103}
    """
    species = structures.species
    if isinstance(E0s, dict):
        absent = [s for s in species if s not in E0s]
        if absent:
            raise InputError(f"E0s: no value for {' '.join(absent)}; the data holds {' '.join(species)}.")
        return ReferenceEnergies({s: float(E0s[s]) for s in species}, "given")
    if E0s == "auto" and not structures.labels["energy"] and all(s.energy is None for s in structures.isolated):
        return ReferenceEnergies(dict.fromkeys(species, 0.0), "none")
    if E0s not in ("auto", "isolated", "fit"):
        raise InputError(f'E0s: expected "auto", "isolated", "fit" or a table, got {E0s!r}.')
    if E0s == "fit":
        return fit(structures)
    found = isolated(structures)
    absent = [s for s in species if s not in found]
    if not absent:
        return ReferenceEnergies({s: found[s] for s in species}, "isolated")
    if E0s == "isolated":
        raise InputError(
            f'E0s = "isolated": no isolated atom of {" ".join(absent)} in the data. Add it, or E0s = "fit".'
        )
    result = fit(structures)
    if found:
        result.remarks.insert(
            0, f"Isolated atoms only of {' '.join(found)}, not of {' '.join(absent)}: E0 fitted instead."
        )
    return result


def isolated(structures: Structures) -> dict[str, float]:
    """Energy of each isolated atom in eV; InputError where two of one element differ."""
    found = {}
    for atom in structures.isolated:
        symbol = atom.symbols[0]
        if atom.energy is None:
            raise InputError(f"{atom.where}: an isolated atom without an energy.")
        other = found.setdefault(symbol, atom)
        if abs(other.energy - atom.energy) > 1e-6:
            raise InputError(
                f"Two isolated atoms of {symbol} with different energies: {other.energy:.6f} eV ({other.where}) and "
                f"{atom.energy:.6f} eV ({atom.where}). Keep the ground state only, or give E0s as a table."
            )
    return {symbol: atom.energy for symbol, atom in found.items()}


def _least_squares(portions):
    """(solution, rank) of rows that come in portions: all but the last are folded into a triangle (QR)."""
    rows, targets = next(portions)
    for more, further in portions:
        triangle = np.linalg.qr(np.column_stack([rows, targets]), mode="r")
        rows, targets = np.vstack([triangle[:, :-1], more]), np.concatenate([triangle[:, -1], further])
    solution, _, rank, _ = np.linalg.lstsq(rows, targets, rcond=1e-10)
    return solution, rank


def fit(structures: Structures) -> ReferenceEnergies:
    """Least-squares E0 from energies per atom; the rank tells how many of the numbers the data determines."""
    if not structures.labels["energy"]:
        raise InputError("E0s cannot be fitted: no structure has an energy. Give them as a table.")
    numbers = np.array([atomic_numbers[s] for s in structures.species])
    solution, rank = _least_squares(energies_per_atom(structures, numbers, ROWS))
    result = ReferenceEnergies(dict(zip(_symbols(numbers), solution.tolist(), strict=True)), "fit", int(rank))
    if rank < len(numbers):
        one = "all structures have the same composition, so " if rank == 1 else ""
        count = f"only {rank} of {len(numbers)} numbers {'is' if rank == 1 else 'are'} determined (rank {rank})"
        fate = "Fine for this composition; the model cannot" if rank == 1 else "The model cannot reliably"
        result.remarks.append(
            f"E0 fit: {one}{count}. {fate} compare different compositions. Add isolated atoms to the data."
        )
    return result
