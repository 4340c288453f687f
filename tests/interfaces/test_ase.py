"""NBCoreCalculator in ASE: results, units, caches, errors."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError, compare_atoms
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.neighborlist import neighbor_list

from nbcore import Potential
from nbcore.ase import NBCoreCalculator
from nbcore.errors import SpeciesError
from nbcore.presets import nbody


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A small random potential in a file whose folder has a space and an umlaut."""
    E0s = {"H": -13.5, "C": -1026.0, "O": -2037.0}
    potential = nbody(species=["H", "C", "O"], cutoff=4.0, channels=8, l_harmonics=2, n_radial=4, E0s=E0s, seed=3)
    path = tmp_path_factory.mktemp("mödels of mine") / "small.nbcore"
    potential.save(path)
    return path


@pytest.fixture(params=["path", "potential"])
def calculator(request, path):
    return NBCoreCalculator(path if request.param == "path" else Potential.load(path))


def crystal():
    """A sheared triclinic cell of eight carbon atoms and hydrogens between them, rattled."""
    atoms = bulk("C", "diamond", a=3.6, cubic=True)
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.1, 0.02], [0.0, 1.1, -0.07], [0.03, 0.0, 0.95]], scale_atoms=True)
    atoms.numbers[1::3] = 1
    atoms.rattle(0.1, seed=2)
    return atoms


def water():
    atoms = molecule("H2O")
    atoms.rattle(0.05, seed=1)
    return atoms


def fresh(path, atoms):
    """The result without ASE, from another object."""
    return Potential.load(path).compute(atoms.positions, atoms.numbers, cell=atoms.cell.array, pbc=atoms.pbc)


def assert_right(path, atoms):
    r = fresh(path, atoms)
    assert atoms.get_potential_energy() == r.energy
    assert atoms.get_potential_energy(force_consistent=True) == r.energy
    np.testing.assert_array_equal(atoms.get_forces(), r.forces)
    np.testing.assert_array_equal(atoms.get_potential_energies(), r.energies)
    if atoms.pbc.all():
        np.testing.assert_array_equal(atoms.get_stress(voigt=False), (r.stress + r.stress.T) / 2)


@pytest.mark.parametrize("make", [water, crystal])
def test_same_as_compute(path, calculator, make):
    atoms = make()
    atoms.calc = calculator
    assert_right(path, atoms)


def test_forces_and_stress_against_differences(calculator):
    """Sign and Voigt order of the stress included: the cell is sheared in all directions."""
    atoms = crystal()
    atoms.calc = calculator
    assert np.abs(atoms.get_stress()).min() > 1e-5  # every component can be seen
    np.testing.assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-6)
    atoms = water()
    atoms.calc = calculator
    np.testing.assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=2e-6)


def test_everything_in_place_is_noticed(path, calculator):
    atoms = crystal()
    atoms.calc = calculator
    seen = {atoms.get_potential_energy()}

    def changed():
        assert_right(path, atoms)
        energy = atoms.get_potential_energy()
        assert energy not in seen
        seen.add(energy)

    atoms.positions[0, 1] += 1e-9
    changed()
    atoms.cell[2, 0] += 0.3
    changed()
    atoms.pbc[1] = False
    changed()
    atoms.numbers[3] = 8
    changed()
    atoms += Atoms("H", positions=[[1.0, 1.1, 1.7]])
    changed()
    del atoms[2]
    changed()
    atoms.pbc = False
    changed()


def test_dynamics_search_for_neighbours_seldom(path):
    """Right at every step, the skin chosen or not."""
    for options, skin in (({}, 0.5), ({"skin": 0.0}, 0.0)):
        atoms = crystal()
        atoms.calc = NBCoreCalculator(path, **options)
        assert atoms.calc.potential.skin == skin
        for k in range(10):
            atoms.rattle(0.01, seed=k)
            assert_right(path, atoms)
        assert atoms.calc.potential.searches == (10 if skin == 0 else 2)


