"""Optimizers on the flat parameter vector, by name.

An optimizer has `step(parameters, gradient)`, in place; `lr`, which the schedule sets before each step; and `state()`
and `load_state(state)`, a dict of arrays for checkpoints, from which a run goes on with the same bits. A new one is an
entry of OPTIMIZERS: a function of Settings and of the slices {name: (slice, shape)} of the parameters. Its name is then
known to train.toml, to `fit` and to the messages.
"""

from nbcore._core import SGD, Adam

__all__ = ["OPTIMIZERS", "SGD", "Adam", "make_optimizer"]


def _adam(settings, slices, **kind):
    return Adam(settings.lr, weight_decay=settings.weight_decay, **kind)


#: name -> function (settings, slices) that makes the optimizer
OPTIMIZERS = {
    "amsgrad": lambda settings, slices: _adam(settings, slices, amsgrad=True),
    "adam": _adam,
    "adamw": lambda settings, slices: _adam(settings, slices, decoupled=True),
    "sgd": lambda settings, slices: SGD(settings.lr, momentum=0.9, weight_decay=settings.weight_decay),
}


def make_optimizer(settings, slices):
    """The optimizer that [training] names, for parameters with these slices (`Potential.parameter_slices`)."""
    return OPTIMIZERS[settings.optimizer](settings, slices)
