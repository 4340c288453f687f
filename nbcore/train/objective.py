"""Loss and gradient for people who bring their own optimizer."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from nbcore.train.loss import Loss
from nbcore.train.training_set import TrainingSet

if TYPE_CHECKING:
    from nbcore.potential import Potential


def loss_and_gradient(
    potential: "Potential", structures: Iterable, loss: Loss | None = None, threads: int | None = None
) -> tuple[float, np.ndarray]:
    """(loss, gradient): the mean loss of the structures and its exact gradient (n_parameters,).

    >>> loss, g = loss_and_gradient(pot, data[:5])
    """
    result = TrainingSet(potential, structures).loss_and_gradient(None, loss, threads)
    return result.loss, result.gradient


def objective(
    potential: "Potential", structures: Iterable, loss: Loss | None = None, threads: int | None = None
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """theta -> (loss, gradient) for scipy.optimize.minimize(..., jac=True); it sets the potential's parameters.

    >>> fun = objective(pot, data[:5])
    >>> best = scipy.optimize.minimize(fun, pot.parameters.copy(), jac=True, method="L-BFGS-B", options={"maxiter": 3})
    """
    training_set = TrainingSet(potential, structures)

    def value_and_gradient(theta):
        potential.parameters[:] = theta
        result = training_set.loss_and_gradient(None, loss, threads)
        return result.loss, np.array(result.gradient)

    return value_and_gradient
