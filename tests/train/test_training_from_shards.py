"""Training from shards: the bits of training from memory, whatever is read, dropped and read again."""

import contextlib
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from threads_as_ranks import each_rank

import nbcore
from nbcore import cli, data
from nbcore.data import sets, shards, whole_sets
from nbcore.data.structure import Structures
from nbcore.train import Loss, Settings, TrainingSet, calibrate, checkpoint, fit, order
from nbcore.train.trainer import Trainer

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "molecule"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks and windows so small that a small set has many, and that blocks are dropped and read again."""
    monkeypatch.setattr(shards, "BLOCK_ATOMS", 50)
    monkeypatch.setattr(shards, "KEPT_ATOMS", 150)
    monkeypatch.setattr(order, "BLOCK_ATOMS", 60)
    monkeypatch.setattr(order, "WINDOW_BLOCKS", 3)
    monkeypatch.setattr("nbcore.train.trainer.PORTION", 7)
    monkeypatch.setattr(sys.modules["nbcore.train.calibrate"], "LOOKED_AT", 25)
    monkeypatch.setattr(sys.modules["nbcore.data.reference_energies"], "ROWS", 16)


def both(tmp_path, n=60, change=lambda structures: structures):
    """The same structures in memory and in shards."""
    files = [EXAMPLE / "train.xyz", EXAMPLE / "isolated_atoms.xyz"]
    found = change(data.read(files))[:n]
    data.write_shards(found, tmp_path / "set.shards")
    in_shards = data.open_shards(tmp_path / "set.shards", missing="mask")
    assert len(in_shards.blocks.places) > 5
    return found, in_shards


def potential(species=("H", "C", "O"), **more):
    return nbcore.presets.nbody(list(species), cutoff=3.0, channels=4, l_harmonics=2, l_states=1, **more)


def test_a_rank_reads_no_structure_but_its_own(tmp_path, monkeypatch):
    both(tmp_path)
    read, structure = {}, data.Shards._structure

    def noted(self, k):
        read.setdefault(threading.get_ident(), set()).add(k)
        return structure(self, k)

    monkeypatch.setattr(data.Shards, "_structure", noted)

    def work(ranks):
        in_shards = data.open_shards(tmp_path / "set.shards", missing="mask")
        trainer = Trainer(TrainingSet(potential(), in_shards), None, Settings(max_epochs=9, batch_size=30), ranks=ranks)
        read[threading.get_ident()] = set()
        for _ in range(trainer.steps_per_epoch):
            trainer.step()
        return read[threading.get_ident()]

    own = each_rank(2, work)
    assert sorted(k for one in own for k in one) == list(range(60))  # each by one of them
    assert all(20 < len(one) < 40 for one in own)


def test_loss_gradient_and_predictions(tmp_path):
    one, two = (TrainingSet(potential(), s) for s in both(tmp_path))
    assert two.structures.isolated and isinstance(two.structures, data.Shards)
    for batch in ([3, 50, 7], [3], [], list(range(60)), None):
        a, b = (s.loss_and_gradient(batch, Loss()) for s in (one, two))
        assert batch != [] or not np.any(a.gradient)
        assert a.loss == b.loss and a.gradient.tobytes() == b.gradient.tobytes()
        a, b = (s.predict(batch) for s in (one, two))
        assert a.energies.tobytes() == b.energies.tobytes() and a.losses.tobytes() == b.losses.tobytes()
        for x, y in zip(a.forces, b.forces, strict=True):
            assert x.tobytes() == y.tobytes()
    assert two.input_seconds > 0 == one.input_seconds


def test_errors_name_the_structure_and_leave_the_set_usable(tmp_path):
    _, in_shards = both(tmp_path)
    training_set = TrainingSet(potential(["H", "C"]), in_shards)
    with pytest.raises(nbcore.errors.SpeciesError, match=r"train.xyz, frame 3 \(line 31\): .*O"):
        training_set.predict([3])
    broken = in_shards[[0, 1]]
    good = TrainingSet(potential(), broken)
    expected = good.predict().energies
    with pytest.raises(IndexError):
        good.predict([2])
    assert good.predict().energies.tobytes() == expected.tobytes()


@pytest.mark.parametrize("valid", [0.2, 0])
def test_fit_from_shards_is_fit_from_memory(tmp_path, valid):
    """E0s, scales, split, order, validation, errors at the end: every bit of parameters, and of the history."""
    results = []
    for s in both(tmp_path):
        results.append(fit(potential(), s, valid, max_epochs=3, batch_size=4, quiet=True, lr=0.005))
    one, two = results
    assert one.potential.E0s == two.potential.E0s and one.potential.scale == two.potential.scale
    assert one.potential.parameters.tobytes() == two.potential.parameters.tobytes()
    assert one.history == two.history
    errors = [{n: e.as_dict() | {"outside_train": 0} for n, e in r.errors.items()} for r in results]
    assert errors[0] == errors[1]


def test_copies_stay_together(tmp_path):
    def doubled(structures):
        return Structures([*structures[:30], *structures[:30]], structures.isolated)

    one, two = both(tmp_path, change=doubled)
    parts = [data.split(s, [0.7, 0.3], seed=2) for s in (one, two)]
    for a, b in zip(*parts, strict=True):
        assert [s.energy for s in a] == [s.energy for s in b]
    energies = [{s.energy for s in part} for part in parts[1]]
    assert not energies[0] & energies[1]


def test_the_order_is_a_permutation_and_nearly_one_of_all():
    atoms = np.random.default_rng(0).integers(1, 20, 400)
    random = np.random.Generator(np.random.PCG64(3))
    found = order.shuffled(random, atoms)
    assert np.array_equal(np.sort(found), np.arange(400)) and not np.array_equal(found, np.sort(found))
    # what is read at a time is bounded: of any stretch of a window's atoms, few blocks
    block = (np.cumsum(atoms) - atoms) // order.BLOCK_ATOMS
    for first in range(0, 400, 10):
        stretch = found[first : first + 10]
        assert len(np.unique(block[stretch])) <= 2 * order.WINDOW_BLOCKS
    again = order.shuffled(random, atoms)
    assert not np.array_equal(again, found)
    random, same = (np.random.Generator(np.random.PCG64(3)) for _ in range(2))
    np.testing.assert_array_equal(order.shuffled(random, np.full(20, 3)), same.permutation(20))


def test_a_run_that_is_saved_and_taken_up_ends_with_the_same_bits(tmp_path):
    _, in_shards = both(tmp_path)

    def trainer():
        p = potential()
        calibrate(p, in_shards)
        parts = [TrainingSet(p, part) for part in (in_shards[:48], in_shards[48:])]
        return Trainer(*parts, Settings(max_epochs=3, batch_size=5))

    whole = trainer()
    while not whole.finished:
        whole.step()
    current = trainer()
    while not current.finished:
        for _ in range(7):
            if not current.finished:
                current.step()
        saved = checkpoint.encode(*current.state())
        current = trainer()
        current.load_state(*checkpoint.decode(saved, "memory"))
    assert current.best.tobytes() == whole.best.tobytes() and current.history == whole.history
    assert current.parameters.tobytes() == whole.parameters.tobytes()


TOML = """
name = "m"
[data]
train = "{train}"
valid = 0.2
test = "test.xyz"
isolated_atoms = "isolated_atoms.xyz"
[model]
cutoff = 3.0
channels = 4
l_harmonics = 2
[training]
max_epochs = 2
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (EXAMPLE / "train.xyz").read_text().splitlines(keepends=True)
    Path("train.xyz").write_text("".join(text[: 60 * 10]))
    Path("test.xyz").write_text("".join(text[60 * 10 : 70 * 10]))
    shutil.copy(EXAMPLE / "isolated_atoms.xyz", tmp_path)
    return tmp_path


