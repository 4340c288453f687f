# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, embedsignature=True
"""A potential for molecular dynamics: one call per time step, into arrays that the caller keeps.

Over the C ABI alone, without the interpreter lock and without NumPy work per step. Other Cython modules can
`from nbcore.evaluator cimport Evaluator`.
"""
import os

from libc.stdint cimport int64_t

from nbcore import errors
from nbcore.arguments import check_max_bytes

from nbcore cimport capi

cdef dict classes = {
    capi.NBCORE_EARG: errors.InputError,
    capi.NBCORE_ESHAPE: errors.InputError,
    capi.NBCORE_ENONFINITE: errors.InputError,
    capi.NBCORE_ECELL: errors.InputError,
    capi.NBCORE_EOVERLAP: errors.NumericsError,
    capi.NBCORE_ESPECIES: errors.SpeciesError,
    capi.NBCORE_EMODEL: errors.ModelFileError,
    capi.NBCORE_ENUMERICS: errors.NumericsError,
    capi.NBCORE_EMEMORY: MemoryError,
    capi.NBCORE_EINTERNAL: errors.Error,
}


cdef raise_last(capi.nbcore_status status, path=None):
    """The Python error of a status that is not NBCORE_OK."""
    if status == capi.NBCORE_EIO:
        number = capi.nbcore_errno()
        raise OSError(number, os.strerror(number), path)
    raise classes[status](os.fsdecode(<bytes> capi.nbcore_message()))


cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


cdef int heard(void* data) noexcept with gil:
    """Has Ctrl-C been pressed? What its handler raised goes into the list `data`."""
    try:
        PyErr_CheckSignals()
    except BaseException as stop:
        (<list> data).append(stop)
        return 1
    return 0


def _again(path, precision, skin, max_bytes, digest):
    """The evaluator of a pickle: of the same model, or an error."""
    evaluator = Evaluator(path, precision, skin, max_bytes)
    if evaluator.digest != digest:
        raise errors.ModelFileError(
            f"{path}: another model stands there now (SHA-256 {evaluator.digest[:12]}..., it was {digest[:12]}...) than "
            "when the evaluator or calculator was pickled; make it anew from the file that is meant"
        )
    return evaluator


