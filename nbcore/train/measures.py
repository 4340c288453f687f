"""Loss and root-mean-square errors, as sums that can be interrupted and taken up again."""

import numpy as np

VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])  # the six independent components: xx yy zz yz xz xy


class Sums:
    """Squared errors, counts and the loss, added up over structures; `values` is a dict of numbers."""

    KINDS = ("energy", "forces", "stress")

    def __init__(self, values=None):
        self.values = dict.fromkeys(("loss", "n", *self.KINDS, *(f"n_{kind}" for kind in self.KINDS)), 0.0)
        self.values.update(values or {})

    def add(self, structures, result) -> None:
        """Adds a batch: result has the mean loss, and energies, forces, stress of each structure (Evaluation)."""
        self.values["loss"] += result.loss * len(structures)
        self.values["n"] += len(structures)
        for s, energy, forces, stress in zip(structures, result.energies, result.forces, result.stress, strict=True):
            if s.energy is not None:
                self._add("energy", np.array((float(energy) - s.energy) / len(s.numbers)))
            if s.forces is not None:
                self._add("forces", forces - s.forces)
            if s.stress is not None and stress is not None:
                self._add("stress", (stress - s.stress)[VOIGT])

    def _add(self, kind, errors):
        self.values[kind] += float(np.sum(errors * errors))
        self.values[f"n_{kind}"] += errors.size

    def means(self) -> dict:
        """{"loss", "energy" (eV/atom), "forces" (eV/Å), "stress" (eV/Å^3)}: mean loss and RMSE; None without labels."""
        v = self.values
        means = {kind: float(np.sqrt(v[kind] / v[f"n_{kind}"])) if v[f"n_{kind}"] else None for kind in self.KINDS}
        return {"loss": v["loss"] / v["n"] if v["n"] else None, **means}
