"""The numbers of a training: the sections [training], [stage_two] and [loss] of train.toml.

Names, types, ranges, defaults and comments stand here alone; `nbcore.config` makes the tables of train.toml from them.
"""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated

from nbcore.arguments import PRECISIONS
from nbcore.errors import InputError
from nbcore.options import Option, check
from nbcore.train.loss import Loss
from nbcore.train.optimizers import OPTIMIZERS, liked
from nbcore.train.schedule import SCHEDULES


@dataclass(frozen=True)
class StageTwo:
    """The last part of a training: energies come down, forces stay. start: fraction of max_epochs; 1: no such part."""

    start: Annotated[float, Option("fraction of max_epochs; 1.0 switches it off", ge=0, le=1)] = 0.85
    energy_weight: Annotated[float, Option(ge=0)] = 100.0
    lr: Annotated[float, Option(gt=0)] = 0.001


PATIENCE = 200  # epochs, where a rate comes down by what is seen, or not at all


def check_optimizer(training) -> None:
    """InputError for a number of [training] that the optimizer beside it would pass over."""
    if training.rest_lr not in (None, 1.0) and training.optimizer != "muon":
        raise InputError(
            f"rest_lr: {training.optimizer} has one rate, lr, for all parameters. Leave rest_lr out, or write "
            'optimizer = "muon"'
        )


@dataclass(frozen=True)
class Settings:
    """All that decides the bits of a training besides data and initial parameters; names and defaults as in train.toml.

    rest_lr: muon alone has it. momentum: what the running mean of gradients keeps in a step (the first beta of Adam).
    lr, rest_lr and momentum that are None are what the optimizer likes. clip_grad: largest norm of the gradient, 0 for
    none; clip_spikes: the same as a multiple of the usual norm (`nbcore.train.clipping`); ema_decay: 0 for no
    averaging; patience: epochs without a better validation loss, after which stage two begins or the run ends; None:
    200, but a cosine, whose last epochs are its best, runs to its end. precision: "float32" computes losses and
    gradients, of validation too, in single precision; sums over structures, parameters, optimizer, averages, the errors
    in the end and the model stay double. weight_decay: a number, or {word: number} by groups of
    parameters (`nbcore.parameter_groups`), 0 for those not named.
    """

    seed: Annotated[int, Option("initial weights, shuffling, random split: same seed, same bits", ge=0)] = 1
    max_epochs: Annotated[int, Option(ge=1)] = 300
    batch_size: Annotated[int, Option("structures", ge=1)] = 5
    optimizer: Annotated[str, Option(choices=tuple(OPTIMIZERS))] = "muon"
    lr: Annotated[float, Option("0.01 if it is left out, of muon 0.04", gt=0, optional=True)] = None
    rest_lr: Annotated[
        float, Option("muon: for all parameters but weight matrices, times lr; 1 if left out", ge=0, optional=True)
    ] = None
    momentum: Annotated[float, Option("0.9 if it is left out, of muon 0.95", ge=0, lt=1, optional=True)] = None
    schedule: Annotated[str, Option(choices=tuple(SCHEDULES))] = "cosine"
    warmup_epochs: Annotated[int, Option(ge=0)] = 0
    weight_decay: Annotated[
        float | dict[str, float], Option("or by group: { mix = 1e-6, radial = 1e-4 }, 0 for others", ge=0)
    ] = 5e-7
    ema_decay: Annotated[float, Option("the averaged weights are the model; 0 switches it off", ge=0, lt=1)] = 0.99
    clip_grad: Annotated[float, Option("largest norm of the gradient; 0 switches it off", ge=0)] = 10.0
    clip_spikes: Annotated[float, Option("and as a multiple of what is usual; 0 switches it off", ge=0)] = 2.0
    patience: Annotated[
        int, Option("epochs without a better valid loss; if left out 200, with a cosine no limit", ge=1, optional=True)
    ] = None
    precision: Annotated[
        str, Option("of states and weights in a step; sums, parameters and the model are float64", choices=PRECISIONS)
    ] = "float32"
    loss: Loss = field(default_factory=Loss)
    stage_two: StageTwo = field(default_factory=StageTwo)

    def __post_init__(self):
        check(Settings, vars(self))
        check(StageTwo, vars(self.stage_two), "stage_two: ")
        check_optimizer(self)

    def number(self, name: str) -> float:
        """lr, rest_lr or momentum as it is written, or as the optimizer likes it."""
        written = getattr(self, name)
        return liked(self.optimizer)[name] if written is None else written

    @property
    def waits(self) -> float:
        """How many epochs without a better validation loss are waited for: `patience`, or what holds without it."""
        if self.patience is None:
            return math.inf if self.schedule == "cosine" else PATIENCE
        return self.patience

    def lr_of(self, stage: int) -> float:
        """The largest rate of stage 1 or 2."""
        return self.number("lr") if stage == 1 else self.stage_two.lr

    @property
    def stage_two_epoch(self) -> int:
        """The number of epochs in stage one; max_epochs without a stage two."""
        return math.ceil(round(self.stage_two.start * self.max_epochs, 9))

    @property
    def has_stage_two(self) -> bool:
        """True if some epochs are left for stage two."""
        return self.stage_two_epoch < self.max_epochs

    def loss_of(self, stage: int, epoch: int) -> Loss:
        """The loss of an epoch of stage 1 or 2, counted from 0: weights move over stage one and then stay."""
        if stage == 1:
            return self.loss.at(min(1.0, epoch / max(self.stage_two_epoch - 1, 1)))
        return replace(self.loss.at(1.0), energy_weight=self.stage_two.energy_weight)

    def last_loss_of(self, stage: int) -> Loss:
        """The loss with which a stage ends: the same measure for all its epochs."""
        return self.loss_of(stage, self.max_epochs)

    def flat(self) -> dict:
        """{"training.lr": 0.01, ...}: every number under the name it has in train.toml."""
        sections = {"training": asdict(self)}
        for section in ("loss", "stage_two"):
            sections[section] = sections["training"].pop(section)
        sections["training"] |= {name: self.number(name) for name in liked(self.optimizer)}
        weights = sections["loss"].pop("output_weights")
        sections |= {f"outputs.{name}": {"weight": weight} for name, weight in weights.items()}
        flat = {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
        return {"seed": flat.pop("training.seed"), **flat}
