"""A finished run goes on when max_epochs is raised: the schedule of the new length, a stage two that is undone."""

import csv
import dataclasses
import math

import numpy as np
import pytest
from test_run_identity import fit
from test_trainer import FAST, finish, same, trainer

from nbcore.train import Loss, StageTwo, checkpoint

COSINE = dataclasses.replace(FAST, schedule="cosine", warmup_epochs=0, max_epochs=10, stage_two=StageTwo(1.0))
TWO = dataclasses.replace(COSINE, stage_two=StageTwo(0.5, 50.0, 0.001))


def raised(t, **changes):
    """The run of another trainer, taken up with other settings, and whether its stage two was undone."""
    arrays, plain = checkpoint.decode(checkpoint.encode(*t.state()), "memory")
    further = trainer(dataclasses.replace(t.settings, **changes))
    further.load_state(arrays, plain)
    return further, further.extend()


def test_the_rate_is_that_of_the_new_length():
    t, undone = raised(finish(trainer(COSINE)), max_epochs=20)
    assert not undone and not t.finished
    while not t.step():
        pass
    steps, n = t.steps - 1, 20 * t.steps_per_epoch
    expected = 0.0002 + (0.02 - 0.0002) * 0.5 * (1 + math.cos(math.pi * steps / n))
    assert t.history[-1]["lr"] == pytest.approx(expected, rel=1e-12)
    finish(t)
    assert [row["epoch"] for row in t.history] == list(range(1, 21))
    assert t.history[-1]["lr"] == pytest.approx(0.0002, rel=0.03)


def test_stage_two_is_undone_and_begins_later():
    done = finish(trainer(TWO))
    assert done.stage == 2 and done.stage_epoch == 5
    t, undone = raised(done, max_epochs=30)
    assert undone and t.stage == 1 and t.loss.energy_weight == TWO.loss.energy_weight and t.best_loss == math.inf
    assert np.array_equal(t.parameters, done.parameters)
    finish(t)
    stages = [row["stage"] for row in t.history]
    assert stages == 5 * [1] + 5 * [2] + 5 * [1] + 15 * [2] and t.stage_epoch == 15
    assert t.best_epoch > 15 and t.history[-1]["lr"] == pytest.approx(1e-5, rel=0.1)


def test_within_the_new_stage_two_it_goes_on_to_the_new_end():
    t, undone = raised(finish(trainer(TWO)), max_epochs=20)  # whose stage two begins after 10
    assert not undone and t.stage == 2
    finish(t)
    rates = [row["lr"] for row in t.history[10:]]
    assert rates == sorted(rates, reverse=True) and rates[-1] == pytest.approx(1e-5, rel=0.1) and rates[0] > 5e-4


def test_an_early_stage_two_ends_its_cosine_at_the_end():
    """Brought forward by patience, it is as long as what is left."""
    settings = dataclasses.replace(TWO, patience=2, max_epochs=40)
    t = trainer(settings)
    t.validate = lambda: {"loss": 1.0, "energy": None, "forces": None, "stress": None}
    while t.stage == 1:
        t.step()
    assert t.epoch < 20
    assert t.schedule.n_steps == (40 - t.epoch) * t.steps_per_epoch
    arrays, plain = t.state()
    again = trainer(settings)
    again.load_state(arrays, plain)
    assert again.schedule.n_steps == t.schedule.n_steps


def test_weights_that_move_are_those_of_the_new_length():
    settings = dataclasses.replace(COSINE, loss=Loss(energy_weight=[1.0, 100.0]))
    t, _ = raised(finish(trainer(settings)), max_epochs=21)
    assert t.loss.energy_weight == pytest.approx(10.0, rel=1e-12)


def test_a_run_that_was_extended_resumes_to_the_same_bits():
    start = finish(trainer(TWO))
    whole = finish(raised(start, max_epochs=30)[0])
    t, _ = raised(start, max_epochs=30)
    for _ in range(12):
        t.step()
    arrays, plain = checkpoint.decode(checkpoint.encode(*t.state()), "memory")
    t = trainer(t.settings)
    t.load_state(arrays, plain)
    assert same(whole, finish(t))


@pytest.mark.parametrize("stop", ["finished", "interrupted"])
def test_files_of_the_run(tmp_path, capsys, stop):
    """It says in one line what becomes of the plan, once; history.csv holds every epoch once."""
    two = dict(quiet=False, schedule="cosine", stage_two=StageTwo(0.5), threads=1)
    seconds = {"max_time": 1e-9} if stop == "interrupted" else {}
    for _ in range(3 if seconds else 1):
        fit(tmp_path / "run", max_epochs=4, **two, **seconds)
    capsys.readouterr()
    fit(tmp_path / "run", max_epochs=12, **two)
    shown = " ".join("".join(capsys.readouterr()).split())
    said = "max_epochs was 4 and is 12: the schedule, cosine, is that of the new length"
    assert shown.count(said) == 1
    undone = "; stage two, begun after epoch 2, is undone and begins after epoch 6; until then the losses are those"
    assert (undone in shown) == (stop == "finished")
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    assert [int(row["stage"]) for row in rows][4:] == [1, 1] + 6 * [2]
    fit(tmp_path / "run", max_epochs=12, **two)
    assert said not in " ".join("".join(capsys.readouterr()).split())
