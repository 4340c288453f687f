"""A preset is one function: its options, their ranges and meanings reach Python, train.toml and messages by name."""

import dataclasses
import math

import pytest

from nbcore import presets
from nbcore.config import ConfigError, config_text, from_dict, model_options, model_table
from nbcore.errors import InputError
from nbcore.options import declared
from nbcore.presets import registry
from nbcore.presets.nbody import nbody, nbody_program
from nbcore.train import Loss, Settings, StageTwo


@pytest.fixture
def flat():
    """What somebody writes who adds a preset."""

    @registry.preset(
        "one level, few channels", nbody_program, sizes={"tiny": {"channels": 2}, "medium": {"channels": 3}}
    )
    def flat(species, cutoff: registry.Cutoff, channels: registry.Channels = 4, E0s=None, seed=0):
        return nbody(species, cutoff, channels=channels, levels=1, E0s=E0s, seed=seed)

    yield flat
    del presets.PRESETS["flat"]


def train_toml(**model):
    return from_dict({"name": "a", "data": {"train": "a.xyz"}, "model": {"preset": "flat", "cutoff": 3.0, **model}})


def test_a_new_preset_is_known_everywhere(flat):
    assert flat(["H"], 3.0).levels == 1
    with pytest.raises(InputError, match="preset flat: channels must be a whole number >= 1, got 0"):
        flat(["H"], 3.0, channels=0)
    assert model_options(train_toml().model) == {"cutoff": 3.0, "channels": 3}
    assert model_options(train_toml(size="tiny").model)["channels"] == 2
    assert model_options(train_toml(channels=7).model)["channels"] == 7
    text = config_text(train_toml())
    assert 'preset = "flat"' in text and "levels" not in text.split("[loss]")[0]
    with pytest.raises(ConfigError, match=r"\[model\] levels: the preset flat has no such key \(nbody, kondor"):
        train_toml(levels=2)
    with pytest.raises(ConfigError, match=r'\[model\] size: expected one of "medium", "tiny", got "large"'):
        train_toml(size="large")
    with pytest.raises(ConfigError, match=r"\[model\] channels: expected an integer >= 1, got 0"):
        train_toml(channels=0)


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_options_have_their_defaults_and_ranges_in_one_place(preset):
    table = model_table(preset)
    for option in declared(presets.PRESETS[preset].make):
        assert option.name in table.__struct_fields__
        wrong = {"cutoff": 0.0}.get(option.name, object())
        with pytest.raises(InputError, match=f"preset {preset}: {option.name} must be"):
            presets.PRESETS[preset].make(**{"species": ["H"], "cutoff": 3.0, option.name: wrong})


def test_settings_are_the_tables_of_train_toml():
    c = from_dict({"name": "a", "data": {"train": "a"}, "model": {"cutoff": 5.0}})
    for table, owner in ((c.training, Settings()), (c.loss, Loss()), (c.stage_two, StageTwo())):
        names = [f.name for f in dataclasses.fields(owner) if hasattr(table, f.name)]
        assert len(names) >= 3 and all(getattr(table, name) == getattr(owner, name) for name in names)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(max_epochs=0), "max_epochs must be a whole number >= 1, got 0"),
        (dict(batch_size=True), "batch_size must be a whole number >= 1, got True"),
        (dict(lr=math.nan), "lr must be a number > 0 or None, got nan"),
        (dict(ema_decay=1.0), "ema_decay must be a number >= 0 and < 1, got 1.0"),
        (dict(optimizer="lion"), "optimizer must be one of amsgrad, adam, adamw, muon, sgd, got 'lion'"),
        (dict(momentum=1), "momentum must be a number >= 0 and < 1 or None, got 1"),
        (dict(rest_lr=-1.0, optimizer="muon"), "rest_lr must be a number >= 0 or None, got -1"),
        (dict(rest_lr=0.5, optimizer="amsgrad"), "rest_lr: amsgrad has one rate, lr, for all parameters"),
        (dict(stage_two=StageTwo(lr=0.0)), "stage_two: lr must be a number > 0, got 0.0"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        Settings(**settings)


def test_losses_out_of_range():
    for loss, message in (
        (dict(kind="l3"), "loss: kind must be one of l2, l1, huber"),
        (
            dict(forces_weight=-1.0),
            "loss: forces_weight must be a number >= 0 or a list of 2.* got -1",
        ),
        (dict(output_weights={"dipole": math.nan}), "the weight of dipole must be a number of at least 0"),
    ):
        with pytest.raises(InputError, match=message):
            Loss(**loss)
