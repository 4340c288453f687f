"""The repulsion of cores in `nbcore init`, `train` and `inspect`: where it is switched on, and with which radii."""

from pathlib import Path

import ase.io
import pytest
from ase.data import covalent_radii

import nbcore
from nbcore.cli import main
from nbcore.data import repulsion_radii
from nbcore.train.fine_tune import extend_repulsion

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUICK = "training.max_epochs=1 model.channels=2 model.l_harmonics=1 model.levels=1 model.correlation=2".split()


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    path = tmp_path_factory.mktemp("crystals") / "crystals.xyz"
    ase.io.write(path, ase.io.read(EXAMPLES / "crystal" / "train.xyz", ":12"))
    return path


def trained(folder, *sets):
    assert main(["train", str(folder / "train.toml"), "--output", str(folder / "run"), "--restart",
                 *(word for s in [*QUICK, *sets] for word in ("--set", s))]) == 0  # fmt: skip
    return nbcore.load(next((folder / "run").glob("*.nbcore")))


def test_on_for_periodic_data(crystals, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", str(crystals), "--name", "a"]) == 0
    assert 'repulsion "zbl"' in capsys.readouterr().out
    assert 'repulsion = "zbl"' in (tmp_path / "train.toml").read_text()
    model = trained(tmp_path)
    said = capsys.readouterr().out
    shortest = model.description["shortest_distances"]
    assert model.repulsion == repulsion_radii(model.species, shortest, model.cutoff)
    pair, radius = next(iter(model.repulsion.items()))
    assert f"(ZBL) below {pair} {radius:.2f}" in said
    data = nbcore.data.read([str(crystals)])
    without = nbcore.load(next((tmp_path / "run").glob("*.nbcore")))
    without.repulsion = None
    for s in data[:2]:  # what is trained on is left as it is
        structure = s.positions, s.numbers, s.cell, s.pbc
        assert abs(model.compute(*structure).energy - without.compute(*structure).energy) < 1e-9
    assert main(["inspect", str(next((tmp_path / "run").glob("*.nbcore")))]) == 0
    assert f"of cores (ZBL) below {pair} {radius:.3f}" in " ".join(capsys.readouterr().out.split())
    assert trained(tmp_path, "model.repulsion=none").repulsion is None
    assert trained(tmp_path, "model.repulsion=auto").repulsion == model.repulsion


def test_molecules_are_left_alone_unless_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ase.io.write("molecules.xyz", ase.io.read(EXAMPLES / "molecule" / "train.xyz", ":12"))
    assert main(["init", "molecules.xyz", "--name", "a"]) == 0
    assert trained(tmp_path).repulsion is None
    zbl = trained(tmp_path, "model.repulsion=zbl").repulsion
    assert set(zbl) == {"C-C", "C-H", "C-O", "H-H", "H-O", "O-O"} and zbl["H-H"] == 2 * covalent_radii[1]
    assert main(["train", "train.toml", "--set", "model.repulsion=lj"]) == 2
    assert "repulsion" in capsys.readouterr().err


def test_radii():
    radii = repulsion_radii(["Si", "C"], {"C-Si": 1.7, "C-C": 9.0}, 5.0)
    assert radii == {"C-C": 2 * covalent_radii[6], "C-Si": 1.7, "Si-Si": 2 * covalent_radii[14]}
    assert repulsion_radii(["Si"], {}, 1.5) == {"Si-Si": 1.5}


def test_new_elements_of_a_fine_tuning():
    start = nbcore.presets.nbody(["Si"], cutoff=4.0, channels=2)
    begun = nbcore.presets.nbody(["C", "Si"], cutoff=4.0, channels=2)
    extend_repulsion(begun, start, {"C-Si": 1.7})
    assert begun.repulsion is None
    start.repulsion = {"Si-Si": 2.0}
    extend_repulsion(begun, start, {"C-Si": 1.7, "Si-Si": 1.9})
    assert begun.repulsion == {"C-C": 2 * covalent_radii[6], "C-Si": 1.7, "Si-Si": 2.0}
