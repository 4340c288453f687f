"""A loss with a function of its own for each term, weights of structures, labels and elements: value and gradient."""

import dataclasses

import numpy as np
import pytest
from differences import derivative
from random_structures import network
from test_loss_gradient import along, direction, structures
from test_output_loss import potential as with_outputs
from test_output_loss import structures as with_tensors

from nbcore import train
from nbcore.errors import InputError
from nbcore.train import Loss, TrainingSet
from nbcore.train.learnable import check_labels, check_loss

LOSSES = {
    "norm": Loss(kind="norm", energy_weight=2.0, forces_weight=3.0, stress_weight=50.0),
    "mixed": Loss(kind={"energy": "huber", "forces": "norm"}, huber_delta={"energy": 0.4}, stress_weight=50.0),
    "elements": Loss(kind={"forces": "log_cosh"}, huber_delta=0.3, element_weights={"H": 0.5, "O": 0.0}),
    "elements, norm": Loss(kind={"forces": "norm"}, energy_weight=0, stress_weight=0, element_weights={"C": 3.0}),
}
WEIGHTS = [{}, {"energy": 0.5, "stress": 2.0}, {"forces": 0.0}, {"forces": 3.0}, {"energy": 0.0}]


def weighted():
    """Structures of every kind, some of whose labels have weights of their own."""
    return [dataclasses.replace(s, label_weights=w) for s, w in zip(structures(), WEIGHTS, strict=True)]


def rho(x, kind, delta=0.01):
    """Of the components in the last axis: their mean, or what it is of their length."""
    a = np.abs(x)
    parts = {
        "l2": a**2,
        "l1": a,
        "huber": np.where(a < delta, a**2 / 2, delta * (a - delta / 2)),
        "log_cosh": delta**2 * np.log(np.cosh(a / delta)),
    }
    return np.linalg.norm(x, axis=-1) if kind == "norm" else np.mean(parts[kind], axis=-1)


def by_hand(loss, s, r):
    """The loss of one structure and what was predicted for it."""
    weights = {
        x: getattr(loss, f"{x}_weight") * s.weight * s.label_weights.get(x, 1) for x in ("energy", "forces", "stress")
    }

    def of(term):
        kind = loss.kind if isinstance(loss.kind, str) else loss.kind.get(term, "l2")
        return kind, loss.huber_delta if isinstance(loss.huber_delta, float) else loss.huber_delta.get(term, 0.01)

    total = weights["energy"] * rho(np.array([(r.energy - s.energy) / len(s)]), *of("energy"))
    factors = np.array([loss.element_weights.get(symbol, 1.0) for symbol in s.symbols])
    total += weights["forces"] * np.mean(factors * rho(r.forces - s.forces, *of("forces")))
    if s.stress is not None:
        total += weights["stress"] * rho((r.stress - s.stress).ravel(), *of("stress"))
    return total


