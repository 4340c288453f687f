"""Loss and gradient for people who bring their own optimizer."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from nbcore.train.heads import Heads, training_set
from nbcore.train.loss import Loss

if TYPE_CHECKING:
    from nbcore.potential import Potential


def loss_and_gradient(
    potential: "Potential | Heads", structures: Iterable, loss: Loss | None = None, threads: int | None = None
) -> tuple[float, np.ndarray]:
    """(loss, gradient): the mean loss of the structures and its exact gradient (n_parameters,); of heads, of all.

    >>> loss, g = loss_and_gradient(pot, data[:5])
    """
    result = training_set(potential, structures).loss_and_gradient(None, loss, threads)
    return result.loss, result.gradient


def objective(
    potential: "Potential | Heads", structures: Iterable, loss: Loss | None = None, threads: int | None = None
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """theta -> (loss, gradient) for scipy.optimize.minimize(..., jac=True); it sets the potential's parameters.

    >>> fun = objective(pot, data[:5])
    >>> best = scipy.optimize.minimize(fun, pot.parameters.copy(), jac=True, method="L-BFGS-B", options={"maxiter": 3})
    """
    labelled = training_set(potential, structures)

    def value_and_gradient(theta):
        potential.parameters[:] = theta
        result = labelled.loss_and_gradient(None, loss, threads)
        return result.loss, np.array(result.gradient)

    return value_and_gradient
