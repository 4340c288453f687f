! Dynamics of glycolaldehyde at constant energy:  ./md MODEL.nbcore
include 'nbcore/nbcore.f90' ! the module; a larger program compiles this file once, beside its own

program md
  use, intrinsic :: iso_c_binding, only: c_double, c_int
  use nbcore
  implicit none
  integer, parameter :: n = 8
  integer(c_int), parameter :: numbers(n) = [6, 6, 8, 8, 1, 1, 1, 1]
  real(c_double), parameter :: step = 0.25d0, per_amu = 0.009648533212d0 ! fs; one eV/Angstrom/amu in Angstrom/fs^2
  real(c_double) :: positions(3, n), velocities(3, n), forces(3, n), masses(3, n), energy, kinetic
  type(nbcore_model) :: model
  character(len=1024) :: path
  integer :: i, k, status

  positions = reshape([-0.526d0, -0.581d0, -0.499d0, 0.849d0, -0.514d0, 0.142d0, -1.333d0, 0.321d0, &
                       -0.623d0, 0.971d0, 0.641d0, 0.895d0, -0.975d0, -1.579d0, -0.672d0, 0.944d0, &
                       -1.384d0, 0.762d0, 1.530d0, -0.591d0, -0.718d0, 0.406d0, 1.326d0, 0.543d0], [3, n])
  velocities = 0
  do i = 1, n
    if (numbers(i) == 1) masses(:, i) = 1.008d0
    if (numbers(i) == 6) masses(:, i) = 12.011d0
    if (numbers(i) == 8) masses(:, i) = 15.999d0
  end do
  if (command_argument_count() /= 1) call finish('usage: md MODEL.nbcore')
  call get_command_argument(1, path)
  call model%load(path, status)
  if (status /= NBCORE_OK) call finish(nbcore_message())
  call evaluate()
  do k = 0, 200
    kinetic = sum(0.5d0*masses*velocities**2)/per_amu
    if (mod(k, 50) == 0) print '(f6.2, 3(a, f0.6), a)', k*step, ' fs  potential ', energy, '  kinetic ', kinetic, &
      '  total ', energy + kinetic, ' eV'
    velocities = velocities + 0.5d0*step*per_amu*forces/masses
    positions = positions + step*velocities
    call evaluate()
    velocities = velocities + 0.5d0*step*per_amu*forces/masses
  end do
  call model%free()

contains

  subroutine evaluate()
    call model%evaluate(n, positions, numbers, energy, status, forces=forces)
    if (status /= NBCORE_OK) call finish(nbcore_message())
  end subroutine

  subroutine finish(text)
    character(len=*), intent(in) :: text
    print '(a)', text
    stop 1
  end subroutine

end program md
