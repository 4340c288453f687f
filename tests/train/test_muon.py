"""Muon in C++ against its equations in NumPy, and by name in a training: which matrices, bits, checkpoints."""

import numpy as np
import pytest
from pair_model import molecules

import nbcore
from nbcore import train
from nbcore.errors import InputError, NumericsError
from nbcore.train import Muon, Settings
from nbcore.train.optimizers import make_optimizer, weight_matrices

SHAPES = [(2, 12, 20), (1, 20, 12), (1, 9, 9)]  # two matrices side by side, a tall one, a square one
REST = 5  # numbers before and behind that belong to no matrix
N = 2 * REST + sum(np.prod(shape) for shape in SHAPES)
rng = np.random.default_rng(4)
START, GRADIENTS = rng.normal(size=N), rng.normal(size=(6, N)) * np.geomspace(1e-2, 1e2, N)


def matrices():
    found, first = [], REST
    for count, rows, columns in SHAPES:
        found.append((first, count, rows, columns))
        first += count * rows * columns
    return found


def orthogonal(x, steps):
    """Newton-Schulz steps for a matrix, with the Gram matrix of either side: they commute."""
    x = x / np.linalg.norm(x)
    for _ in range(steps):
        gram = x.T @ x
        x = 3.4445 * x + x @ (-4.7750 * gram + 2.0315 * gram @ gram)
    return x


def reference(gradients, lr=0.02, momentum=0.95, beta2=0.999, eps=1e-8, decay=0.0, rest_lr=1.0, steps=5):
    theta, m, v, peak = START.copy(), np.zeros(N), np.zeros(N), np.zeros(N)
    for t, g in enumerate(gradients, start=1):
        m, v = momentum * m + (1 - momentum) * g, beta2 * v + (1 - beta2) * g * g
        peak = np.maximum(peak, v)
        step = rest_lr * m / (1 - momentum**t) / (np.sqrt(peak / (1 - beta2**t)) + eps)
        for first, count, rows, columns in matrices():
            for k in range(count):
                at = slice(first + k * rows * columns, first + (k + 1) * rows * columns)
                ahead = (momentum * m[at] + (1 - momentum) * g[at]).reshape(rows, columns)
                size = 0.2 * np.sqrt(max(rows, columns)) * np.sqrt(max(1, rows / columns))
                step[at] = size * orthogonal(ahead, steps).ravel()
        theta = (1 - lr * decay) * theta - lr * step
    return theta


def run(optimizer, gradients=GRADIENTS, start=START):
    theta = start.copy()
    for g in gradients:
        optimizer.step(theta, g)
    return theta


@pytest.mark.parametrize(
    "options",
    [{}, dict(momentum=0.8, beta2=0.9, eps=1e-3), dict(weight_decay=0.3, rest_lr=0.2), dict(newton_schulz_steps=2)],
)
def test_muon_is_its_equations(options):
    names = {"weight_decay": "decay", "newton_schulz_steps": "steps"}
    expected = reference(GRADIENTS, **{names.get(key, key): value for key, value in options.items()})
    found = run(Muon(matrices(), lr=0.02, **options))
    rest = np.ones(N, bool)
    rest[REST:-REST] = False
    assert np.allclose(found[rest], expected[rest], rtol=1e-12, atol=1e-14)  # AMSGrad, in double precision
    assert np.allclose(found, expected, atol=2e-5) and not np.allclose(found, START, atol=1e-2)


def test_singular_values_of_a_step_are_near_one():
    found = run(Muon(matrices(), lr=1.0), GRADIENTS[:1], np.zeros(N))
    for first, count, rows, columns in matrices():
        step = found[first : first + count * rows * columns].reshape(count, rows, columns)
        size = 0.2 * np.sqrt(max(rows, columns)) * np.sqrt(max(1, rows / columns))
        sigma = np.linalg.svd(step, compute_uv=False) / size
        assert np.all(sigma < 1.3) and np.median(sigma) > 0.6


def test_a_matrix_without_gradient_stays():
    gradients = GRADIENTS.copy()
    gradients[:, REST : REST + 240] = 0.0
    found = run(Muon(matrices(), lr=0.02), gradients)
    assert np.array_equal(found[REST : REST + 240], START[REST : REST + 240]) and np.all(np.isfinite(found))


