"""Energies by level, from the states of readouts, and their hierarchicality, by NumPy alone."""

import numpy as np

from nbcore.train import TrainingSet


def energies_by_level(potential, s):
    """(N + 1, n) eV of a Structure: those of elements, then of each readout."""
    names = [gate["name"] for gate in potential.description["program"]["gates"]]
    states = TrainingSet(potential, [s])._core.states(0)[-len(names) :]  # before them the elements
    levels = [states[names.index(name)][0] * potential.scale for name in potential.description["program"]["readout"]]
    return np.stack([[potential.E0s[symbol] for symbol in s.symbols], *levels])


def hierarchicality(potential, s):
    """(n,) of each atom."""
    squares = energies_by_level(potential, s) ** 2
    sums = squares[1:] + squares[:-1]
    return np.sum(np.divide(squares[1:], sums, out=np.zeros_like(sums), where=sums > 0), axis=0)