def train(name, train, *options):
    Path(f"{name}.toml").write_text(TOML.format(train=train))
    return cli.main(["train", f"{name}.toml", "--output", name, "--threads", "1", *options])


def test_the_command_line(folder, capsys):
    assert cli.main(["data", "train.xyz", "--output", "set.shards"]) == 0
    captured = capsys.readouterr()
    assert "wrote set.shards: 60 structures" in captured.err and "60 structures" in captured.out
    assert train("one", "train.xyz") == 0
    one = capsys.readouterr()
    assert train("two", "set.shards") == 0
    two = capsys.readouterr()
    models = [nbcore.Potential.load(f"{name}/m.nbcore") for name in ("one", "two")]
    assert models[0].parameters.tobytes() == models[1].parameters.tobytes()
    assert Path("one/history.csv").read_bytes() == Path("two/history.csv").read_bytes()
    assert "Reading shards and making their graphs took" in " ".join(two.err.split())
    assert "48 train + 12 valid (random, seed 1)" in two.out and "48 train + 12 valid (random, seed 1)" in one.out
    (file,) = [f for f in models[1].description["training"]["files"] if f["name"] == "set.shards"]
    assert file["n"] == 60 and file["sha256"] == nbcore.files.sha256("set.shards")
    # goes on, as long as the shards are the same
    assert train("two", "set.shards", "--set", "training.max_epochs=3") == 0
    capsys.readouterr()
    assert cli.main(["data", "train.xyz", "test.xyz", "--output", "set.shards", "--force"]) == 0
    assert train("two", "set.shards", "--set", "training.max_epochs=4") == 4
    assert "made with other data" in " ".join(capsys.readouterr().err.split())


