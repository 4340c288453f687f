"""The repulsion of cores of a potential: radii by pair of elements, as users write them and as the core has them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbcore.arguments import real
from nbcore.errors import InputError

if TYPE_CHECKING:
    from nbcore.potential import Potential


def radii_of(potential: "Potential") -> dict[str, float] | None:
    """Radii below which the cores of a pair of elements repel each other, {"H-O": Angstrom}; None: they do not.

    The universal potential of Ziegler, Biersack and Littmark is added to the energy, switched off smoothly at the
    radius, see docs/theory/repulsion.md. Assign a dictionary, in which pairs that are not named have none, or None.
    Raises InputError for pairs of other elements and radii that are negative or beyond the cutoff.

    >>> pot = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=8)
    >>> pot.repulsion = {"H-O": 0.8, "O-O": 1.3}
    >>> r = pot.compute([[0, 0, 0], [0, 0, 0.4]], ["O", "O"])
    >>> bool(r.forces[1, 2] > 100)
    True
    """
    kept = potential.description.get("repulsion")
    return dict(kept["radii"]) if kept else None


def set_radii(potential: "Potential", radii: dict[str, float] | None) -> None:
    """Assigns them, see `radii_of`."""
    potential._core.set_repulsion(_by_pair(potential.species, radii) if radii else [])


def _by_pair(species, radii: dict) -> list[float]:
    """Symmetric, one number for each two of `species`, from {"H-O": Angstrom}; 0 for pairs that are not named."""
    if not isinstance(radii, Mapping):
        raise InputError(f'repulsion must be a dict {{"H-O": Angstrom}} or None, got {radii!r}')
    place, n = {symbol: k for k, symbol in enumerate(species)}, len(species)
    found = [0.0] * n**2
    for pair, radius in radii.items():
        a, _, b = str(pair).partition("-")
        if a not in place or b not in place:
            raise InputError(f"repulsion: {pair} is no pair of the species ({' '.join(species)}), as in H-O")
        i, j = place[a], place[b]
        if found[i * n + j]:
            raise InputError(f"repulsion: {pair} is there twice")
        found[i * n + j] = found[j * n + i] = real(f"repulsion: {pair}", radius)
    return found
