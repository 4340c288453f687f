"""Learning rates: warm-up, cosine, plateau, and which stage takes which."""

import math

import pytest

from nbcore.errors import InputError
from nbcore.train.schedule import Cosine, Plateau, Schedule, make_schedule
from nbcore.train.settings import Settings, StageTwo


def test_warm_up_is_linear_and_ends_at_lr():
    schedule = Schedule(lr=0.01, warmup_steps=4)
    assert [schedule.rate(k) for k in range(6)] == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01, 0.01])


def test_cosine_goes_from_lr_to_its_end():
    schedule = Cosine(lr=0.01, warmup_steps=0, n_steps=100, lr_end=0.002)
    assert schedule.rate(0) == pytest.approx(0.01)
    assert schedule.rate(50) == pytest.approx(0.006)
    assert schedule.rate(100) == schedule.rate(1000) == pytest.approx(0.002)
    assert schedule.rate(25) == pytest.approx(0.002 + 0.004 * (1 + math.sqrt(0.5)))


def test_plateau_lowers_after_patience_epochs_without_a_better_loss():
    schedule = Plateau(lr=1.0, warmup_steps=0, patience=3)
    rates = []
    for loss in [5, 4, 4, 4, 4, 3, 3.5, 3.4, 3.3, 3.2]:
        schedule.observe(loss)
        rates.append(schedule.rate(0))
    assert rates == pytest.approx([1, 1, 1, 1, 0.7, 0.7, 0.7, 0.7, 0.49, 0.49])


def test_plateau_goes_on_from_its_state():
    one, two = (Plateau(lr=1.0, warmup_steps=0, patience=3) for _ in range(2))
    for loss in [5, 6, 7]:
        one.observe(loss)
    two.load_state(one.state())
    one.observe(8)
    two.observe(8)
    assert one.rate(0) == two.rate(0) == pytest.approx(0.7)


def test_each_stage_has_its_own_rates():
    settings = Settings(
        max_epochs=10, lr=0.01, schedule="cosine", warmup_epochs=1, stage_two=StageTwo(0.8, 1000.0, 0.001)
    )
    one, two = (make_schedule(settings, stage, steps_per_epoch=5) for stage in (1, 2))
    assert one.rate(0) < 0.002 and one.rate(40) == pytest.approx(0.001)
    assert two.rate(0) == pytest.approx(0.001) and two.rate(10) == pytest.approx(1e-5)
    alone = make_schedule(Settings(max_epochs=10, lr=0.01, stage_two=StageTwo(1.0)), 1, 5)
    assert alone.rate(50) == pytest.approx(1e-4)


def test_rates_that_are_left_out_are_what_the_optimizer_likes():
    for optimizer, lr in ("muon", 0.04), ("amsgrad", 0.01):
        settings = Settings(optimizer=optimizer, max_epochs=10)
        one, two = (make_schedule(settings, stage, steps_per_epoch=5) for stage in (1, 2))
        assert one.rate(0) == pytest.approx(lr) and one.rate(45) == two.rate(0) == pytest.approx(0.001)
        assert settings.flat()["training.lr"] == lr


@pytest.mark.parametrize(
    "wrong",
    [
        dict(max_epochs=0), dict(batch_size=2.5), dict(lr=0.0), dict(ema_decay=1.0), dict(optimizer="lbfgs"),
        dict(schedule="linear"), dict(stage_two=StageTwo(start=1.5)), dict(seed=-1), dict(patience=True),
    ],
)  # fmt: skip
def test_settings_name_what_does_not_fit(wrong):
    (key, _), *_ = wrong.items()
    with pytest.raises(InputError, match=key):
        Settings(**wrong)