def test_the_same_bits_again_and_after_a_state():
    whole = run(Muon(matrices(), lr=0.02))
    assert np.array_equal(run(Muon(matrices(), lr=0.02)), whole)
    first, second = Muon(matrices(), lr=0.02), Muon(matrices(), lr=0.02)
    half = run(first, GRADIENTS[:3])
    second.load_state(first.state())
    assert np.array_equal(run(second, GRADIENTS[3:], half), whole)


def test_errors_leave_everything_as_it_was():
    optimizer, theta = Muon(matrices(), lr=0.02), START.copy()
    optimizer.step(theta, GRADIENTS[0])
    before, state = theta.copy(), optimizer.state()
    with pytest.raises(InputError, match=f"length of parameters, {N}, got 3"):
        optimizer.step(theta, np.zeros(3))
    with pytest.raises(NumericsError, match="element 7 is inf"):
        optimizer.step(theta, np.where(np.arange(N) == 7, np.inf, 0.0))
    assert np.array_equal(theta, before) and all(np.array_equal(state[k], v) for k, v in optimizer.state().items())
    with pytest.raises(InputError, match="reaches beyond the 7 parameters"):
        Muon(matrices(), lr=0.02).step(np.zeros(7), np.zeros(7))
    for wrong in (
        dict(lr=-1.0),
        dict(momentum=1.0),
        dict(beta2=1.0),
        dict(eps=0.0),
        dict(rest_lr=-1.0),
        dict(newton_schulz_steps=0),
    ):
        with pytest.raises(InputError, match="must be"):
            Muon(matrices(), **wrong)
    with pytest.raises(InputError, match="matrices"):
        Muon([(0, 1, 0, 3)])


def test_weight_matrices_of_a_network():
    """All mixings with nine rows and columns or more, and nothing else: no products, no radial weights, no readouts."""
    potential = nbcore.presets.nbody(species=["H", "C"], cutoff=4.0, channels=9, l_states=1)
    slices = potential.parameter_slices
    found = weight_matrices(slices)
    names = {name for name, (s, _) in slices.items() if s.start in [first for first, *_ in found]}
    assert {"A1.W0e", "A2.W3o", "psi1.W1o", "psi2.W0e", "hidden.W0e"} <= names
    assert all(name.split(".")[1].startswith("W") for name in names) and "energy1.W0e" not in names
    assert all(rows >= 9 and columns >= 9 for _, _, rows, columns in found)


def test_options_of_muon_by_name():
    """rest_lr = 0: the readout stays, the mixing moves; as it is written in Settings."""
    slices = {"A1.W0e": (slice(0, 100), (1, 10, 10)), "energy1.W0e": (slice(100, 110), (1, 10, 1))}
    optimizer = make_optimizer(Settings(optimizer="muon", rest_lr=0.0, weight_decay=0.0), slices)
    found = run(optimizer, np.ones((2, 110)), np.zeros(110))
    assert np.all(found[:100] != 0) and np.all(found[100:] == 0)


def test_muon_by_name_learns_and_resumes_to_the_same_bits(tmp_path, monkeypatch):
    data = molecules(20, seed=3)
    options = dict(optimizer="muon", lr=0.03, max_epochs=5, threads=1, quiet=True)

    def make():
        network = dict(cutoff=4.0, channels=9, levels=1, l_harmonics=1, correlation=2)
        return nbcore.presets.nbody(species=["H", "C"], E0s={"H": -1.0, "C": -2.0}, seed=7, **network)

    whole = train.fit(make(), data, **options)
    assert whole.history[-1]["forces_valid"] < 0.5 * whole.history[0]["forces_valid"]
    assert train.fit(make(), data, **{**options, "threads": 2}).history == whole.history
    step, steps = train.trainer.Trainer.step, 0

    def interrupted(self):
        nonlocal steps
        steps += 1
        if steps == 9:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(train.trainer.Trainer, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.fit(make(), data, folder=tmp_path / "run", checkpoint_minutes=1e-9, **options)
    again = train.fit(make(), data, folder=tmp_path / "run", **options)
    assert again.history == whole.history
    assert np.array_equal(again.potential.parameters, whole.potential.parameters)
