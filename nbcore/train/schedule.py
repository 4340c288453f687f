"""Learning rates: constant, cosine, or lower on a plateau of the validation loss; each after a linear warm-up."""

import math
from typing import NamedTuple


class Schedule:
    """The learning rate of every step of one stage; `lr` is where it begins.

    >>> Schedule(lr=0.01, warmup_steps=4).rate(0)
    0.002
    """

    def __init__(self, lr, warmup_steps=0):
        self.lr, self.warmup_steps = lr, warmup_steps

    def rate(self, step) -> float:
        """Learning rate of a step, from 0 where the stage begins: lr (step + 1) / (warmup_steps + 1) at first."""
        return self.lr * min(1.0, (step + 1) / (self.warmup_steps + 1))

    def observe(self, loss) -> None:
        """Takes note of the validation loss of an epoch."""

    def state(self) -> dict:
        """What `load_state` needs to go on with the same rates."""
        return {}

    def load_state(self, state) -> None:
        """Goes on from what `state()` gave."""


class Cosine(Schedule):
    """lr_end + (lr - lr_end) (1 + cos(pi step / n_steps)) / 2 (Loshchilov and Hutter, arXiv:1608.03983)."""

    def __init__(self, lr, warmup_steps, n_steps, lr_end):
        super().__init__(lr, warmup_steps)
        self.n_steps, self.lr_end = n_steps, lr_end

    def rate(self, step) -> float:
        """Learning rate of a step; lr_end after n_steps."""
        phase = min(1.0, step / self.n_steps)
        cosine = self.lr_end + (self.lr - self.lr_end) * 0.5 * (1.0 + math.cos(math.pi * phase))
        return cosine * super().rate(step) / self.lr


class Plateau(Schedule):
    """lr times `factor` each time the validation loss has not come down for `patience` epochs."""

    factor = 0.7

    def __init__(self, lr, warmup_steps, patience):
        super().__init__(lr, warmup_steps)
        self.patience, self.best, self.waiting = patience, math.inf, 0

    def observe(self, loss) -> None:
        """Counts epochs without a better loss, and lowers the rate when they are `patience`."""
        self.waiting += 1
        if loss < self.best:
            self.best, self.waiting = loss, 0
        if self.waiting >= self.patience:
            self.lr, self.waiting = self.factor * self.lr, 0

    def state(self) -> dict:
        """Rate, best loss so far, epochs since."""
        return {"lr": self.lr, "best": self.best, "waiting": self.waiting}

    def load_state(self, state) -> None:
        """Goes on from what `state()` gave."""
        self.lr, self.best, self.waiting = state["lr"], state["best"], state["waiting"]


class Stretch(NamedTuple):
    """What a schedule of one stage is made from: first and last rate, number of steps, epochs that are waited for."""

    lr: float
    lr_end: float
    n_steps: int
    patience: float


#: name -> what makes the schedule of a Stretch with so many steps of warm-up
SCHEDULES = {
    "plateau": lambda stretch, warmup: Plateau(stretch.lr, warmup, max(5, stretch.patience // 10)),
    "cosine": lambda stretch, warmup: Cosine(stretch.lr, warmup, stretch.n_steps, stretch.lr_end),
    "constant": lambda stretch, warmup: Schedule(stretch.lr, warmup),
}


def make_schedule(settings, stage, steps_per_epoch, begun=None) -> Schedule:
    """The schedule of stage 1 or 2. A cosine ends at the lr of stage two, in the last stage at lr / 100.

    begun: after how many epochs stage two began, where that is not as planned.
    """
    last = stage == 2 or not settings.has_stage_two
    lr = settings.lr_of(stage)
    warmup_steps = settings.warmup_epochs * steps_per_epoch if stage == 1 else 0
    begun = settings.stage_two_epoch if begun is None else begun
    epochs = settings.max_epochs - begun if stage == 2 else settings.stage_two_epoch
    stretch = Stretch(lr, lr / 100 if last else settings.lr_of(2), epochs * steps_per_epoch, settings.waits)
    return SCHEDULES[settings.schedule](stretch, warmup_steps)
