"""Optimizers on the flat parameter vector, in C++: SGD with momentum; Adam, AdamW, AMSGrad."""

from nbcore._core import SGD, Adam

__all__ = ["SGD", "Adam"]
