# cython: language_level=3
"""Energies of many frames of one molecule, without Python between them."""

import numpy as np

from nbcore.evaluator cimport Evaluator


def energies(Evaluator evaluator, const double[:, :, ::1] frames, const int[::1] numbers):
    """Energies in eV, (F,), of frames (F, N, 3) in Angstrom."""
    cdef double[::1] out = np.empty(frames.shape[0])
    cdef Py_ssize_t k
    for k in range(frames.shape[0]):
        out[k] = evaluator.evaluate(frames[k], numbers)
    return np.asarray(out)
