"""Fine-tuning: what stays as it is, what is replayed, what is kept, and that it helps."""

import numpy as np
import pytest
from interruption import interrupt_training
from pair_model import molecules

import nbcore
from nbcore import train
from nbcore.data import Structures
from nbcore.errors import CheckpointError, InputError
from nbcore.train import FineTune
from nbcore.train.fine_tune import FINE_TUNING
from nbcore.train.optimizers import OPTIMIZERS
from nbcore.train.trainer import Trainer
from nbcore.train.tuned import replay_of

OLD, NEW = molecules(30, seed=3), molecules(12, seed=8)
SHORT = dict(max_epochs=4, batch_size=3, lr=0.01, threads=1, quiet=True)
SLOW = dict(stage_two=train.StageTwo(1.0))


@pytest.fixture(scope="module")
def start():
    options = dict(cutoff=4.0, channels=9, levels=1, l_harmonics=1, correlation=2, E0s={"H": -1.0, "C": -2.0}, seed=7)
    potential = nbcore.presets.nbody(species=["H", "C"], **options)
    loss = train.Loss(energy_weight=100.0)
    return train.fit(potential, OLD, max_epochs=12, lr=0.02, loss=loss, threads=1, quiet=True, **SLOW).potential


def groups(potential):
    return {name: potential.parameters[where] for name, (where, _) in potential.parameter_slices.items()}


def force_rmse(potential, structures):
    found = potential.compute_many(structures)
    return np.sqrt(np.mean(np.concatenate([r.forces - s.forces for r, s in zip(found, structures, strict=True)]) ** 2))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_frozen_groups_keep_their_bits(start, optimizer):
    """In spite of decay, momenta and averages; all others move."""
    before = {name: values.copy() for name, values in groups(start).items()}
    options = dict(freeze=["A1", "readout"], optimizer=optimizer, weight_decay=0.1, ema_decay=0.9)
    fit = train.fine_tune(start, NEW, replay=OLD, **{**SHORT, **options})
    for name, values in groups(fit.potential).items():
        frozen = name.startswith(("A1.", "energy1."))
        assert np.array_equal(values, before[name]) == frozen, name


def test_frozen_parameters_do_not_count_in_the_norm_of_the_gradient(start):
    """A free network with the same step: what is clipped is the gradient of the free parameters."""
    tuning, settings = (
        FineTune(freeze=("A1", "B1", "psi1")),
        train.Settings(optimizer="sgd", lr=1.0, clip_grad=1e-3, weight_decay=0),
    )
    import copy

    potential = copy.deepcopy(start)
    trainer = Trainer(train.TrainingSet(potential, NEW), None, settings, 1, frozen=tuning.frozen(potential))
    before = potential.parameters.copy()
    trainer.step()
    moved = np.linalg.norm(potential.parameters - before)
    assert moved == pytest.approx(1e-3 * trainer.optimizer.lr, rel=1e-9)


def test_the_start_stays_and_its_scales_too(start, tmp_path):
    start.save(tmp_path / "old.nbcore")
    bits, described = start.parameters.copy(), start.description
    fit = train.fine_tune(start, NEW, **SHORT)
    assert np.array_equal(start.parameters, bits) and start.description == described
    tuned = fit.potential
    assert tuned.scale == start.scale and tuned.description["program"] == start.description["program"]
    assert not np.array_equal(tuned.parameters, bits)
    again = train.fine_tune(tmp_path / "old.nbcore", NEW, **SHORT)
    assert np.array_equal(again.potential.parameters, tuned.parameters)
    kept = again.potential.description["training"]["start"]
    assert kept["file"].endswith("old.nbcore") and kept["n_train"] == 27
    shortest, of_start = tuned.description["shortest_distances"], start.description["shortest_distances"]
    assert all(shortest[pair] <= of_start[pair] for pair in of_start)


def test_a_potential_without_notes_keeps_its_scales(start):
    """Of another trainer: nothing in its description says that it was trained."""
    import copy

    other = copy.deepcopy(start)
    other.annotate(training=None)
    one, two = (train.fine_tune(p, NEW, **SHORT).potential for p in (start, other))
    assert np.array_equal(one.parameters, two.parameters) and one.scale == two.scale


