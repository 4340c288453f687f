"""Losses of covariant outputs: their value as documented, their exact gradient, offsets and spreads, training."""

import dataclasses

import numpy as np
import pytest
from random_structures import molecule

from nbcore import train
from nbcore.data import Structure, Structures
from nbcore.errors import InputError
from nbcore.presets import nbody
from nbcore.train import Loss, TrainingSet
from nbcore.train.calibrate import calibrate, fit_offsets

OUTPUTS = {
    "dipole": {"charges": True}, "polarizability": {}, "beta": {"rank": 3}, "shift": {"rank": 2, "per": "atom"},
}  # fmt: skip


def potential(energy, seed=2):
    pot = nbody(["H", "C", "O"], 3.2, channels=4, outputs=OUTPUTS, energy=energy, seed=seed)
    pot.parameters[:] = np.random.default_rng(1).normal(size=len(pot.parameters))
    pot.spreads = {"dipole": 0.5, "beta": 2.0}
    return pot


def structures(pot, n=3, energy=True):
    """Random labels; the second structure has no dipole."""
    rng, found = np.random.default_rng(3), []
    for k in range(n):
        x, species = molecule(rng, 4 + k)
        numbers = np.array([{"H": 1, "C": 6, "O": 8}[s] for s in species])
        s = Structure(x, numbers, weight=[1.0, 0.3, 2.0][k % 3])
        if energy:
            s.energy, s.forces = rng.normal(), rng.normal(size=x.shape)
        for name, output in pot.outputs.items():
            shape = (len(s), output.components) if output.per_atom else (output.components,)
            s.outputs[name] = output.cartesian(rng.normal(size=shape))
        found.append(s)
    if n > 1:
        del found[1].outputs["dipole"]
    return found


LOSSES = {kind: Loss(kind=kind, huber_delta=0.3, output_weights={"dipole": 2.0, "shift": 0.7}) for kind in ("l2", "l1",
          "huber", "log_cosh")}  # fmt: skip


def rho(x, loss):
    a = np.abs(x)
    delta = loss.huber_delta
    if loss.kind == "log_cosh":
        return delta**2 * np.log(np.cosh(a / delta))
    return {"l2": a**2, "l1": a, "huber": np.where(a <= delta, a**2 / 2, delta * (a - delta / 2))}[loss.kind]


@pytest.mark.parametrize("energy", [True, False], ids=["with energy", "alone"])
@pytest.mark.parametrize("kind", LOSSES)
def test_value(kind, energy):
    loss, pot = LOSSES[kind], potential(energy)
    data = structures(pot, energy=energy)
    result = TrainingSet(pot, data).predict(loss=loss, threads=1)
    for s, r, value in zip(data, pot.compute_many(data), result.losses, strict=True):
        expected = 0.0
        if energy:
            expected += loss.energy_weight * rho((r.energy - s.energy) / len(s), loss)
            expected += loss.forces_weight / (3 * len(s)) * np.sum(rho(r.forces - s.forces, loss))
        for name, output in pot.outputs.items():
            if name in s.outputs:
                x = output.spherical(r.outputs[name] - s.outputs[name]) / pot.spreads.get(name, 1.0)
                weight = loss.output_weights.get(name, 1.0) / output.components
                x, weight = (x, weight / len(s)) if output.per_atom else (x / len(s), weight)
                expected += weight * np.sum(rho(x, loss))
        assert value == pytest.approx(s.weight * expected, rel=1e-12)
    for k, r in enumerate(pot.compute_many(data)):
        for name in pot.outputs:
            np.testing.assert_allclose(result.outputs[k][name], r.outputs[name], rtol=1e-12, atol=1e-12)
    assert (result.energies[0] is None) is not energy


@pytest.mark.parametrize("energy", [True, False], ids=["with energy", "alone"])
@pytest.mark.parametrize("kind", ["l2", "huber", "log_cosh"])
def test_gradient(kind, energy):
    """By all parameters along random directions, against differences; energies, forces and outputs at once."""
    pot = potential(energy)
    training_set = TrainingSet(pot, structures(pot, energy=energy))
    theta, rng = pot.parameters.copy(), np.random.default_rng(7)
    gradient = training_set.loss_and_gradient(None, LOSSES[kind], threads=2).gradient
    again = training_set.loss_and_gradient(None, LOSSES[kind], threads=1).gradient
    assert np.array_equal(gradient, again)
    for _ in range(3):
        direction = rng.normal(size=len(theta))

        def value(t, direction=direction):
            pot.parameters[:] = theta + t * direction
            return training_set.predict(loss=LOSSES[kind], threads=1).loss

        numeric = (8 * (value(1e-4) - value(-1e-4)) - (value(2e-4) - value(-2e-4))) / 12e-4
        assert gradient @ direction == pytest.approx(numeric, rel=1e-7)
    pot.parameters[:] = theta


