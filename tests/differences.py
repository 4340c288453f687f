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
