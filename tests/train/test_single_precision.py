"""Training in single precision: gradients against double ones, sums that stay double, bits, runs, what is said."""

import dataclasses

import numpy as np
import pytest
from random_structures import NETWORKS, crystal, molecule, network
from test_loss_gradient import LOSSES, labelled, structures

import nbcore
from nbcore import data as nbdata
from nbcore import train
from nbcore.cli import main
from nbcore.errors import InputError, NumericsError
from nbcore.train import Loss, Settings, TrainingSet
from nbcore.train.fit import split
from nbcore.train.trainer import Trainer

ROUNDING = 2.0**-24
STEPS = 60  # roundings, or so, that a number has behind it


def bound(result, data):
    """Of the gradient, relative: errors of forces are relative to the forces, and the loss is one of differences."""
    wanted = np.concatenate([s.forces for s in data]) if data[0].forces is not None else np.zeros(1)
    difference = np.concatenate(result.forces) - wanted
    return STEPS * ROUNDING * (1 + np.linalg.norm(wanted) / np.linalg.norm(difference))


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient(name):
    """Within the bound from rounding, for every array of parameters; and more than rounding of double."""
    potential, data = network(name), structures()
    training_set = TrainingSet(potential, data)
    exact = training_set.loss_and_gradient(loss=LOSSES["l2"], threads=1)
    single = training_set.loss_and_gradient(loss=LOSSES["l2"], threads=1, precision="float32")
    tolerance = bound(exact, data)
    assert tolerance < 2e-5
    for where, _ in potential.parameter_slices.values():
        assert np.linalg.norm(single.gradient[where] - exact.gradient[where]) <= tolerance * np.linalg.norm(
            exact.gradient[where]
        ) + 1e-3 * tolerance * np.linalg.norm(exact.gradient)
    difference = np.linalg.norm(single.gradient - exact.gradient)
    assert difference > 1e-10 * np.linalg.norm(exact.gradient)
    assert single.loss == pytest.approx(exact.loss, rel=tolerance) and single.loss != exact.loss
    predicted = training_set.predict(loss=LOSSES["l2"], threads=1, precision="float32")
    assert predicted.loss == single.loss and np.array_equal(predicted.energies, single.energies)


@pytest.mark.parametrize("part", [0.1, 0.01])
def test_near_the_minimum(part):
    """Forces that are nearly right: the gradient, of small differences, loses digits in proportion and no more."""
    potential, rng = network("nbody"), np.random.default_rng(4)
    data = [s for s in structures() if s.forces.size > 3]
    right = TrainingSet(potential, data).predict()
    for s, forces in zip(data, right.forces, strict=True):
        s.forces = forces * (1 + part * rng.standard_normal(forces.shape))
    training_set = TrainingSet(potential, data)
    exact = training_set.loss_and_gradient(loss=LOSSES["forces"], threads=1)
    single = training_set.loss_and_gradient(loss=LOSSES["forces"], threads=1, precision="float32")
    error = np.linalg.norm(single.gradient - exact.gradient) / np.linalg.norm(exact.gradient)
    assert error <= bound(exact, data) < 1e-3


@pytest.mark.parametrize("outputs", [["dipole", "polarizability"], {"dipole": {"rank": 1, "charges": True}}])
@pytest.mark.parametrize("energy", [True, False])
def test_outputs(outputs, energy):
    """Covariant outputs, beside energies and alone."""
    rng = np.random.default_rng(2)
    potential = nbcore.presets.nbody(["H", "C", "O"], 3.2, channels=4, outputs=outputs, energy=energy, seed=3)
    data = [labelled(rng, *molecule(rng, 6)) for _ in range(3)]
    for s in data:
        s.outputs = {"dipole": rng.normal(size=3), "polarizability": np.eye(3) * rng.normal()}
    training_set = TrainingSet(potential, data)
    exact = training_set.loss_and_gradient(threads=1)
    single = training_set.loss_and_gradient(threads=1, precision="float32")
    difference = np.linalg.norm(single.gradient - exact.gradient)
    assert 0 < difference <= STEPS * ROUNDING * np.linalg.norm(exact.gradient)
    for a, b in zip(single.outputs, exact.outputs, strict=True):
        assert all(np.allclose(a[name], b[name], rtol=0, atol=1e-5) for name in b)


@pytest.mark.parametrize("block", [32, 64])
def test_sums_over_structures_are_double(block):
    """Four times the same crystal of 64 atoms: equal numbers, which a sum in single precision would round."""
    rng = np.random.default_rng(1)
    s = labelled(rng, *crystal(rng, 64, cell=9.0 * np.eye(3)))
    training_set, loss = TrainingSet(network("nbody"), [s], block), LOSSES["l2"]
    one = training_set.loss_and_gradient([0], loss, 1, "float32").gradient
    four = training_set.loss_and_gradient([0] * 4, loss, 1, "float32").gradient
    assert np.array_equal(one, four)
    assert not np.array_equal(one, one.astype(np.float32))


