"""A structure that a training cannot use is named, whatever it lacks, and before the training begins."""

import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from nbcore import presets
from nbcore.data import Structure, Structures
from nbcore.errors import InputError, NumericsError, SpeciesError
from nbcore.train import Loss, TrainingSet, fit


def dimers():
    many = []
    for k, d in enumerate(np.linspace(1.0, 1.6, 6)):
        forces = np.array([[0, 0, 1.3 - d], [0, 0, d - 1.3]])
        positions = np.array([[0, 0, 0], [0, 0, d]])
        labels = {"energy": 0.5 * (d - 1.3) ** 2, "forces": forces}
        many.append(Structure(positions, np.array([1, 1]), file="a.xyz", frame=k, **labels))
    return many


def potential():
    return presets.nbody(species=["H"], cutoff=3.0, channels=2)


@pytest.mark.parametrize("distance", [0.0, 0.01, 0.05])
def test_atoms_on_top_of_each_other_are_named(distance):
    many = dimers()
    many[3] = dataclasses.replace(many[3], positions=np.array([[0.0, 0, 0], [0, 0, distance]]))
    with pytest.raises(NumericsError, match="a.xyz, frame 3"):
        TrainingSet(potential(), many)
    many[3].file = ""
    with pytest.raises(NumericsError, match="structure 3"):
        TrainingSet(potential(), many)


def test_elements_that_a_model_lacks_are_named():
    many = dimers()
    many[2] = dataclasses.replace(many[2], numbers=np.array([1, 8]))
    with pytest.raises(SpeciesError, match="a.xyz, frame 2"):
        TrainingSet(potential(), many)


@pytest.mark.parametrize("change", [{"numbers": np.array([8, 1])}, {"positions": np.zeros((2, 3)) + [[0], [0.05]]}])
def test_a_test_set_is_tried_before_the_training(change):
    bad, new = dataclasses.replace(dimers()[1], **change), potential()
    with pytest.raises((SpeciesError, NumericsError, InputError), match="a.xyz, frame 1"):
        fit(new, Structures(dimers()), valid=0, test={"hot": [bad]}, max_epochs=1, quiet=True)
    assert not new.description.get("training")


def test_a_training_set_takes_atoms():
    many = dimers()
    atoms = [Atoms(s.numbers, positions=s.positions) for s in many]
    for a, s in zip(atoms, many, strict=True):
        a.calc = SinglePointCalculator(a, energy=s.energy, forces=s.forces)
    new = potential()
    loss, wanted = (TrainingSet(new, x).loss_and_gradient(None, Loss()) for x in (atoms, many))
    assert loss.loss == wanted.loss and np.array_equal(loss.gradient, wanted.gradient)
    with pytest.raises(InputError, match="sequence"):
        TrainingSet(new, atoms[0])
