"""Least squares: the weights that made the labels are found again, the loss is that of a training at its minimum."""

import dataclasses

import numpy as np
import pytest
from pair_model import molecules

import nbcore
from nbcore.data import Structure, Structures
from nbcore.errors import InputError
from nbcore.train import Loss, least_squares

ACE = dict(cutoff=4.0, l_max=[0, 1], n_max=[4, 1])


def ace(seed=0, **options):
    return nbcore.presets.ace(species=["H", "C"], seed=seed, **(ACE | options))


def crystals(potential, n):
    """Labelled by a potential: a periodic cell shorter than twice the cutoff, with stress."""
    rng, found = np.random.default_rng(2), []
    for _ in range(n):
        cell, x = 4.5 * np.eye(3) + 0.3 * rng.standard_normal((3, 3)), rng.uniform(0, 4.5, (4, 3))
        numbers = np.array([1, 6, 6, 1])
        r = potential.compute(x, numbers, cell, True)
        found.append(Structure(x, numbers, cell, (True,) * 3, energy=r.energy, forces=r.forces, stress=r.stress))
    return Structures(found)


def test_the_potential_of_the_labels_is_found():
    truth = ace(seed=1)
    truth.E0s = {"H": -1.0, "C": -3.0}
    data = crystals(truth, 8)
    for loss in (Loss(), Loss(energy_weight=0.0), Loss(forces_weight=0.0), Loss(stress_weight=0.0)):
        found = ace(seed=2)
        fit = least_squares(found, data, loss=loss, prior=0.0, E0s=truth.E0s)
        assert fit.loss < 1e-18
        if loss.forces_weight:  # energies and stresses alone are fewer labels than weights
            # what of the energy of a pair of H and C is that of which atom is free, four times
            assert fit.rank == len(truth.parameters) - 4
            for s in crystals(truth, 9)[8:]:
                again = found.compute(s.positions, s.numbers, s.cell, True)
                assert abs(again.energy - s.energy) < 1e-9 * abs(s.energy)
                assert np.abs(again.forces - s.forces).max() < 1e-9 * np.abs(s.forces).max()


def test_the_loss_is_the_least():
    data = molecules(12, seed=3)
    potential = ace()
    loss = Loss(element_weights={"H": 0.5})
    fit = least_squares(potential, data, loss=loss, prior=0.0)
    value, gradient = nbcore.train.loss_and_gradient(potential, data, loss)
    assert abs(fit.loss - value) < 1e-9 * value
    worse, _ = nbcore.train.loss_and_gradient(ace(), data, loss)
    assert np.abs(gradient).max() < 1e-6 * worse


def test_what_stands_below_the_readouts_stays():
    data = molecules(6, seed=4)
    potential = nbcore.presets.nbody(species=["H", "C"], cutoff=4.0, channels=2, levels=2, l_harmonics=1, l_states=1)
    before, loss = potential.parameters.copy(), Loss()
    start, _ = nbcore.train.loss_and_gradient(potential, data, loss)
    least_squares(potential, data, E0s=None)
    end, _ = nbcore.train.loss_and_gradient(potential, data, loss)
    changed = before != potential.parameters
    names = {name.split(".")[0] for name, (where, _) in potential.parameter_slices.items() if changed[where].any()}
    assert end < start and names == {"energy1", "energy2"}


def test_refusals_leave_the_potential_as_it_was():
    data = molecules(3, seed=1)
    for potential, structures, options, message in (
        (nbcore.presets.ace(species=["H", "C"], embedding="shifted", **ACE), data, {}, None),
        (ace(), data, dict(loss=Loss(kind="huber")), 'loss of energy is "huber"'),
        (ace(), data, dict(prior=-1.0), "prior must be a number of at least 0, got -1.0"),
        (ace(), Structures([dataclasses.replace(s, energy=None, forces=None) for s in data]), {}, "no structure has"),
        (nbcore.presets.hipnn(species=["H", "C"], cutoff=4.0, channels=4, levels=1), data, {}, "has a bias"),
    ):
        before = potential.parameters.copy()
        if message is None:
            least_squares(potential, structures, **options)
            continue
        with pytest.raises(InputError, match=message):
            least_squares(potential, structures, **options)
        assert np.array_equal(potential.parameters, before)
