"""Training: read data, fit a potential, or take loss and gradient and bring your own optimizer."""

from nbcore import _extras

_extras.require("nbcore.train")

from nbcore.data import read
from nbcore.train.calibrate import calibrate
from nbcore.train.fit import Fit, fit
from nbcore.train.loss import Loss
from nbcore.train.objective import loss_and_gradient, objective
from nbcore.train.optimizers import SGD, Adam, Muon
from nbcore.train.settings import Settings, StageTwo
from nbcore.train.training_set import TrainingSet

__all__ = [
    "SGD", "Adam", "Fit", "Loss", "Muon", "Settings", "StageTwo", "TrainingSet", "calibrate", "fit",
    "loss_and_gradient", "objective", "read",
]  # fmt: skip
