"""Muon in C++ against its equations in NumPy, and by name in a training: which matrices, bits, checkpoints."""

import numpy as np
import pytest
from pair_model import molecules

import nbcore
from nbcore import train
from nbcore.errors import InputError, NumericsError
from nbcore.train import Muon, Settings
from nbcore.train.optimizers import make_optimizer, weight_matrices

#: two matrices side by side, a tall one, a square one, one wider than a register or two in every kernel set
SHAPES = [(2, 12, 20), (1, 20, 12), (1, 9, 9), (1, 70, 45)]
REST = 5  # numbers before and behind that belong to no matrix
N = 2 * REST + sum(np.prod(shape) for shape in SHAPES)
rng = np.random.default_rng(4)
START, GRADIENTS = rng.normal(size=N), rng.normal(size=(6, N)) * 10 ** rng.uniform(-1, 1, N)


def matrices():
    found, first = [], REST
    for count, rows, columns in SHAPES:
        found.append((first, count, rows, columns))
        first += count * rows * columns
    return found


#: f(s) = s (constant + sum_j weight_j / (s^2 + shift_j)) of singular values
CONSTANT, SHIFTS, WEIGHTS = 1.005027, (1.085906e-5, 6.898375e-3), (7.196784e-3, 0.1675466)
FROM = 0.0014  # smaller singular values stay smaller


def near_one(s):
    return s * (CONSTANT + sum(weight / (s * s + shift) for shift, weight in zip(SHIFTS, WEIGHTS, strict=True)))


def orthogonal(x):
    """U f(S) V^T from the singular value decomposition."""
    u, s, v = np.linalg.svd(x, full_matrices=False)
    return u * near_one(s / np.sum(s**4) ** 0.25) @ v


def reference(gradients, lr=0.02, momentum=0.95, beta2=0.999, eps=1e-8, decay=0.0, rest_lr=1.0):
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
                step[at] = size * orthogonal(ahead).ravel()
        theta = (1 - lr * decay) * theta - lr * step
    return theta


def run(optimizer, gradients=GRADIENTS, start=START):
    theta = start.copy()
    for g in gradients:
        optimizer.step(theta, g)
    return theta


@pytest.mark.parametrize("options", [{}, dict(momentum=0.8, beta2=0.9, eps=1e-3), dict(decay=0.3, rest_lr=0.2)])
def test_muon_is_its_equations(options):
    expected = reference(GRADIENTS, **options)
    options = {{"decay": "weight_decay"}.get(key, key): value for key, value in options.items()}
    found = run(Muon(matrices(), lr=0.02, **options))
    rest = np.ones(N, bool)
    rest[REST:-REST] = False
    assert np.allclose(found[rest], expected[rest], rtol=1e-12, atol=1e-14)  # AMSGrad, in double precision
    assert np.allclose(found, expected, atol=1e-4) and not np.allclose(found, START, atol=1e-2)


def test_the_function_of_singular_values_is_the_nearest_to_one():
    """Of its kind, on its interval: the largest error is met six times, with alternating signs (Chebyshev)."""
    x = np.geomspace(FROM, 1.0, 100001)
    error = near_one(x) - 1
    turns = np.flatnonzero(np.diff(np.sign(np.diff(error)))) + 1
    extremes = error[np.concatenate([[0], turns, [len(x) - 1]])]
    assert len(extremes) == 6 and np.ptp(np.abs(extremes)) < 1e-5 and np.all(np.abs(extremes) < 0.18)
    assert np.all(np.diff(np.sign(extremes)) != 0)


@pytest.mark.parametrize(
    "rows, columns", [(64, 64), (24, 64), (192, 64), (130, 70), (9, 9), (17, 17), (33, 32), (31, 257)]
)
@pytest.mark.parametrize("scale", [1e-140, 1e-5, 1e140])
def test_singular_values_of_a_step_are_near_one(rows, columns, scale):
    """Singular values over a range of 500 come near one, whatever their size; singular vectors stay."""
    short = min(rows, columns)
    u, v = (np.linalg.qr(rng.normal(size=(n, short)))[0] for n in (rows, columns))
    theta = np.zeros(rows * columns)
    gradient = scale * (u * np.geomspace(1, 2e-3, short)) @ v.T
    Muon([(0, 1, rows, columns)], lr=1.0).step(theta, gradient.ravel())
    size = 0.2 * np.sqrt(max(rows, columns)) * np.sqrt(max(1, rows / columns))
    factor = u.T @ (-theta.reshape(rows, columns) / size) @ v
    assert np.all(np.abs(np.diag(factor) - 1) < 0.19)
    assert np.abs(factor - np.diag(np.diag(factor))).max() < 3e-3  # the smallest feel that precision is single


