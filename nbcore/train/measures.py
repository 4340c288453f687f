"""Loss and root-mean-square errors of predictions, as sums that can be interrupted and taken up again."""

import numpy as np

VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])  # the six independent components: xx yy zz yz xz xy


class Sums:
    """Squared errors, counts and the loss, added up over structures; `values` is a dict of numbers."""

    KINDS = ("energy", "forces", "stress")

    def __init__(self, values=None):
        self.values = dict.fromkeys(("loss", "n", *self.KINDS, *(f"n_{kind}" for kind in self.KINDS)), 0.0)
        self.values.update(values or {})

    def add(self, structures, result, mean_loss) -> None:
        """Adds a batch: result has lists energies, forces, stress; mean_loss is its loss per structure."""
        self.values["loss"] += mean_loss * len(structures)
        self.values["n"] += len(structures)
        for s, energy, forces, stress in zip(structures, result.energies, result.forces, result.stress, strict=True):
            if s.energy is not None:
                self._add("energy", np.array((energy - s.energy) / len(s.numbers)))
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


def loss_of(structures, result, loss) -> float:
    """The loss of predictions, structure by structure as in TrainingSet.loss_and_gradient, without its gradient.

    L = (1/n) sum_s weight_s [w_E rho((E - E*)/N) + w_F/(3N) sum rho(F - F*) + w_S/9 sum rho(stress - stress*)]
    """
    total = 0.0
    for s, energy, forces, stress in zip(structures, result.energies, result.forces, result.stress, strict=True):
        n, of_structure = len(s.numbers), 0.0
        if s.energy is not None:
            of_structure += loss.energy_weight * _rho(np.array((energy - s.energy) / n), loss)
        if s.forces is not None:
            of_structure += loss.forces_weight / (3 * n) * _rho(forces - s.forces, loss)
        if s.stress is not None and stress is not None:
            of_structure += loss.stress_weight / 9 * _rho(stress - s.stress, loss)
        total += s.weight * of_structure
    return total / len(structures)


def _rho(x, loss):
    """Sum of x^2, |x|, or the Huber function (x^2 within delta, delta (2|x| - delta) outside)."""
    if loss.kind == "l2":
        return float(np.sum(x * x))
    size = np.abs(x)
    if loss.kind == "l1":
        return float(np.sum(size))
    delta = loss.huber_delta
    return float(np.sum(np.where(size <= delta, x * x, delta * (2 * size - delta))))
