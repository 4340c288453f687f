"""Optimizers on the flat parameter vector, by name.

An optimizer has `step(parameters, gradient)`, in place; `lr`, which the schedule sets before each step; `state()` and
`load_state(state)`, a dict of arrays for checkpoints, from which a run goes on with the same bits; and `threads`, if it
shares its work among several, with the same bits for any number. A new one is an entry of OPTIMIZERS: a function of
Settings and of the slices {name: (slice, shape)} of the parameters. Its name is then known to train.toml, to `fit` and
to the messages.
"""

from dataclasses import replace

from nbcore._core import SGD, Adam, Muon
from nbcore._threads import threads as number_of_threads
from nbcore.parameter_groups import spread

__all__ = ["OPTIMIZERS", "SGD", "Adam", "GroupDecay", "Muon", "make_optimizer", "optimizer_for", "weight_matrices"]

SMALLEST = 9  # rows and columns: smaller matrices, readouts among them, are for AMSGrad


#: what an optimizer likes where a training leaves it out; those not named take the first entry
LIKES = {"": {"lr": 0.01, "rest_lr": 1.0, "momentum": 0.9}, "muon": {"lr": 0.04, "rest_lr": 1.0, "momentum": 0.95}}


def liked(optimizer: str) -> dict[str, float]:
    """{"lr": 0.04, "rest_lr": 1.0, "momentum": 0.95}: what an optimizer takes where nothing else is said.

    >>> liked("amsgrad")["lr"]
    0.01
    """
    return LIKES.get(optimizer, LIKES[""])


def _adam(settings, slices, **kind):
    return Adam(settings.number("lr"), (settings.number("momentum"), 0.999), weight_decay=settings.weight_decay, **kind)


def _muon(settings, slices):
    return Muon(
        weight_matrices(slices), settings.number("lr"), settings.number("momentum"), weight_decay=settings.weight_decay,
        rest_lr=settings.number("rest_lr"),
    )  # fmt: skip


def _sgd(settings, slices):
    return SGD(settings.number("lr"), settings.number("momentum"), settings.weight_decay)


#: name -> function (settings, slices) that makes the optimizer
OPTIMIZERS = {
    "amsgrad": lambda settings, slices: _adam(settings, slices, amsgrad=True),
    "adam": _adam,
    "adamw": lambda settings, slices: _adam(settings, slices, decoupled=True),
    "muon": _muon,
    "sgd": _sgd,
}


#: those whose weight decay stands beside the step (Loshchilov and Hutter), not in the gradient
DECOUPLED = ("adamw", "muon")


def weight_matrices(slices) -> list[tuple[int, int, int, int]]:
    """(first, count, rows, columns) of the weight matrices of mixings among slices {name: (slice, shape)}, for Muon.

    slices: `Potential.parameter_slices`. Matrices with fewer than nine rows or columns are left out.

    >>> weight_matrices({"A1.W0e": (slice(0, 1536), (1, 24, 64)), "energy1.W0e": (slice(1536, 1600), (1, 64, 1))})
    [(0, 1, 24, 64)]
    """
    found = []
    for name, (where, shape) in slices.items():
        if name.split(".")[-1].startswith("W") and len(shape) > 1 and min(shape[-2:]) >= SMALLEST:
            rows, columns = shape[-2:]
            found.append((where.start, (where.stop - where.start) // (rows * columns), rows, columns))
    return found


class GroupDecay:
    """An optimizer, and beside it a weight decay of its own for each parameter: decay (n_parameters,).

    decoupled: theta <- theta - lr decay theta beside the step; else decay theta is added to the gradient before it.
    """

    def __init__(self, optimizer, decay, decoupled):
        self.optimizer, self.decay, self.decoupled = optimizer, decay, decoupled

    @property
    def lr(self):
        """The rate of the next step."""
        return self.optimizer.lr

    @lr.setter
    def lr(self, rate):
        self.optimizer.lr = rate

    def step(self, parameters, gradient):
        """One step, in place; nothing changes where the optimizer raises."""
        pull = self.decay * parameters
        self.optimizer.step(parameters, gradient if self.decoupled else gradient + pull)
        if self.decoupled:
            parameters -= self.lr * pull

    def state(self):
        """That of the optimizer."""
        return self.optimizer.state()

    def load_state(self, state):
        """Goes on from what `state()` gave."""
        self.optimizer.load_state(state)


def make_optimizer(settings, slices, threads=None):
    """The optimizer that [training] names, for parameters with these slices (`Potential.parameter_slices`)."""
    optimizer = OPTIMIZERS[settings.optimizer](settings, slices)
    if hasattr(optimizer, "threads"):
        optimizer.threads = number_of_threads(threads)
    return optimizer


def optimizer_for(settings, potential, threads=None):
    """The same for the parameters of a potential; a weight decay by group is looked up among its groups."""
    if not isinstance(settings.weight_decay, dict):
        return make_optimizer(settings, potential.parameter_slices, threads)
    optimizer = make_optimizer(replace(settings, weight_decay=0.0), potential.parameter_slices, threads)
    decay = spread(potential, settings.weight_decay, 0.0, "weight_decay: ")
    return GroupDecay(optimizer, decay, settings.optimizer in DECOUPLED)