def test_stresses_of_atoms(path, calculator):
    """-virial / volume of each; their sum is the stress, to the last bits. Computed when asked for, and kept until the
    structure changes; slabs have them, structures without a volume have none."""
    atoms = crystal()
    atoms.calc = calculator
    energy = atoms.get_potential_energy()
    assert "stresses" not in calculator.results
    for _ in range(2):
        r = Potential.load(path).compute(atoms.positions, atoms.numbers, atoms.cell.array, atoms.pbc, virials=True)
        expected = -(r.virials + r.virials.transpose(0, 2, 1)) / 2 / atoms.get_volume()
        np.testing.assert_allclose(atoms.get_stresses(voigt=False), expected, rtol=1e-14, atol=0)
        largest = np.abs(expected).max()
        np.testing.assert_allclose(atoms.get_stresses().sum(axis=0), atoms.get_stress(), rtol=0, atol=1e-13 * largest)
        assert not calculator.calculation_required(atoms, ["stresses", "stress", "forces"])
        assert_right(path, atoms)
        atoms.rattle(0.1, seed=4)
        atoms.pbc = (True, False, True)
        assert calculator.calculation_required(atoms, ["stresses"])
    assert atoms.get_potential_energy() != energy
    atoms.cell = np.zeros((3, 3))
    atoms.pbc = False
    with pytest.raises(PropertyNotImplementedError, match="a cell with a volume"):
        atoms.get_stresses()


def test_stresses_of_atoms_are_as_those_of_other_calculators():
    """Of forces between pairs every atom has half of r f, as ase.calculators.lj has it."""
    pairs = nbody(["Si"], 4.0, channels=4, levels=1)
    pairs.parameters[:] = 0
    pairs.repulsion = {"Si-Si": 3.5}
    atoms = bulk("Si", "diamond", a=5.0, cubic=True)
    atoms.rattle(0.1, seed=3)
    atoms.calc = NBCoreCalculator(pairs)
    i, r = neighbor_list("iD", atoms, 3.5)
    expected = np.zeros((len(atoms), 3, 3))
    for a, d in zip(i, r, strict=True):  # r from a to the other; the force on a
        f = pairs.compute([[0, 0, 0], d], ["Si", "Si"]).forces[0]
        expected[a] += 0.5 * np.outer(d, f) / atoms.get_volume()
    np.testing.assert_allclose(atoms.get_stresses(voigt=False), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_calculators_side_by_side(path):
    """A copy for each thread over one evaluator, and for each process: the bits of one after the other."""
    calculator = NBCoreCalculator(path)

    def relaxed(seed):
        atoms = crystal()
        atoms.rattle(0.05, seed=seed)
        atoms.calc = copy.deepcopy(calculator)
        for _ in range(5):
            atoms.positions += 0.01 * atoms.get_forces()
        return atoms.get_potential_energy(), atoms.get_stresses()

    expected = [relaxed(seed) for seed in range(6)]
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(relaxed, range(6)), expected, strict=True):
            assert got[0] == wanted[0] and np.array_equal(got[1], wanted[1])
    assert copy.deepcopy(calculator).potential is calculator.potential


def test_results_are_copies_and_atoms_untouched(calculator):
    atoms = crystal()
    before = atoms.copy()
    atoms.calc = calculator
    for get in (atoms.get_forces, atoms.get_stress, atoms.get_potential_energies):
        kept = get().copy()
        get()[:] = 7.0
        np.testing.assert_array_equal(get(), kept)
    forces, kept = atoms.get_forces(), atoms.get_forces().copy()
    atoms.rattle(0.1, seed=5)
    atoms.get_forces()
    np.testing.assert_array_equal(forces, kept)  # an earlier result is not written over
    atoms.positions = before.positions
    assert atoms == before and set(atoms.arrays) == set(before.arrays) and atoms.info == before.info


@pytest.mark.parametrize("pbc", [False, (True, True, False)])
def test_stress_of_any_cell_with_a_volume(calculator, pbc):
    """Slabs, and molecules in a box: as ASE's own calculators have it; differences of energies are the truth."""
    atoms = crystal()
    atoms.pbc = pbc
    atoms.calc = calculator
    np.testing.assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-6)


