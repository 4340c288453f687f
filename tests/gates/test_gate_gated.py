"""gated: scalars through a function, all other parts times functions of other scalars; layers made with it."""

import numpy as np
import pytest
from differences import check_loss_gradient, derivative
from random_structures import SYMBOLS, crystal, molecule
from scipy.special import expit

import nbcore
from nbcore import so3
from nbcore.data import Structure
from nbcore.gates import GateRun, available
from nbcore.train import Loss, TrainingSet

FUNCTIONS = {
    "silu": lambda x: 1.679 * x * expit(x),
    "sigmoid": lambda x: 1.8462 * expit(x),
    "tanh": lambda x: 1.5925 * np.tanh(x),
    "ssp": lambda x: 1.8756 * (np.logaddexp(0, x) - np.log(2)),
    "softplus": lambda x: 1.0419 * np.logaddexp(0, x),
    "celu": lambda x: 1.408 * (np.maximum(x, 0) + np.expm1(10 * np.minimum(x, 0)) / 10),
}
STATE = [(1, -1, 5), (0, -1, 3), (2, 1, 2, 9), (0, 1, 11), (1, 1, 4, 3, True)]  # groups, pseudo-tensors, complex ones
GATES = [(0, 1, 2), (0, 1, 3, 10), (0, 1, 3)]  # 35 channels: of the 5 + 18 + 12 with l > 0


def run_with(n, **options):
    run = GateRun({"gate": "gated", **options}, [STATE, GATES])
    run.set_graph([0] * n, [], [], np.zeros((0, 3)))
    return run


def arrays(rng, parts, n):
    return [rng.standard_normal((n, 2 * p[0] + 1, int(np.prod(p[2:4])))) for p in parts]


def flat(arrays):
    return np.concatenate([x.ravel() for x in arrays])


@pytest.mark.parametrize("function", ["silu", "tanh", "ssp", "celu", "softplus"])
@pytest.mark.parametrize("gate_function", FUNCTIONS)
def test_against_numpy(function, gate_function):
    rng = np.random.default_rng(0)
    psi, g = arrays(rng, STATE, 4), arrays(rng, GATES, 4)
    run = run_with(4, function=function, gate_function=gate_function)
    assert run.output_parts == [(1, -1, 1, 5, False), (0, -1, 1, 3, False), (2, 1, 2, 9, False), (0, 1, 1, 11, False),
                                (1, 1, 4, 3, True)]  # fmt: skip
    got = run.forward([], [flat(psi), flat(g)])
    a, at, expected = FUNCTIONS[gate_function](np.concatenate(g, axis=2)), 0, []
    for x, (l, parity, *_) in zip(psi, STATE, strict=True):
        if l == 0:
            expected.append(FUNCTIONS["tanh" if parity < 0 else function](x))
        else:
            expected.append(a[:, :, at : at + x.shape[2]] * x)
            at += x.shape[2]
    assert at == 35
    assert np.abs(got - flat(expected)).max() < 1e-14


def test_there_are_no_others():
    options = available()["gated"]["options"]
    assert options["function"]["choices"] == available()["activation"]["options"]["function"]["choices"]
    assert set(options["gate_function"]["choices"]) == set(FUNCTIONS)


@pytest.mark.parametrize("gate_function", FUNCTIONS)
def test_gates_far_from_zero(gate_function):
    """Wide open or closed: finite, and what silu and sigmoid close is zero."""
    x = np.array([-1e4, -800.0, 0.0, 800.0, 1e4])
    run = GateRun({"gate": "gated", "gate_function": gate_function}, [[(1, -1, 5)], [(0, 1, 5)]])
    run.set_graph([0], [], [], np.zeros((0, 3)))
    got = run.forward([], [np.ones(15), x])
    assert np.allclose(got, np.tile(FUNCTIONS[gate_function](x), 3), rtol=1e-15, atol=1e-290)
    inputs, _, _ = run.adjoint(np.ones(15))
    assert all(np.all(np.isfinite(bar)) for bar in inputs)


REFUSED = {
    "two inputs": [[(1, -1, 4)]],
    "scalars of even parity only": [[(1, -1, 4)], [(0, -1, 4)]],
    "scalars of even": [[(1, -1, 4)], [(0, 1, 4), (1, 1, 1)]],
    "no part with l > 0": [[(0, 1, 4)], [(0, 1, 4)]],
    "a scalar for every channel with l > 0 of the first, 7, got 6": [[(0, 1, 4), (1, -1, 4), (2, 1, 3)], [(0, 1, 6)]],
    "first, 7, got 11": [[(0, 1, 4), (1, -1, 4), (2, 1, 3)], [(0, 1, 5), (0, 1, 6)]],
}


@pytest.mark.parametrize("message", REFUSED)
def test_refusals(message):
    with pytest.raises(ValueError, match=message):
        GateRun({"gate": "gated"}, REFUSED[message])


