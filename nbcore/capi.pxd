# The C ABI for Cython: `from nbcore cimport capi`; include directory and library are nbcore.paths.get_include() and
# nbcore.paths.get_library().
from libc.stdint cimport int64_t

cdef extern from "nbcore/nbcore.h" nogil:
    ctypedef enum nbcore_status:
        NBCORE_OK
        NBCORE_EARG
        NBCORE_ESHAPE
        NBCORE_ENONFINITE
        NBCORE_ECELL
        NBCORE_EOVERLAP
        NBCORE_ESPECIES
        NBCORE_EMODEL
        NBCORE_EIO
        NBCORE_ENUMERICS
        NBCORE_EMEMORY
        NBCORE_EINTERNAL
        NBCORE_EINTERRUPTED
    ctypedef struct nbcore_model:
        pass
    ctypedef struct nbcore_scheme:
        pass
    ctypedef struct nbcore_options:
        size_t size
        int threads
        int precision
        int (*interrupt)(void* data)
        void* interrupt_data
    ctypedef enum nbcore_uncertainty_kind:
        NBCORE_NO_UNCERTAINTY
        NBCORE_LAST_LAYER
        NBCORE_COMMITTEE
    const char* nbcore_version()
    const char* nbcore_message()
    int nbcore_errno()
    nbcore_status nbcore_load(const char* path, nbcore_model** model)
    nbcore_status nbcore_free(nbcore_model* model)
    nbcore_status nbcore_cutoff(const nbcore_model* model, double* cutoff)
    nbcore_status nbcore_species(const nbcore_model* model, int capacity, int* numbers, int* n)
    nbcore_status nbcore_digest(const nbcore_model* model, char* digest)
    nbcore_status nbcore_set_precision(nbcore_model* model, int bits)
    nbcore_status nbcore_set_skin(nbcore_model* model, double skin)
    nbcore_status nbcore_set_max_bytes(nbcore_model* model, int64_t bytes)
    nbcore_status nbcore_searches(const nbcore_model* model, int64_t* searches)
    nbcore_status nbcore_evaluate(
        const nbcore_model* model, int64_t n, const double* positions, const int* numbers, const double* cell,
        const int* pbc, int threads, double* energy, double* forces, double* virial, double* energies)
    nbcore_status nbcore_evaluate_with(
        const nbcore_model* model, nbcore_scheme* scheme, int64_t n, const double* positions, const int* numbers,
        const double* cell, const int* pbc, const nbcore_options* options, double* energy, double* forces,
        double* virial, double* energies)
    nbcore_status nbcore_uncertainty(const nbcore_model* model, nbcore_uncertainty_kind* kind)
    nbcore_status nbcore_evaluate_uncertainty(
        const nbcore_model* model, nbcore_scheme* scheme, int64_t n, const double* positions, const int* numbers,
        const double* cell, const int* pbc, const nbcore_options* options, double* energy, double* forces,
        double* virial, double* energies, double* energy_uncertainty, double* forces_uncertainty, double* grades)
