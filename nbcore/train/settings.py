"""The numbers of a training: the sections [training], [stage_two] and [loss] of train.toml."""

import math
from dataclasses import asdict, dataclass, field, replace

from nbcore.errors import InputError
from nbcore.train.training_set import Loss

OPTIMIZERS = ("amsgrad", "adam", "adamw", "sgd")
SCHEDULES = ("plateau", "cosine", "constant")


@dataclass(frozen=True)
class StageTwo:
    """The last part of a training: energies come down. start: fraction of max_epochs; 1 is no stage two."""

    start: float = 0.8
    energy_weight: float = 1000.0
    lr: float = 0.001


@dataclass(frozen=True)
class Settings:
    """All that decides the bits of a training besides data and initial parameters; names and defaults as in train.toml.

    clip_grad: largest norm of the gradient, 0 for none; ema_decay: 0 for no averaging; patience: epochs without a
    better validation loss, after which stage two begins or the run ends.
    """

    seed: int = 1
    max_epochs: int = 800
    batch_size: int = 5
    optimizer: str = "amsgrad"
    lr: float = 0.01
    schedule: str = "plateau"
    warmup_epochs: int = 0
    weight_decay: float = 5e-7
    ema_decay: float = 0.99
    clip_grad: float = 10.0
    patience: int = 200
    loss: Loss = field(default_factory=Loss)
    stage_two: StageTwo = field(default_factory=StageTwo)

    def __post_init__(self):
        def require(name, good, expected, value):
            if not good:
                raise InputError(f"{name} must be {expected}, got {value!r}")

        for name, least in dict(seed=0, max_epochs=1, batch_size=1, warmup_epochs=0, patience=1).items():
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            require(name, whole and value >= least, f"a whole number >= {least}", value)
        require("lr", 0 < self.lr < math.inf, "a number > 0", self.lr)
        for name in ("weight_decay", "clip_grad"):
            value = getattr(self, name)
            require(name, 0 <= value < math.inf, "a number >= 0", value)
        require("ema_decay", 0 <= self.ema_decay < 1, "in [0, 1)", self.ema_decay)
        require("optimizer", self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}", self.optimizer)
        require("schedule", self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}", self.schedule)
        require("stage_two.start", 0 <= self.stage_two.start <= 1, "in [0, 1]", self.stage_two.start)
        require("stage_two.lr", 0 < self.stage_two.lr < math.inf, "a number > 0", self.stage_two.lr)

    @property
    def stage_two_epoch(self) -> int:
        """The number of epochs in stage one; max_epochs without a stage two."""
        return math.ceil(round(self.stage_two.start * self.max_epochs, 9))

    @property
    def has_stage_two(self) -> bool:
        """True if some epochs are left for stage two."""
        return self.stage_two_epoch < self.max_epochs

    @property
    def loss_of_stage_two(self) -> Loss:
        """The loss of stage two: that of stage one with another weight of the energies."""
        return replace(self.loss, energy_weight=self.stage_two.energy_weight)

    def flat(self) -> dict:
        """{"training.lr": 0.01, ...}: every number under the name it has in train.toml."""
        sections = {"training": asdict(self)}
        for section in ("loss", "stage_two"):
            sections[section] = sections["training"].pop(section)
        weights = sections["loss"].pop("output_weights")
        sections |= {f"outputs.{name}": {"weight": weight} for name, weight in weights.items()}
        flat = {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
        return {"seed": flat.pop("training.seed"), **flat}
