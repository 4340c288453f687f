# cython: language_level=3
"""The same as driver.c, in Cython over the C interface alone."""
import numpy as np

from nbcore cimport capi


def compute(bytes path, structures, int threads):
    """((golden cases, largest difference), [(energy, forces, virial) of each structure])"""
    cdef capi.nbcore_model* model = NULL
    cdef capi.nbcore_system system = capi.nbcore_system_begin
    cdef capi.nbcore_result result = capi.nbcore_result_begin
    cdef capi.nbcore_options options = capi.nbcore_options_begin
    cdef double energy = 0, difference = 0
    cdef int cases = 0
    cdef double[:, ::1] x, cell, forces, virial
    cdef int[::1] numbers, pbc
    assert capi.nbcore_load(path, &model) == capi.NBCORE_OK, capi.nbcore_message()
    assert capi.nbcore_check_golden(model, &cases, &difference) == capi.NBCORE_OK, capi.nbcore_message()
    options.threads, result.energy = threads, &energy
    results = []
    for positions, z, vectors, periodic in structures:
        x, numbers = np.ascontiguousarray(positions, float), np.ascontiguousarray(z, np.intc)
        cell, pbc = np.ascontiguousarray(vectors, float), np.ascontiguousarray(periodic, np.intc)
        forces, virial = np.empty_like(x), np.empty((3, 3))
        system.n, system.positions, system.numbers = x.shape[0], &x[0, 0], &numbers[0]
        system.cell, system.pbc = &cell[0, 0], &pbc[0]
        result.forces, result.virial = &forces[0, 0], &virial[0, 0]
        assert capi.nbcore_compute(model, &system, &options, &result) == capi.NBCORE_OK, capi.nbcore_message()
        results.append((energy, np.asarray(forces), np.asarray(virial)))
    assert capi.nbcore_free(model) == capi.NBCORE_OK
    return (cases, difference), results
