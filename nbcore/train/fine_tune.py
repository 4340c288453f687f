"""Fine-tuning: a training that begins from a trained potential, its network, scales and parameters.

What [fine_tune] of train.toml may hold, other defaults for [training], old data among the new, and what is said of the
beginning and the end.
"""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from nbcore.data import Structures, as_structures, repulsion_radii, shortest_distances
from nbcore.data.distances import refuse_overlaps
from nbcore.errors import InputError
from nbcore.identity import digest
from nbcore.new_elements import LIKE
from nbcore.options import Option, check
from nbcore.parameter_groups import select
from nbcore.potential import Potential
from nbcore.train.fit import Data, Fit, Job, check_tensorboard, run_through, split
from nbcore.train.heads import Heads
from nbcore.train.learnable import check_labels
from nbcore.train.settings import Settings
from nbcore.train.start_energies import start_from
from nbcore.train.tuned import Tuned, replay_of

#: of [training], in the place of the usual ones: fewer and smaller steps, which begin small
FINE_TUNING = {
    "max_epochs": 200, "optimizer": "amsgrad", "lr": 0.0025, "warmup_epochs": 5,
}  # fmt: skip


@dataclass(frozen=True)
class FineTune:
    """How a trained potential is trained on further data; names and defaults as in train.toml.

    freeze: words for groups of parameters (`nbcore.parameter_groups`) that keep their bits. new_elements: see
    `add_elements`. replay_fraction: how much of an epoch, and of the validation data, are old structures;
    replay_weight: that of each of them in the loss.
    """

    freeze: Annotated[list[str], Option("parameters that stay as they are: kinds, gates or names, nbcore inspect")] = ()
    new_elements: Annotated[str, Option("known ones as which the weights of new ones begin", choices=LIKE)] = LIKE[0]
    replay_fraction: Annotated[float, Option("of the structures of an epoch; the others are new", gt=0, lt=1)] = 0.8
    replay_weight: Annotated[float, Option("of each of them in the loss", gt=0)] = 1.0

    def __post_init__(self):
        check(FineTune, vars(self), "fine_tune: ")

    def flat(self) -> dict:
        """{"fine_tune.freeze": [...], ...}."""
        return {f"fine_tune.{key}": list(v) if isinstance(v, tuple) else v for key, v in vars(self).items()}

    def frozen(self, potential: Potential) -> np.ndarray | None:
        """(n_parameters,) booleans, the parameters that keep their bits; None where all are free."""
        mask = np.zeros(len(potential.parameters), dtype=bool)
        for word in self.freeze:
            for group in select(potential, word, "freeze: "):
                mask[potential.parameter_slices[group][0]] = True
        if mask.all():
            raise InputError(f"freeze: {', '.join(self.freeze)} are all parameters: nothing is left to train")
        return mask if mask.any() else None