@pytest.mark.parametrize("name", OUTPUTS)
def test_each_alone(name):
    """The gradient of one output's loss, by parameters of every gate."""
    pot = potential(False)
    loss = Loss(output_weights={other: float(other == name) for other in OUTPUTS})
    training_set = TrainingSet(pot, structures(pot, energy=False))
    gradient, theta = training_set.loss_and_gradient(None, loss).gradient, pot.parameters.copy()
    for where, _ in pot.parameter_slices.values():
        k = where.start

        def value(t, k=k):
            pot.parameters[:] = theta
            pot.parameters[k] += t
            return training_set.predict(loss=loss).loss

        numeric = (8 * (value(1e-4) - value(-1e-4)) - (value(2e-4) - value(-2e-4))) / 12e-4
        assert gradient[k] == pytest.approx(numeric, rel=1e-6, abs=1e-9 * np.abs(gradient).max())


def test_missing_labels_count_nothing():
    pot = potential(False)
    data = structures(pot, energy=False)
    bare = [dataclasses.replace(s, outputs={}) for s in data]
    result = TrainingSet(pot, bare).loss_and_gradient()
    assert result.loss == 0 and not result.gradient.any()


def test_charges_need_no_periods():
    pot = potential(False)
    s = dataclasses.replace(structures(pot, 1, False)[0], cell=20 * np.eye(3), pbc=np.ones(3, bool))
    with pytest.raises(InputError, match="dipole cannot be learned"):
        TrainingSet(pot, [s])
    del s.outputs["dipole"]
    result = TrainingSet(pot, [s]).loss_and_gradient()
    assert np.isfinite(result.loss) and "dipole" not in result.outputs[0]


def test_offsets_are_found():
    """Labels that are a constant per element, and dipoles of constant charges, are explained before any training."""
    pot, rng = potential(False), np.random.default_rng(0)
    iso, charge = {"H": 1.5, "C": 12.0, "O": 7.0}, {"H": 0.4, "C": -0.1, "O": -0.8}
    data = []
    for _ in range(20):
        x, species = molecule(rng, int(rng.integers(4, 9)))
        s = Structure(x, np.array([{"H": 1, "C": 6, "O": 8}[k] for k in species]))
        q = np.array([charge[k] for k in species])
        s.outputs = {"polarizability": np.eye(3) * sum(iso[k] for k in species), "dipole": (q - q.mean()) @ x}
        data.append(s)
    fit_offsets(pot, data)
    found = pot.offsets
    for symbol in iso:
        assert found["polarizability"][symbol] == pytest.approx(np.sqrt(3) * iso[symbol])
    gap = {s: found["dipole"][s] - charge[s] for s in charge}
    assert np.ptp(list(gap.values())) < 1e-10  # a charge for all elements alike is none
    assert set(pot.spreads) == {"polarizability", "dipole"}


def planted(n, seed):
    """Molecules with the dipole of charges 0.4 per bond length and the polarizability of their bonds."""
    rng, data = np.random.default_rng(seed), []
    for k in range(n):
        x = np.array([[0, 0, 0], [0.95, 0, 0], [-0.25, 0.92, 0]]) + 0.08 * rng.normal(size=(3, 3))
        x = x @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
        bonds = x[1:] - x[0]
        s = Structure(x, np.array([8, 1, 1]), file="made.xyz", frame=k)
        s.outputs = {"dipole": 0.4 * bonds.sum(axis=0), "polarizability": 5 * np.eye(3) + 2 * bonds.T @ bonds}
        data.append(s)
    return Structures(data)


@pytest.mark.parametrize("outputs", [["dipole", "polarizability"], {"dipole": {"charges": True}, "polarizability": {}}])
def test_training_finds_bond_moments(outputs):
    data, test = planted(60, 1), planted(20, 2)
    pot = nbody(["H", "O"], 3.0, channels=8, levels=1, outputs=outputs, energy=False)
    calibrate(pot, data)
    first = TrainingSet(pot, test).predict().loss
    assert first < 0.2  # the readouts are fitted already, in units of the spread
    fit = train.fit(pot, data, valid=0.1, test={"test": test}, max_epochs=30, batch_size=5, lr=0.01, quiet=True)
    errors = fit.errors["test"]
    assert errors.of_output("dipole")["percent"] < 10 and errors.of_output("polarizability")["percent"] < 10
    assert set(fit.history[-1]) > {"dipole_train", "dipole_valid", "polarizability_valid"}
    assert fit.history[-1]["energy_valid"] is None
