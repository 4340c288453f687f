"""The numerics of a training, on a potential that is linear in its parameters."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from pair_model import PairModel, PairTrainingSet, loss_of, molecules

from nbcore.errors import NumericsError
from nbcore.train import checkpoint
from nbcore.train.measures import Sums
from nbcore.train.settings import Settings, StageTwo
from nbcore.train.trainer import Trainer

DATA = molecules(23)
FAST = Settings(max_epochs=6, batch_size=4, lr=0.02, stage_two=StageTwo(0.5, 100.0, 0.005), warmup_epochs=1)


def trainer(settings=FAST, data=DATA, n_valid=5, model=None):
    model = model or PairModel()
    train, valid = PairTrainingSet(model, data[n_valid:]), PairTrainingSet(model, data[:n_valid]) if n_valid else None
    return Trainer(train, valid, settings)


def finish(t):
    while not t.finished:
        t.step()
    return t


def same(a, b):
    """Bit for bit the same state."""
    (arrays, plain), (other_arrays, other_plain) = a.state(), b.state()
    return plain == other_plain and all(np.array_equal(v, other_arrays[k]) for k, v in arrays.items())


@pytest.mark.parametrize("optimizer", ["amsgrad", "adam", "adamw", "sgd"])
def test_interrupted_at_any_step_it_ends_with_the_same_bits(optimizer):
    settings = dataclasses.replace(FAST, optimizer=optimizer, lr=0.002)
    whole = finish(trainer(settings))
    t = trainer(settings)
    while not t.finished:
        # what a checkpoint on disk would hold, into a new process
        arrays, plain = checkpoint.decode(checkpoint.encode(*t.state()), "memory")
        t = trainer(settings)
        t.load_state(arrays, plain)
        t.step()
    assert same(whole, t)
    assert len(whole.history) == 6 and whole.stage == 2


def test_an_interruption_does_not_move_the_plateau():
    settings = dataclasses.replace(
        FAST, lr=1e-9, schedule="plateau", warmup_epochs=0, max_epochs=13, patience=50, stage_two=StageTwo(1.0)
    )
    losses = iter(2 * [3.0, 2.0, 1.0, *[4.0] * 10])

    def one():
        t = trainer(settings)
        t.validate = lambda: {"loss": next(losses), "energy": None, "forces": None, "stress": None}
        return t

    whole, t = finish(one()), one()
    while not t.finished:
        state, t = t.state(), one()
        t.load_state(*state)
        t.step()
    assert [row["lr"] for row in t.history] == [row["lr"] for row in whole.history]
    assert t.history[-1]["lr"] == pytest.approx(0.7e-9, rel=1e-12, abs=0)


def test_ten_epochs_are_five_and_five():
    settings = dataclasses.replace(FAST, schedule="plateau", stage_two=StageTwo(1.0), max_epochs=10)
    whole = finish(trainer(settings))
    first = finish(trainer(dataclasses.replace(settings, max_epochs=5)))
    second = trainer(settings)
    second.load_state(*first.state())
    assert same(whole, finish(second))


def test_same_seed_same_bits_other_seed_other_order():
    one, two = finish(trainer()), finish(trainer())
    assert same(one, two)
    other = finish(trainer(dataclasses.replace(FAST, seed=2)))
    assert not np.array_equal(one.parameters, other.parameters)


def test_every_structure_is_seen_once_an_epoch():
    t, seen = trainer(dataclasses.replace(FAST, max_epochs=2)), []
    trees = t.train_set.trees

    def watch(batch):
        seen.append(list(batch))
        return trees(batch)

    t.train_set.trees = watch
    finish(t)
    assert [len(b) for b in seen] == [4, 4, 4, 4, 2] * 2
    first, second = sum(seen[:5], []), sum(seen[5:], [])
    assert sorted(first) == sorted(second) == list(range(18)) and first != second


def test_average_is_the_weighted_sum_of_the_path():
    t = trainer(dataclasses.replace(FAST, ema_decay=0.7))
    path = [t.parameters.copy()]
    for _ in range(12):
        t.step()
        path.append(t.parameters.copy())
    decays = [min(0.7, (1 + k) / (10 + k)) for k in range(1, 13)]
    weights = [np.prod(decays)] + [(1 - decays[k]) * np.prod(decays[k + 1 :]) for k in range(12)]
    assert sum(weights) == pytest.approx(1)
    assert np.allclose(t.average, np.tensordot(weights, path, 1), rtol=1e-12)
    raw = finish(trainer(dataclasses.replace(FAST, ema_decay=0.0)))
    assert np.allclose(raw.average, raw.parameters, rtol=1e-12)


def test_validation_uses_the_average_and_leaves_the_raw_parameters():
    t = trainer()
    for _ in range(5):
        row = t.step()
    raw = t.parameters.copy()
    assert row["epoch"] == 1 and not np.array_equal(raw, t.average)
    model = PairModel()
    model.parameters[:] = t.average
    result = PairTrainingSet(model, DATA[:5]).predict()
    errors = np.concatenate([f - s.forces for f, s in zip(result.forces, DATA[:5], strict=True)])
    assert row["forces_valid"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-12)
    assert row["loss_valid"] == pytest.approx(loss_of(DATA[:5], result, FAST.loss), rel=1e-12)
    assert np.array_equal(t.parameters, raw)


def test_best_is_the_average_of_the_epoch_with_the_lowest_validation_loss():
    t = trainer(dataclasses.replace(FAST, lr=0.2, max_epochs=15, stage_two=StageTwo(1.0)))
    averages = [None]
    while not t.finished:
        if t.step():
            averages.append(t.average.copy())
    losses = [row["loss_valid"] for row in t.history]
    assert t.best_epoch == 1 + int(np.argmin(losses)) and t.best_loss == min(losses)
    assert np.array_equal(t.best, averages[t.best_epoch])


def test_stage_two_changes_weight_and_rate_and_starts_its_own_best():
    t = finish(trainer(dataclasses.replace(FAST, schedule="constant", warmup_epochs=0)))
    assert [row["stage"] for row in t.history] == [1, 1, 1, 2, 2, 2]
    assert [row["lr"] for row in t.history] == [0.02] * 3 + [0.005] * 3
    assert t.loss.energy_weight == 100 and t.best_epoch > 3


def test_patience_brings_stage_two_forward_and_ends_it():
    settings = dataclasses.replace(
        FAST, max_epochs=100, patience=2, schedule="constant", lr=1e-30, stage_two=StageTwo(0.5, 10, 1e-30)
    )
    t = trainer(settings)
    t.validate = lambda: {"loss": 1.0, "energy": 1.0, "forces": 1.0, "stress": None}
    finish(t)
    assert [row["stage"] for row in t.history] == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("schedule, epochs", [("cosine", 230), ("constant", 201), ("plateau", 201)])
def test_a_cosine_runs_to_its_end_unless_patience_is_written(schedule, epochs):
    """Its last epochs are its best, whatever came before; 200 epochs without a better one end other schedules."""
    settings = dataclasses.replace(FAST, max_epochs=230, schedule=schedule, lr=1e-30, stage_two=StageTwo(1.0))
    for patience, ended in ((None, epochs), (3, 4)):
        t = trainer(dataclasses.replace(settings, patience=patience))
        t.validate = lambda: {"loss": 1.0, "energy": 1.0, "forces": 1.0, "stress": None}
        assert finish(t).epoch == ended


def test_stage_two_from_the_beginning():
    t = trainer(dataclasses.replace(FAST, stage_two=StageTwo(0.0, 50.0, 0.01)))
    assert t.stage == 2 and t.loss.energy_weight == 50.0


def test_without_validation_the_training_loss_chooses():
    t = finish(trainer(n_valid=0))
    assert all(row["loss_valid"] is None for row in t.history) and t.best_epoch > 3


def test_gradient_is_clipped_to_its_norm():
    t = trainer(dataclasses.replace(FAST, optimizer="sgd", clip_grad=0.01, weight_decay=0.0, warmup_epochs=0))
    before = t.parameters.copy()
    t.step()
    assert np.linalg.norm(t.parameters - before) == pytest.approx(FAST.lr * 0.01)
    free = trainer(dataclasses.replace(FAST, optimizer="sgd", clip_grad=0.0, weight_decay=0.0, warmup_epochs=0))
    free.step()
    assert np.linalg.norm(free.parameters - before) > FAST.lr * 0.02


def test_a_spike_is_clipped_to_twice_what_is_usual():
    """One structure whose forces are 1e5 times as large as the others, as the fourth of five steps."""
    data = molecules(20)
    data[2].forces *= 1e5
    settings = dataclasses.replace(FAST, optimizer="sgd", batch_size=1, weight_decay=0.0, warmup_epochs=0, lr=1e-12,
                                   schedule="constant", momentum=0.0, clip_grad=0.0)  # fmt: skip
    free, clipped = [], []
    for lengths, spikes in ((free, 0.0), (clipped, 2.0)):
        t = trainer(dataclasses.replace(settings, clip_spikes=spikes), data, 0)
        t.order = np.roll(t.order, 3 - int(np.flatnonzero(t.order == 2)[0]))
        t.parameters[:] = 0  # so that steps are no rounding
        for _ in range(5):
            before = t.parameters.copy()
            t.step()
            lengths.append(np.linalg.norm(t.parameters - before))
    assert free[3] > 1e3 * np.median(free)
    usual = free[0]
    for long, short in zip(free, clipped, strict=True):
        assert short == pytest.approx(min(long, 2 * usual), rel=1e-3)
        usual += 0.02 * (min(long, 2 * usual) - usual)


def test_a_planted_potential_is_found():
    settings = Settings(
        max_epochs=400, batch_size=5, lr=0.05, schedule="cosine", ema_decay=0.9, weight_decay=0.0, clip_grad=0.0
    )
    t = finish(trainer(settings, molecules(40)))
    spread = np.sqrt(np.mean(np.concatenate([s.forces for s in DATA]) ** 2))
    assert t.history[-1]["forces_valid"] < 1e-4 * spread


def test_not_finite_names_epoch_step_and_structures():
    t = trainer()
    for _ in range(7):
        t.step()
    before = t.parameters.copy()
    bad = t.order[t.position : t.position + 4]
    t.train_set.features[bad[0]][1][:] = np.nan
    frames = ", ".join(str(k + 5) for k in sorted(bad))
    with pytest.raises(NumericsError, match=rf"epoch 2, step 3 \(structures {frames} of made.xyz\)"):
        t.step()
    assert np.array_equal(t.parameters, before)
    for s in t.train_set.structures:  # made in Python: their numbers in the list
        s.file = ""
    with pytest.raises(NumericsError, match=rf"structures {', '.join(map(str, sorted(bad)))} of the training data"):
        t.step()


def test_sums_count_what_is_labelled():
    structures = molecules(3)
    structures[1].energy, structures[2].forces, structures[0].stress = None, None, np.zeros((3, 3))
    forces, stress = [np.full((5, 3), 0.2) + (0 if s.forces is None else s.forces) for s in structures], np.ones((3, 3))
    result = SimpleNamespace(
        losses=np.full(3, 2.0), energies=[structures[0].energy + 0.5, 7.0, structures[2].energy - 1.0]
    )
    result.forces, result.stress, result.outputs = forces, [stress, stress, None], [{}, {}, {}]
    sums = Sums()
    sums.add(structures, result)
    assert sums.means() == pytest.approx(
        {"loss": 2.0, "energy": np.sqrt((0.1**2 + 0.2**2) / 2), "forces": 0.2, "stress": 1.0}
    )
    assert (sums.values["n_energy"], sums.values["n_forces"], sums.values["n_stress"]) == (2, 30, 6)
    assert Sums().means() == {"loss": None, "energy": None, "forces": None, "stress": None}
