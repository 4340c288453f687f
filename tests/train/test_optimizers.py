"""Optimizers in C++; SGD and Adam against the closed forms of their papers, written out over all gradients so far."""

import numpy as np
import pytest

from nbcore.errors import InputError, NumericsError
from nbcore.train import SGD, Adam, Muon, Settings
from nbcore.train.optimizers import OPTIMIZERS, make_optimizer

rng = np.random.default_rng(3)
START = rng.normal(size=7)
GRADIENTS = rng.normal(size=(12, 7)) * np.geomspace(1e-3, 1e3, 7)


def run(optimizer, gradients=GRADIENTS, start=START):
    theta = start.copy()
    path = [theta.copy()]
    for g in gradients:
        optimizer.step(theta, g)
        path.append(theta.copy())
    return np.array(path)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_the_sum_of_all_gradients(momentum):
    path = run(SGD(lr=0.1, momentum=momentum))
    for t in range(1, len(path)):
        velocity = sum(momentum ** (t - 1 - i) * GRADIENTS[i] for i in range(t))
        assert np.allclose(path[t] - path[t - 1], -0.1 * velocity, rtol=1e-13, atol=1e-15)


def test_sgd_weight_decay_is_the_gradient_of_half_its_square():
    path = run(SGD(lr=0.1, weight_decay=0.3), np.zeros((3, 7)))
    assert np.allclose(path[3], START * (1 - 0.03) ** 3, rtol=1e-14)


def adam_step(t, amsgrad, decay, path, lr=0.02, b1=0.9, b2=0.999, eps=1e-8):
    """Step t = 1, 2, ... from the moments as weighted sums over the gradients so far (arXiv:1412.6980, section 3)."""
    g = [GRADIENTS[i] + decay * path[i] for i in range(t)]
    m = (1 - b1) * sum(b1 ** (t - 1 - i) * g[i] for i in range(t)) / (1 - b1**t)
    seconds = [(1 - b2) * sum(b2 ** (k - 1 - i) * g[i] ** 2 for i in range(k)) for k in range(1, t + 1)]
    v = (np.max(seconds, axis=0) if amsgrad else seconds[-1]) / (1 - b2**t)
    return -lr * m / (np.sqrt(v) + eps)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam(amsgrad, decay):
    path = run(Adam(lr=0.02, amsgrad=amsgrad, weight_decay=decay))
    for t in range(1, len(path)):
        assert np.allclose(path[t] - path[t - 1], adam_step(t, amsgrad, decay, path), rtol=1e-10, atol=1e-15)


def test_amsgrad_remembers_the_largest():
    gradients = np.concatenate([[np.full(7, 100.0)], np.full((40, 7), 1e-3)])
    plain, remembering = (
        run(Adam(lr=0.1, betas=(0.9, 0.5)), gradients),
        run(Adam(lr=0.1, betas=(0.9, 0.5), amsgrad=True), gradients),
    )
    late = slice(-10, None)
    assert (np.abs(np.diff(remembering, axis=0)[late]) < 0.01 * np.abs(np.diff(plain, axis=0)[late])).all()


def test_adamw_decays_the_weights_apart_from_the_moments():
    plain, decoupled = run(Adam(lr=0.02)), run(Adam(lr=0.02, weight_decay=0.1, decoupled=True))
    expected = START.copy()
    for t in range(1, len(plain)):
        expected = expected * (1 - 0.02 * 0.1) + (plain[t] - plain[t - 1])
        assert np.allclose(decoupled[t], expected, rtol=1e-13)


@pytest.mark.parametrize("make", [lambda: SGD(0.1, momentum=0.9), lambda: Adam(0.02, amsgrad=True, weight_decay=0.1)])
def test_state_goes_on_with_the_same_bits(make):
    whole = run(make())
    first, second = make(), make()
    half = run(first, GRADIENTS[:5])
    second.load_state(first.state())
    assert np.array_equal(run(second, GRADIENTS[5:], half[-1])[-1], whole[-1])
    fresh = make()
    assert not np.array_equal(run(fresh, GRADIENTS[5:], half[-1])[-1], whole[-1])


