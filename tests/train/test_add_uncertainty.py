"""What a training leaves of the errors of its model: covariances and factors against NumPy; committees in one run."""

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from pair_model import molecules
from scipy.stats import spearmanr

import nbcore
from nbcore import train
from nbcore.cli import main
from nbcore.data import Structure
from nbcore.errors import InputError, ModelFileError
from nbcore.results.calibration import Calibration, calibrations
from nbcore.train import uncertainty

DATA = molecules(30, seed=3)
TRAIN, VALID = DATA[:20], DATA[20:]


def make(seed=7):
    return nbcore.presets.nbody(["H", "C"], 4.0, channels=3, levels=2, l_harmonics=1, correlation=2, seed=seed)


def features(potential, structures, z):
    return np.concatenate([potential.features(s.positions, s.numbers)[np.asarray(s.numbers) == z] for s in structures])


def rms(x):
    return np.sqrt(np.mean(np.square(x)))


def test_leverages_and_factors():
    potential = make()
    known = train.add_uncertainty(potential, TRAIN, VALID)
    assert known == potential.uncertainty and known["kind"] == "last_layer"
    for z, symbol in ((1, "H"), (6, "C")):
        f = features(potential, TRAIN, z)
        C = f.T @ f / len(f)
        C += 1e-6 * np.trace(C) / len(C) * np.eye(len(C))
        h = np.einsum("ij,jk,ik->i", f, np.linalg.inv(C), f)
        assert known["largest"][symbol] == pytest.approx(h.max(), rel=1e-5)
    results = potential.compute_many(VALID, uncertainty=True)
    on_train = potential.compute_many(TRAIN, uncertainty=True)
    assert max(r.uncertainty.grades.max() for r in on_train) == pytest.approx(1, rel=1e-9)
    for z in (1, 6):  # scaled: errors of the expected size
        ratios = [
            np.sqrt(np.mean((r.forces - s.forces) ** 2, axis=1))[s.numbers == z] / r.uncertainty.forces[s.numbers == z]
            for s, r in zip(VALID, results, strict=True)
        ]
        assert rms(np.concatenate(ratios)) == pytest.approx(1, rel=1e-9)
    ratios = [(r.energy - s.energy) / r.uncertainty.energy for s, r in zip(VALID, results, strict=True)]
    assert rms(ratios) == pytest.approx(1, rel=1e-9)


def test_atoms_unlike_those_of_the_training_have_higher_grades():
    potential = make()
    train.add_uncertainty(potential, TRAIN, VALID)
    near = molecules(10, seed=5)
    far = [(s.positions * 0.8, s.numbers, None, False) for s in near]
    grades = [
        np.mean([r.uncertainty.grades.max() for r in potential.compute_many(some, uncertainty=True)])
        for some in (near, far)
    ]
    assert grades[0] < 1 < grades[1]


def test_few_atoms_of_an_element_share_a_factor(monkeypatch):
    potential = make()
    monkeypatch.setattr(uncertainty, "FEWEST", 10**6)
    known = train.add_uncertainty(potential, TRAIN, VALID)
    assert known["forces"]["H"] == known["forces"]["C"] > 0


def test_a_committee_is_scaled():
    members = [make(k) for k in range(3)]
    committee = nbcore.Committee(members)
    known = train.add_uncertainty(committee, TRAIN, VALID)
    assert known["kind"] == "committee" and set(known["forces"]) == {"H", "C"}
    results = committee.compute_many(VALID, uncertainty=True)
    found = calibrations(VALID, results)
    assert found["energy"].ratio == pytest.approx(1) and found["forces of atoms"].ratio == pytest.approx(1)


@pytest.mark.parametrize(("structures", "words"), [
    ([s for s in TRAIN if s.energy is None], "no structure has energy and forces"),
    ([Atoms("H2", [[0, 0, 0], [0, 0, 0.8]])], "no structure has energy and forces"),
    ([Structure([[0, 0, 0], [0, 0, 0.9]], [1, 1], energy=-2.0, forces=np.zeros((2, 3)))], "C has no atoms"),
])  # fmt: skip
def test_data_that_do_not_do(structures, words):
    with pytest.raises(InputError, match=words):
        train.add_uncertainty(make(), structures)


