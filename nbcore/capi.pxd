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
        double skin
        int64_t max_bytes
    ctypedef struct nbcore_system:
        size_t size
        int64_t n
        int64_t n_ghosts
        const double* positions
        const int* numbers
        const double* cell
        const int* pbc
        nbcore_scheme* scheme
        const double* const* leaves
        int64_t n_rows
        const int64_t* first
        const int* neighbours
        const int* shifts
        int half
        const int* owners
    ctypedef struct nbcore_result:
        size_t size
        double* energy
        double* forces
        double* virial
        double* energies
        double* virials
        double* const* outputs
        double* energy_uncertainty
        double* forces_uncertainty
        double* grades
    ctypedef struct nbcore_info:
        size_t size
        double cutoff
        double ghost_range
        double r_min
        int levels
        int species
        int outputs
        int leaves
        int members
        int scheme
        const char* energy_unit
        const char* length_unit
        const char* kernel_set
    # what they begin with: the macros of the header, which are no expressions
    nbcore_options nbcore_options_begin "((nbcore_options)NBCORE_OPTIONS)"
    nbcore_system nbcore_system_begin "((nbcore_system)NBCORE_SYSTEM)"
    nbcore_result nbcore_result_begin "((nbcore_result)NBCORE_RESULT)"
    nbcore_info nbcore_info_begin "((nbcore_info)NBCORE_INFO)"
    ctypedef struct nbcore_levels:
        pass
    ctypedef enum nbcore_uncertainty_kind:
        NBCORE_NO_UNCERTAINTY
        NBCORE_LAST_LAYER
        NBCORE_COMMITTEE
    const char* nbcore_version()
    const char* nbcore_message()
    int nbcore_errno()
    nbcore_status nbcore_load(const char* path, nbcore_model** model)
    nbcore_status nbcore_load_memory(const void* bytes, size_t n, nbcore_model** model)
    nbcore_status nbcore_free(nbcore_model* model)
    nbcore_status nbcore_cutoff(const nbcore_model* model, double* cutoff)
    nbcore_status nbcore_species(const nbcore_model* model, int capacity, int* numbers, int* n)
    nbcore_status nbcore_digest(const nbcore_model* model, char* digest)
    nbcore_status nbcore_check_golden(const nbcore_model* model, int* cases, double* difference)
    nbcore_status nbcore_get_info(const nbcore_model* model, nbcore_info* info)
    nbcore_status nbcore_output(
        const nbcore_model* model, int k, int capacity, char* name, int* numbers, int* per_atom)
    nbcore_status nbcore_leaf(const nbcore_model* model, int k, int capacity, char* name, int* numbers)
    nbcore_status nbcore_closest(const nbcore_model* model, int number, int other, double* distance)
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
    nbcore_status nbcore_compute(
        const nbcore_model* model, const nbcore_system* system, const nbcore_options* options,
        const nbcore_result* result)
    nbcore_status nbcore_levels_new(const nbcore_model* model, const nbcore_options* options, nbcore_levels** levels)
    nbcore_status nbcore_levels_row_bytes(const nbcore_levels* levels, int level, size_t* bytes)
    nbcore_status nbcore_levels_begin(
        nbcore_levels* levels, const nbcore_system* system, const nbcore_result* result)
    nbcore_status nbcore_levels_forward(nbcore_levels* levels, int level)
    nbcore_status nbcore_levels_adjoint(nbcore_levels* levels, int level)
    nbcore_status nbcore_levels_finish(nbcore_levels* levels)
    nbcore_status nbcore_levels_read_states(
        nbcore_levels* levels, int level, int64_t n, const int* atoms, void* rows)
    nbcore_status nbcore_levels_write_states(
        nbcore_levels* levels, int level, int64_t n, const int* atoms, const void* rows)
    nbcore_status nbcore_levels_take_adjoints(
        nbcore_levels* levels, int level, int64_t n, const int* atoms, void* rows)
    nbcore_status nbcore_levels_add_adjoints(
        nbcore_levels* levels, int level, int64_t n, const int* atoms, const void* rows)
    nbcore_status nbcore_levels_free(nbcore_levels* levels)
    nbcore_status nbcore_scheme_new(int64_t n_atoms, nbcore_scheme** scheme)
    nbcore_status nbcore_scheme_add(
        nbcore_scheme* scheme, const char* name, const char* children, int64_t n_nodes, const int* classes,
        const int64_t* atom_first, const int* atoms, const double* coefficients, const int* atom_images,
        const int64_t* child_first, const int* child, const int* child_images)
    nbcore_status nbcore_scheme_reference(nbcore_scheme* scheme, const double* places)
    nbcore_status nbcore_scheme_free(nbcore_scheme* scheme)
    nbcore_status nbcore_evaluate_scheme(
        const nbcore_model* model, nbcore_scheme* scheme, int64_t n, const double* positions, const int* numbers,
        const double* cell, const int* pbc, int threads, double* energy, double* forces, double* virial,
        double* energies)
