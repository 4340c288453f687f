! nbcore for Fortran 2003: the C interface, which nbcore.h describes call by call. A program begins with
!
!     include 'nbcore/nbcore.f90'      (or compiles this file beside its own)
!
!     use nbcore
!     type(nbcore_model) :: model
!     call model%load('acac.nbcore', status)
!     if (status /= NBCORE_OK) stop ...            nbcore_message() says what was wrong
!     call model%evaluate(n, positions, numbers, energy, status, forces=forces, cell=cell, pbc=pbc)
!
! Arrays stand in Fortran's order: positions(3, n), forces(3, n); column k of cell is cell vector k; virial(b, a) and
! virials(b, a, i) are the sums of r_a f_b. Places of atoms in lists count from 0, as in C.
module nbcore
  use, intrinsic :: iso_c_binding
  implicit none
  private
  public :: nbcore_model, nbcore_levels, nbcore_options, nbcore_system, nbcore_result, nbcore_info
  public :: nbcore_version, nbcore_message, nbcore_errno

  enum, bind(c)
    enumerator :: NBCORE_OK = 0, NBCORE_EARG, NBCORE_ESHAPE, NBCORE_ENONFINITE, NBCORE_ECELL, NBCORE_EOVERLAP, &
      NBCORE_ESPECIES, NBCORE_EMODEL, NBCORE_EIO, NBCORE_ENUMERICS, NBCORE_EMEMORY, NBCORE_EINTERNAL, &
      NBCORE_EINTERRUPTED
  end enum
  public :: NBCORE_OK, NBCORE_EARG, NBCORE_ESHAPE, NBCORE_ENONFINITE, NBCORE_ECELL, NBCORE_EOVERLAP, NBCORE_ESPECIES, &
    NBCORE_EMODEL, NBCORE_EIO, NBCORE_ENUMERICS, NBCORE_EMEMORY, NBCORE_EINTERNAL, NBCORE_EINTERRUPTED

  ! The structs of nbcore.h; the leading size is filled in by the calls.
  type, bind(c) :: nbcore_options
    integer(c_size_t) :: size = 0
    integer(c_int) :: threads = 0, precision = 0
    type(c_funptr) :: interrupt = c_null_funptr
    type(c_ptr) :: interrupt_data = c_null_ptr
    real(c_double) :: skin = -1
    integer(c_int64_t) :: max_bytes = -1
  end type

  type, bind(c) :: nbcore_system
    integer(c_size_t) :: size = 0
    integer(c_int64_t) :: n = 0, n_ghosts = 0
    type(c_ptr) :: positions = c_null_ptr, numbers = c_null_ptr, cell = c_null_ptr, pbc = c_null_ptr
    type(c_ptr) :: scheme = c_null_ptr, leaves = c_null_ptr
    integer(c_int64_t) :: n_rows = 0
    type(c_ptr) :: first = c_null_ptr, neighbours = c_null_ptr, shifts = c_null_ptr
    integer(c_int) :: half = 0
    type(c_ptr) :: owners = c_null_ptr
  end type

  type, bind(c) :: nbcore_result
    integer(c_size_t) :: size = 0
    type(c_ptr) :: energy = c_null_ptr, forces = c_null_ptr, virial = c_null_ptr, energies = c_null_ptr
    type(c_ptr) :: virials = c_null_ptr, outputs = c_null_ptr
    type(c_ptr) :: energy_uncertainty = c_null_ptr, forces_uncertainty = c_null_ptr, grades = c_null_ptr
  end type

  type, bind(c) :: nbcore_info
    integer(c_size_t) :: size = 0
    real(c_double) :: cutoff = 0, ghost_range = 0, r_min = 0
    integer(c_int) :: levels = 0, species = 0, outputs = 0, leaves = 0, members = 0, scheme = 0
    type(c_ptr) :: energy_unit = c_null_ptr, length_unit = c_null_ptr, kernel_set = c_null_ptr
  end type

  ! A model by its handle. Copies mean the same model; free it once.
  type :: nbcore_model
    type(c_ptr) :: handle = c_null_ptr
  contains
    procedure :: load => model_load
    procedure :: load_memory => model_load_memory
    procedure :: free => model_free
    procedure :: info => model_info
    procedure :: species => model_species
    procedure :: closest => model_closest
    procedure :: check_golden => model_check_golden
    procedure :: set_precision => model_set_precision
    procedure :: set_skin => model_set_skin
    procedure :: set_max_bytes => model_set_max_bytes
    procedure :: evaluate => model_evaluate
    procedure :: compute => model_compute
  end type

  ! Level by level, with states of ghosts exchanged by the program
  type :: nbcore_levels
    type(c_ptr) :: handle = c_null_ptr
  contains
    procedure :: new => levels_new
    procedure :: free => levels_free
    procedure :: row_bytes => levels_row_bytes
    procedure :: begin => levels_begin
    procedure :: forward => levels_forward
    procedure :: adjoint => levels_adjoint
    procedure :: finish => levels_finish
    procedure :: read_states => levels_read_states
    procedure :: write_states => levels_write_states
    procedure :: take_adjoints => levels_take_adjoints
    procedure :: add_adjoints => levels_add_adjoints
  end type

  interface
    function c_version() bind(c, name='nbcore_version') result(text)
      import :: c_ptr
      type(c_ptr) :: text
    end function
    function c_message() bind(c, name='nbcore_message') result(text)
      import :: c_ptr
      type(c_ptr) :: text
    end function
    function nbcore_errno() bind(c, name='nbcore_errno') result(number)
      import :: c_int
      integer(c_int) :: number
    end function
    function c_load(path, model) bind(c, name='nbcore_load') result(status)
      import :: c_char, c_ptr, c_int
      character(kind=c_char), intent(in) :: path(*)
      type(c_ptr), intent(inout) :: model
      integer(c_int) :: status
    end function
    function c_load_memory(bytes, n, model) bind(c, name='nbcore_load_memory') result(status)
      import :: c_ptr, c_int, c_size_t
      type(c_ptr), value :: bytes
      integer(c_size_t), value :: n
      type(c_ptr), intent(inout) :: model
      integer(c_int) :: status
    end function
    function c_free(model) bind(c, name='nbcore_free') result(status)
      import :: c_ptr, c_int
      type(c_ptr), value :: model
      integer(c_int) :: status
    end function
    function c_get_info(model, info) bind(c, name='nbcore_get_info') result(status)
      import :: c_ptr, c_int, nbcore_info
      type(c_ptr), value :: model
      type(nbcore_info), intent(inout) :: info
      integer(c_int) :: status
    end function
    function c_species(model, capacity, numbers, n) bind(c, name='nbcore_species') result(status)
      import :: c_ptr, c_int
      type(c_ptr), value :: model
      integer(c_int), value :: capacity
      integer(c_int), intent(inout) :: numbers(*), n
      integer(c_int) :: status
    end function
    function c_closest(model, number, other, distance) bind(c, name='nbcore_closest') result(status)
      import :: c_ptr, c_int, c_double
      type(c_ptr), value :: model
      integer(c_int), value :: number, other
      real(c_double), intent(inout) :: distance
      integer(c_int) :: status
    end function
    function c_check_golden(model, cases, difference) bind(c, name='nbcore_check_golden') result(status)
      import :: c_ptr, c_int, c_double
      type(c_ptr), value :: model
      integer(c_int), intent(inout) :: cases
      real(c_double), intent(inout) :: difference
      integer(c_int) :: status
    end function
    function c_set_precision(model, bits) bind(c, name='nbcore_set_precision') result(status)
      import :: c_ptr, c_int
      type(c_ptr), value :: model
      integer(c_int), value :: bits
      integer(c_int) :: status
    end function
    function c_set_skin(model, skin) bind(c, name='nbcore_set_skin') result(status)
      import :: c_ptr, c_int, c_double
      type(c_ptr), value :: model
      real(c_double), value :: skin
      integer(c_int) :: status
    end function
    function c_set_max_bytes(model, bytes) bind(c, name='nbcore_set_max_bytes') result(status)
      import :: c_ptr, c_int, c_int64_t
      type(c_ptr), value :: model
      integer(c_int64_t), value :: bytes
      integer(c_int) :: status
    end function
    function c_compute(model, system, options, results) bind(c, name='nbcore_compute') result(status)
      import :: c_ptr, c_int, nbcore_system, nbcore_options, nbcore_result
      type(c_ptr), value :: model
      type(nbcore_system), intent(in) :: system
      type(nbcore_options), intent(in) :: options
      type(nbcore_result), intent(in) :: results
      integer(c_int) :: status
    end function
    function c_levels_new(model, options, levels) bind(c, name='nbcore_levels_new') result(status)
      import :: c_ptr, c_int, nbcore_options
      type(c_ptr), value :: model
      type(nbcore_options), intent(in) :: options
      type(c_ptr), intent(inout) :: levels
      integer(c_int) :: status
    end function
    function c_levels_free(levels) bind(c, name='nbcore_levels_free') result(status)
      import :: c_ptr, c_int
      type(c_ptr), value :: levels
      integer(c_int) :: status
    end function
    function c_levels_row_bytes(levels, level, bytes) bind(c, name='nbcore_levels_row_bytes') result(status)
      import :: c_ptr, c_int, c_size_t
      type(c_ptr), value :: levels
      integer(c_int), value :: level
      integer(c_size_t), intent(inout) :: bytes
      integer(c_int) :: status
    end function
    function c_levels_begin(levels, system, results) bind(c, name='nbcore_levels_begin') result(status)
      import :: c_ptr, c_int, nbcore_system, nbcore_result
      type(c_ptr), value :: levels
      type(nbcore_system), intent(in) :: system
      type(nbcore_result), intent(in) :: results
      integer(c_int) :: status
    end function
    function c_levels_forward(levels, level) bind(c, name='nbcore_levels_forward') result(status)
      import :: c_ptr, c_int
      type(c_ptr), value :: levels
      integer(c_int), value :: level
      integer(c_int) :: status
    end function
    function c_levels_adjoint(levels, level) bind(c, name='nbcore_levels_adjoint') result(status)
      import :: c_ptr, c_int
      type(c_ptr), value :: levels
      integer(c_int), value :: level
      integer(c_int) :: status
    end function
    function c_levels_finish(levels) bind(c, name='nbcore_levels_finish') result(status)
      import :: c_ptr, c_int
      type(c_ptr), value :: levels
      integer(c_int) :: status
    end function
    function c_levels_read_states(levels, level, n, atoms, rows) bind(c, name='nbcore_levels_read_states') result(status)
      import :: c_ptr, c_int, c_int64_t, c_double
      type(c_ptr), value :: levels
      integer(c_int), value :: level
      integer(c_int64_t), value :: n
      integer(c_int), intent(in) :: atoms(*)
      real(c_double), intent(inout) :: rows(*)
      integer(c_int) :: status
    end function
    function c_levels_write_states(levels, level, n, atoms, rows) bind(c, name='nbcore_levels_write_states') &
      result(status)
      import :: c_ptr, c_int, c_int64_t, c_double
      type(c_ptr), value :: levels
      integer(c_int), value :: level
      integer(c_int64_t), value :: n
      integer(c_int), intent(in) :: atoms(*)
      real(c_double), intent(in) :: rows(*)
      integer(c_int) :: status
    end function
    function c_levels_take_adjoints(levels, level, n, atoms, rows) bind(c, name='nbcore_levels_take_adjoints') &
      result(status)
      import :: c_ptr, c_int, c_int64_t, c_double
      type(c_ptr), value :: levels
      integer(c_int), value :: level
      integer(c_int64_t), value :: n
      integer(c_int), intent(in) :: atoms(*)
      real(c_double), intent(inout) :: rows(*)
      integer(c_int) :: status
    end function
    function c_levels_add_adjoints(levels, level, n, atoms, rows) bind(c, name='nbcore_levels_add_adjoints') &
      result(status)
      import :: c_ptr, c_int, c_int64_t, c_double
      type(c_ptr), value :: levels
      integer(c_int), value :: level
      integer(c_int64_t), value :: n
      integer(c_int), intent(in) :: atoms(*)
      real(c_double), intent(in) :: rows(*)
      integer(c_int) :: status
    end function
  end interface

