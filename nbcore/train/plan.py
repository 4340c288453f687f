"""What a run will cost: measured before the first epoch, on the data itself."""

import resource
import sys
import time
from typing import NamedTuple

import numpy as np

from nbcore.data.whole_sets import sizes
from nbcore.train.display import about
from nbcore.train.heads import heads_of


class Cost(NamedTuple):
    """Seconds of an epoch (validation included), seconds per atom of energy and forces, bytes of memory."""

    epoch: float
    per_atom: float
    memory: int


def measure(trainer) -> Cost:
    """Times a training step and an evaluation; nothing of the trainer changes."""
    structures = trainer.train_set.structures
    n = min(trainer.settings.batch_size, len(structures))
    batch = np.arange(n)
    how = {"threads": trainer.threads, "precision": trainer.settings.precision}
    step = _seconds(lambda: trainer.train_set.loss_and_gradient(batch, trainer.loss, **how))
    evaluation = _seconds(lambda: trainer.train_set.predict(batch, **how))
    atoms = sum(len(structures[i].numbers) for i in batch)
    n_atoms = int(sizes(trainer.valid_set.structures).sum()) if trainer.valid_set else 0
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    epoch = trainer.steps_per_epoch * step + n_atoms * evaluation / atoms
    if how["precision"] != "float64":  # in which the model will be evaluated
        evaluation = _seconds(lambda: trainer.train_set.predict(batch, threads=trainer.threads))
    return Cost(epoch, evaluation / atoms, memory)


def _seconds(call):
    """The shortest of some calls: the first warms up, and on a shared machine any of them may have had to wait."""
    seconds = []
    while len(seconds) < 2 or (sum(seconds) < 0.3 and len(seconds) < 10):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def model_lines(potential, cost, size="") -> list[str]:
    """The section Model: what the network is, what it costs here."""
    description = potential.description
    options = description.get("options", {})
    words = [f"{potential.levels} level{'s' if potential.levels > 1 else ''}"]
    for key, text in (
        ("channels", "{} channels"),
        ("l_harmonics", "harmonics l<={}"),
        ("l_states", "states l<={}"),
        ("correlation", "correlation {}"),
    ):
        if key in options:
            words.append(text.format(options[key]))
    name = ", ".join(filter(None, [description.get("preset", "network"), size]))
    heads = heads_of(potential)
    if heads:
        own = (potential.parameters.size - len(potential.places(heads[0]))) // max(1, len(heads) - 1)
        words.append(f"heads {', '.join(heads)}" + f" with {grouped(own)} parameters each" * (len(heads) > 1))
    radii = (description.get("repulsion") or {}).get("radii", {})
    repulsion = "   ".join(f"{pair} {r:.2f}" for pair, r in list(radii.items())[:6]) + "   ..." * (len(radii) > 6)
    return [
        f"{name}: {', '.join(words)}",
        *([f"repulsion of cores (ZBL) below {repulsion} Å"] if radii else []),
        f"{grouped(potential.parameters.size)} parameters   receptive field {potential.levels * potential.cutoff:.1f} Å"
        f"   about {1e6 * cost.per_atom:.0f} µs/atom here   {cost.memory / 2**20:.0f} MB",
    ]


def plan_line(trainer, cost) -> str:
    """The section Plan: epochs, steps, stages and the time they will take."""
    s = trainer.settings
    stage = f"; stage two from epoch {s.stage_two_epoch}" if s.has_stage_two else ""
    return (
        f"{s.max_epochs} epochs x {trainer.steps_per_epoch} steps, batch {s.batch_size}{stage}; "
        f"measured {about(cost.epoch)}/epoch: about {about(cost.epoch * s.max_epochs)}"
    )


def grouped(number) -> str:
    """74 312: thousands apart.

    >>> grouped(74312)
    '74 312'
    """
    return f"{number:,}".replace(",", " ")
