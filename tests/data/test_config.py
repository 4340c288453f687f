"""train.toml: read, overridden, refused with a message, written and read again."""

import math
import re

import pytest

from nbcore import config
from nbcore.cli.train import make_settings
from nbcore.config import ConfigError, config_text, from_dict, load, model_options, write_config

LEAST = 'name = "acac"\n[data]\ntrain = "train.xyz"\n[model]\ncutoff = 5\n'


def file(tmp_path, text=LEAST):
    path = tmp_path / "train.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_three_keys_are_enough(tmp_path):
    c = load(file(tmp_path))
    assert (c.name, c.seed, c.data.valid, c.model.cutoff) == ("acac", 1, 0.1, 5.0)
    assert (c.loss.forces_weight, c.training.optimizer, c.stage_two.start) == (100.0, "muon", 0.85)
    assert c.paths(c.data.train) == [str(tmp_path / "train.xyz")]
    assert c.paths(["/a/b.xyz", "c*.xyz"]) == ["/a/b.xyz", str(tmp_path / "c*.xyz")]


def test_layers_of_a_radial_network(tmp_path):
    """A list; none by default, which is written too; the preset without radial weights has no such key."""
    c = load(file(tmp_path), ["model.radial_layers=[64, 64, 8]"])
    assert model_options(c.model)["radial_layers"] == [64, 64, 8] and "radial_layers = [64, 64, 8]" in config_text(c)
    c = load(file(tmp_path))
    assert model_options(c.model)["radial_layers"] == [] and "radial_layers = []" in config_text(c)
    for text in ("[0]", "[257]", "8", '["a"]', "[8, 8, 8, 8, 8, 8, 8]"):
        words = r"\[model\] radial_layers: expected a list of at most 6 numbers, each an integer >= 1 and <= 256, got "
        with pytest.raises(ConfigError, match=words + re.escape(text)):
            load(file(tmp_path), [f"model.radial_layers={text}"])
    with pytest.raises(ConfigError, match="kondor has no such key"):
        load(file(tmp_path), ['model.preset="kondor"', "model.radial_layers=[8]"])


@pytest.mark.parametrize("missing", ["name", "train", "cutoff"])
def test_each_of_them_is_needed(tmp_path, missing):
    text = "\n".join(line for line in LEAST.splitlines() if not line.startswith(missing))
    with pytest.raises(ConfigError, match=f"train.toml: {missing} is needed: write  {missing} = "):
        load(file(tmp_path, text))


def test_what_is_written_is_read_again(tmp_path):
    """Every key of every table comes back, with values that are not the defaults."""
    content = {
        "name": "größe", "seed": 7, "about": {"description": 'a "b" \\ c\n'}, "data": {
            "train": ["a.xyz", "b [1].xyz"], "valid": "v.xyz", "test": ["t.xyz"], "energy_unit": "Ry",
            "E0s": {"H": -13.6, "C": -1027.0}, "isolated_atoms": "i.xyz", "virial_key": "W",
            "config_type_weights": {"300 K": 0.5}},
        "model": {"cutoff": 4.5, "size": "small", "channels": 7}, "loss": {"kind": "huber"},
        "training": {"threads": 3, "max_time": "3h45m", "lr": 1e-4}, "stage_two": {"start": 1.0},
    }  # fmt: skip
    first = from_dict(content, folder=str(tmp_path))
    write_config(first, tmp_path / "out.toml")
    second = load(tmp_path / "out.toml")
    assert second.data == first.data and second.training == first.training and second.loss == first.loss
    assert second.about == first.about and second.stage_two == first.stage_two and second.name == first.name
    assert model_options(second.model) == model_options(first.model)
    assert config_text(second) == config_text(first)


def test_a_loss_by_terms_and_elements_is_written_and_read(tmp_path):
    tables = '[loss]\nkind = { forces = "norm", energy = "huber" }\nhuber_delta = { energy = 0.001 }\n'
    first = load(file(tmp_path, f"{LEAST}{tables}element_weights = {{ H = 0.5 }}\n"))
    write_config(first, tmp_path / "out.toml")
    assert load(tmp_path / "out.toml").loss == first.loss
    loss = make_settings(first).loss
    assert loss.of_term("energy") == (1.0, "huber", 0.001) and loss.of_term("stress")[1:] == ("l2", 0.01)
    assert loss.of_term("forces")[1] == "norm" and loss.element_weights == {"H": 0.5}


