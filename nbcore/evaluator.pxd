from nbcore cimport capi


cdef class Evaluator:
    cdef capi.nbcore_model* model
    cdef readonly str path
    cdef readonly str precision
    cdef readonly double skin
    cdef readonly object max_bytes
    cpdef double evaluate(
        self, const double[:, ::1] positions, const int[::1] numbers, const double[:, ::1] cell=*, pbc=*,
        double[:, ::1] forces=*, double[:, ::1] virial=*, double[::1] energies=*, int threads=*,
        double[:, :, ::1] virials=*) except? -1
    cdef double _evaluate(
        self, const double[:, ::1] positions, const int[::1] numbers, const double[:, ::1] cell, pbc,
        double[:, ::1] forces, double[:, ::1] virial, double[::1] energies, int threads,
        double[:, :, ::1] virials, double* uncertainty, double[::1] forces_uncertainty, double[::1] grades) except? -1
