"""`fit` and what is under it, with a real potential: learning sanity, interruptions, what it leaves."""

import os

import numpy as np
import pytest
import scipy.optimize
from interruption import interrupt_training
from pair_model import molecules

import nbcore
from nbcore import train
from nbcore.errors import CheckpointError, InputError

DATA = molecules(20, seed=3)
SHORT = dict(max_epochs=6, lr=0.02, threads=1, quiet=True)


def make(seed=7, channels=2):
    options = dict(cutoff=4.0, channels=channels, levels=1, l_harmonics=1, correlation=2)
    return nbcore.presets.nbody(species=["H", "C"], **options, E0s={"H": -1.0, "C": -2.0}, seed=seed)


def force_rmse(potential, structures):
    found = potential.compute_many(structures)
    return np.sqrt(np.mean(np.concatenate([r.forces - s.forces for r, s in zip(found, structures, strict=True)]) ** 2))


def test_fit_leaves_the_best_epoch_in_the_potential(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    potential = make()
    start, untrained = potential.parameters.copy(), force_rmse(potential, DATA)
    fit = train.fit(potential, DATA, valid=0.2, **SHORT)
    assert fit.potential is potential and len(fit.history) == 6 and not os.listdir(tmp_path)
    assert not np.array_equal(potential.parameters, start)
    assert fit.best_epoch == 1 + min(range(6), key=lambda k: (-fit.history[k]["stage"], fit.history[k]["loss_valid"]))
    assert fit.errors["valid"].forces_rmse == pytest.approx(fit.history[fit.best_epoch - 1]["forces_valid"], rel=1e-6)
    assert fit.errors["train"].n_structures == 16 and force_rmse(potential, DATA) < untrained


def test_same_seed_same_bits_any_threads():
    one, two = (train.fit(make(), DATA, **{**SHORT, "threads": n}) for n in (1, 2))
    assert np.array_equal(one.potential.parameters, two.potential.parameters) and one.history == two.history


def test_ctrl_c_leaves_the_best_and_the_same_call_continues(tmp_path, monkeypatch):
    whole = train.fit(make(), DATA, **SHORT)
    steps = interrupt_training(monkeypatch, at=15)
    potential = make()
    with pytest.raises(KeyboardInterrupt):
        train.fit(potential, DATA, folder=tmp_path / "run", **SHORT)
    assert np.array_equal(nbcore.Potential.load(tmp_path / "run" / "run.nbcore").parameters, potential.parameters)
    fit = train.fit(make(), DATA, folder=tmp_path / "run", **SHORT)
    assert len(steps) == 24 and fit.history == whole.history
    assert np.array_equal(fit.potential.parameters, whole.potential.parameters)
    with pytest.raises(CheckpointError, match="training.lr = 0.02; this call says 0.01"):
        train.fit(make(), DATA, folder=tmp_path / "run", **{**SHORT, "lr": 0.01})


def test_validation_data_of_ones_own_or_none():
    fit = train.fit(make(), DATA[:12], valid=DATA[12:], **SHORT)
    assert fit.errors["train"].n_structures == 12 and fit.errors["valid"].n_structures == 8
    assert "valid" not in train.fit(make(), DATA, valid=0, **SHORT).errors
    for wrong in (1.0, -0.1):
        with pytest.raises(InputError, match="valid must be a fraction"):
            train.fit(make(), DATA, valid=wrong, **SHORT)
    with pytest.raises(InputError):
        train.fit(make(), DATA[:0], **SHORT)


def test_a_trained_potential_keeps_its_scale():
    potential = train.fit(make(), DATA, **SHORT).potential
    scale = potential.scale
    harder = molecules(20, seed=3)
    for s in harder:
        s.forces = 3 * s.forces
    train.fit(potential, harder, **SHORT)
    assert potential.scale == scale


def planted(n):
    structures, hidden = molecules(n, seed=3), make()
    for s, r in zip(structures, hidden.compute_many(structures), strict=True):
        s.energy, s.forces = r.energy, r.forces
    return structures


def test_a_planted_network_is_recovered():
    structures = planted(12)
    spread = np.sqrt(np.mean(np.concatenate([s.forces for s in structures]) ** 2))
    potential = make()
    potential.parameters[:] *= 1 + 0.02 * np.random.default_rng(0).normal(size=len(potential.parameters))
    assert force_rmse(potential, structures) > 3e-3 * spread
    options = dict(maxiter=450, maxfun=2000, maxcor=30, ftol=0, gtol=1e-12)
    scipy.optimize.minimize(
        train.objective(potential, structures, threads=1),
        potential.parameters.copy(),
        jac=True,
        method="L-BFGS-B",
        options=options,
    )
    assert force_rmse(potential, structures) < 1e-4 * spread


def test_the_order_of_structures_does_not_matter():
    potential = make()
    one, g = train.loss_and_gradient(potential, DATA)
    two, h = train.loss_and_gradient(potential, DATA[np.random.default_rng(0).permutation(len(DATA))])
    assert one == pytest.approx(two, rel=1e-13) and np.allclose(g, h, rtol=1e-10, atol=1e-12 * np.abs(g).max())


def test_the_gradient_moves_the_loss_as_it_says():
    potential, rng = make(), np.random.default_rng(5)
    loss, gradient = train.loss_and_gradient(potential, DATA[:4])
    direction, theta, h = rng.normal(size=gradient.size), potential.parameters.copy(), 1e-5
    values = []
    for sign in (1, -1):
        potential.parameters[:] = theta + sign * h * direction
        values.append(train.loss_and_gradient(potential, DATA[:4])[0])
    assert (values[0] - values[1]) / (2 * h) == pytest.approx(gradient @ direction, rel=1e-6)