def test_every_epoch_has_all_new_structures_and_its_share_of_old_ones(start, monkeypatch):
    seen, step = [], Trainer.step

    def noted(self, *wish):
        if self.position == 0:
            seen.append(self.order.copy())
            assert self.n_new == 9 and self.n_train == len(self.order)
        return step(self, *wish)

    monkeypatch.setattr(Trainer, "step", noted)
    train.fine_tune(start, NEW, valid=0.25, replay=OLD, replay_fraction=0.4, **{**SHORT, "max_epochs": 12})
    assert len(seen) == 12
    for order in seen:
        assert sorted(order[order < 9]) == list(range(9))
        assert len(order) == 15 and len(set(order)) == 15  # 9 / (1 - 0.4)
    old = np.concatenate([order[order >= 9] for order in seen])
    assert set(old) == set(range(9, 9 + 28))  # all of them have their turn, but for the two that valid got


def test_shares_of_replay():
    shift = {"H": 0.5, "C": -1.0}
    replay = replay_of(OLD, 0.5, 0.25, n_train=40, n_valid=6, seed=1, shift=shift)
    assert len(replay.valid) == 6 and len(replay.train) == 24 and replay.per_epoch == 24
    assert "24 old structures; replay_fraction = 0.5 asks for 40 in an epoch" in replay.remarks[0]
    by_positions = {s.positions.tobytes(): s for s in OLD}
    for s in [*replay.train, *replay.valid]:
        original = by_positions.pop(s.positions.tobytes())  # each once
        assert s.weight == 0.25 * original.weight
        assert s.energy == pytest.approx(original.energy + sum(shift[x] for x in original.symbols), abs=1e-12)
    assert not by_positions and "shifted with the E0s" in replay.remarks[1]
    assert len(replay_of(OLD, 0.5, 1.0, 10, 0, 1).valid) == 0


def test_errors_are_those_of_the_new_structures_and_the_loss_is_of_all(start):
    fit = train.fine_tune(start, NEW, valid=0.25, replay=OLD, replay_fraction=0.5, replay_weight=3.0, **SHORT)
    best = fit.history[fit.best_epoch - 1]
    train_, valid = nbcore.data.split(NEW, [0.75, 0.25], 1)
    assert fit.errors["valid"].forces_rmse == pytest.approx(force_rmse(fit.potential, valid), rel=1e-6)
    assert best["forces_valid"] == pytest.approx(force_rmse(fit.potential, valid), rel=1e-6)
    assert fit.errors["train"].n_structures == 9 and fit.errors["replay"].n_structures == 3
    assert fit.potential.E0s == start.E0s
    replay = replay_of(OLD, 0.5, 3.0, 9, 3, 1)
    settings = train.Settings(**{**FINE_TUNING, "max_epochs": 4})
    loss = settings.loss if best["stage"] == 1 else settings.loss_of_stage_two
    both = train.loss_and_gradient(fit.potential, valid + replay.valid, loss, 1)[0]
    assert best["loss_valid"] == pytest.approx(both, rel=1e-6)
    assert fit.errors["replay"].forces_rmse == pytest.approx(force_rmse(fit.potential, replay.valid), rel=1e-6)


def test_what_was_interrupted_goes_on_with_the_same_bits(start, tmp_path, monkeypatch):
    options = dict(replay=OLD, freeze=["product", "A1"], **{**SHORT, "max_epochs": 6})
    whole = train.fine_tune(start, NEW, folder=tmp_path / "whole", **options)
    interrupt_training(monkeypatch, at=17)
    with pytest.raises(KeyboardInterrupt):
        train.fine_tune(start, NEW, folder=tmp_path / "run", **options)
    fit = train.fine_tune(start, NEW, folder=tmp_path / "run", **options)
    assert fit.history == whole.history and np.array_equal(fit.potential.parameters, whole.potential.parameters)
    assert (tmp_path / "run" / "history.csv").read_bytes() == (tmp_path / "whole" / "history.csv").read_bytes()


def moved_by_one_bit(start):
    import copy

    other = copy.deepcopy(start)
    other.parameters[3] = np.nextafter(other.parameters[3], 9)
    return other


