"""Training: read data, fit a potential, or take loss and gradient and bring your own optimizer."""

from nbcore import _extras

_extras.require("nbcore.train")

from nbcore.data import read
from nbcore.new_elements import add_elements
from nbcore.train.calibrate import calibrate
from nbcore.train.distillation import stretched
from nbcore.train.fine_tune import FINE_TUNING, FineTune, fine_tune
from nbcore.train.fit import Fit, fit
from nbcore.train.heads import Heads, HeadsTrainingSet
from nbcore.train.least_squares import LeastSquares, least_squares
from nbcore.train.loss import Loss
from nbcore.train.objective import loss_and_gradient, objective
from nbcore.train.optimizers import SGD, Adam, Muon
from nbcore.train.settings import Settings, StageTwo
from nbcore.train.start_energies import start_from
from nbcore.train.training_set import TrainingSet
from nbcore.train.uncertainty import add_uncertainty

__all__ = [
    "FINE_TUNING", "SGD", "Adam", "FineTune", "Fit", "Heads", "HeadsTrainingSet", "LeastSquares", "Loss", "Muon",
    "Settings",
    "StageTwo", "TrainingSet",
    "add_elements", "add_uncertainty", "calibrate", "fine_tune", "fit", "least_squares",
    "loss_and_gradient", "objective",
    "read", "start_from", "stretched",
]  # fmt: skip
