"""Weights of the loss that move over a training, and weight decay by groups of parameters."""

import dataclasses

import numpy as np
import pytest
from pair_model import PairModel
from test_trainer import DATA, FAST, finish, same, trainer

from nbcore.errors import InputError
from nbcore.train import Loss, Settings, StageTwo, checkpoint
from nbcore.train.optimizers import DECOUPLED, OPTIMIZERS, make_optimizer, optimizer_for

MOVING = dataclasses.replace(
    FAST, loss=Loss(energy_weight=[1.0, 100.0], forces_weight=[100.0, 1.0]), stage_two=StageTwo(1.0), max_epochs=5,
    schedule="cosine",
)  # fmt: skip


def test_a_moving_weight_is_a_geometric_sequence_over_the_epochs():
    t, seen = trainer(MOVING), []
    while not t.finished:
        seen.append((t.loss.energy_weight, t.loss.forces_weight))
        while t.step() is None:
            pass
    np.testing.assert_allclose([e for e, _ in seen], np.geomspace(1, 100, 5), rtol=1e-12)
    np.testing.assert_allclose([f for _, f in seen], np.geomspace(100, 1, 5), rtol=1e-12)


def test_it_reaches_its_end_with_stage_one_and_stays_in_stage_two():
    settings = dataclasses.replace(MOVING, max_epochs=6, stage_two=StageTwo(0.5, 7.0, 0.01))
    energy = [settings.loss_of(1 if epoch < 3 else 2, epoch).energy_weight for epoch in range(6)]
    forces = [settings.loss_of(1 if epoch < 3 else 2, epoch).forces_weight for epoch in range(6)]
    np.testing.assert_allclose(energy, [1, 10, 100, 7, 7, 7], rtol=1e-12)
    np.testing.assert_allclose(forces, [100, 10, 1, 1, 1, 1], rtol=1e-12)
    one_epoch = dataclasses.replace(MOVING, max_epochs=1)
    assert one_epoch.loss_of(1, 0).energy_weight == 1 and one_epoch.last_loss_of(1).energy_weight == 100


def test_losses_of_validation_compare_between_epochs():
    """All with the last weights: an untrained model has the same loss in every epoch."""
    history = finish(trainer(dataclasses.replace(MOVING, lr=1e-15))).history
    assert len({round(row["loss_valid"], 9) for row in history}) == 1
    assert len({round(row["loss_train"], 9) for row in history}) == 5


def test_without_validation_data_the_newest_counts_while_weights_move():
    t = finish(trainer(MOVING, n_valid=0))
    assert t.best_epoch == 5
    with pytest.raises(InputError, match="a weight of the loss moves.*schedule plateau"):
        trainer(dataclasses.replace(MOVING, schedule="plateau"), n_valid=0)


def test_equal_ends_are_one_weight():
    fixed = dataclasses.replace(MOVING, loss=Loss(energy_weight=3.0))
    listed = dataclasses.replace(MOVING, loss=Loss(energy_weight=[3.0, 3.0]))
    assert not listed.loss.moves and same(finish(trainer(fixed)), finish(trainer(listed)))


@pytest.mark.parametrize(
    "weight, message",
    [
        ([0.0, 1.0], "energy_weight moves by a factor per epoch, so both its ends must be numbers > 0, got"),
        ([1.0], "energy_weight must be a number >= 0 or a list of 2, each a number >= 0, got"),
        ([1.0, 2.0, 3.0], "a list of 2"),
        ([1.0, -2.0], "a list of 2"),
    ],
)
def test_ends_that_are_none(weight, message):
    with pytest.raises(InputError, match=message):
        Loss(energy_weight=weight)


def test_a_loss_of_no_moment_has_no_value():
    with pytest.raises(InputError, match=r"energy_weight moves: Loss.at\(fraction\)"):
        MOVING.loss.of_term("energy")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decay_by_group_is_that_of_each_optimizer(name):
    """The same number for all groups is the number; a group that is not named has none."""
    model, rng = PairModel(), np.random.default_rng(0)
    near = model.parameter_slices["near.W"][0]
    settings = Settings(optimizer=name, lr=0.1, weight_decay=0.3)
    tables = {"all": {"mix": 0.3, "far": 0.3}, "one": {"near.W": 0.3}}
    gradients = rng.normal(size=(4, len(model.parameters)))

    def run(optimizer):
        theta = np.arange(1.0, len(model.parameters) + 1)
        for g in gradients:
            optimizer.step(theta, g)
        return theta

    number = run(make_optimizer(settings, model.parameter_slices))
    none = run(make_optimizer(dataclasses.replace(settings, weight_decay=0.0), model.parameter_slices))
    by = {key: run(optimizer_for(dataclasses.replace(settings, weight_decay=w), model)) for key, w in tables.items()}
    np.testing.assert_allclose(by["all"], number, rtol=1e-12)
    np.testing.assert_allclose(by["one"][near], number[near], rtol=1e-12)
    np.testing.assert_allclose(by["one"][near.stop :], none[near.stop :], rtol=1e-12)
    assert np.abs(number - none).min() > 1e-3


def test_decoupled_ones_are_known():
    """A decay of 1/lr takes all of a parameter that no gradient moves; a coupled one moves along its moments."""
    for name in OPTIMIZERS:
        model = PairModel()
        theta = np.ones(len(model.parameters))
        settings = Settings(optimizer=name, lr=0.5, weight_decay=2.0)
        make_optimizer(settings, model.parameter_slices).step(theta, np.zeros_like(theta))
        if name != "sgd":  # whose first step is the same in both
            assert (np.abs(theta).max() < 1e-12) == (name in DECOUPLED)


@pytest.mark.parametrize("name", ["amsgrad", "muon", "sgd"])
def test_a_run_with_decay_by_group_goes_on_with_the_same_bits(name):
    settings = dataclasses.replace(MOVING, optimizer=name, lr=0.002, weight_decay={"radial": 0.1})
    whole, t = finish(trainer(settings)), trainer(settings)
    for _ in range(7):
        t.step()
    arrays, plain = checkpoint.decode(checkpoint.encode(*t.state()), "memory")
    t = trainer(settings)
    t.load_state(arrays, plain)
    assert same(whole, finish(t))


def test_groups_that_are_none_are_refused_before_a_training():
    with pytest.raises(InputError, match="weight_decay: no parameters are called product. Kinds: mix, radial"):
        trainer(dataclasses.replace(FAST, weight_decay={"product": 0.1}), DATA)
    with pytest.raises(InputError, match="weight_decay must be a number >= 0 or a table, each a number >= 0"):
        Settings(weight_decay={"mix": -1.0})
