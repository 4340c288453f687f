"""Derivatives from function values alone, with an estimate of their error."""

import numpy as np


def derivative(f, h=0.05, shrink=1.6, columns=9):
    """(df/dt at t = 0, estimated error) of an array-valued f, element by element: Ridders' extrapolation of central
    differences from steps h, h/shrink, ... to step zero."""
    table, best, error = [], None, None
    for _ in range(columns):
        new = [(np.asarray(f(h)) - np.asarray(f(-h))) / (2 * h)]
        for k, old in enumerate(table):
            factor = shrink ** (2 * (k + 1))
            new.append((factor * new[k] - old) / (factor - 1))
            e = np.maximum(np.abs(new[k + 1] - new[k]), np.abs(new[k + 1] - old))
            if error is None:
                best, error = new[k + 1], e
            else:
                best, error = np.where(e < error, new[k + 1], best), np.minimum(e, error)
        table, h = new, h / shrink
    return best, error


def five_point(f, h=1.0):
    """df/dt at t = 0; for polynomials up to degree 4 there is no error but rounding, whatever the step."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def check_loss_gradient(training_set, loss, gradient):
    """The gradient against differences of the loss, along a random direction in every array of parameters."""
    potential, rng = training_set.potential, np.random.default_rng(0)
    start = potential.parameters.copy()
    for name, (where, _) in potential.parameter_slices.items():
        v = np.zeros_like(start)
        v[where] = rng.standard_normal(where.stop - where.start)
        v /= np.linalg.norm(v)

        def value(t, v=v):
            potential.parameters[:] = start + t * v
            return training_set.predict(loss=loss, threads=1).loss

        numeric, error = derivative(value, 0.02, columns=7)
        potential.parameters[:] = start
        assert abs(gradient @ v - numeric) < 1e-8 * np.linalg.norm(gradient) + 5 * error, name
        assert np.any(gradient[where]), name