CHANGES = {
    "other parameters": lambda start: (moved_by_one_bit(start), {}),
    "fine_tune.freeze": lambda start: (start, dict(freeze=["B1"])),
    "fine_tune.replay_fraction": lambda start: (start, dict(replay_fraction=0.25)),
    "fine_tune.replay_weight": lambda start: (start, dict(replay_weight=0.5)),
    r"replay \(train\) has changed": lambda start: (start, dict(replay=OLD[:29])),
    "train has changed": lambda start: (start, dict(E0s={"H": -1.5})),
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_fine_tuning_is_refused(start, tmp_path, what):
    options = dict(folder=tmp_path / "run", replay=OLD, **{**SHORT, "max_epochs": 2})
    train.fine_tune(start, NEW, **options)
    other, changes = CHANGES[what](start)
    with pytest.raises(CheckpointError, match=f"(?s){what}.*restart"):
        train.fine_tune(other, NEW, **{**options, "max_epochs": 4, **changes})


def test_it_learns_more_than_few_structures_alone_and_forgets_less_with_replay(start):
    """Old and new are of one method in other places: what few new ones teach is more with what was known."""
    hot = molecules(60, seed=21)
    few, judge = hot[:8], hot[8:]
    options = dict(max_epochs=30, threads=1, quiet=True, valid=0, **SLOW)
    alone = nbcore.presets.nbody(species=["H", "C"], cutoff=4.0, channels=9, levels=1, l_harmonics=1, correlation=2,
                                 E0s={"H": -1.0, "C": -2.0}, seed=7)  # fmt: skip
    train.fit(alone, few, lr=0.02, **options)
    with_replay = train.fine_tune(start, few, replay=OLD, **options).potential
    assert force_rmse(with_replay, judge) < 0.9 * force_rmse(alone, judge)


def test_a_new_element_is_learned_and_old_energies_are_kept_to_begin_with(start):
    nitrogen = molecules(12, seed=30)
    for s in nitrogen:
        s.numbers = np.where(s.numbers == 6, 7, s.numbers)
        s.energy += 3.0 * np.count_nonzero(s.numbers == 7)
    fit = train.fine_tune(start, nitrogen, replay=OLD, **SHORT)
    assert fit.potential.species == ["H", "C", "N"]
    assert fit.potential.E0s["N"] == pytest.approx(-2.0 + 3.0, abs=0.5)
    assert fit.errors["valid"].forces_rmse is not None and np.isfinite(fit.errors["replay"].forces_rmse)


def test_what_is_refused(start):
    with pytest.raises(InputError, match="freeze: no parameters are called A9"):
        train.fine_tune(start, NEW, freeze=["A9"], **SHORT)
    with pytest.raises(InputError, match=r"freeze: \* are all parameters: nothing is left to train"):
        train.fine_tune(start, NEW, freeze=["*"], **SHORT)
    with pytest.raises(InputError, match="fine_tune: replay_fraction must be a number > 0 and < 1, got 1.0"):
        train.fine_tune(start, NEW, replay_fraction=1.0, **SHORT)
    with pytest.raises(InputError, match="fine_tune: new_elements must be one of nearest, mean"):
        train.fine_tune(start, NEW, new_elements="random", **SHORT)
    foreign = Structures(molecules(3, seed=1))
    foreign[0].numbers = np.array([1, 1, 1, 1, 92])
    with pytest.raises(InputError, match="U"):
        train.fine_tune(start, NEW, replay=foreign, **SHORT)
    with pytest.raises(FileNotFoundError):
        train.fine_tune("none.nbcore", NEW, **SHORT)


@pytest.mark.parametrize("options", [{"charges": True}, {}], ids=["charges", "none"])
def test_a_model_of_tensors_without_energies(options, capsys):
    """Labels are dipoles of point charges; a new element begins with the offsets of its nearest."""
    charges = {1: 0.4, 8: -0.8, 7: -0.9}

    def molecules_of(n, numbers, seed):
        rng, found = np.random.default_rng(seed), []
        for _ in range(n):
            x = np.array([[0, 0, 0], [0.95, 0, 0], [-0.25, 0.92, 0]]) + rng.normal(0, 0.05, (3, 3))
            dipole = np.array([charges[z] for z in numbers]) @ (x - x.mean(axis=0))
            found.append(nbcore.data.Structure(x, np.array(numbers), outputs={"dipole": dipole}))
        return Structures(found)

    old = molecules_of(20, (8, 1, 1), 0)
    potential = nbcore.presets.nbody(
        species=["H", "O"], cutoff=3.0, channels=4, levels=1, outputs={"dipole": options}, energy=False
    )
    train.fit(potential, old, max_epochs=20, threads=1, quiet=True)
    new = molecules_of(10, (7, 1, 1), 3)
    fit = train.fine_tune(potential, new, valid=0.2, replay=old, max_epochs=3, threads=1)
    assert fit.potential.species == ["H", "N", "O"]
    assert all(values["N"] == values["O"] for values in fit.potential.offsets.values())
    before, after = (p.compute(old[0].positions, ["O", "H", "H"]).outputs["dipole"] for p in (potential, fit.potential))
    assert not np.array_equal(before, after)
    screen = capsys.readouterr()
    assert "N is new to the model" in screen.err and "replay dipole" in screen.err
