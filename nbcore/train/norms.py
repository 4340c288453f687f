"""How long gradients and steps are, by kind of parameters: what tells a rate that is too high from one too low."""

import math

import numpy as np

from nbcore._core import square_sums
from nbcore.parameter_groups import kinds

SAMPLES = 8  # steps of an epoch that are measured, about: this costs well under a hundredth of an epoch


class Norms:
    """Means over the measured steps of an epoch, as sums that can be interrupted; `values` is a dict of numbers.

    A length is the root of the sum of squares over all parameters of a kind (`nbcore.parameter_groups`), of the
    gradient before it is clipped, and of the step that the optimizer takes.
    """

    def __init__(self, potential, steps_per_epoch):
        self.places, self.starts = {}, []  # kind: numbers of its slices; where each of them begins
        for name, kind in kinds(potential).items():
            part, _ = potential.parameter_slices[name]
            if part.stop > part.start:
                self.places.setdefault(kind, []).append(len(self.starts))
                self.starts.append(part.start)
        self.every = math.ceil(steps_per_epoch / SAMPLES)
        self.restart()

    def restart(self, values=None) -> None:
        """A new epoch, or one that was interrupted."""
        self.values = {"n": 0} | {f"{what}_{kind}": 0.0 for what in ("gradient", "update") for kind in self.places}
        self.values.update(values or {})

    def due(self, step) -> bool:
        """True where a step of the epoch, counted from 0, is one of those that are measured."""
        return step % self.every == 0

    def squares(self, vector) -> np.ndarray:
        """Sums of squares of a vector (n_parameters,) over each group of parameters, added in a fixed order."""
        return square_sums(vector, self.starts)

    def add(self, what, squares) -> None:
        """Takes note of the lengths of "gradient" or "update" from its squares; both of each measured step."""
        self.values["n"] += what == "gradient"
        for kind, places in self.places.items():
            self.values[f"{what}_{kind}"] += math.sqrt(sum(squares[k] for k in places))

    def means(self) -> dict:
        """{"gradient_mix": ..., "update_mix": ..., ...}, in units of the loss per parameter, and of parameters."""
        n = max(self.values["n"], 1)
        return {name: value / n for name, value in self.values.items() if name != "n"}
