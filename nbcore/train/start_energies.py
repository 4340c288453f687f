"""A trained potential and data that it does not know: E0s where these hold further elements or are of another method.

The network's energies are kept; what data of another method differ by is a constant per element to begin with, and goes
into the E0s. The model's own energies say what is left: no binding energy is guessed.
"""

import copy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbcore.data import reference_energies
from nbcore.data.reference_energies import ReferenceEnergies, isolated
from nbcore.errors import InputError
from nbcore.new_elements import LIKE, add_elements, nearest_element
from nbcore.train.training_set import TrainingSet

if TYPE_CHECKING:
    from nbcore.data import Structures
    from nbcore.potential import Potential

OTHER_METHOD = 0.05  # eV/atom: smaller constants in the errors may be those of a model that is not at home there
ABSURD = 0.5  # eV/atom: errors that a model of the same method does not make


class Start(NamedTuple):
    """The potential that a fine-tuning begins with, its E0s and what is to be said of them."""

    potential: "Potential"
    E0: ReferenceEnergies

    def shift(self, before: "Potential") -> dict[str, float]:
        """{element: eV} by which E0s of elements that `before` has were changed."""
        return {x: e - before.E0s[x] for x, e in self.potential.E0s.items() if before.E0s.get(x, e) != e}


def start_from(
    potential: "Potential", structures: "Structures", E0s: dict | str = "auto", like: str = LIKE[0]
) -> Start:
    """A copy of a trained potential that knows every element of `structures`, with E0s for their energies.

    E0s: a table sets what it names and leaves the rest; "isolated" takes the one-atom structures for all elements of
    the data; "fit" adds to the model's E0s a constant per element, by least squares of what its energies leave; "auto"
    keeps the model's, unless such constants explain the errors of its energies: then the data are of another method,
    and they are added. New elements take their isolated atoms, or else are fitted likewise. like: see `add_elements`.

    Raises InputError where "isolated" lacks an atom, and as `add_elements` does.
    """
    if not isinstance(E0s, dict) and E0s not in ("auto", "isolated", "fit"):
        raise InputError(f'E0s: expected "auto", "isolated", "fit" or a table, got {E0s!r}.')
    new = [x for x in structures.species if x not in potential.species]
    atoms = isolated(structures)
    given = {x: float(e) for x, e in E0s.items()} if isinstance(E0s, dict) else {}
    if E0s == "isolated":
        given = reference_energies(structures, "isolated").energies
    found = {x: atoms[x] for x in new if x in atoms} | given
    remarks, source, rank = [], "given" if given else "model", None
    if new:
        start = add_elements(potential, {x: found.get(x, 0.0) for x in new}, like)
    else:
        start = copy.deepcopy(potential)
    start.E0s = {x: found.get(x, e) for x, e in start.E0s.items()}

    labelled = structures[[k for k, s in enumerate(structures) if s.energy is not None and s.weight > 0]]
    if start.has_energy and len(labelled):
        errors = np.array([s.energy for s in labelled]) - TrainingSet(start, labelled).predict().energies
        old = np.array([not set(s.symbols) & set(new) for s in labelled])
        if E0s in ("auto", "fit") and old.any():
            shift = _Fit(labelled[old.nonzero()[0]], errors[old])
            if E0s == "fit" or shift.is_another_method:
                source, rank = "shifted", shift.rank
                start.E0s = {x: e + shift.energies.get(x, 0.0) for x, e in start.E0s.items()}
                errors -= [sum(shift.energies.get(x, 0.0) for x in s.symbols) for s in labelled]
                remarks += _of_another_method(shift, E0s, [x for x in potential.species if x not in structures.species])
        unknown = [x for x in new if x not in found]
        if unknown:
            with_unknown = np.array([bool(set(s.symbols) & set(unknown)) for s in labelled])
            if not with_unknown.any():
                raise InputError(f"E0s: no structure with {' '.join(unknown)} has an energy. Give them as a table.")
            fit = _Fit(labelled[with_unknown.nonzero()[0]], errors[with_unknown], unknown)
            start.E0s = {x: e + fit.energies.get(x, 0.0) for x, e in start.E0s.items()}
    words = {x: "given" if x in given else "isolated atom" if x in atoms else "fitted" for x in new}
    for x in new:
        of = (
            f"those of {nearest_element(x, potential.species)}" if like == "nearest" else "the mean over known elements"
        )
        weights = "weights and offsets" if start.offsets else "weights"
        energy = f"; its E0 is {start.E0s[x]:.4f} eV ({words[x]})" if start.has_energy else ""
        remarks.append(f"{x} is new to the model: its {weights} begin as {of}{energy}.")
    return Start(start, ReferenceEnergies(start.E0s, source, rank, remarks))


class _Fit:
    """Least squares of errors of energies per atom by constants per element; errors before and after."""

    def __init__(self, structures, errors, elements=None):
        elements = elements or structures.species
        n = np.array([len(s) for s in structures])
        counts = np.array([[s.symbols.count(x) for x in elements] for s in structures]) / n[:, None]
        solution, _, self.rank, _ = np.linalg.lstsq(counts, errors / n, rcond=1e-10)
        self.energies = dict(zip(elements, solution.tolist(), strict=True))
        self.before, self.after = (float(np.sqrt(np.mean(x**2))) for x in (errors / n, errors / n - counts @ solution))
        self.n = len(n)

    @property
    def is_another_method(self):
        """Constants explain the errors, by more than chance, or these are larger than a model of the method makes."""
        free = self.n - self.rank
        explained = free >= max(2, self.n // 2) and self.before > 3 * self.after * np.sqrt(self.n / free)
        mostly = self.before > ABSURD and self.after < self.before / 2  # of few structures nothing more can be said
        return mostly or (self.before > OTHER_METHOD and explained)


def _of_another_method(shift, E0s, absent):
    """What is said of it, and of what remains open."""
    energies = "   ".join(f"{x} {e:+.4f}" for x, e in shift.energies.items())
    why = "E0s fitted" if E0s == "fit" else "The energies are of another method than the model's: E0s shifted"
    yield (
        f"{why} by {energies} eV, which takes the errors of the model's energies from {1e3 * shift.before:.1f} to "
        f"{1e3 * shift.after:.1f} meV/atom."
    )
    if shift.rank < len(shift.energies):
        yield (
            f"Only {shift.rank} of these {len(shift.energies)} numbers {'is' if shift.rank == 1 else 'are'} determined "
            f"(rank {shift.rank}): other compositions may be off. Give E0s as a table, or isolated atoms with E0s = "
            '"isolated".'
        )
    if absent:
        yield f"{' '.join(absent)}: not in the data, the E0 stays that of the model, of the method before."