def test_weights_that_move_and_decay_by_group_are_written_and_read(tmp_path):
    tables = '[loss]\nenergy_weight = [1, 100]\n[training]\nweight_decay = { mix = 1e-6, "sum2.R" = 0 }\n'
    first = load(file(tmp_path, LEAST + tables))
    write_config(first, tmp_path / "out.toml")
    again = load(tmp_path / "out.toml")
    assert again.loss == first.loss and again.training == first.training
    made = make_settings(again)
    assert made.loss.energy_weight == [1.0, 100.0] and made.weight_decay == {"mix": 1e-6, "sum2.R": 0.0}


def test_paths_follow_the_file(tmp_path):
    (tmp_path / "run").mkdir()
    text = LEAST.replace('"train.xyz"', '["train.xyz", "sub/*.xyz", "/abs/x.xyz"]')
    write_config(load(file(tmp_path, text)), tmp_path / "run" / "config.toml")
    again = load(tmp_path / "run" / "config.toml")
    assert again.data.train == ["../train.xyz", "../sub/*.xyz", "/abs/x.xyz"]


def test_sizes_fill_in_what_is_not_written():
    def options(**model):
        return model_options(from_dict({"name": "a", "data": {"train": "a"}, "model": {"cutoff": 5, **model}}).model)

    medium = options()
    assert medium == options(size="medium") and medium["cutoff"] == 5.0 and medium["channels"] == 64
    assert options(size="small")["channels"] < 64 < options(size="large")["channels"]
    assert options(size="small", channels=100)["channels"] == 100
    assert "correlation" not in options(preset="kondor") and options(preset="kondor", channels=3)["channels"] == 3


@pytest.mark.parametrize("text, value", [
    ("training.max_epochs=50", 50), ("training.lr=1e-3", 1e-3), ("name=other", "other"), ("loss.kind=huber", "huber"),
    ("data.test=['a.xyz']", ["a.xyz"]), ("seed=3", 3),
])  # fmt: skip
def test_overrides(tmp_path, text, value):
    c = load(file(tmp_path), [text])
    for part in text.partition("=")[0].split("."):
        c = getattr(c, part)
    assert c == value
    assert load(file(tmp_path), {"model.channels": 9}).model.channels == 9


@pytest.mark.parametrize("override, message", [
    ("training.max_epochs", "expected KEY=VALUE"),
    ("max_epochs=5", "no such key. Did you mean training.max_epochs"),
    ("train.max_epochs=5", "There are: about, data, model, fine_tune, loss, training, stage_two, uncertainty"),
    ("training.max_epoch=5", r"\[training\] max_epoch: no such key. Did you mean max_epochs"),
    ("training.max_epochs=many", r"\[training\] max_epochs: expected an integer >= 1, got \"many\""),
    ("training.max_epochs=0", r"\[training\] max_epochs: expected an integer >= 1, got 0"),
])  # fmt: skip
def test_overrides_that_do_not_fit(tmp_path, override, message):
    with pytest.raises(ConfigError, match=message):
        load(file(tmp_path), [override])


