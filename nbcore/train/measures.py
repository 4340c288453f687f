"""Loss and root-mean-square errors, as sums that can be interrupted and taken up again."""

import numpy as np

from nbcore.results.comparison import VOIGT


class Sums:
    """Squared errors, counts and the loss, added up over structures; `values` is a dict of numbers."""

    def __init__(self, values=None, outputs=None):
        self.outputs = outputs or {}  # {name: nbcore.outputs.Output}
        self.kinds = ("energy", "forces", "stress", *self.outputs)
        self.values = dict.fromkeys(("loss", "n", *self.kinds, *(f"n_{kind}" for kind in self.kinds)), 0.0)
        self.values.update(values or {})

    def add(self, structures, result, counted=None) -> None:
        """Adds a batch: result has the mean loss, and what was predicted for each structure (BatchResult).

        counted: booleans, whose errors count (all); the loss is always that of all.
        """
        self.values["loss"] += result.loss * len(structures)
        self.values["n"] += len(structures)
        predicted = zip(result.energies, result.forces, result.stress, result.outputs, strict=True)
        counted = [True] * len(structures) if counted is None else counted
        for s, (energy, forces, stress, tensors), counts in zip(structures, predicted, counted, strict=True):
            if not counts:
                continue
            if s.energy is not None:
                self._add("energy", np.array((float(energy) - s.energy) / len(s.numbers)))
            if s.forces is not None:
                self._add("forces", forces - s.forces)
            if s.stress is not None and stress is not None:
                self._add("stress", (stress - s.stress)[VOIGT])

            self._add_outputs(s, tensors)

    def _add_outputs(self, s, tensors):
        """Errors of independent components, per atom."""
        for name, output in self.outputs.items():
            if name in s.outputs and name in tensors:
                error = output.independent(tensors[name] - s.outputs[name])
                self._add(name, error if output.per_atom else error / len(s.numbers))

    def _add(self, kind, errors):
        self.values[kind] += float(np.sum(errors * errors))
        self.values[f"n_{kind}"] += errors.size

    def means(self) -> dict:
        """{"loss", "energy" (eV/atom), "forces" (eV/Å), "stress" (eV/Å^3), outputs (per atom)}: mean loss and RMSE.

        None without labels.
        """
        v = self.values
        means = {kind: float(np.sqrt(v[kind] / v[f"n_{kind}"])) if v[f"n_{kind}"] else None for kind in self.kinds}
        return {"loss": v["loss"] / v["n"] if v["n"] else None, **means}
