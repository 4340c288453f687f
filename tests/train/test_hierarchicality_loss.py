"""HIP-NN's hierarchicality: as a term of the loss, value and exact gradient; of a structure, against NumPy."""

import dataclasses

import numpy as np
import pytest
from differences import derivative
from energies_by_level import energies_by_level
from energies_by_level import hierarchicality as by_hand
from test_loss_gradient import along, direction, structures
from threads_as_ranks import each_rank

import nbcore
from nbcore.errors import InputError
from nbcore.train import Loss, Settings, TrainingSet, least_squares
from nbcore.train.learnable import check_loss
from nbcore.train.trainer import Trainer

SPECIES, E0S = ["H", "C", "O"], {"H": -0.4, "C": 1.3, "O": 0.0}
ALONE = Loss(energy_weight=0.0, forces_weight=0.0, stress_weight=0.0, hierarchicality_weight=0.7)
BESIDE = Loss(energy_weight=2.0, forces_weight=0.3, stress_weight=5.0, hierarchicality_weight=2.0)
SMALL = dict(cutoff=3.5, channels=5, levels=3, atom_layers=1)
MAKERS = {
    "hipnn": lambda **more: nbcore.presets.hipnn(SPECIES, n_radial=6, **SMALL, **more),
    "hipnn_ts": lambda **more: nbcore.presets.hipnn_ts(SPECIES, n_radial=6, **SMALL, **more),
    "hiphop": lambda **more: nbcore.presets.hiphop(SPECIES, n_radial=6, **SMALL, **more),
    "nbody": lambda **more: nbcore.presets.nbody(SPECIES, cutoff=3.5, channels=4, levels=2, **more),
    "mace": lambda **more: nbcore.presets.mace(SPECIES, cutoff=3.5, channels=4, **more),
}


def potential(name="hipnn", scale=0.6):
    made = MAKERS[name](E0s=E0S, seed=5)
    made.scale = scale
    return made


@pytest.mark.parametrize("name", MAKERS)
def test_value(name):
    """w/N sum over atoms and levels, times the weight of the structure; in both precisions."""
    made, data = potential(name), structures()
    training_set = TrainingSet(made, data)
    for s, energy in zip(data, training_set.predict().energies, strict=True):
        assert energies_by_level(made, s).sum() == pytest.approx(energy, rel=1e-12)
    expected = [0.7 * s.weight * np.mean(by_hand(made, s)) for s in data]
    np.testing.assert_allclose(training_set.predict(loss=ALONE).losses, expected, rtol=1e-12)
    single = training_set.predict(loss=ALONE, precision="float32").losses
    np.testing.assert_allclose(single, expected, rtol=1e-4)
    without = dataclasses.replace(BESIDE, hierarchicality_weight=0.0)
    added = training_set.predict(loss=BESIDE).losses - training_set.predict(loss=without).losses
    np.testing.assert_allclose(added, np.array(expected) * 2.0 / 0.7, rtol=1e-9)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("loss", [ALONE, BESIDE], ids=["alone", "beside others"])
def test_gradient(name, loss):
    """Along random directions in all parameters and within arrays, against differences; in single precision near it."""
    made = potential(name)
    training_set = TrainingSet(made, structures())
    gradient = training_set.loss_and_gradient(loss=loss, threads=1).gradient
    scale = np.linalg.norm(gradient)
    for k, array in enumerate([None, None, *list(made.parameter_slices)[:: max(1, len(made.parameter_slices) // 6)]]):
        v = direction(made, k, array)
        value, error = derivative(along(made, training_set, loss, v), 1e-3, columns=7)
        assert error < 1e-6 * scale, "differences too coarse"
        assert abs(gradient @ v - value) < max(1e-9 * scale, 5 * error), array
    single = training_set.loss_and_gradient(loss=loss, threads=1, precision="float32").gradient
    assert 0 < np.linalg.norm(single - gradient) < 1e-4 * scale


def test_bits_do_not_depend_on_threads_or_ranks():
    data = structures() * 6
    results = [TrainingSet(potential(), data).loss_and_gradient(loss=BESIDE, threads=n) for n in (1, 2, 3)]
    assert all(np.array_equal(results[0].gradient, r.gradient) and r.loss == results[0].loss for r in results)
    settings = Settings(max_epochs=2, batch_size=30, loss=BESIDE)
    assert len(TrainingSet(potential(), data).trees(np.arange(30))[0]) >= 4

    def trained(ranks=None):
        trainer = Trainer(TrainingSet(potential(), data), None, settings, 1, **({"ranks": ranks} if ranks else {}))
        while not trainer.finished:
            trainer.step()
        return trainer.parameters.copy()

    alone = trained()
    for n in (2, 3):
        assert all(np.array_equal(alone, parameters) for parameters in each_rank(n, trained))


def test_energies_of_zero_have_no_ratio():
    """0/0 counts nothing, and has no slope: of elements without energy in a network whose readouts are zero."""
    made = nbcore.presets.hipnn(["H", "C", "O"], n_radial=6, **SMALL)
    for name, (where, _) in made.parameter_slices.items():
        if name.startswith("energy"):
            made.parameters[where] = 0.0
    result = TrainingSet(made, structures()).loss_and_gradient(loss=ALONE, threads=1)
    assert result.loss == 0.0 and not np.any(result.gradient)


@pytest.mark.parametrize("preset, options", [("schnet", {}), ("ani", {}), ("hipnn", {"levels": 1}),
                                             ("nbody", {"levels": 1}), ("cormorant", {"channels": 3})])  # fmt: skip
def test_networks_without_energies_by_level_are_refused_by_name(preset, options):
    made, data = getattr(nbcore.presets, preset)(SPECIES, cutoff=3.5, **options), structures()
    message = f"loss: hierarchicality_weight: {preset} has no energies by level"
    with pytest.raises(InputError, match=message):
        TrainingSet(made, data).predict(loss=ALONE)
    with pytest.raises(InputError, match=message):
        check_loss(made, data, data, Settings(loss=Loss(hierarchicality_weight=[0.01, 0.1])))


def test_it_may_move_and_is_no_sum_of_squares():
    assert Loss(hierarchicality_weight=[0.01, 1.0]).at(0.5).hierarchicality_weight == pytest.approx(0.1)
    with pytest.raises(InputError, match="hierarchicality_weight must be a number >= 0"):
        Loss(hierarchicality_weight=-1.0)
    with pytest.raises(InputError, match="kind: there is no hierarchicality"):
        TrainingSet(potential(), structures()).predict(loss=Loss(kind={"hierarchicality": "l1"}))
    linear = nbcore.presets.ace(SPECIES, cutoff=3.5)
    with pytest.raises(InputError, match="hierarchicality is no sum of squares"):
        least_squares(linear, structures(), loss=Loss(hierarchicality_weight=0.01))