def test_many_elements_and_wide_last_layers_are_refused_before_memory_is_taken(monkeypatch):
    """Weights per element of 89 elements would need matrices of 86 GB: said, whatever is missing besides."""
    many = nbcore.presets.ace(species=["H", "C", "N", "O", "F", "S"], cutoff=3.0, l_max=[0], n_max=[2])
    with pytest.raises(InputError, match="N O F and 1 more have no atoms in the training data"):
        train.add_uncertainty(many, TRAIN)
    wide = nbcore.presets.ace(species=["H", "C"], cutoff=3.0, l_max=[0, 1], n_max=[4, 2])
    monkeypatch.setattr("nbcore.train.uncertainty.LARGEST", 1000)
    with pytest.raises(
        InputError, match=r"weights in the last layer want a matrix for each of 2 elements: .* a committee"
    ):
        train.add_uncertainty(wide, TRAIN)


def test_members_that_are_the_same():
    with pytest.raises(InputError, match="zero for some atoms"):
        train.add_uncertainty(nbcore.Committee([make(1), make(1)]), TRAIN, VALID)


def test_calibrations_against_sums_written_here():
    rng = np.random.default_rng(0)
    expected = rng.uniform(1, 5, 1000)
    errors = expected * rng.standard_normal(1000) * 1.5
    c = Calibration.of(expected, errors)
    assert c.n == 1000 and c.spearman == pytest.approx(spearmanr(expected, abs(errors)).statistic)
    assert c.ratio == pytest.approx(1.5, rel=0.1) and len(c.expected) == len(c.actual) == 10
    order = np.argsort(expected)[:100]
    assert (c.expected[0], c.actual[0]) == (pytest.approx(rms(expected[order])), pytest.approx(rms(errors[order])))
    assert Calibration.of([1.0], [2.0]).spearman is None and Calibration.of([1, 1, 1], [1, 2, 3]).spearman is None


# ---- the commands ----


def write(path, structures):
    frames = []
    for s in structures:
        atoms = Atoms(s.numbers, s.positions)
        atoms.calc = SinglePointCalculator(atoms, energy=s.energy, forces=s.forces)
        frames.append(atoms)
    ase.io.write(path, frames)


