! The same as driver.c, in Fortran; numbers go in and out as hexadecimal bits.
include 'nbcore/nbcore.f90'

program driver
  use, intrinsic :: iso_c_binding
  use nbcore
  implicit none
  integer, parameter :: most = 4096
  type(nbcore_model) :: model
  type(nbcore_info) :: info
  integer(c_int) :: numbers(most), n_species, species(118), cases
  integer :: threads, status, n, pbc(3), i, end_of_file
  real(c_double) :: cell(3, 3), reshaped(9), positions(3, most), energy, forces(3, most), virial(3, 3), difference
  real(c_double) :: energies(most), virials(3, 3, most)
  character(len=1024) :: path
  call get_command_argument(1, path)
  call model%load(path, status)
  if (status /= NBCORE_OK) call fail()
  call model%info(info, status)
  if (status /= NBCORE_OK .or. info%levels < 1) call fail()
  call model%species(species, n_species, status)
  if (status /= NBCORE_OK .or. n_species /= info%species .or. any(species(:n_species) < 1)) call fail()
  call model%check_golden(cases, difference, status)
  if (status /= NBCORE_OK) call fail()
  write (*, '(i0)') cases
  write (*, '(z16.16)') transfer(difference, 0_c_int64_t)
  read (*, *) threads
  do
    read (*, *, iostat=end_of_file) n, pbc
    if (end_of_file /= 0) exit
    call read_numbers(reshaped, 9)
    cell = reshape(reshaped, [3, 3])
    do i = 1, n
      read (*, *) numbers(i)
      call read_numbers(positions(:, i), 3)
    end do
    call model%evaluate(n, positions, numbers, energy, status, forces=forces, virial=virial, energies=energies, &
                        virials=virials, cell=cell, pbc=pbc == 1, threads=threads)
    if (status /= NBCORE_OK) call fail()
    if (abs(sum(energies(:n)) - energy) > 1d-9*sum(abs(energies(:n)))) stop 5
    if (maxval(abs(sum(virials(:, :, :n), 3) - virial)) > 1d-9*maxval(abs(virials(:, :, :n)))) stop 6
    write (*, '(z16.16)') transfer([energy, forces(:, :n), virial], [0_c_int64_t])
  end do
  call model%evaluate(-1, positions, numbers, energy, status)
  if (status /= NBCORE_ESHAPE .or. index(nbcore_message(), 'n must be') /= 1) stop 7
  call model%free()

contains

  subroutine read_numbers(x, count)
    integer, intent(in) :: count
    real(c_double), intent(out) :: x(count)
    integer(c_int64_t) :: words(count)
    read (*, '(z16)') words
    x = transfer(words, x)
  end subroutine

  subroutine fail()
    write (*, '(2a)') 'failed: ', nbcore_message()
    stop 4
  end subroutine

end program driver
