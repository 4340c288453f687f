"""What a fine-tuning adds to a training: frozen parameters, old structures among the new, what it began with."""

from dataclasses import dataclass, field, replace

import numpy as np

from nbcore.data import Structures
from nbcore.data import split as cut

FORGETTING = 0.2  # growth of the errors on old structures above which a remedy is named


@dataclass
class Replay:
    """Old structures: those trained on, how many of them each epoch takes at random, those that valid gets."""

    train: Structures
    per_epoch: int
    valid: Structures
    remarks: list[str] = field(default_factory=list)

    @property
    def judged(self) -> Structures:
        """Those that say what is forgotten: held out, where there are some."""
        return self.valid if len(self.valid) else self.train


def replay_of(old, fraction, weight, n_train, n_valid, seed, shift=None) -> Replay:
    """Cuts old structures into those for training and those for validation, by seed.

    fraction: of an epoch, and of the validation data. weight: in the loss. n_train, n_valid: numbers of new structures.
    shift: {element: eV}, by which the E0s were changed: so are the energies of the old structures.
    """
    per_new, remarks = fraction / (1 - fraction), []
    old = Structures([_moved(s, weight, shift or {}) for s in old], name=old.name)
    held = min(max(1, round(per_new * n_valid)), len(old) // 2) if n_valid else 0
    train, valid = cut(old, [1 - held / len(old), held / len(old)], seed) if held else (old, old[:0])
    wanted = max(1, round(per_new * n_train))
    if len(train) < wanted:
        remarks.append(
            f"replay: {len(train)} old structures; replay_fraction = {fraction:g} asks for {wanted} in an epoch. Every "
            "epoch has all of them."
        )
    if shift:
        remarks.append("replay: the energies of the old structures are shifted with the E0s.")
    return Replay(train, min(wanted, len(train)), valid, remarks)


def _moved(s, weight, shift):
    energy = s.energy if s.energy is None or not shift else s.energy + sum(shift.get(x, 0.0) for x in s.symbols)
    return replace(s, weight=weight * s.weight, energy=energy)


@dataclass
class Tuned:
    """A fine-tuning: name of the model that it starts from, frozen parameters, old structures, first errors."""

    name: str
    frozen: np.ndarray | None = None  # (n_parameters,) booleans
    replay: Replay | None = None
    before: dict = field(default_factory=dict)  # {set: Errors} of the model that it starts from

    def lines(self, potential) -> list[str]:
        """The section Start of the screen."""
        training = potential.description.get("training", {}).get("start", {})
        of = f", trained on {training['n_train']} structures" if "n_train" in training else ""
        said = [f"{self.name}{of}: its network, scales and parameters"]
        if self.frozen is not None:
            said.append(f"frozen: {np.count_nonzero(self.frozen)} of {len(self.frozen)} parameters")
        if self.replay:
            n, held = len(self.replay.train), len(self.replay.valid)
            said.append(f"replay: {self.replay.per_epoch} of {n} old structures in each epoch, {held} more in valid")
        figures = [
            f"{name} {what} {_said(error)} {unit}".rstrip()
            for name, e in self.before.items()
            for what, error, unit in _figures(e)
        ]
        said.append(f"its errors: {', '.join(figures)}")
        return said

    def remarks(self, after) -> list[str]:
        """What was learned and what was forgotten; after: {set: Errors}."""
        said, growth = [], 0.0
        for name, e in self.before.items():
            for (what, old, unit), (_, new, _) in zip(_figures(e), _figures(after[name]), strict=True):
                said.append(f"{name} {what} {_said(old)} -> {_said(new)} {unit}".rstrip())
                if name == "replay" and what != "E" and old > 0:
                    growth = max(growth, new / old - 1)
        text = f"From start to end: {', '.join(said)}."
        if growth > FORGETTING:
            text += (
                f" Old structures have errors {growth:.0%} larger: a larger replay_fraction or a smaller lr keeps more."
            )
        return [text] if said else []


def _said(figure):
    """Three digits, without a power of ten."""
    return f"{figure:.0f}" if figure >= 1000 else f"{figure:.3g}"


def _figures(errors):
    """(E, F or an output; its error; unit) of what the potential learns and the structures have."""
    found = [("E", errors.energy_rmse_per_atom, 1e3, "meV/atom"), ("F", errors.forces_rmse, 1e3, "meV/Å")]
    found += [(name, errors.of_output(name)["rmse"], 1.0, output.unit) for name, output in errors.kinds.items()]
    return [(what, scale * error, unit) for what, error, scale, unit in found if error is not None]