@pytest.mark.parametrize("table, line, message", [
    ("model", "r_max = 5.0", r"\[model\] r_max: no such key. Did you mean cutoff\? \(r_max in MACE and NequIP\)"),
    ("model", "num_channels = 5", r"Did you mean channels\? \(num_channels in MACE\)"),
    ("model", "max_ell = 3", r"Did you mean l_harmonics\?"),
    ("model", "chanels = 5", r"Did you mean channels\?"),
    ("model", "lr = 0.1", r"no such key. It belongs under \[training\]"),
    ("model", "zzz = 1", r"no such key. There are: preset, size, cutoff"),
    ("model", "levels = 1.5", r"\[model\] levels: expected an integer >= 1 and <= 8, got 1.5"),
    ("model", "channels = -3", r"channels: expected an integer >= 1, got -3"),
    ("model", 'preset = "gnn"', r"train.toml: \[model\] preset: \"gnn\" is not known. There are: nbody, kondor"),
    ("model", 'preset = "kondor"\ncorrelation = 2', r"correlation: the preset kondor has no such key"),
    ("data", "valid = 1.5", r"\[data\] valid: expected a fraction between 0 and 1, or files, got 1.5"),
    ("data", 'E0s = "mean"', r"\[data\] E0s: expected \"auto\", \"isolated\", \"fit\""),
    ("data", 'E0s = { H = "x" }', r"\[data\] E0s: expected"),
    ("data", "E0s = { H = nan }", r"\[data\] E0s: expected a finite number"),
    ("data", 'energy_unit = "kcal"', r"energy_unit: expected one of .*\"kcal/mol\""),
    ("data", 'stress_key = "a"\nvirial_key = "b"', "give stress_key or virial_key, not both"),
    ("loss", 'kind = "l3"', r"\[loss\] kind: expected one of .*\"norm\" or a table { NAME = one of \"huber\", "),
    ("loss", 'kind = { forces = "l3" }', r"\[loss\] kind: expected .*, got { forces = \"l3\" }"),
    ("loss", "element_weights = { H = -1 }", r"\[loss\] element_weights: expected a table { NAME = number >= 0 }"),
    ("loss", "element_weights = { H = inf }", r"\[loss\] element_weights: expected a finite number, got inf"),
    ("loss", "energy_weight = [1, 2, 3]", r"energy_weight: expected .* or a list of 2 numbers, each a number"),
    ("loss", "stress_weight = [1.0, inf]", r"\[loss\] stress_weight: expected a finite number, got inf"),
    ("training", "weight_decay = { mix = -1 }", r"weight_decay: expected .* or a table { NAME = number >= 0 }"),
    ("training", "lr = inf", r"\[training\] lr: expected a finite number, got inf"),
    ("training", "momentum = 1.0", r"\[training\] momentum: expected a number >= 0 and < 1"),
    ("training", 'optimizer = "adam"\nrest_lr = 0.5', r"train.toml: \[training\] rest_lr: adam has one.* = \"muon\""),
    ("training", "ema_decay = 1.0", r"ema_decay: expected a number >= 0 and < 1, got 1.0"),
    ("training", 'threads = "all"', r"threads: expected \"auto\" or an integer >= 1, got \"all\""),
    ("training", 'max_time = "tomorrow"', r"max_time: expected a time such as \"3h45m\""),
    ("uncertainty", "members = 4", r"train.toml: \[uncertainty\] members: no such key"),
    ("uncertainty", "committee = 0", r"train.toml: \[uncertainty\] committee: expected"),
])  # fmt: skip
def test_what_is_refused(tmp_path, table, line, message):
    header = f"[{table}]\n"
    text = LEAST.replace(header, header + line + "\n") if header in LEAST else f"{LEAST}{header}{line}\n"
    with pytest.raises(ConfigError, match=message):
        load(file(tmp_path, text))


@pytest.mark.parametrize("cutoff", ["0", "-1.0", "nan", "inf", '"5"', "true"])
def test_cutoffs_that_are_none(tmp_path, cutoff):
    with pytest.raises(ConfigError, match=r"train.toml: \[model\] cutoff: expected a (finite )?number"):
        load(file(tmp_path, LEAST.replace("cutoff = 5", f"cutoff = {cutoff}")))


def test_files_that_are_no_toml(tmp_path):
    with pytest.raises(ConfigError, match="train.toml: not a TOML file"):
        load(file(tmp_path, "name = acac\n"))
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="model is a table"):
        load(file(tmp_path, 'name = "a"\nmodel = 3\n[data]\ntrain = "a"\n'))
    assert load(file(tmp_path, "\ufeff" + LEAST)).name == "acac"


def test_every_default_is_within_its_range():
    """What write_config writes must be readable; so must each single number in it, changed a little."""
    c = from_dict({"name": "a", "data": {"train": "a"}, "model": {"cutoff": 5.0}})
    for table in ("loss", "training", "stage_two"):
        for key, value in ((k, getattr(getattr(c, table), k)) for k in getattr(c, table).__struct_fields__):
            if isinstance(value, float) and math.isfinite(value):
                keys = {key: value * 0.9} | ({"optimizer": "muon"} if key == "rest_lr" else {})
                changed = from_dict({"name": "a", "data": {"train": "a"}, "model": {"cutoff": 5.0}, table: keys})
                assert getattr(getattr(changed, table), key) == value * 0.9
    names = {"about", "data", "model", "fine_tune", "loss", "training", "stage_two", "uncertainty"}
    assert config.TABLES.keys() == names
