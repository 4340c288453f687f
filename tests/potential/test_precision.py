"""float32 evaluations against float64 ones: small and large systems, schemes, the surfaces that offer it."""

import numpy as np
import pytest
from ase.build import bulk

import nbcore
from nbcore.ase import NBCoreCalculator


def silicon(n, rattle=0.05, seed=1):
    atoms = bulk("Si", cubic=True) * (n, n, n)
    atoms.rattle(rattle, seed=seed)
    return atoms


def compute(potential, atoms, threads=1):
    return potential.compute(atoms.positions, atoms.numbers, atoms.cell.array, True, threads=threads)


@pytest.mark.parametrize("n", [1, 3])  # one block, several
def test_single_precision_is_close(n):
    potential, atoms = nbcore.presets.nbody(species=["Si"], cutoff=4.5, channels=16), silicon(n)
    exact = compute(potential, atoms)
    potential.precision = "float32"
    assert potential.precision == "float32"
    single, again = compute(potential, atoms), compute(potential, atoms, threads=2)
    scale = np.abs(exact.forces).max()
    assert 0 < np.abs(single.forces - exact.forces).max() < 1e-5 * scale
    assert abs(single.energy - exact.energy) < 1e-6 * max(1, np.abs(exact.energies).max()) * len(atoms)
    assert np.abs(single.virial - exact.virial).max() < 1e-4 * np.abs(exact.virial).max()
    assert np.array_equal(single.forces, again.forces) and single.energy == again.energy
    potential.precision = "float64"
    assert np.array_equal(compute(potential, atoms).forces, exact.forces)


def test_new_parameters_reach_both_precisions():
    potential, atoms = nbcore.presets.nbody(species=["Si"], cutoff=4.5, channels=8), silicon(1)
    view, forces = potential.parameters, {}
    for factor in (1.0, 1.5):
        view *= factor
        for precision in ("float64", "float32"):
            potential.precision = precision
            forces[precision, factor] = compute(potential, atoms).forces
    for factor in (1.0, 1.5):
        a, b = forces["float64", factor], forces["float32", factor]
        assert np.abs(a - b).max() < 1e-5 * np.abs(a).max()
    assert np.abs(forces["float64", 1.0] - forces["float64", 1.5]).max() > 0.1 * np.abs(forces["float64", 1.0]).max()
    del view
    potential.parameters[:] *= 2.0  # a view that ends at once
    assert not np.array_equal(compute(potential, atoms).forces, forces["float32", 1.5])


def test_calculator_and_errors(tmp_path):
    potential, atoms = nbcore.presets.nbody(species=["Si"], cutoff=4.5, channels=8), silicon(2)
    potential.save(tmp_path / "si.nbcore")
    forces = {}
    for precision in ("float64", "float32"):
        atoms.calc = NBCoreCalculator(tmp_path / "si.nbcore", precision=precision)
        forces[precision] = atoms.get_forces()
    difference = np.abs(forces["float64"] - forces["float32"]).max()
    assert 0 < difference < 1e-5 * np.abs(forces["float64"]).max()
    with pytest.raises(nbcore.InputError, match="float16"):
        potential.precision = "float16"
    with pytest.raises(nbcore.InputError, match="float16"):
        NBCoreCalculator(tmp_path / "si.nbcore", precision="float16")


def test_large_systems_run_colour_by_colour():
    """More than 20,000 atoms: forces and energies of a crystal are those of its repeated part, with any threads."""
    potential, part = nbcore.presets.nbody(species=["Si"], cutoff=4.0, channels=4, l_harmonics=1), silicon(3)
    expected = compute(potential, part)
    large = part * (5, 5, 4)
    assert len(large) >= 20000
    results = [compute(potential, large, threads) for threads in (1, 2)]
    assert np.array_equal(results[0].forces, results[1].forces)
    assert np.array_equal(results[0].virial, results[1].virial) and results[0].energy == results[1].energy
    forces, scale = results[0].forces.reshape(-1, len(part), 3), np.abs(expected.forces).max()
    assert np.abs(forces - expected.forces).max() < 1e-11 * scale
    assert abs(results[0].energy - 100 * expected.energy) < 1e-10 * abs(100 * expected.energy)
    assert np.abs(results[0].virial - 100 * expected.virial).max() < 1e-10 * np.abs(100 * expected.virial).max()
