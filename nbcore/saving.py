"""What of a potential goes into model files and pickles."""

import json
import os

import numpy as np

from nbcore.errors import InputError


def check_finite(potential, path: str | os.PathLike) -> None:
    """InputError where the parameters cannot be saved to `path`: a number is not finite."""
    theta = potential.parameters
    if not np.all(np.isfinite(theta)):
        k = int(np.argmin(np.isfinite(theta)))
        raise InputError(f"{path} is not written: parameter {k} is {theta[k]}, not a finite number")


def arrays_of(potential) -> dict[str, np.ndarray]:
    """The arrays of a model file, without golden cases."""
    slices, theta = potential.parameter_slices, potential.parameters
    arrays = {f"parameters.{name}": theta[where].reshape(shape) for name, (where, shape) in slices.items()}
    whitening = potential._core.uncertainty
    return arrays if whitening is None else {**arrays, "uncertainty.whitening": whitening}


def state_of(potential) -> tuple:
    """What a pickle holds: description, parameters, how they are evaluated, the whitening of the last layer or None."""
    how = {"precision": potential.precision, "radial_splines": potential.radial_splines}
    return potential._core.description, potential.parameters.copy(), how, potential._core.uncertainty


def put_state(potential, description: str, parameters: np.ndarray, how: dict, whitening) -> None:
    """Into a potential made from the description."""
    potential.parameters[:] = parameters
    potential.precision, potential.radial_splines = how["precision"], how["radial_splines"]
    if whitening is not None:
        potential._core.set_uncertainty(json.dumps(json.loads(description)["uncertainty"]), whitening)
