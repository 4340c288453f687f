"""Optimizers on the flat parameter vector, by name.

An optimizer has `step(parameters, gradient)`, in place; `lr`, which the schedule sets before each step; and `state()`
and `load_state(state)`, a dict of arrays for checkpoints, from which a run goes on with the same bits. A new one is an
entry of OPTIMIZERS: a function of Settings and of the slices {name: (slice, shape)} of the parameters. Its name is then
known to train.toml, to `fit` and to the messages.
"""

from nbcore._core import SGD, Adam, Muon

__all__ = ["OPTIMIZERS", "SGD", "Adam", "Muon", "make_optimizer", "weight_matrices"]

SMALLEST = 9  # rows and columns: smaller matrices, readouts among them, are for AMSGrad


def _momentum(settings, default):
    return default if settings.momentum is None else settings.momentum


def _adam(settings, slices, **kind):
    betas = _momentum(settings, 0.9), 0.999
    return Adam(settings.lr, betas, weight_decay=settings.weight_decay, **kind)


def _muon(settings, slices):
    return Muon(
        weight_matrices(slices), settings.lr, _momentum(settings, 0.95), weight_decay=settings.weight_decay,
        rest_lr=settings.rest_lr,
    )  # fmt: skip


def _sgd(settings, slices):
    return SGD(settings.lr, _momentum(settings, 0.9), settings.weight_decay)


#: name -> function (settings, slices) that makes the optimizer
OPTIMIZERS = {
    "amsgrad": lambda settings, slices: _adam(settings, slices, amsgrad=True),
    "adam": _adam,
    "adamw": lambda settings, slices: _adam(settings, slices, decoupled=True),
    "muon": _muon,
    "sgd": _sgd,
}


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


def make_optimizer(settings, slices):
    """The optimizer that [training] names, for parameters with these slices (`Potential.parameter_slices`)."""
    return OPTIMIZERS[settings.optimizer](settings, slices)