def layers(parity, channels=3, l_max=2, **options):
    """Three layers as in NequIP: a convolution, linear, gated, each with the layer before; pseudo-tensors too, of which
    the third layer has scalars."""
    radial, program = {"basis": "bessel", "n": 5, "cutoff": 3.2}, []
    scalars = "0e" if parity == "o3" else "0"
    gated = [2, 4, 4] if parity == "o3" else [2, 2, 2]  # parts with l > 0: 1o 2e, then 1e 2o too
    for k in (1, 2, 3):
        before = [f"psi{k - 1}"] * (k > 1)
        if k == 1:
            program.append(dict(gate="density", name="sum1", l_max=l_max, radial=radial))
        else:
            program.append(dict(gate="zeroth_order", name=f"sum{k}", inputs=before, l_max=l_max, l_out=l_max,
                                parities="all", radial=radial, scale=0.3))  # fmt: skip
        heard = [f"sum{k}", *before]
        program += [
            dict(gate="mix", name=f"state{k}", inputs=heard, channels=channels),
            dict(gate="mix", name=f"gates{k}", inputs=heard, channels=channels * gated[k - 1], parts=[scalars]),
            dict(gate="gated", name=f"psi{k}", inputs=[f"state{k}", f"gates{k}"], **options),
        ]  # fmt: skip
    program += [
        dict(gate="norm", name="lengths", inputs=["psi3"]),
        dict(gate="mix", name="energy", inputs=["lengths", "psi3"], channels=1, l_max=0, parts=[scalars]),
    ]  # fmt: skip
    program = {"parity": parity, "gates": program, "readout": ["energy"]}
    potential = nbcore.Potential({"species": SYMBOLS, "cutoff": 3.2, "program": program}, seed=3)
    potential.scale = 1 / np.abs(potential.compute(*molecule(np.random.default_rng(9), 8)).forces).max()
    return potential


OPTIONS = {
    "o3": {},
    "so3": {},
    "o3 sigmoid": {"gate_function": "sigmoid", "function": "tanh"},
    "so3 ssp": {"gate_function": "ssp", "function": "ssp"},
}


@pytest.fixture(scope="module", params=OPTIONS)
def potential(request):
    return layers(request.param.split()[0], **OPTIONS[request.param])


def structures():
    rng = np.random.default_rng(4)
    return [(*molecule(rng, 8), None, False), crystal(rng, 5)]


def test_turned_and_mirrored(potential):
    """Energies stay, forces turn along; mirror images are equal with o3, and not with so3."""
    for x, species, cell, pbc in structures():
        r = potential.compute(x, species, cell, pbc)
        for R in so3.random_rotations(3, np.random.default_rng(7)):
            turned = potential.compute(x @ R.T, species, None if cell is None else cell @ R.T, pbc)
            assert abs(turned.energy - r.energy) < 1e-11 * max(1, abs(r.energy))
            assert np.abs(turned.forces - r.forces @ R.T).max() < 1e-11 * np.abs(r.forces).max()
        mirrored = potential.compute(-x, species, None if cell is None else -cell, pbc)
        same = abs(mirrored.energy - r.energy) < 1e-11 * max(1, abs(r.energy))
        assert same == (potential.description["program"]["parity"] == "o3")


def test_forces_and_virial(potential):
    rng = np.random.default_rng(6)
    for x, species, cell, pbc in structures():
        r = potential.compute(x, species, cell, pbc)
        v, strain = rng.standard_normal(x.shape), rng.standard_normal((3, 3))
        strain += strain.T

        def moved(t, x=x, species=species, cell=cell, pbc=pbc, v=v):
            return potential.compute(x + t * v, species, cell, pbc).energy

        def strained(t, x=x, species=species, cell=cell, pbc=pbc, strain=strain):
            F = np.eye(3) + t * strain
            return potential.compute(x @ F, species, None if cell is None else cell @ F, pbc).energy

        for f, got in [(moved, np.sum(r.forces * v)), (strained, np.sum(r.virial * strain))]:
            slope, error = derivative(f, 0.02)
            assert error < 1e-7 * np.abs(got) + 1e-7
            assert abs(slope + got) <= max(1e-9 * max(1, np.abs(got)), 5 * error)
        potential.precision = "float32"
        single = potential.compute(x, species, cell, pbc)
        potential.precision = "float64"
        assert np.abs(single.forces - r.forces).max() < 1e-4 * np.abs(r.forces).max()


def test_gradient_of_a_loss(potential):
    """Energies, forces and stresses, by every array of weights, those that make the gates of each layer among them."""
    rng, data = np.random.default_rng(5), []
    for x, species, cell, pbc in structures():
        numbers = np.array([nbcore.species.NUMBERS[s] for s in species])
        labels = rng.standard_normal(), rng.standard_normal(x.shape), None if cell is None else 0.1 * np.eye(3)
        data.append(Structure(x, numbers, cell, np.array([pbc] * 3), *labels))
    training, loss = TrainingSet(potential, data), Loss(energy_weight=2.0, forces_weight=3.0, stress_weight=50.0)
    check_loss_gradient(training, loss, training.loss_and_gradient(loss=loss, threads=1).gradient)
    assert any(name.startswith("gates3") for name in potential.parameter_slices)


def test_file_keeps_every_bit(potential, tmp_path):
    potential.save(tmp_path / "gated.nbcore")
    again = nbcore.Potential.load(tmp_path / "gated.nbcore")
    for s in structures():
        a, b = potential.compute(*s), again.compute(*s)
        assert a.energy == b.energy and np.array_equal(a.forces, b.forces)