@pytest.mark.parametrize("name", ["nbody", "kondor"])
def test_any_number_of_threads_gives_the_same_bits(name):
    """Structures that stay whole, such that are cut, and enough of both that sums are moved in between."""
    rng = np.random.default_rng(5)
    data = [labelled(rng, *molecule(rng, int(n))) for n in rng.integers(2, 12, 17)]
    data += [labelled(rng, *crystal(rng, 40, cell=7.5 * np.eye(3))), *structures()]
    training_set, loss = TrainingSet(network(name), data), LOSSES["l2"]
    for batch in (range(len(data)), range(14, len(data)), [17, 0, 17]):
        one = training_set.loss_and_gradient(list(batch), loss, 1, "float32")
        for threads in (2, 3, 7):
            more = training_set.loss_and_gradient(list(batch), loss, threads, "float32")
            assert more.loss == one.loss and np.array_equal(more.gradient, one.gradient)
            assert all(np.array_equal(a, b) for a, b in zip(more.forces, one.forces, strict=True))


def test_shards_give_the_same_bits(tmp_path):
    rng = np.random.default_rng(6)
    data = nbdata.Structures([labelled(rng, *molecule(rng, 5)) for _ in range(6)])
    nbdata.write_shards(data, tmp_path / "set.shards")
    sets = [TrainingSet(network("nbody"), s) for s in (data, nbdata.open_shards(tmp_path / "set.shards"))]
    a, b = (s.loss_and_gradient([4, 1, 2], Loss(), precision="float32").gradient for s in sets)
    assert np.array_equal(a, b)


# ---- runs ----


def small(n=12, seed=0):
    rng = np.random.default_rng(seed)
    return nbdata.Structures([labelled(rng, *molecule(rng, 5)) for _ in range(n)])


def potential():
    return nbcore.presets.nbody(["H", "C", "O"], 3.2, channels=4, l_harmonics=2, seed=1)


def fit(folder=None, pot=None, **settings):
    return train.fit(pot or potential(), small(), 0.25, folder=folder, quiet=True,
                     **{"max_epochs": 2, "batch_size": 3, "precision": "float32", **settings})  # fmt: skip


def test_a_run_taken_up_at_any_step_ends_with_the_same_bits():
    """By another number of threads; the parameters, the averages and the model are double."""
    settings = Settings(max_epochs=3, batch_size=3, precision="float32")
    whole, parts = (Trainer(TrainingSet(potential(), small()), None, settings, 1) for _ in range(2))
    while not whole.finished:
        whole.step()
    for threads in (2, 1, 3, 1, 2, 1, 2, 3, 1, 1, 2, 1):
        arrays, plain = parts.state()
        assert arrays["parameters"].dtype == arrays["average"].dtype == float
        parts = Trainer(TrainingSet(potential(), small()), None, settings, threads)
        parts.load_state(arrays, plain)
        parts.step()
    assert parts.finished and np.array_equal(whole.parameters, parts.parameters)
    assert np.array_equal(whole.best, parts.best) and whole.history == parts.history
    assert np.any(whole.parameters != whole.parameters.astype(np.float32))
    double = Trainer(TrainingSet(potential(), small()), None, dataclasses.replace(settings, precision="float64"), 1)
    while not double.finished:
        double.step()
    difference = np.linalg.norm(double.parameters - whole.parameters)
    assert 0 < difference < 1e-3 * np.linalg.norm(double.parameters)


def test_the_model_is_double_and_says_how_it_was_trained(tmp_path, capsys):
    """Errors in the end are those of the model as it is used: in double precision."""
    made = fit(tmp_path / "run", stage_two=train.StageTwo(1.0))
    model = nbcore.Potential.load(tmp_path / "run" / "run.nbcore")
    assert np.array_equal(model.parameters, made.potential.parameters) and model.precision == "float64"
    assert model.description["training"]["settings"]["training.precision"] == "float32"
    assert "float32" in (tmp_path / "run" / "report.html").read_text()
    main(["inspect", str(tmp_path / "run" / "run.nbcore")])
    assert "steps in float32" in " ".join(capsys.readouterr().out.split())
    training, _ = split(small(), 0.25, 1)
    wanted = np.concatenate([s.forces for s in training])
    predicted = [TrainingSet(model, training).predict(precision=p).forces for p in ("float64", "float32")]
    rmse = [np.sqrt(np.mean((np.concatenate(forces) - wanted) ** 2)) for forces in predicted]
    assert abs(made.errors["train"].forces_rmse - rmse[0]) < 1e-14 < abs(rmse[1] - rmse[0])


def test_numbers_beyond_those_of_single_precision():
    """Above 3e38 nothing is finite there: the message names the structures and remedies; double precision goes on."""
    training_set = TrainingSet(potential(), small(3))
    training_set.potential.parameters[:] *= 1e4
    assert np.isfinite(training_set.loss_and_gradient(threads=1).loss)
    with pytest.raises(NumericsError, match="not finite.*frame"):
        training_set.loss_and_gradient(threads=1, precision="float32")
    with pytest.raises(NumericsError, match='epoch 1, step .*smaller lr, or precision = "float64"'):
        fit(lr=1e5, clip_grad=0)


@pytest.mark.parametrize("value", ["float16", "single", None, 32, ["float32"]])
def test_another_precision_is_refused(value):
    with pytest.raises(InputError, match="precision.*float64.*float32"):
        TrainingSet(potential(), small(1)).predict(precision=value)
    with pytest.raises(InputError, match="precision"):
        fit(precision=value)