@pytest.mark.parametrize("name", LOSSES)
def test_value(name):
    potential, data, loss = network("nbody"), weighted(), LOSSES[name]
    result = TrainingSet(potential, data).loss_and_gradient(loss=loss, threads=1)
    expected = [by_hand(loss, s, r) for s, r in zip(data, potential.compute_many(data), strict=True)]
    np.testing.assert_allclose(result.losses, expected, rtol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("of", ["nbody", "kondor-complex"])
def test_gradient(name, of):
    """Along random directions in all parameters, against differences of the loss."""
    potential, loss = network(of), LOSSES[name]
    training_set = TrainingSet(potential, weighted())
    gradient = training_set.loss_and_gradient(loss=loss, threads=1).gradient
    scale = np.linalg.norm(gradient)
    for k in range(3):
        v = direction(potential, k)
        value, error = derivative(along(potential, training_set, loss, v), 1e-3, columns=7)
        assert error < 1e-6 * scale, "differences too coarse"
        assert abs(gradient @ v - value) < max(1e-9 * scale, 5 * error)


def test_outputs_have_kinds_and_weights_too():
    potential = with_outputs(True)
    data = with_tensors(potential, energy=True)
    names = list(potential.outputs)
    data[0].label_weights = {names[0]: 0.25}
    loss = Loss(kind={names[0]: "norm", "forces": "l1"}, output_weights={names[0]: 2.0})
    result = TrainingSet(potential, data).predict(loss=loss, threads=1)
    s, r = data[0], potential.compute_many(data[:1])[0]
    expected = loss.energy_weight * s.weight * rho(np.array([(r.energy - s.energy) / len(s)]), "l2")
    expected += loss.forces_weight * s.weight * np.mean(rho(r.forces - s.forces, "l1"))
    for name, output in potential.outputs.items():
        x = output.spherical(r.outputs[name] - s.outputs[name]) / potential.spreads.get(name, 1.0)
        x = x if output.per_atom else x / len(s)
        first = name == names[0]
        expected += s.weight * (0.25 * 2.0 if first else 1.0) * np.mean(rho(x, "norm" if first else "l2"))
    assert result.losses[0] == pytest.approx(expected, rel=1e-12)


def test_a_length_of_zero_has_no_slope():
    """Where a prediction meets its label the norm has a corner; nothing there may be NaN."""
    potential, s = network("nbody"), structures()[0]
    r = potential.compute_many([s])[0]
    exact = dataclasses.replace(s, energy=r.energy, forces=r.forces.copy())
    result = TrainingSet(potential, [exact]).loss_and_gradient(loss=LOSSES["norm"], threads=1)
    assert result.loss < 1e-12 and np.all(np.isfinite(result.gradient))


def test_the_norm_is_the_same_in_every_frame_of_coordinates():
    potential, s = network("nbody"), structures()[0]
    R = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = dataclasses.replace(s, positions=s.positions @ R.T, forces=s.forces @ R.T)
    norm, l1 = ([TrainingSet(potential, [x]).predict(loss=Loss(kind=kind), threads=1).loss for x in (s, turned)]
                for kind in ("norm", "l1"))  # fmt: skip
    assert norm[0] == pytest.approx(norm[1], rel=1e-11) and l1[0] != pytest.approx(l1[1], rel=1e-3)


def test_a_weight_of_zero_is_a_label_that_is_missing():
    potential, data = network("nbody"), structures()
    for label in ("energy", "forces", "stress"):
        without = [dataclasses.replace(s, **{label: None}) for s in data]
        unweighted = [dataclasses.replace(s, label_weights={label: 0.0}) for s in data]
        a, b = (TrainingSet(potential, x).loss_and_gradient(loss=Loss(), threads=1) for x in (without, unweighted))
        assert a.loss == b.loss and np.array_equal(a.gradient, b.gradient)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(kind="l3"), "loss: kind must be one of l2, l1, huber, log_cosh, norm or a table, each one of l2"),
        (dict(kind={"forces": "l3"}), "loss: kind must be one of"),
        (dict(huber_delta={"forces": 0.0}), "loss: huber_delta must be a number > 0 or a table, each a number > 0"),
        (dict(element_weights={"H": -1.0}), "element_weights must be a table, each a number >= 0"),
        (dict(element_weights=0.5), "element_weights must be a table"),
    ],
)
def test_tables_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        Loss(**options)


@pytest.mark.parametrize(
    "loss, message",
    [
        (Loss(kind={"force": "l1"}), "loss: kind: there is no force. There are: energy, forces, stress."),
        (Loss(huber_delta={"dipole": 0.1}), "huber_delta: there is no dipole"),
        (Loss(element_weights={"He": 0.5}), "element_weights: there is no He. There are: H, C, O."),
    ],
)
def test_names_that_are_none_are_refused_before_a_training(loss, message):
    potential, data = network("nbody"), structures()[:1]
    with pytest.raises(InputError, match=message):
        check_loss(potential, data, data, train.Settings(loss=loss))
    with pytest.raises(InputError, match=message):
        train.loss_and_gradient(potential, data, loss)


def test_a_loss_that_only_weights_of_elements_make_zero_is_refused():
    loss = Loss(energy_weight=0, stress_weight=0, element_weights={"H": 0.0, "C": 0.0, "O": 0.0})
    settings = train.Settings(loss=loss, stage_two=train.StageTwo(start=1.0))
    with pytest.raises(InputError, match=r"forces \(weight 0\).*the loss is zero whatever the network says"):
        check_loss(network("nbody"), structures(), [], settings)
    some = dataclasses.replace(settings, loss=dataclasses.replace(loss, element_weights={"H": 0.0}))
    check_loss(network("nbody"), structures(), [], some)


def test_a_loss_that_only_weights_of_labels_make_zero_is_refused():
    data = [dataclasses.replace(s, label_weights={"energy": 0.0, "forces": 0.0, "stress": 0.0}) for s in structures()]
    with pytest.raises(InputError, match="no structure of the training data has what this network learns"):
        check_loss(network("nbody"), data, data, train.Settings())
    with pytest.raises(InputError, match="its energy_weight must be a number of at least 0, got nan"):
        check_labels([dataclasses.replace(data[0], label_weights={"energy": np.nan})], {})