CONFIG = """name = "a"
[data]
train = "train.xyz"
valid = 0.3
test = "test.xyz"
E0s = { H = -1.0, C = -2.0 }
[model]
cutoff = 4.0
channels = 2
l_harmonics = 1
l_states = 0
levels = 1
repulsion = false
[training]
max_epochs = 3
batch_size = 10
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("train.xyz", TRAIN), write("test.xyz", VALID)
    (tmp_path / "train.toml").write_text(CONFIG.replace("repulsion = false\n", ""))
    return tmp_path


def test_a_training_leaves_it_in_the_model(folder, capsys):
    assert main(["train", "train.toml", "--quiet"]) == 0
    model = nbcore.load("a/a.nbcore")
    valid = main(["evaluate", "a/a.nbcore", "test.xyz", "--uncertainty", "--json"])
    found = json.loads(capsys.readouterr().out)["uncertainty"]["test.xyz"]
    assert valid == 0 and found["forces of atoms"]["n"] == sum(len(s.numbers) for s in VALID)
    results = model.compute_many(VALID, uncertainty=True)
    assert found["energy"]["ratio"] == pytest.approx(calibrations(VALID, results)["energy"].ratio, rel=1e-6)
    assert main(["train", "train.toml", "--quiet", "--set", "uncertainty.last_layer=false", "--output", "b"]) == 0
    assert nbcore.load("b/a.nbcore").uncertainty is None
    with pytest.raises(ModelFileError):
        main(["evaluate", "b/a.nbcore", "test.xyz", "--uncertainty", "--traceback"])
    assert main(["evaluate", "b/a.nbcore", "test.xyz", "--uncertainty"]) == 4
    assert "nbcore uncertainty b/a.nbcore" in capsys.readouterr().err


def test_columns_and_plot(folder, capsys):
    assert main(["train", "train.toml", "--quiet"]) == 0
    arguments = ["evaluate", "a/a.nbcore", "train.xyz", "test.xyz", "--uncertainty", "--plot", "--output", "p"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "forces of structures" in said and "rank correlation" in said
    frames = ase.io.read("p/test.xyz", ":")
    expected = nbcore.load("a/a.nbcore").compute_many(VALID, uncertainty=True)
    for atoms, r in zip(frames, expected, strict=True):
        assert atoms.info["nbcore_energy_uncertainty"] == pytest.approx(r.uncertainty.energy, rel=1e-6)
        assert np.allclose(atoms.arrays["nbcore_forces_uncertainty"], r.uncertainty.forces, rtol=1e-5, atol=1e-8)
        assert np.allclose(atoms.arrays["nbcore_grades"], r.uncertainty.grades, rtol=1e-5, atol=1e-8)
    assert (folder / "p" / "uncertainty.png").read_bytes()[:4] == b"\x89PNG"
    assert main(arguments) == 0  # its own files are replaced
    assert main(["evaluate", "a/a.nbcore", "test.xyz", "--plot", "--output", "q"]) == 0
    assert not (folder / "q" / "uncertainty.png").exists()


def test_the_verb_adds_it(folder, capsys):
    potential = make()
    potential.save("m.nbcore")
    before = potential.compute_many(VALID)
    assert main(["uncertainty", "m.nbcore", "train.xyz", "--calibrate", "test.xyz", "--output", "n.nbcore"]) == 0
    assert nbcore.load("m.nbcore").uncertainty is None
    model = nbcore.load("n.nbcore")
    assert model.uncertainty["forces"] == pytest.approx(train.add_uncertainty(potential, TRAIN, VALID)["forces"], 1e-6)
    assert [r.energy for r in model.compute_many(VALID)] == [r.energy for r in before]
    assert main(["uncertainty", "m.nbcore", "train.xyz"]) == 0  # in place
    assert nbcore.load("m.nbcore").uncertainty and "--calibrate" in capsys.readouterr().err
    (folder / "mine.txt").write_text("mine")
    assert main(["uncertainty", "m.nbcore", "train.xyz", "--output", "mine.txt"]) == 6
    assert main(["uncertainty", "m.nbcore", "train.xyz", "--output", "train.xyz"]) == 6
    assert main(["uncertainty", "mine.txt", "train.xyz"]) == 4
    assert (folder / "mine.txt").read_text() == "mine"


def test_a_committee_in_one_run(folder, capsys):
    assert main(["train", "train.toml", "--set", "uncertainty.committee=3"]) == 0
    said = capsys.readouterr().out
    assert "Member 3 of 3, seed 3" in said and "committee of 3" in said
    model = nbcore.load("a/a.nbcore")
    assert isinstance(model, nbcore.Committee) and model.uncertainty["kind"] == "committee"
    for k, member in enumerate(model.members):
        alone = nbcore.Potential.load(f"a/member_{k + 1}/a.nbcore")
        assert np.array_equal(alone.parameters, member.parameters)
        assert member.description["seeds"]["training"] == k + 1
    assert len({member.parameters.tobytes() for member in model.members}) == 3
    assert set(model.description["errors"]) == {"train", "valid", "test"}
    for name in ("report.html", "plots/parity.png", "plots/uncertainty.png"):
        assert (folder / "a" / name).exists()
    content = (folder / "a" / "a.nbcore").read_bytes()
    assert main(["train", "train.toml", "--set", "uncertainty.committee=3", "--quiet"]) == 0  # nothing left to do
    assert (folder / "a" / "a.nbcore").read_bytes() == content
    for command in (["evaluate", "a/a.nbcore", "test.xyz", "--uncertainty"], ["inspect", "a/a.nbcore"]):
        assert main(command) == 0
    assert "3 members" in capsys.readouterr().out
