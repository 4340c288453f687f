"""nbcore init: a train.toml that fits the data, nothing overwritten, what was assumed is said."""

import numpy as np
import pytest
from ase.build import bulk

from nbcore import cli, config, presets
from nbcore.data import Structure, read_sets, write_extxyz


def water(n, seed=0):
    generator = np.random.default_rng(seed)
    eq = np.array([[0, 0, 0.12], [0, 0.76, -0.47], [0, -0.76, -0.47]])
    return [Structure(eq + 0.05 * generator.normal(size=(3, 3)), np.array([8, 1, 1]), energy=-2076 + generator.normal(),
                      forces=generator.normal(size=(3, 3)))
            for _ in range(n)]  # fmt: skip


def atoms():
    return [Structure(np.zeros((1, 3)), np.array([z]), energy=e) for z, e in ((1, -13.6), (8, -2040.0))]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "water_300K").mkdir()
    monkeypatch.chdir(tmp_path / "water_300K")
    monkeypatch.setenv("COLUMNS", "100")
    write_extxyz(water(60), "train.xyz")
    return tmp_path / "water_300K"


def test_roles_by_name_and_content(folder, capsys):
    write_extxyz(water(5, 1), "test_300K.xyz")
    write_extxyz(water(5, 2), "myTestHot.xyz")
    write_extxyz(water(6, 3), "valid.xyz")
    write_extxyz(atoms(), "isolated_atoms.xyz")
    write_extxyz(water(4, 4), "latest.xyz")  # no word "test" in it
    assert cli.main(["init", "*.xyz"]) == 0
    c = config.load("train.toml")
    assert c.name == "water_300K" and c.data.train == ["latest.xyz", "train.xyz"] and c.data.valid == "valid.xyz"
    assert sorted(c.data.test) == ["myTestHot.xyz", "test_300K.xyz"] and c.data.isolated_atoms == "isolated_atoms.xyz"
    assert c.model.cutoff == 5.0 and c.data.missing == "error" and c.about.description == "H2O, 64 structures"
    sets = read_sets(c)
    assert (len(sets.train), len(sets.valid), len(sets.test)) == (64, 6, 2) and sets.E0.source == "isolated"
    captured = capsys.readouterr()
    assert "Assumed" in captured.out and "E0s: from the isolated atoms" in captured.out
    assert "neighbours within 5.0 Å" in captured.out and "Next:  nbcore train train.toml" in captured.err


def test_the_file_is_commented_and_complete(folder):
    assert cli.main(["init", "train.xyz", "--output", "sub.toml", "--name", "h2o"]) == 0
    text = (folder / "sub.toml").read_text()
    for word in (
        "# Angstrom",
        "# level of theory",
        "levels = 2",
        "forces_weight = 100.0",
        "[stage_two]",
        'name = "h2o"',
    ):
        assert word in text
    c = config.load("sub.toml")
    assert (c.data.valid, c.training.batch_size) == (0.1, 1)


def test_never_overwrites(folder, capsys):
    (folder / "train.toml").write_text("mine")
    assert cli.main(["init", "train.xyz"]) == 6
    assert "train.toml exists already; --force overwrites it" in " ".join(capsys.readouterr().err.split())
    assert (folder / "train.toml").read_text() == "mine"
    assert cli.main(["init", "train.xyz", "--force"]) == 0
    assert config.load("train.toml").name == "water_300K"


def test_paths_are_relative_to_the_file(folder):
    (folder.parent / "runs").mkdir()
    assert cli.main(["init", "train.xyz", "--output", "../runs/a.toml"]) == 0
    c = config.load("../runs/a.toml")
    assert c.data.train == "../water_300K/train.xyz" and len(read_sets(c).train) == 54


def test_a_run_does_not_lie_among_the_data(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert cli.main(["init", "water_300K/train.xyz"]) == 0
    assert config.load("train.toml").name == "water_300K_potential"
    (folder / "config.toml").write_text("")  # the folder of an earlier run keeps its name
    assert cli.main(["init", "water_300K/train.xyz", "--output", "again.toml"]) == 0
    assert config.load("again.toml").name == "water_300K"


def test_crystals_get_a_cutoff_with_enough_neighbours(folder, capsys):
    generator = np.random.default_rng(0)
    cells = []
    for _ in range(12):
        a = bulk("Li", "bcc", a=3.5, cubic=True) * 2
        forces = generator.normal(size=(16, 3))
        cells.append(Structure(a.positions + 0.1 * generator.normal(size=(16, 3)), a.numbers, np.array(a.cell), a.pbc,
                               energy=-30 + generator.normal(), forces=forces - forces.mean(axis=0)))  # fmt: skip
    write_extxyz(cells, "lithium.xyz")
    assert cli.main(["init", "lithium.xyz"]) == 0
    c = config.load("train.toml")
    assert c.name == "lithium" and 5.0 <= c.model.cutoff <= 6.0 and c.data.valid == 0.2
    assert "neighbours per atom" in capsys.readouterr().out


def test_options_of_the_reader_go_into_the_file(folder):
    (folder / "w.xyz").write_text((folder / "train.xyz").read_text().replace("energy=", "E_dft="))
    assert cli.main(["init", "w.xyz", "--energy-key", "E_dft", "--energy-unit", "kcal/mol"]) == 0
    c = config.load("train.toml")
    assert (c.data.energy_key, c.data.energy_unit) == ("E_dft", "kcal/mol") and len(read_sets(c).train) == 54


def test_labels_that_some_frames_lack(folder, capsys):
    data = water(20)
    data[4].forces = None
    write_extxyz(data, "some.xyz")
    assert cli.main(["init", "some.xyz"]) == 0
    assert config.load("train.toml").data.missing == "mask"
    assert "1 of 20 structures has no forces" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("arguments, code, message", [
    ([], 2, "init: no DATA given"),
    (["absent.xyz"], 6, "absent.xyz: no such file"),
    (["broken.xyz"], 3, "broken.xyz:3: frame 0, atom 0: expected 4 columns"),
    (["bare.xyz"], 3, "bare.xyz: no frame has an energy"),
    (["atoms.xyz"], 3, "only isolated atoms in it, nothing to train on"),
    (["train.xyz", "--preset", "gap"], 2, '[model] preset: "gap" is not known'),
    (["train.xyz", "--output", "none/train.toml"], 6, "none"),
])  # fmt: skip
def test_errors(folder, capsys, arguments, code, message):
    (folder / "broken.xyz").write_text("1\nProperties=species:S:1:pos:R:3\nO 0 0\n")
    (folder / "bare.xyz").write_text("2\n\nO 0 0 0\nH 0 0 1\n")
    write_extxyz(atoms(), "atoms.xyz")
    assert cli.main(["init", *arguments]) == code
    captured = capsys.readouterr()
    assert message in " ".join(captured.err.split()) and not (folder / "train.toml").exists()


def test_presets(capsys):
    assert cli.main(["init", "--list-presets"]) == 0
    text = capsys.readouterr().out
    assert "nbody" in text and "kondor" in text and "cormorant" in text and "medium" in text
    table = [line for line in text.partition("\nsizes of")[0].splitlines() if line[2] != " "]
    texts = {line.index(presets.PRESETS[line.split()[0]].text[:20]) for line in table}
    assert len(table) == len(presets.PRESETS) and len(texts) == 1, "a column of names, and one of texts"
