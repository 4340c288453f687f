"""Structures from ase.Atoms: labels of calculators, info and arrays as the reader takes them; fit and errors too."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

import nbcore
from nbcore import train
from nbcore.data import Structure, Structures, as_structures, read
from nbcore.errors import InputError
from nbcore.results.comparison import compare


def slabs(n=6):
    found = []
    for k in range(n):
        atoms = fcc111("Cu", (1, 1, 3), a=3.6, vacuum=5)
        atoms.info.clear()
        atoms.rattle(0.1, seed=k)
        atoms.calc = EMT()
        atoms.get_potential_energy()
        atoms.get_stress()
        found.append(atoms)
    return found


def test_the_same_as_through_a_file(tmp_path):
    frames = slabs()
    write(tmp_path / "a.xyz", frames)
    for one, two in zip(as_structures(frames), read(tmp_path / "a.xyz"), strict=True):
        assert one.energy == pytest.approx(two.energy, abs=1e-7) and one.pbc.tolist() == [True, True, False]
        np.testing.assert_allclose(one.positions, two.positions, atol=1e-7)
        np.testing.assert_allclose(one.forces, two.forces, atol=1e-7)
        np.testing.assert_allclose(one.stress, two.stress, atol=1e-7)
        np.testing.assert_allclose(one.stress, frames[0].get_stress(voigt=False) if one.frame == 0 else one.stress)


def test_labels_of_info_and_arrays():
    atoms = molecule("CH4")
    atoms.info |= {"dft_energy": -1.0, "config_type": "gas"}
    atoms.arrays["dft_forces"] = np.ones((5, 3))
    s = Structure.from_ase(atoms, energy_key="dft_energy", forces_key="dft_forces", energy_unit="Hartree")
    assert s.energy == -units.Hartree and s.forces[0, 0] == units.Hartree and s.config_type == "gas"
    atoms.info |= {"REF_energy": -2.0, "energy": -3.0}
    with pytest.raises(InputError, match="two candidates for the energy"):
        Structure.from_ase(atoms)
    atoms.arrays["dft_forces"] = np.ones((5, 2))
    with pytest.raises(InputError, match="atoms, frame 0: dft_forces must be numbers of shape"):
        Structure.from_ase(atoms, energy_key="energy", forces_key="dft_forces")


def test_labels_that_are_counted():
    data = as_structures(slabs(3))
    data[0].stress = None
    data[1].outputs["dipole"] = np.zeros(3)
    assert data.labels == {"energy": 3, "forces": 3, "stress": 2, "dipole": 1}


def test_stale_results_are_refused():
    atoms = slabs(1)[0]
    atoms.positions[0] += 0.1
    with pytest.raises(InputError, match="results of its calculator belong to other positions"):
        Structure.from_ase(atoms)
    one, two = molecule("H2O"), molecule("H2O")
    one.calc = two.calc = SinglePointCalculator(one, energy=-1.0)
    two.rattle(0.1)
    with pytest.raises(InputError, match="atoms, frame 1"):
        as_structures([one, two])


@pytest.mark.parametrize("wrong", [[1], ["a.xyz"], molecule("H2O"), 3, [Atoms()]])
def test_what_is_no_structure(wrong):
    with pytest.raises(InputError):
        as_structures(wrong)
    with pytest.raises(TypeError, match="takes ase.Atoms"):
        Structure.from_ase("a.xyz")


def test_a_label_that_some_lack():
    frames = slabs(3)
    frames[1].calc = None
    with pytest.raises(InputError, match="atoms, frame 1: no energy"):
        as_structures(frames)
    assert as_structures(frames, missing="mask")[1].energy is None
    assert Structures.from_ase(frames, missing="mask").labels["forces"] == 2


def test_isolated_atoms_are_set_apart():
    alone = Atoms("Cu", [[0, 0, 0]])
    alone.calc = EMT()
    alone.get_potential_energy()
    data = as_structures([*slabs(2), alone])
    assert len(data) == 2 and len(data.isolated) == 1


def test_fit_compute_many_and_errors_take_atoms():
    frames = slabs(6)
    potential = nbcore.presets.nbody(species=["Cu"], cutoff=3.6, channels=4, seed=1)
    ended = train.fit(potential, frames[:4], valid=frames[4:], max_epochs=1, quiet=True).potential
    same = nbcore.presets.nbody(species=["Cu"], cutoff=3.6, channels=4, seed=1)
    other = train.fit(
        same, as_structures(frames[:4]), valid=as_structures(frames[4:]), max_epochs=1, quiet=True
    ).potential
    assert np.array_equal(ended.parameters, other.parameters)
    results = potential.compute_many(frames)
    assert compare("slabs", frames, results).stress_rmse > 0
    assert compare("slabs", frames, results).as_dict() == compare("slabs", as_structures(frames), results).as_dict()


def test_atoms_on_top_of_each_other_are_named_by_fit():
    frames = [bulk("Cu", cubic=True) for _ in range(4)]
    for k, atoms in enumerate(frames):
        atoms.positions[1] = atoms.positions[0] if k == 2 else atoms.positions[1]
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=np.zeros((4, 3)))
    with pytest.raises(InputError, match="atoms, frame 2: atoms 0 .* and 1 .*on top of each other"):
        train.fit(nbcore.presets.nbody(species=["Cu"], cutoff=3.6, channels=4), frames, quiet=True)