def test_shards_are_looked_at_split_and_evaluated(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["nbcore.data.audit"], "LOOKED_AT", 20)
    monkeypatch.setattr("nbcore.cli.evaluate.LOOKED_AT", 20)
    assert cli.main(["data", "train.xyz", "isolated_atoms.xyz", "--output", "set.shards"]) == 0
    capsys.readouterr()
    assert cli.main(["data", "train.xyz", "isolated_atoms.xyz"]) == 0
    memory = capsys.readouterr().out
    assert cli.main(["data", "set.shards"]) == 0
    out = capsys.readouterr().out
    assert "of 20 structures, evenly spaced: no duplicates" in " ".join(out.split())
    for head in ("labels", "elements", "E0", "forces", "shortest distances"):
        lines = [next(line for line in text.splitlines() if line.strip().startswith(head)) for text in (memory, out)]
        assert lines[0].partition(";   net")[0] == lines[1].partition(";   net")[0]
    assert cli.main(["data", "set.shards", "--output", "part.shards", "--split", "0.8,0.2"]) == 0
    assert sorted(p.name for p in folder.glob("part*")) == ["part_train.shards", "part_valid.shards"]
    parts = [data.open_shards(folder / f"part_{role}.shards") for role in ("train", "valid")]
    assert [len(p) for p in parts] == [48, 12] and [len(p.isolated) for p in parts] == [3, 0]
    assert cli.main(["data", "set.shards", "--output", "back.xyz"]) == 0
    assert len(data.read("back.xyz")) == 60 and len(data.read("back.xyz").isolated) == 3
    potential().save("p.nbcore")
    capsys.readouterr()
    assert cli.main(["evaluate", "p.nbcore", "part_train.shards"]) == 0
    captured = capsys.readouterr()
    assert "20" in captured.out and "20 of its 48 structures, evenly spaced" in " ".join(captured.err.split())
    with contextlib.suppress(SystemExit):
        assert cli.main(["train", "none.toml"]) != 0


def test_whole_sets_answer_alike(tmp_path):
    one, two = both(tmp_path)
    for question in (whole_sets.sizes, whole_sets.copies):
        np.testing.assert_array_equal(question(one), question(two))
    assert data.shortest_distances(two) == pytest.approx(data.shortest_distances(one), rel=1e-12)
    labels = ("energy", "forces", "stress", "dipole")
    assert whole_sets.counting(one, labels) == whole_sets.counting(two, labels) == ["energy", "forces"]
    for s in (one, two):
        assert [x.frame for x in whole_sets.sample(s, 7)] == [x.frame for x in whole_sets.sample(one, 7)]
    fits = [data.reference_energies(s, "fit") for s in (one, two)]
    assert fits[0] == fits[1]
    assert sets.split(one, [0.5, 0.5])[0][3].energy == sets.split(two, [0.5, 0.5])[0][3].energy
