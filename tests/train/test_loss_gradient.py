"""The exact gradient of losses on energies, forces and stresses."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from differences import derivative, five_point
from random_structures import TRICLINIC, crystal, molecule, network

import nbcore
from nbcore.data import Structure
from nbcore.errors import InputError, SpeciesError
from nbcore.train import Loss, TrainingSet, loss_and_gradient

LOSSES = {
    "l2": Loss(energy_weight=2.0, forces_weight=3.0, stress_weight=50.0),
    "huber": Loss(kind="huber", huber_delta=0.4, energy_weight=2.0, forces_weight=3.0, stress_weight=50.0),
    "log_cosh": Loss(kind="log_cosh", huber_delta=0.4, energy_weight=2.0, forces_weight=3.0, stress_weight=50.0),
    "energy": Loss(energy_weight=1.0, forces_weight=0.0, stress_weight=0.0),
    "forces": Loss(energy_weight=0.0, forces_weight=1.0, stress_weight=0.0),
    "stress": Loss(energy_weight=0.0, forces_weight=0.0, stress_weight=1.0),
}


def labelled(rng, positions, species, cell=None, pbc=False, weight=1.0):
    numbers = np.array([nbcore.species.NUMBERS[s] for s in species])
    stress = rng.standard_normal((3, 3))
    return Structure(
        positions, numbers, cell, np.broadcast_to(np.array(pbc), 3), rng.standard_normal(),
        rng.standard_normal((len(numbers), 3)), 0.1 * (stress + stress.T) if np.all(pbc) else None, weight=weight,
    )  # fmt: skip


def structures(seed=0):
    """Two molecules, a crystal, a slab, an atom alone."""
    rng = np.random.default_rng(seed)
    x, species, cell, _ = crystal(rng, 4)
    return [
        labelled(rng, *molecule(rng, 7)),
        labelled(rng, *crystal(rng, 5), weight=0.3),
        labelled(rng, *molecule(rng, 4), weight=2.0),
        labelled(rng, x, species, cell, (True, True, False)),
        labelled(rng, np.zeros((1, 3)), ["C"]),
    ]


def rho(x, loss):
    a = np.abs(x)
    match loss.kind:
        case "l2":
            return x**2
        case "l1":
            return a
        case "log_cosh":
            return loss.huber_delta**2 * np.log(np.cosh(x / loss.huber_delta))
        case "huber":
            return np.where(a < loss.huber_delta, x**2 / 2, loss.huber_delta * (a - loss.huber_delta / 2))


@pytest.mark.parametrize("loss", [*LOSSES.values(), Loss(kind="l1")], ids=[*LOSSES, "l1"])
def test_value(loss):
    """The loss as its documentation says, from `compute` of one structure after the other."""
    potential, data = network("nbody"), structures()
    result = TrainingSet(potential, data).loss_and_gradient(loss=loss, threads=1)
    losses = []
    for s, forces, energy in zip(data, result.forces, result.energies, strict=True):
        r = potential.compute(s.positions, s.symbols, s.cell, s.pbc)
        assert abs(r.energy - energy) < 1e-12 and np.abs(r.forces - forces).max() < 1e-12
        value = loss.energy_weight * rho((r.energy - s.energy) / len(s), loss)
        value += loss.forces_weight * np.mean(rho(r.forces - s.forces, loss))
        if s.stress is not None:
            value += loss.stress_weight * np.mean(rho(r.stress - s.stress, loss))
        losses.append(s.weight * value)
    assert np.allclose(result.losses, losses, rtol=1e-12)
    assert abs(result.loss - np.mean(losses)) < 1e-12 * np.mean(losses)
    assert TrainingSet(potential, data).predict(loss=loss).loss == pytest.approx(result.loss, rel=1e-13)


def direction(potential, seed, name=None):
    """A random direction, within one array of parameters only."""
    v = np.random.default_rng(seed).standard_normal(len(potential.parameters))
    if name is not None:
        s, _ = potential.parameter_slices[name]
        only = np.zeros_like(v)
        only[s] = v[s]
        v = only
    return v / np.linalg.norm(v)


def along(potential, training_set, loss, v):
    start = potential.parameters.copy()

    def value(t):
        potential.parameters[:] = start + t * v
        result = training_set.predict(loss=loss, threads=1).loss
        potential.parameters[:] = start
        return result

    return value


@pytest.mark.parametrize("kind", ["l2", "huber", "log_cosh"])
@pytest.mark.parametrize("name", ["nbody", "nbody-3", "nbody-so3", "nbody-pairs", "kondor", "kondor-o3",
                                  "kondor-complex", "cormorant", "cormorant-so3", "nbody-radial",
                                  "cormorant-radial", "nequip"])  # fmt: skip
def test_every_class_of_parameters(name, kind):
    """D9a: along a random direction within every array of parameters, against differences of the loss."""
    potential, loss = network(name), LOSSES[kind]
    training_set = TrainingSet(potential, structures())
    gradient = training_set.loss_and_gradient(loss=loss, threads=1).gradient
    scale = np.linalg.norm(gradient)
    for k, array in enumerate(potential.parameter_slices):
        v = direction(potential, k, array)
        value, error = derivative(along(potential, training_set, loss, v), 0.02 if kind == "l2" else 1e-3, columns=7)
        assert error < 1e-6 * scale, "differences too coarse"
        assert abs(gradient @ v - value) < max(1e-9 * scale, 5 * error), array
        if name != "nbody-pairs":  # one factor: of its sums only the scalars reach the energy
            assert np.any(gradient[potential.parameter_slices[array][0]]), array


@pytest.mark.parametrize("term", ["energy", "forces", "stress"])
@pytest.mark.parametrize("name", ["nbody", "kondor"])
def test_every_term(name, term):
    """Terms one by one, along a direction in all parameters; weights of zero leave nothing."""
    potential, loss = network(name), LOSSES[term]
    training_set = TrainingSet(potential, structures())
    gradient = training_set.loss_and_gradient(loss=loss, threads=1).gradient
    for k in range(2):
        v = direction(potential, k)
        value, error = derivative(along(potential, training_set, loss, v), 0.02, columns=7)
        assert error < 1e-6 * np.linalg.norm(gradient)
        assert abs(gradient @ v - value) < max(1e-9 * np.linalg.norm(gradient), 5 * error)


def energy_gradient(potential, s):
    """dE/dtheta from the energy term alone, E^2/N^2, whose gradient is 2 E/N^2 dE/dtheta: no force is involved."""
    x = Structure(s.positions, s.numbers, s.cell, s.pbc, energy=0.0)
    result = TrainingSet(potential, [x]).loss_and_gradient(loss=LOSSES["energy"], threads=1)
    return result.gradient * len(s) ** 2 / (2 * result.energies[0])


@pytest.mark.parametrize("name", ["nbody", "nbody-scalars", "nbody-radial", "kondor", "cormorant"])
def test_mixed_derivative_the_other_way_round(name):
    """D9b: the gradient of sum v F, v = dL/dF, is -v.d/dr (dE/dtheta): differences of first derivatives."""
    potential, loss = network(name), LOSSES["forces"]
    s = structures(1)[0]
    result = TrainingSet(potential, [s]).loss_and_gradient(loss=loss, threads=1)
    v = 2 * (result.forces[0] - s.forces) / (3 * len(s))

    def dE(t):
        return energy_gradient(potential, Structure(s.positions + t * v, s.numbers, s.cell, s.pbc))

    value, error = derivative(dE, 0.05 / np.abs(v).max())
    scale = np.linalg.norm(result.gradient)
    assert np.linalg.norm(error) < 1e-6 * scale
    assert np.linalg.norm(result.gradient + value) < max(1e-9 * scale, 5 * np.linalg.norm(error))


def test_mixed_derivative_of_the_stress():
    """D9b: the same for the stress term, with strain in the place of positions."""
    potential, loss = network("nbody"), LOSSES["stress"]
    s = structures(2)[1]
    s.weight = 1.0
    result = TrainingSet(potential, [s]).loss_and_gradient(loss=loss, threads=1)
    S = 2 * (result.stress[0] - s.stress) / 9

    def dE(t):
        F = np.eye(3) + t * S
        return energy_gradient(potential, Structure(s.positions @ F, s.numbers, s.cell @ F, s.pbc))

    value, error = derivative(dE, 0.01 / np.abs(S).max())
    scale = np.linalg.norm(result.gradient)
    assert np.linalg.norm(error) < 1e-6 * scale
    volume = np.linalg.det(TRICLINIC)
    assert np.linalg.norm(result.gradient - value / volume) < max(1e-9 * scale, 5 * np.linalg.norm(error) / volume)


def test_readout_weights_exactly():
    """Energies and forces are linear in the last weights of kondor, the loss a parabola: five points suffice."""
    potential, loss = network("kondor"), LOSSES["l2"]
    training_set = TrainingSet(potential, structures())
    gradient = training_set.loss_and_gradient(loss=loss, threads=1).gradient
    for name in ("energy1.W0", "energy2.W0"):
        v = direction(potential, 1, name)
        value = five_point(along(potential, training_set, loss, v))
        assert abs(gradient @ v - value) < 1e-11 * np.linalg.norm(gradient)


@pytest.mark.parametrize("name", ["nbody", "kondor"])
def test_batch_is_the_mean_of_its_members(name):
    """Nothing passes between structures; any order, any of them twice."""
    potential, loss = network(name), LOSSES["l2"]
    training_set = TrainingSet(potential, structures())
    single = [training_set.loss_and_gradient([k], loss, threads=1) for k in range(5)]
    for batch in ([0, 1, 2, 3, 4], [3, 1], [2, 2, 0], [4]):
        result = training_set.loss_and_gradient(batch, loss, threads=1)
        mean = np.mean([single[k].gradient for k in batch], axis=0)
        assert np.linalg.norm(result.gradient - mean) <= 1e-13 * np.linalg.norm(mean) + 1e-30
        assert abs(result.loss - np.mean([single[k].loss for k in batch])) < 1e-13 * result.loss
        for k, energy, forces in zip(batch, result.energies, result.forces, strict=True):
            assert energy == single[k].energies[0] and np.array_equal(forces, single[k].forces[0])


@pytest.mark.parametrize("name", ["nbody", "nbody-3", "nbody-radial", "kondor", "cormorant"])
def test_any_number_of_threads_gives_the_same_bits(name):
    """Loss, gradient, predictions; structures that stay whole and such that are cut, also in one batch."""
    rng = np.random.default_rng(5)
    data = [labelled(rng, *molecule(rng, int(n))) for n in rng.integers(2, 12, 17)]
    data += structures()
    data += [labelled(rng, *molecule(rng, 14)) for _ in range(5)]
    potential, loss = network(name), LOSSES["l2"]
    training_set = TrainingSet(potential, data)
    n = len(data)
    for batch in (range(n - 5), range(n - 5, n), [n - 1, 0, n - 2]):
        one = training_set.loss_and_gradient(list(batch), loss, threads=1)
        for threads in (2, 3, 7):
            r = training_set.loss_and_gradient(list(batch), loss, threads=threads)
            assert r.loss == one.loss and np.array_equal(r.gradient, one.gradient)
            predicted = training_set.predict(list(batch), threads=threads)
            for some in (r, predicted):
                assert np.array_equal(some.energies, one.energies)
                assert all(np.array_equal(a, b) for a, b in zip(some.forces, one.forces, strict=True))


@pytest.mark.parametrize("name", ["nbody", "kondor"])
def test_missing_labels_contribute_nothing(name):
    """Exactly what a loss without these terms gives; without any label, zeros."""
    potential, data = network(name), structures()[:3]

    def gradient(change, loss):
        stripped = [Structure(**{**vars(s), **change}) for s in data]
        r = TrainingSet(potential, stripped).loss_and_gradient(loss=loss, threads=1)
        assert np.isfinite(r.loss) and np.all(np.isfinite(r.gradient))
        return r.loss, r.gradient

    full = LOSSES["l2"]
    for label in ("energy", "forces", "stress"):
        without = Loss(**{**vars(full), f"{label}_weight": 0.0})
        a, b = gradient({label: None}, full), gradient({}, without)
        assert a[0] == b[0] and np.array_equal(a[1], b[1])
    loss, g = gradient(dict(energy=None, forces=None, stress=None), full)
    assert loss == 0.0 and not g.any()


def test_stress_of_a_slab_is_a_label():
    """Two periods and a cell with a volume: the loss is that of the predicted stress, -virial/volume."""
    potential, slab = network("nbody"), structures()[3]
    assert slab.pbc.sum() == 2
    slab.energy = slab.forces = None
    slab.stress = np.full((3, 3), 0.3)
    predicted = potential.compute(slab.positions, slab.numbers, slab.cell, slab.pbc)
    np.testing.assert_allclose(predicted.stress, -predicted.virial / np.linalg.det(slab.cell), rtol=1e-12)
    expected = slab.weight * np.mean((predicted.stress - slab.stress) ** 2)
    assert abs(loss_and_gradient(potential, [slab])[0] - expected) < 1e-12 * expected


def test_atoms_alone():
    """Isolated atoms and atoms without neighbours: finite gradients."""
    rng = np.random.default_rng(6)
    data = [labelled(rng, np.zeros((1, 3)), ["H"]), labelled(rng, 40.0 * np.eye(3), ["H", "C", "O"])]
    for name in ("nbody", "kondor"):
        loss, gradient = loss_and_gradient(network(name), data)
        assert np.isfinite(loss) and np.all(np.isfinite(gradient))


def test_gradient_follows_parameters_and_scale():
    """Nothing of an earlier state of the potential is kept in the training set."""
    potential, data, loss = network("nbody"), structures(), LOSSES["l2"]
    training_set = TrainingSet(potential, data)
    training_set.loss_and_gradient(loss=loss)
    potential.parameters[:] = 0.7 * potential.parameters[::-1]
    potential.scale = 1.3
    fresh = TrainingSet(potential, data).loss_and_gradient(loss=loss)
    again = training_set.loss_and_gradient(loss=loss)
    assert again.loss == fresh.loss and np.array_equal(again.gradient, fresh.gradient)


def test_refusals():
    """Unknown elements, losses that are none."""
    rng = np.random.default_rng(7)
    with pytest.raises(SpeciesError, match="He"):
        TrainingSet(network("nbody"), [labelled(rng, np.zeros((1, 3)), ["He"])])
    with pytest.raises(InputError, match="l2"):
        Loss(kind="l3")
    for key in ("energy_weight", "forces_weight", "stress_weight", "huber_delta"):
        for value in (-1.0, np.nan, np.inf):
            with pytest.raises(InputError, match=key):
                Loss(**{key: value})


def test_one_set_from_several_threads():
    """Calls of one training set at the same time: each gives what it gives alone."""
    training_set, rng = TrainingSet(network("nbody"), structures()), np.random.default_rng(4)
    batches = [rng.integers(0, len(training_set), size=3) for _ in range(40)]

    def evaluate(batch):
        result = training_set.loss_and_gradient(batch, threads=1)
        return np.append(result.gradient, result.loss)

    alone = [evaluate(batch) for batch in batches]
    with ThreadPoolExecutor(3) as pool:
        for a, b in zip(alone, pool.map(evaluate, batches), strict=True):
            assert np.array_equal(a, b)


AGAIN = """
import numpy as np
import nbcore
from random_structures import crystal, network
from nbcore.data import Structure
from nbcore.train import Loss, TrainingSet

for _ in range(40):
    random, potential = np.random.default_rng(5), network("kondor-scalars")
    positions, species, cell, pbc = crystal(random, 6)
    numbers = [nbcore.species.NUMBERS[s] for s in species]
    data = [Structure(positions, numbers, cell, [pbc] * 3, 0.0, np.ones((len(species), 3)))]
    TrainingSet(potential, data).loss_and_gradient(None, Loss()).gradient.tolist()
"""


def test_values_of_adjoints_are_thrown_away_in_place():
    """A gate of two inputs, the second larger, part of the first dropped: it wrote to memory that was given back."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    run = subprocess.run([sys.executable, "-c", AGAIN], env=os.environ | {"PYTHONPATH": path}, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()


@pytest.mark.parametrize("index", [0.5, "0", None])
def test_indices_are_whole_numbers(index):
    structure = Structure(np.zeros((1, 3)), np.array([1]), energy=1.0)
    with pytest.raises(TypeError):
        TrainingSet(nbcore.presets.nbody(["H"], 3.0, channels=4), [structure]).loss_and_gradient([index])