def test_errors_leave_everything_as_it_was():
    theta, optimizer = START.copy(), Adam(lr=0.1)
    optimizer.step(theta, GRADIENTS[0])
    before, state = theta.copy(), optimizer.state()
    with pytest.raises(InputError, match="length of parameters, 7, got 3"):
        optimizer.step(theta, np.zeros(3))
    with pytest.raises(NumericsError, match="element 2 is nan"):
        optimizer.step(theta, [0, 0, np.nan, 0, 0, 0, 0])
    with pytest.raises(InputError, match="begun with 7"):
        optimizer.step(np.zeros(3), np.zeros(3))
    with pytest.raises(TypeError):
        optimizer.step(list(theta), GRADIENTS[0])
    with pytest.raises(TypeError, match="in place"):
        optimizer.step(theta.astype(np.float32), GRADIENTS[0])
    assert np.array_equal(theta, before)
    assert all(np.array_equal(state[k], v) for k, v in optimizer.state().items())


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(-1.0),
        lambda: SGD(0.1, momentum=1.0),
        lambda: Adam(np.nan),
        lambda: Adam(0.1, betas=(0.9, 1.0)),
        lambda: Adam(0.1, eps=0.0),
        lambda: Adam(0.1, weight_decay=-1e-3),
    ],
)
def test_numbers_out_of_range(make):
    with pytest.raises(InputError, match="must be"):
        make()


BROKEN = {"first_moment": [np.nan], "second_moment": [-1.0, np.inf], "largest_second_moment": [-1e-9, np.nan],
          "steps": [-1.0, 0.5, np.nan, np.inf, 1e300], "velocity": [np.inf]}  # fmt: skip


@pytest.mark.parametrize("kind", ["adam", "sgd", "muon"])
def test_states_that_no_step_leaves_are_refused(kind):
    def make():
        return {"adam": Adam(0.1, amsgrad=True), "sgd": SGD(0.1, momentum=0.9), "muon": Muon([(0, 1, 4, 4)], 0.1)}[kind]

    optimizer = make()
    optimizer.step(np.ones(20), np.ones(20))
    state = optimizer.state()
    for name, array in state.items():
        for value in BROKEN[name]:
            spoiled = array.copy()
            spoiled[-1] = value
            with pytest.raises(InputError, match=name):
                optimizer.load_state({**state, name: spoiled})
        for value in (array.astype(complex), array.astype(str), None):
            with pytest.raises(TypeError):
                optimizer.load_state({**state, name: value})
    np.testing.assert_equal(optimizer.state(), state)  # as it was


@pytest.mark.parametrize(
    "matrix", [(0, 1, 2**32, 2**32), (0, 1, 4, 2**62), (0, 2**62, 2, 2), (0, 2**40, 2**40, 1), (2**62, 1, 4, 4)]
)
def test_matrices_whose_size_overflows_are_refused(matrix):
    parameters = np.ones(20)
    with pytest.raises(InputError, match="beyond"):
        Muon([matrix], 0.1).step(parameters, np.ones(20))
    assert np.all(parameters == 1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_momentum_of_the_settings_reaches_every_optimizer(name):
    """After one step the running mean is (1 - momentum) g, of SGD the sum of momentum u and g after two."""
    gradients = np.stack([np.arange(1.0, 101.0), np.ones(100)])
    slices = {"A1.W0e": (slice(0, 100), (1, 10, 10))}
    for given, expected in ((None, {"muon": 0.95}.get(name, 0.9)), (0.5, 0.5)):
        optimizer = make_optimizer(Settings(optimizer=name, momentum=given), slices)
        run(optimizer, gradients, np.ones(100) * 0)
        state = optimizer.state()
        if name == "sgd":
            assert np.allclose(state["velocity"], expected * gradients[0] + gradients[1], rtol=1e-6)
        else:
            mean = (1 - expected) * (expected * gradients[0] + gradients[1])
            assert np.allclose(state["first_moment"], mean, rtol=1e-6)