cdef class Evaluator:
    """A potential read from a model file, evaluated into arrays of the caller.

    path: the model file. precision: "float64", or "float32" for about twice the speed, see `nbcore.Potential.precision`.
    Raises ModelFileError (not a model, damaged, of a newer release), InputError and OSError.
    skin: Angstrom; neighbours are searched for within cutoff + skin and kept while atoms move less than half of it, so
    that most steps of dynamics or of a relaxation search for none; the same bits with any skin, 0 searches every time.
    max_bytes: memory that an evaluation may take, see `nbcore.Potential.bytes_per_atom`; None for no bound.
    cutoff is in Angstrom, species are atomic numbers, ascending; path is absolute, whatever the current folder becomes;
    digest is a SHA-256 of what decides results, which notes in the file do not change. Evaluators may be shared between threads; they never change, so that a
    copy is the evaluator itself. Pickles hold path and digest: ModelFileError where another model stands there later.

    >>> evaluator = Evaluator("molecule.nbcore")
    >>> forces = np.empty((n, 3))
    >>> energy = evaluator.evaluate(positions, numbers, forces=forces)
    """

    def __cinit__(self, path, precision="float64", skin=0.5, max_bytes=None):
        cdef bytes name = os.fsencode(path)
        cdef const char* text
        cdef capi.nbcore_status status
        self.model = NULL
        if b"\0" in name:
            raise errors.InputError("path: holds a zero byte")
        if name and not os.path.isabs(name):
            name = os.path.join(os.getcwdb(), name)
        text = name
        with nogil:
            status = capi.nbcore_load(text, &self.model)
        if status != capi.NBCORE_OK:
            raise_last(status, os.fsdecode(name))
        self.path, self.precision = os.fsdecode(name), precision
        if precision not in ("float64", "float32"):
            raise errors.InputError(f'precision must be "float64" or "float32", got {precision!r}')
        status = capi.nbcore_set_precision(self.model, int(precision[5:]))
        if status != capi.NBCORE_OK:
            raise_last(status)
        self.skin = skin
        status = capi.nbcore_set_skin(self.model, self.skin)
        if status != capi.NBCORE_OK:
            raise_last(status)
        self.max_bytes = max_bytes
        status = capi.nbcore_set_max_bytes(self.model, <int64_t> check_max_bytes(max_bytes))
        if status != capi.NBCORE_OK:
            raise_last(status)

    def __dealloc__(self):
        capi.nbcore_free(self.model)

    def __reduce__(self):
        return _again, (self.path, self.precision, self.skin, self.max_bytes, self.digest)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        return f"Evaluator({self.path!r})"

    @property
    def digest(self):
        """SHA-256 of all that decides what the model computes, see `nbcore_digest` of the C interface."""
        cdef char digest[65]
        cdef capi.nbcore_status status = capi.nbcore_digest(self.model, digest)
        if status != capi.NBCORE_OK:
            raise_last(status)
        return digest.decode()

    @property
    def cutoff(self):
        """Radius of a neighbourhood, Angstrom."""
        cdef double cutoff
        capi.nbcore_cutoff(self.model, &cutoff)
        return cutoff

    @property
    def species(self):
        """Atomic numbers of the elements that the potential knows, ascending."""
        cdef int numbers[118]
        cdef int n
        capi.nbcore_species(self.model, 118, numbers, &n)
        return [numbers[k] for k in range(n)]

    @property
    def searches(self):
        """How often neighbours have been searched for so far, rather than taken from a kept list."""
        cdef int64_t searches
        capi.nbcore_searches(self.model, &searches)
        return searches

    @property
    def uncertainty(self):
        """What the model knows of its errors: "last_layer", "committee" or None."""
        cdef capi.nbcore_uncertainty_kind kind
        capi.nbcore_uncertainty(self.model, &kind)
        return {capi.NBCORE_LAST_LAYER: "last_layer", capi.NBCORE_COMMITTEE: "committee"}.get(kind)

    cpdef double evaluate(
        self, const double[:, ::1] positions, const int[::1] numbers, const double[:, ::1] cell=None, pbc=False,
        double[:, ::1] forces=None, double[:, ::1] virial=None, double[::1] energies=None, int threads=0,
        double[:, :, ::1] virials=None) except? -1:
        """Total energy, eV, reference energies included; forces, virial and energies are written where given.

        positions: (N, 3) float64, Angstrom. numbers: (N,) C int (NumPy: np.intc), atomic numbers. cell: (3, 3), rows are
        the cell vectors, or None. pbc: one or three booleans. All arrays C-contiguous.
        forces: (N, 3), -dE/dr in eV/Angstrom. virial: (3, 3), -dE/d(strain) in eV. energies: (N,), eV.
        threads: 0 means NBCORE_NUM_THREADS, else OMP_NUM_THREADS, else one; the same bits for any number.
        virials: (N, 3, 3), those of the atoms, whose sum is virial; see `nbcore.Potential.compute`.

        Raises InputError, SpeciesError, NumericsError, with the outputs left as they were.
        """
        return self._evaluate(positions, numbers, cell, pbc, forces, virial, energies, threads, virials, NULL, None, None)

    def check_golden(self):
        """(number of golden cases of the model file, largest difference from what it keeps): see `nbcore.check_golden`.

        Differences are in units of the largest number of their kind, at least 1. Raises ModelFileError where one is
        beyond 1e-10, InputError for models on composition schemes.
        """
        cdef int cases = 0
        cdef double difference = 0
        cdef capi.nbcore_status status
        with nogil:
            status = capi.nbcore_check_golden(self.model, &cases, &difference)
        if status != capi.NBCORE_OK:
            raise_last(status)
        return cases, difference

    def evaluate_uncertainty(
        self, const double[:, ::1] positions, const int[::1] numbers, const double[:, ::1] cell=None, pbc=False,
        double[:, ::1] forces=None, double[:, ::1] virial=None, double[::1] energies=None, int threads=0,
        double[::1] forces_uncertainty=None, double[::1] grades=None,
    ):
        """(energy, how large its error is expected to be), eV, and the same of the forces; see `evaluate`.

        forces_uncertainty: (N,) eV/Angstrom, written where given: the RMS error that is expected of a component on each
        atom. grades: (N,) extrapolation grades, of models with uncertainty "last_layer" alone: 1 is the farthest atom
        of its element in training, larger is farther. Raises InputError where the model has no uncertainty.
        """
        cdef double uncertainty = 0
        energy = self._evaluate(
            positions, numbers, cell, pbc, forces, virial, energies, threads, None, &uncertainty, forces_uncertainty,
            grades)
        return energy, uncertainty

    cdef double _evaluate(
        self, const double[:, ::1] positions, const int[::1] numbers, const double[:, ::1] cell, pbc,
        double[:, ::1] forces, double[:, ::1] virial, double[::1] energies, int threads,
        double[:, :, ::1] virials, double* uncertainty, double[::1] forces_uncertainty, double[::1] grades) except? -1:
        if positions is None or numbers is None:
            raise TypeError("positions and numbers must be arrays, got None")
        cdef Py_ssize_t n = positions.shape[0]
        cdef int periodic[3]
        cdef double energy = 0
        cdef capi.nbcore_status status
        cdef capi.nbcore_system system = capi.nbcore_system_begin
        cdef capi.nbcore_result result = capi.nbcore_result_begin
        if positions.shape[1] != 3:
            raise errors.InputError(f"positions must have shape (N, 3), got ({n}, {positions.shape[1]})")
        if numbers.shape[0] != n:
            raise errors.InputError(f"numbers must have shape ({n},), as many as positions, got ({numbers.shape[0]},)")
        if cell is not None:
            if cell.shape[0] != 3 or cell.shape[1] != 3:
                raise errors.InputError(f"cell must have shape (3, 3), got ({cell.shape[0]}, {cell.shape[1]})")
            system.cell = &cell[0, 0]
        if forces is not None:
            if forces.shape[0] != n or forces.shape[1] != 3:
                raise errors.InputError(f"forces must have shape ({n}, 3), got ({forces.shape[0]}, {forces.shape[1]})")
            result.forces = &forces[0, 0]
        if virial is not None:
            if virial.shape[0] != 3 or virial.shape[1] != 3:
                raise errors.InputError(f"virial must have shape (3, 3), got ({virial.shape[0]}, {virial.shape[1]})")
            result.virial = &virial[0, 0]
        if energies is not None:
            if energies.shape[0] != n:
                raise errors.InputError(f"energies must have shape ({n},), got ({energies.shape[0]},)")
            result.energies = &energies[0]
        if virials is not None:
            if virials.shape[0] != n or virials.shape[1] != 3 or virials.shape[2] != 3:
                raise errors.InputError(
                    f"virials must have shape ({n}, 3, 3), got "
                    f"({virials.shape[0]}, {virials.shape[1]}, {virials.shape[2]})")
            result.virials = &virials[0, 0, 0]
        if forces_uncertainty is not None:
            if forces_uncertainty.shape[0] != n:
                raise errors.InputError(
                    f"forces_uncertainty must have shape ({n},), got ({forces_uncertainty.shape[0]},)")
            result.forces_uncertainty = &forces_uncertainty[0]
        if grades is not None:
            if grades.shape[0] != n:
                raise errors.InputError(f"grades must have shape ({n},), got ({grades.shape[0]},)")
            result.grades = &grades[0]
        if pbc is True or pbc is False:
            periodic[0] = periodic[1] = periodic[2] = pbc
        else:
            if len(pbc) != 3:
                raise errors.InputError(f"pbc must be one or three booleans, got {pbc!r}")
            for k in range(3):
                periodic[k] = pbc[k]
        cdef list stopped = []
        cdef capi.nbcore_options options = capi.nbcore_options(
            sizeof(capi.nbcore_options), threads, 0, heard, <void*> stopped, -1, -1)
        system.n, system.positions, system.numbers, system.pbc = n, &positions[0, 0], &numbers[0], periodic
        result.energy, result.energy_uncertainty = &energy, uncertainty
        with nogil:
            status = capi.nbcore_compute(self.model, &system, &options, &result)
        if status == capi.NBCORE_EINTERRUPTED:
            raise stopped[0]
        if status != capi.NBCORE_OK:
            raise_last(status)
        return energy