def fine_tune(
    start: "Potential | str | os.PathLike",
    structures: Iterable,
    valid: float | Iterable | None = 0.1,
    *,
    E0s: dict | str = "auto",
    freeze: Sequence[str] = (),
    new_elements: str = FineTune.new_elements,
    replay: Iterable = (),
    replay_fraction: float = FineTune.replay_fraction,
    replay_weight: float = FineTune.replay_weight,
    test: dict | None = None,
    folder: str | os.PathLike | None = None,
    tensorboard: bool = False,
    threads: int | None = None,
    max_time: float | None = None,
    checkpoint_minutes: float = 5.0,
    restart: bool = False,
    quiet: bool = False,
    **settings: object,
) -> Fit:
    """Trains a copy of the potential `start`, or of a model file, further: on other data, perhaps of more elements.

    Network, scales and parameters are those of the start. E0s: see `start_from`: they are those of the start, shifted
    where the energies are of another method. freeze: groups of parameters that keep their bits, words as in
    `nbcore.parameter_groups`. new_elements: "nearest" or "mean", see `add_elements`. replay: structures that the start
    was trained on; every epoch takes some of them at random, replay_fraction of its structures, with the weight
    replay_weight, and the validation data get their share: what is not replayed is forgotten.
    Other arguments as of `fit`; of the settings max_epochs, optimizer, lr and warmup_epochs have other
    defaults (`FINE_TUNING`): smaller steps, and fewer. The start itself is left as it is.

    Raises InputError, CheckpointError, NumericsError, ModelFileError.

    >>> start = nbcore.presets.nbody(species=data.species, cutoff=4.0, channels=4)
    >>> _ = nbcore.train.fit(start, data[:20], max_epochs=2)
    >>> fit = nbcore.train.fine_tune(start, data[20:30], replay=data[:20], freeze=["radial"], max_epochs=2)
    >>> fit.potential is start, len(fit.history)
    (False, 2)
    """
    tuning = FineTune(tuple(freeze), new_elements, replay_fraction, replay_weight)
    settings = Settings(**{**FINE_TUNING, **settings})
    check_tensorboard(tensorboard, folder)
    if isinstance(start, Heads):
        raise InputError(f'fine-tuning goes on from one potential: start["{next(iter(start))}"] is that of a head')
    name, start = ("this potential", start) if isinstance(start, Potential) else (str(start), Potential.load(start))
    structures, replay = as_structures(structures), as_structures(replay)
    train, valid = split(structures, valid, settings.seed)
    for part in (train, valid, replay):
        check_labels(part, start.outputs)  # before E0s are fitted to them
    refuse_overlaps([*train, *valid, *replay])
    begun = start_from(start, structures, E0s, tuning.new_elements)
    shortest = merged_distances(start, train)
    extend_repulsion(begun.potential, start, shortest)
    data = Data(
        train,
        valid,
        {title: as_structures(part) for title, part in (test or {}).items()},
        shortest_distances=shortest,
        facts=facts_of(start, name),
        tuned=tuned(tuning, begun, start, name, train, valid, replay, settings.seed),
    )
    job = Job(
        Path(folder).resolve().name if folder else "potential",
        threads, max_time or math.inf, 60 * checkpoint_minutes, tensorboard=tensorboard, start_counts=True,
    )  # fmt: skip
    config = settings.flat() | tuning.flat()
    return run_through(begun.potential, data, settings, job, folder, restart, quiet, config, begun.E0.remarks)


def tuned(tuning, begun, start, name, train, valid, replay, seed) -> Tuned:
    """What a training needs to know of a fine-tuning; begun: what `start_from` made of `start`."""
    old = None
    if len(replay):
        shift = begun.shift(start)
        old = replay_of(replay, tuning.replay_fraction, tuning.replay_weight, len(train), len(valid), seed, shift)
    return Tuned(name, tuning.frozen(begun.potential), old)


def extend_repulsion(begun: Potential, start: Potential, shortest: dict[str, float]) -> None:
    """Radii for the pairs of new elements, where cores repel each other in the model that is gone on from."""
    if start.repulsion:
        radii = repulsion_radii(begun.species, shortest, begun.cutoff)
        new = {pair: r for pair, r in radii.items() if set(pair.split("-")) - set(start.species)}
        begun.repulsion = new | start.repulsion


def facts_of(start: Potential, name: str) -> dict:
    """What the new model keeps of where it comes from: its entry "start" in description["training"]."""
    training = start.description.get("training", {})
    kept = {key: training[key] for key in ("name", "files", "n_train", "start") if key in training}
    return {"start": {"file": name, **kept, "parameters": digest(start.parameters)}}


def merged_distances(start: Potential, structures: Structures) -> dict[str, float]:
    """The shortest distance of each pair, in the data of the start or in the new ones."""
    found = dict(start.description.get("shortest_distances", {}))
    for pair, distance in shortest_distances(structures).items():
        found[pair] = min(distance, found.get(pair, math.inf))
    return dict(sorted(found.items(), key=lambda item: item[1]))
