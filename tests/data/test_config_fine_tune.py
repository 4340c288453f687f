"""train.toml with [fine_tune]: the model says what the network is; what is written otherwise is refused by name."""

import pytest

import nbcore
from nbcore import config
from nbcore.config import ConfigError
from nbcore.errors import ModelFileError
from nbcore.train import FineTune, Settings
from nbcore.train.fine_tune import FINE_TUNING

BASE = """
name = "tuned"
[data]
train = "new.xyz"
[fine_tune]
model = "old.nbcore"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    small = dict(species=["H", "O"], cutoff=4.0, channels=32, l_states=0)
    nbcore.presets.nbody(**small).save(path / "old.nbcore")
    outputs = {"dipole": {}, "polarizability": {"unit": "e^2/eV"}}
    nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=4, outputs=outputs).save(path / "tensors.nbcore")
    radial = {"basis": "bessel", "n": 4, "cutoff": 3.0}
    gates = [
        dict(gate="density", name="sum", l_max=0, radial=radial),
        dict(gate="mix", name="e", inputs=["sum"], channels=1),
    ]
    program = {"gates": gates, "readout": ["e"], "parity": "o3"}
    nbcore.Potential({"species": ["H", "O"], "program": program, "cutoff": 3.0}).save(path / "own.nbcore")
    (path / "broken.nbcore").write_bytes((path / "old.nbcore").read_bytes()[:100])
    return path


def load(folder, text=BASE, *more, **keys):
    (folder / "train.toml").write_text(text + "\n".join(more))
    return config.load(folder / "train.toml", keys)


def test_what_is_left_out(folder):
    found = load(folder)
    assert found.model is None and found.fine_tune.model == "old.nbcore" and found.fine_tune.replay == []
    for key, value in FINE_TUNING.items():
        assert getattr(found.training, key) == value
    assert found.training.lr < Settings().number("lr") and found.training.max_epochs < Settings.max_epochs
    assert found.training.batch_size == Settings.batch_size
    for key, value in vars(FineTune()).items():
        assert getattr(found.fine_tune, key) == (list(value) if isinstance(value, tuple) else value)
    assert load(folder, BASE, "[training]", "lr = 0.5").training.lr == 0.5


def test_own_programs_and_agreeing_options(folder):
    assert load(folder, BASE.replace("old", "own")).model is None
    agreed = ("[model]", 'preset = "nbody"', "cutoff = 4", "channels = 32", "l_states = 0", 'size = "small"')
    assert load(folder, BASE, *agreed).model is None


@pytest.mark.parametrize("written, said", [
    ("channels = 64", "channels = 64, but old.nbcore has channels = 32. Fine-tuning keeps the network"),
    ("cutoff = 5.0", "cutoff = 5.0, but old.nbcore has cutoff = 4.0"),
    ("levels = 3", "levels = 3, but old.nbcore has levels = 2"),
    ("radial_layers = [8]", r"radial_layers = \[8\], but old.nbcore has radial_layers = \[\]"),
    ('preset = "kondor"', 'preset = "kondor", but old.nbcore has preset = "nbody"'),
    ('size = "medium"', r"channels = 64 \(size medium\), but old.nbcore has channels = 32"),
    ('size = "huge"', 'size = "huge": old.nbcore has no such size'),
    ("r_max = 4.0", "r_max: old.nbcore has no such option"),
])  # fmt: skip
def test_another_network_is_refused_by_name(folder, written, said):
    with pytest.raises(ConfigError, match=r"train.toml: \[model\] " + said):
        load(folder, BASE, "[model]", written)


@pytest.mark.parametrize("text, said", [
    (BASE.replace('model = "old.nbcore"', ""), r'model is needed: write  model = "old.nbcore"  under \[fine_tune\]'),
    (BASE + "freeze = 3", r"\[fine_tune\] freeze: expected a list, got 3"),
    (BASE + 'freze = ["A1"]', r"\[fine_tune\] freze: no such key. Did you mean freeze"),
    (BASE + "replay_fraction = 1.0", r"\[fine_tune\] replay_fraction: expected a number > 0 and < 1"),
    (BASE + "replay_weight = 0", r"\[fine_tune\] replay_weight: expected a number > 0"),
    (BASE + 'new_elements = "random"', r"\[fine_tune\] new_elements: expected one of \"mean\", \"nearest\""),
    ("fine_tune = 3" + BASE.replace("[fine_tune]\n", "[about]\n").replace("model", "author"), "fine_tune is a table"),
    (BASE + "model2 = 3", r"\[fine_tune\] model2: no such key. Did you mean model"),
    (BASE + '[outputs.dipole]', r"\[outputs.dipole\]: old.nbcore has no such output: it has none"),
])  # fmt: skip
def test_tables_that_do_not_fit(folder, text, said):
    with pytest.raises(ConfigError, match=said):
        load(folder, text)


def test_models_that_cannot_be_read(folder):
    with pytest.raises(FileNotFoundError, match="none.nbcore"):
        load(folder, BASE.replace("old", "none"))
    with pytest.raises(ModelFileError, match="broken.nbcore"):
        load(folder, BASE.replace("old", "broken"))


def test_outputs_are_those_of_the_model(folder):
    text = BASE.replace("old", "tensors")
    found = load(folder, text, "[outputs.dipole]", "weight = 3.0", 'key = "mu"').outputs
    assert found["dipole"].weight == 3.0 and found["dipole"].key == "mu" and found["dipole"].rank == 1
    assert found["polarizability"].weight == 1.0 and found["polarizability"].unit == "e^2/eV"
    with pytest.raises(ConfigError, match=r"\[outputs.quadrupole\]: .* its outputs are dipole, polarizability"):
        load(folder, text, "[outputs.quadrupole]", "rank = 2")
    with pytest.raises(ConfigError, match=r"\[outputs.dipole\] charges = true, but tensors.nbcore has charges = false"):
        load(folder, text, "[outputs.dipole]", "charges = true")


def test_what_is_written_reads_the_same(folder, tmp_path):
    more = ('freeze = ["A1", "radial"]', 'replay = ["old.xyz", "older.xyz"]', "replay_fraction = 0.25")
    found = load(folder, BASE, *more, **{"training.max_epochs": 7, "fine_tune.replay_weight": 0.5})
    config.write_config(found, folder / "copy.toml", overwrite=True)
    again = config.load(folder / "copy.toml")
    assert again == found
    written = (folder / "copy.toml").read_text()
    assert "\n[model]" not in written and 'freeze = ["A1", "radial"]' in written
    config.write_config(found, tmp_path / "elsewhere.toml")
    elsewhere = config.load(tmp_path / "elsewhere.toml")
    assert (tmp_path / elsewhere.fine_tune.model).resolve() == (folder / "old.nbcore").resolve()
    assert (tmp_path / elsewhere.fine_tune.replay[1]).resolve() == (folder / "older.xyz").resolve()
