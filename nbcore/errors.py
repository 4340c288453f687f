"""The errors of nbcore: each class is also the built-in that fits it, so `except ValueError` works as one expects."""


class Error(Exception):
    """Base class of every error that nbcore raises on purpose."""


class InputError(Error, ValueError):
    """An argument or a data file that does not fit: shape, range, NaN, a missing key, a singular cell."""


class SpeciesError(InputError, KeyError):
    """An element that the potential does not know."""

    __str__ = Exception.__str__  # KeyError would print the message in quotes


class ModelFileError(Error, ValueError):
    """A file that is not an intact nbcore model, or is one of a newer release."""


class CheckpointError(Error, RuntimeError):
    """A run folder that cannot be continued: in use, damaged, or made with other settings."""


class NumericsError(Error, ArithmeticError):
    """Numbers out of hand: atoms on top of each other, a loss that is not finite."""
