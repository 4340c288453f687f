"""Loss and root-mean-square errors, as sums that can be interrupted and taken up again."""

import numpy as np

from nbcore.results.comparison import VOIGT


class Sums:
    """Squared errors, counts and the loss, added up over structures; `values` is a dict of numbers.

    heads: names of heads, whose structures are also counted apart.
    """

    def __init__(self, values=None, outputs=None, heads=()):
        self.outputs = outputs or {}  # {name: nbcore.outputs.Output}
        kinds = ("energy", "forces", "stress", *self.outputs)
        self.kinds = (*kinds, *(of_head(kind, head) for head in heads for kind in kinds))
        self.values = dict.fromkeys(("loss", "n", *self.kinds, *(f"n_{kind}" for kind in self.kinds)), 0.0)
        self.values.update(values or {})

    def add(self, structures, result, counted=None) -> None:
        """Adds structures: result has the loss of each, and what was predicted for it (BatchResult).

        counted: booleans, whose errors count (all); the loss is always that of all.
        """
        self.values["loss"] += float(np.sum(result.losses))
        self.values["n"] += len(structures)
        predicted = zip(result.energies, result.forces, result.stress, result.outputs, strict=True)
        counted = [True] * len(structures) if counted is None else counted
        for s, (energy, forces, stress, tensors), counts in zip(structures, predicted, counted, strict=True):
            if not counts:
                continue
            if s.energy is not None:
                self._add("energy", np.array((float(energy) - s.energy) / len(s.numbers)), s.head)
            if s.forces is not None:
                self._add("forces", forces - s.forces, s.head)
            if s.stress is not None and stress is not None:
                self._add("stress", (stress - s.stress)[VOIGT], s.head)
            self._add_outputs(s, tensors)

    def _add_outputs(self, s, tensors):
        """Errors of independent components, per atom."""
        for name, output in self.outputs.items():
            if name in s.outputs and name in tensors:
                error = output.independent(tensors[name] - s.outputs[name])
                self._add(name, error if output.per_atom else error / len(s.numbers), s.head)

    def _add(self, kind, errors, head):
        for name in (kind, of_head(kind, head)) if head else (kind,):
            self.values[name] += float(np.sum(errors * errors))
            self.values[f"n_{name}"] += errors.size

    @property
    def vector(self) -> np.ndarray:
        """The values, (k,), in a fixed order."""
        return np.array(list(self.values.values()))

    def add_vector(self, vector) -> None:
        """Adds values in the order of `vector`."""
        for name, value in zip(self.values, vector.tolist(), strict=True):
            self.values[name] += value

    def means(self) -> dict:
        """{"loss", "energy" (eV/atom), "forces" (eV/Å), "stress" (eV/Å^3), outputs (per atom)}: mean loss and RMSE.

        None without labels; of heads also "energy_pbe", ...
        """
        v = self.values
        means = {kind: float(np.sqrt(v[kind] / v[f"n_{kind}"])) if v[f"n_{kind}"] else None for kind in self.kinds}
        return {"loss": v["loss"] / v["n"] if v["n"] else None, **means}


def of_head(kind: str, head: str) -> str:
    """The name of an error of one head among those of all: energy_pbe."""
    return f"{kind}_{head}"