@pytest.mark.parametrize("cell", [np.zeros((3, 3)), np.diag([5.0, 5.0, 0.0])])
def test_no_stress_without_a_volume(calculator, cell):
    atoms = crystal()
    atoms.pbc = False
    atoms.cell = cell
    atoms.calc = calculator
    atoms.get_forces()
    for _ in range(2):
        with pytest.raises(PropertyNotImplementedError, match="a cell with a volume"):
            atoms.get_stress()


def test_unknown_element_is_named_and_nothing_is_stale(path, calculator):
    atoms = water()
    atoms.calc = calculator
    atoms.get_forces()
    atoms.numbers[0] = 16
    for _ in range(2):
        with pytest.raises(SpeciesError) as error:
            atoms.get_forces()
        assert "S " in str(error.value) and "H C O" in str(error.value)
    atoms.numbers[0] = 8
    assert_right(path, atoms)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda calc: pickle.loads(pickle.dumps(calc))])
def test_pickle_and_deepcopy(path, calculator, clone):
    atoms = crystal()
    atoms.calc = calculator
    atoms.get_forces()
    other = crystal()
    other.calc = clone(calculator)
    other.rattle(0.05, seed=9)
    assert_right(path, other)
    assert_right(path, atoms)


def test_parameters_of_a_potential_may_change(path):
    potential = Potential.load(path)
    atoms = water()
    atoms.calc = NBCoreCalculator(potential)
    before = atoms.get_potential_energy()
    potential.parameters[:] *= 0.9
    after = atoms.get_potential_energy()
    assert after != before
    assert after == potential.compute(atoms.positions, atoms.numbers).energy


def test_no_atoms(calculator):
    atoms = Atoms()
    atoms.calc = calculator
    assert atoms.get_potential_energy() == 0.0
    assert atoms.get_forces().shape == (0, 3)


def test_absent_model(tmp_path):
    with pytest.raises(FileNotFoundError):
        NBCoreCalculator(tmp_path / "absent.nbcore")


@pytest.mark.parametrize("given", [{"skin": 1.0}, {"skin": 0}, {"precision": "float32"}])
def test_what_a_potential_object_would_not_heed_is_refused(given):
    potential = nbody(species=["H"], cutoff=3.0, channels=8)
    with pytest.raises(TypeError, match=f"{next(iter(given))}=.*path of a model file; got a Potential"):
        NBCoreCalculator(potential, **given)


def test_changes_are_those_that_ase_finds_without_a_tolerance(calculator):
    """One bit of a position or a cell, an element, a boundary, another number of atoms; a charge and -0 are none."""
    start = crystal()
    start.positions[0] = 0.0
    start.calc = calculator
    start.get_potential_energy()

    def changed(how):
        atoms = start.copy()
        how(atoms)
        return atoms

    def one_bit(atoms):
        atoms.positions[3, 1] = np.nextafter(atoms.positions[3, 1], np.inf)

    cases = [
        lambda atoms: None,
        one_bit,
        lambda atoms: atoms.positions.__setitem__((0, 0), -0.0),
        lambda atoms: atoms.positions.__setitem__((0, 0), np.nan),
        lambda atoms: atoms.cell.__setitem__((2, 2), np.nextafter(atoms.cell[2, 2], np.inf)),
        lambda atoms: atoms.set_pbc([True, True, False]),
        lambda atoms: atoms.numbers.__setitem__(0, 1),
        lambda atoms: atoms.append("H"),
        lambda atoms: atoms.set_initial_charges(np.ones(len(atoms))),
    ]
    for case in cases:
        atoms = changed(case)
        expected = compare_atoms(calculator.atoms, atoms, tol=0.0, excluded_properties=calculator.ignored_changes)
        assert set(calculator.check_state(atoms)) == set(expected)
    assert [len(calculator.check_state(changed(case))) for case in cases] == [0, 1, 0, 1, 1, 1, 1, 2, 0]