contains

  ! ---- texts ----

  function nbcore_version() result(text)
    character(len=:), allocatable :: text
    text = text_of(c_version())
  end function

  ! What was wrong in the last call of this thread that did not return NBCORE_OK
  function nbcore_message() result(text)
    character(len=:), allocatable :: text
    text = text_of(c_message())
  end function

  function text_of(pointer) result(text)
    type(c_ptr), intent(in) :: pointer
    character(len=:), allocatable :: text
    character(kind=c_char), pointer :: bytes(:)
    integer :: i, n
    call c_f_pointer(pointer, bytes, [4096])
    n = 0
    do while (bytes(n + 1) /= c_null_char)
      n = n + 1
    end do
    allocate (character(len=n) :: text)
    do i = 1, n
      text(i:i) = bytes(i)
    end do
  end function

  ! ---- models ----

  subroutine model_load(self, path, status)
    class(nbcore_model), intent(inout) :: self
    character(len=*), intent(in) :: path
    integer, intent(out) :: status
    character(kind=c_char) :: bytes(len_trim(path) + 1)
    integer :: i
    do i = 1, len_trim(path)
      bytes(i) = path(i:i)
    end do
    bytes(len_trim(path) + 1) = c_null_char
    status = c_load(bytes, self%handle)
  end subroutine

  ! From the n bytes of a model file at an address
  subroutine model_load_memory(self, bytes, n, status)
    class(nbcore_model), intent(inout) :: self
    type(c_ptr), intent(in) :: bytes
    integer(c_size_t), intent(in) :: n
    integer, intent(out) :: status
    status = c_load_memory(bytes, n, self%handle)
  end subroutine

  subroutine model_free(self, status)
    class(nbcore_model), intent(inout) :: self
    integer, intent(out), optional :: status
    integer :: got
    got = c_free(self%handle)
    self%handle = c_null_ptr
    if (present(status)) status = got
  end subroutine

  subroutine model_info(self, info, status)
    class(nbcore_model), intent(in) :: self
    type(nbcore_info), intent(out) :: info
    integer, intent(out) :: status
    info%size = size(transfer(info, [c_null_char]), kind=c_size_t)
    status = c_get_info(self%handle, info)
  end subroutine

  ! Atomic numbers, ascending; n: how many there are
  subroutine model_species(self, numbers, n, status)
    class(nbcore_model), intent(in) :: self
    integer(c_int), intent(inout) :: numbers(:)
    integer(c_int), intent(out) :: n
    integer, intent(out) :: status
    integer(c_int) :: room(118)
    n = 0
    status = c_species(self%handle, 118_c_int, room, n)
    if (status == NBCORE_OK) numbers(:min(size(numbers), int(n))) = room(:min(size(numbers), int(n)))
  end subroutine

  subroutine model_closest(self, number, other, distance, status)
    class(nbcore_model), intent(in) :: self
    integer(c_int), intent(in) :: number, other
    real(c_double), intent(out) :: distance
    integer, intent(out) :: status
    distance = 0
    status = c_closest(self%handle, number, other, distance)
  end subroutine

  ! Computes the golden cases of the model's file; cases: how many there are
  subroutine model_check_golden(self, cases, difference, status)
    class(nbcore_model), intent(in) :: self
    integer(c_int), intent(out) :: cases
    real(c_double), intent(out) :: difference
    integer, intent(out) :: status
    cases = 0
    difference = 0
    status = c_check_golden(self%handle, cases, difference)
  end subroutine

  subroutine model_set_precision(self, bits, status)
    class(nbcore_model), intent(in) :: self
    integer(c_int), intent(in) :: bits
    integer, intent(out) :: status
    status = c_set_precision(self%handle, bits)
  end subroutine

  subroutine model_set_skin(self, skin, status)
    class(nbcore_model), intent(in) :: self
    real(c_double), intent(in) :: skin
    integer, intent(out) :: status
    status = c_set_skin(self%handle, skin)
  end subroutine

  subroutine model_set_max_bytes(self, bytes, status)
    class(nbcore_model), intent(in) :: self
    integer(c_int64_t), intent(in) :: bytes
    integer, intent(out) :: status
    status = c_set_max_bytes(self%handle, bytes)
  end subroutine

  ! A whole structure of n atoms into arrays. threads: 0 or absent, from the environment, else one; precision: bits
  subroutine model_evaluate(self, n, positions, numbers, energy, status, forces, virial, energies, virials, cell, pbc, &
                            threads, precision)
    class(nbcore_model), intent(in) :: self
    integer, intent(in) :: n
    real(c_double), intent(in), target :: positions(3, n)
    integer(c_int), intent(in), target :: numbers(n)
    real(c_double), intent(inout), target :: energy
    integer, intent(out) :: status
    real(c_double), intent(inout), optional, target :: forces(3, n), virial(3, 3), energies(n), virials(3, 3, n)
    real(c_double), intent(in), optional, target :: cell(3, 3)
    logical, intent(in), optional :: pbc(3)
    integer, intent(in), optional :: threads, precision
    integer(c_int), target :: periodic(3)
    type(nbcore_system) :: system
    type(nbcore_result) :: results
    type(nbcore_options) :: options
    system%n = n
    if (n > 0) then
      system%positions = c_loc(positions)
      system%numbers = c_loc(numbers)
    end if
    if (present(cell)) system%cell = c_loc(cell)
    if (present(pbc)) then
      periodic = merge(1_c_int, 0_c_int, pbc)
      system%pbc = c_loc(periodic)
    end if
    results%energy = c_loc(energy)
    if (present(virial)) results%virial = c_loc(virial)
    if (n > 0) then
      if (present(forces)) results%forces = c_loc(forces)
      if (present(energies)) results%energies = c_loc(energies)
      if (present(virials)) results%virials = c_loc(virials)
    end if
    if (present(threads)) options%threads = int(threads, c_int)
    if (present(precision)) options%precision = int(precision, c_int)
    call self%compute(system, results, status, options)
  end subroutine

  ! nbcore_compute: lists of the program's own, ghosts, outputs
  subroutine model_compute(self, system, results, status, options)
    class(nbcore_model), intent(in) :: self
    type(nbcore_system), intent(in) :: system
    type(nbcore_result), intent(in) :: results
    integer, intent(out) :: status
    type(nbcore_options), intent(in), optional :: options
    status = c_compute(self%handle, sized_system(system), sized_options(options), sized_result(results))
  end subroutine

  ! ---- the leading sizes ----

  function sized_system(given) result(sized)
    type(nbcore_system), intent(in) :: given
    type(nbcore_system) :: sized
    sized = given
    sized%size = size(transfer(sized, [c_null_char]), kind=c_size_t)
  end function

  function sized_result(given) result(sized)
    type(nbcore_result), intent(in) :: given
    type(nbcore_result) :: sized
    sized = given
    sized%size = size(transfer(sized, [c_null_char]), kind=c_size_t)
  end function

  function sized_options(given) result(sized)
    type(nbcore_options), intent(in), optional :: given
    type(nbcore_options) :: sized
    if (present(given)) sized = given
    sized%size = size(transfer(sized, [c_null_char]), kind=c_size_t)
  end function

  ! ---- levels ----

  subroutine levels_new(self, model, status, options)
    class(nbcore_levels), intent(inout) :: self
    type(nbcore_model), intent(in) :: model
    integer, intent(out) :: status
    type(nbcore_options), intent(in), optional :: options
    status = c_levels_new(model%handle, sized_options(options), self%handle)
  end subroutine

  subroutine levels_free(self, status)
    class(nbcore_levels), intent(inout) :: self
    integer, intent(out), optional :: status
    integer :: got
    got = c_levels_free(self%handle)
    self%handle = c_null_ptr
    if (present(status)) status = got
  end subroutine

  ! Rows are whole real(c_double): a row of an atom takes bytes / 8 of them.
  subroutine levels_row_bytes(self, level, bytes, status)
    class(nbcore_levels), intent(in) :: self
    integer, intent(in) :: level
    integer(c_size_t), intent(out) :: bytes
    integer, intent(out) :: status
    bytes = 0
    status = c_levels_row_bytes(self%handle, int(level, c_int), bytes)
  end subroutine

  subroutine levels_begin(self, system, results, status)
    class(nbcore_levels), intent(in) :: self
    type(nbcore_system), intent(in) :: system
    type(nbcore_result), intent(in) :: results
    integer, intent(out) :: status
    status = c_levels_begin(self%handle, sized_system(system), sized_result(results))
  end subroutine

  subroutine levels_forward(self, level, status)
    class(nbcore_levels), intent(in) :: self
    integer, intent(in) :: level
    integer, intent(out) :: status
    status = c_levels_forward(self%handle, int(level, c_int))
  end subroutine

  subroutine levels_adjoint(self, level, status)
    class(nbcore_levels), intent(in) :: self
    integer, intent(in) :: level
    integer, intent(out) :: status
    status = c_levels_adjoint(self%handle, int(level, c_int))
  end subroutine

  subroutine levels_finish(self, status)
    class(nbcore_levels), intent(in) :: self
    integer, intent(out) :: status
    status = c_levels_finish(self%handle)
  end subroutine

  ! atoms: places, from 0
  subroutine levels_read_states(self, level, n, atoms, rows, status)
    class(nbcore_levels), intent(in) :: self
    integer, intent(in) :: level, n
    integer(c_int), intent(in) :: atoms(*)
    real(c_double), intent(inout) :: rows(*)
    integer, intent(out) :: status
    status = c_levels_read_states(self%handle, int(level, c_int), int(n, c_int64_t), atoms, rows)
  end subroutine

  subroutine levels_write_states(self, level, n, atoms, rows, status)
    class(nbcore_levels), intent(in) :: self
    integer, intent(in) :: level, n
    integer(c_int), intent(in) :: atoms(*)
    real(c_double), intent(in) :: rows(*)
    integer, intent(out) :: status
    status = c_levels_write_states(self%handle, int(level, c_int), int(n, c_int64_t), atoms, rows)
  end subroutine

  subroutine levels_take_adjoints(self, level, n, atoms, rows, status)
    class(nbcore_levels), intent(in) :: self
    integer, intent(in) :: level, n
    integer(c_int), intent(in) :: atoms(*)
    real(c_double), intent(inout) :: rows(*)
    integer, intent(out) :: status
    status = c_levels_take_adjoints(self%handle, int(level, c_int), int(n, c_int64_t), atoms, rows)
  end subroutine

  subroutine levels_add_adjoints(self, level, n, atoms, rows, status)
    class(nbcore_levels), intent(in) :: self
    integer, intent(in) :: level, n
    integer(c_int), intent(in) :: atoms(*)
    real(c_double), intent(in) :: rows(*)
    integer, intent(out) :: status
    status = c_levels_add_adjoints(self%handle, int(level, c_int), int(n, c_int64_t), atoms, rows)
  end subroutine

end module nbcore
