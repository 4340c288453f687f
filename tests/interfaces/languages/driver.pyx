# cython: language_level=3
"""The same as driver.c, in Cython over the C interface alone."""
from nbcore cimport capi


def compute(bytes path, double[:, ::1] positions, int[::1] numbers, double[:, ::1] cell, int[::1] pbc, int threads,
            double[:, ::1] forces, double[:, ::1] virial):
    cdef capi.nbcore_model* model = NULL
    cdef capi.nbcore_system system = capi.nbcore_system_begin
    cdef capi.nbcore_result result = capi.nbcore_result_begin
    cdef capi.nbcore_options options = capi.nbcore_options_begin
    cdef double energy = 0
    assert capi.nbcore_load(path, &model) == capi.NBCORE_OK, capi.nbcore_message()
    system.n, system.positions, system.numbers = positions.shape[0], &positions[0, 0], &numbers[0]
    system.cell, system.pbc, options.threads = &cell[0, 0], &pbc[0], threads
    result.energy, result.forces, result.virial = &energy, &forces[0, 0], &virial[0, 0]
    assert capi.nbcore_compute(model, &system, &options, &result) == capi.NBCORE_OK, capi.nbcore_message()
    assert capi.nbcore_free(model) == capi.NBCORE_OK
    return energy