@pytest.mark.parametrize("rows, columns, rank", [(40, 20, 3), (64, 64, 17), (17, 17, 16), (200, 70, 1)])
def test_columns_that_depend_on_each_other(rows, columns, rank):
    """Gram matrices that are singular but for rounding: all pivots but the first `rank` are as small as can be."""
    gradient = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns))
    gradient[:, 1] = gradient[:, 0]
    theta = np.zeros(rows * columns)
    Muon([(0, 1, rows, columns)], lr=1.0).step(theta, gradient.ravel())
    size = 0.2 * np.sqrt(max(rows, columns)) * np.sqrt(max(1, rows / columns))
    assert np.allclose(-theta.reshape(rows, columns) / size, orthogonal(gradient), atol=2e-3)


def test_a_matrix_without_gradient_stays():
    gradients = GRADIENTS.copy()
    gradients[:, REST : REST + 240] = 0.0
    found = run(Muon(matrices(), lr=0.02), gradients)
    assert np.array_equal(found[REST : REST + 240], START[REST : REST + 240]) and np.all(np.isfinite(found))


def test_a_matrix_with_a_gradient_in_one_place_moves_there():
    theta, gradient = np.zeros(200), np.zeros(200)
    gradient[3] = 1e-7
    Muon([(0, 1, 20, 10)], lr=1.0).step(theta, gradient)
    size = 0.2 * np.sqrt(20) * np.sqrt(2)
    assert np.allclose(theta[3], -size * near_one(1.0), rtol=0.03) and np.count_nonzero(theta) == 1


def test_the_same_bits_for_any_number_of_threads():
    """Large enough for work to be shared: matrices, and more than one range of the rest."""
    gradient = rng.normal(size=50000)
    large = [(7, 2, 100, 100), (20007, 1, 20, 300)]
    one, *others = [run(Muon(large, lr=0.02, threads=n), [gradient] * 3, np.ones(50000)) for n in (1, 2, 3, 8)]
    assert np.all(one != 1) and all(np.array_equal(one, other) for other in others)
    optimizer = Muon(large, lr=0.02)
    optimizer.threads = 2
    assert optimizer.threads == 2 and np.array_equal(run(optimizer, [gradient] * 3, np.ones(50000)), one)
    with pytest.raises(InputError, match="threads must be from 1 to 1024, got 0"):
        optimizer.threads = 0


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
        dict(threads=0),
    ):
        with pytest.raises(InputError, match="must be"):
            Muon(matrices(), **wrong)
    with pytest.raises(InputError, match="matrices"):
        Muon([(0, 1, 0, 3)])
    with pytest.raises(InputError, match="two of them share parameters, from 90 on"):
        Muon([(0, 1, 10, 10), (90, 1, 10, 10)]).step(np.zeros(200), np.zeros(200))


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
    options = dict(optimizer="muon", lr=0.03, schedule="constant", max_epochs=5, threads=1, quiet=True)

    def make():
        network = dict(cutoff=4.0, channels=9, levels=1, l_harmonics=1, correlation=2)
        return nbcore.presets.nbody(species=["H", "C"], E0s={"H": -1.0, "C": -2.0}, seed=7, **network)

    whole = train.fit(make(), data, **options)
    assert whole.history[-1]["forces_valid"] < 0.8 * whole.history[0]["forces_valid"]
    assert train.fit(make(), data, **{**options, "threads": 2}).history == whole.history
    step, steps = train.trainer.Trainer.step, 0

    def interrupted(self, *wish):
        nonlocal steps
        steps += 1
        if steps == 9:
            raise KeyboardInterrupt
        return step(self, *wish)

    monkeypatch.setattr(train.trainer.Trainer, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.fit(make(), data, folder=tmp_path / "run", checkpoint_minutes=1e-9, **options)
    again = train.fit(make(), data, folder=tmp_path / "run", **options)
    assert again.history == whole.history
    assert np.array_equal(again.potential.parameters, whole.potential.parameters)
