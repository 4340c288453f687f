"""Kept neighbour lists: along any trajectory the bits of fresh ones, and seldom a search."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nbcore
from nbcore.errors import InputError, NumericsError
from nbcore.evaluator import Evaluator

SKIN = 0.5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Two levels, three elements, cutoff 3 Å."""
    potential = nbcore.presets.nbody(species=["H", "C", "O"], cutoff=3.0, channels=2, l_harmonics=1, correlation=1)
    path = tmp_path_factory.mktemp("model") / "model.nbcore"
    potential.save(path)
    return path


@pytest.fixture(scope="module")
def fresh(path):
    return Evaluator(path, skin=0)


def evaluate(evaluator, positions, numbers, cell, pbc, threads=1):
    n = len(positions)
    out = {"forces": np.empty((n, 3)), "virial": np.empty((3, 3)), "energies": np.empty(n)}
    positions, cell = np.ascontiguousarray(positions), np.ascontiguousarray(cell)
    energy = evaluator.evaluate(positions, numbers, cell, pbc, **out, threads=threads)
    return [np.array(energy), *out.values()]


def assert_same_bits(kept, fresh, *structure):
    for a, b in zip(evaluate(kept, *structure), evaluate(fresh, *structure), strict=True):
        np.testing.assert_array_equal(a, b)


def crystal(n=4, seed=0):
    """n^3 atoms in a sheared cell, none nearer than 1.1 Å to another."""
    rng = np.random.default_rng(seed)
    cell = 2.1 * n * (np.eye(3) + 0.1 * rng.uniform(-1, 1, (3, 3)))
    grid = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), -1).reshape(-1, 3)
    positions = (grid / n) @ cell + rng.uniform(-0.2, 0.2, (n**3, 3))
    return positions, rng.choice([1, 6, 8], n**3).astype(np.intc), cell


def wrap(positions, cell, pbc):
    fraction = positions @ np.linalg.inv(cell)
    return positions - (np.floor(fraction) * np.asarray(pbc)) @ cell


@settings(max_examples=60)
@given(
    n=st.sampled_from([1, 2, 3, 5]),  # 1 and 2: cells with many images; 5: several blocks
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    step=st.sampled_from([0.004, 0.02, 0.06]),
    strain=st.sampled_from([0.0, 0.001, 0.01]),
    wrapped=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_trajectories(path, fresh, n, pbc, step, strain, wrapped, seed):
    """A random walk in a cell that is deformed, atoms put back into it or not: the same bits at every step."""
    rng = np.random.default_rng(seed)
    positions, numbers, cell = crystal(n, seed)
    kept = Evaluator(path, skin=SKIN)
    drift = rng.uniform(-1, 1, 3) * step  # so that atoms do cross the faces
    for _ in range(25):
        assert_same_bits(kept, fresh, positions, numbers, cell, pbc)
        positions = positions + drift + rng.uniform(-1, 1, positions.shape) * step / 2
        deform = np.eye(3) + strain * rng.uniform(-1, 1, (3, 3)) / 3
        positions, cell = positions @ deform, cell @ deform
        if wrapped:
            positions = wrap(positions, cell, pbc)
    assert step > 0.05 or kept.searches < 25


def test_few_searches(path, fresh):
    """As many as the path of the atoms has half skins, whatever is wrapped; and none for a cell that only shears."""
    positions, numbers, cell = crystal()
    kept = Evaluator(path, skin=SKIN)
    for k in range(200):  # the crystal as a whole moves by 6 Å
        moved = wrap(positions + 0.03 * k * np.array([1, 0.1, -0.2]), cell, True)
        assert_same_bits(kept, fresh, moved, numbers, cell, True)
    assert 20 < kept.searches <= 2 + 6.15 / (SKIN / 2 - 0.03)

    kept = Evaluator(path, skin=SKIN)
    for k in range(20):
        deform = np.eye(3) + 0.002 * k * np.array([[1, 0.5, 0], [0, -1, 0], [0.3, 0, 0.2]])
        assert_same_bits(kept, fresh, positions @ deform, numbers, cell @ deform, True)
    assert 2 <= kept.searches <= 4


def test_two_atoms_approach(path, fresh):
    """Both move towards each other from beyond the list: half a skin each is where it ends."""
    kept = Evaluator(path, skin=SKIN)
    numbers, forces = np.array([1, 6, 8], np.intc), []
    for x in np.arange(0, 0.6, 0.01):
        positions = np.array([[x, 0, 0], [3.0 + 1.01 * SKIN - x, 0, 0], [x, 1.5, 0.0]])
        assert_same_bits(kept, fresh, positions, numbers, np.zeros((3, 3)), False)
        forces.append(evaluate(kept, positions, numbers, np.zeros((3, 3)), False)[1][1])
    assert np.any(forces[-1]) and not np.any(forces[0])  # they have met


def test_anything_else_may_change(path, fresh):
    """Elements, boundary conditions, number of atoms, jumps of one atom, another cell, after one another."""
    positions, numbers, cell = crystal()
    kept, rng = Evaluator(path, skin=SKIN), np.random.default_rng(1)
    for _ in range(4):
        for _ in range(4):
            assert_same_bits(kept, fresh, positions, numbers, cell, True)
        assert_same_bits(kept, fresh, positions, rng.permutation(numbers), cell, True)
        assert_same_bits(kept, fresh, positions, numbers, cell, (True, False, True))
        assert_same_bits(kept, fresh, positions, numbers, 1.05 * cell, True)
        assert_same_bits(kept, fresh, positions[:-1], numbers[:-1], cell, True)
        assert_same_bits(kept, fresh, positions[:0], numbers[:0], cell, True)
        assert_same_bits(kept, fresh, positions[::-1], numbers[::-1].copy(), cell, True)
        jump = positions.copy()
        jump[7] += [0.3, -0.2, 0.4]
        assert_same_bits(kept, fresh, jump, numbers, cell, True)
        assert_same_bits(kept, fresh, positions + rng.integers(-9, 10, positions.shape) @ cell, numbers, cell, True)


def test_unrelated_structures_cost_nothing_more(path):
    """Without a step from one to the next there is one search a call, and it is one without a skin."""
    kept = Evaluator(path, skin=SKIN)
    for seed in range(6):
        evaluate(kept, *crystal(seed=seed), True)
    assert kept.searches == 6
    positions, numbers, cell = crystal(seed=5)
    for _ in range(5):
        evaluate(kept, positions, numbers, cell, True)
    assert kept.searches == 7


def test_errors(path, fresh):
    """What a fresh list refuses, a kept one refuses with the same words, and goes on afterwards."""
    positions, numbers, cell = crystal()
    kept = Evaluator(path, skin=SKIN)
    close, nan = positions.copy(), positions.copy()
    close[5] = close[6] + [0.04, 0.03, 0]
    nan[3, 1] = np.nan
    for _ in range(3):
        assert_same_bits(kept, fresh, positions, numbers, cell, True)
        for bad, error in ((close, NumericsError), (nan, InputError), (positions + [1e30, 0, 0], InputError)):
            texts = []
            for evaluator in (kept, fresh):
                with pytest.raises(error) as raised:
                    evaluate(evaluator, bad, numbers, cell, True)
                texts.append(str(raised.value))
            assert texts[0] == texts[1]
        with pytest.raises(InputError, match="x of vector a is nan"):
            evaluate(kept, positions, numbers, np.where(np.eye(3) > 0, np.nan, cell), True)
    approach = np.array([[0.0, 0, 0], [0.14, 0, 0]])  # below r_min within the kept list
    for k in range(5):
        positions = approach + [[0.01 * k, 0, 0], [0, 0, 0]]
        if k < 4:
            assert_same_bits(kept, fresh, positions, numbers[:2], cell, False)
        else:
            with pytest.raises(NumericsError, match="atoms 0 and 1 are 0.09 apart"):
                evaluate(kept, positions - [[-0.01, 0, 0], [0, 0, 0]], numbers[:2], cell, False)


def test_shared_between_threads(path, fresh):
    """Trajectories of two sizes through one evaluator by four threads: the bits of fresh lists."""
    kept = Evaluator(path, skin=SKIN)
    structures = []
    for n in (3, 5):
        positions, numbers, cell = crystal(n)
        structures += [(positions + 0.01 * k, numbers, cell, True) for k in range(40)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda s: evaluate(kept, *s), structures))
    for got, s in zip(results, structures, strict=True):
        for a, b in zip(got, evaluate(fresh, *s), strict=True):
            np.testing.assert_array_equal(a, b)


def test_threads_within(path, fresh):
    positions, numbers, cell = crystal(6)
    kept = Evaluator(path, skin=SKIN)
    for k in range(4):
        a = evaluate(kept, positions + 0.01 * k, numbers, cell, True, threads=2)
        b = evaluate(fresh, positions + 0.01 * k, numbers, cell, True, threads=1)
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_after_errors(path, fresh):
    """At any step the errors of a fresh search, also about vectors of free directions; no list is left behind."""
    positions, numbers, cell = crystal()
    kept = Evaluator(path, skin=SKIN)
    broken = positions.copy()
    broken[3, 1] = np.nan
    near = positions.copy()
    near[5] = near[9] + [0.01, 0, 0]
    nowhere, flat = cell.copy(), cell.copy()
    nowhere[2, 0], flat[0] = np.nan, 0
    for pbc in (True, (True, True, False), False):
        for bad, its_cell in ((broken, cell), (near, cell), (positions, nowhere), (positions, flat), (positions, cell)):
            for k in range(3):
                assert_same_bits(kept, fresh, positions + 0.01 * k, numbers, cell, pbc)
            said = []
            for evaluator in (kept, fresh):
                try:
                    evaluate(evaluator, bad, numbers, its_cell, pbc)
                    said.append("")
                except (InputError, NumericsError) as e:
                    said.append(str(e))
            assert said[0] == said[1] and ("nan" in said[0]) == (bad is broken or its_cell is nowhere)
        assert_same_bits(kept, fresh, positions[:-1], numbers[:-1], cell, pbc)


def test_skin(path):
    """It is kept by pickles; 0 searches in every call; nonsense is refused."""
    assert Evaluator(path).skin == SKIN
    assert pickle.loads(pickle.dumps(Evaluator(path, skin=0.7))).skin == 0.7
    without = Evaluator(path, skin=0)
    for _ in range(5):
        evaluate(without, *crystal(), True)
    assert without.searches == 5
    for skin in (-0.1, np.nan, np.inf):
        with pytest.raises(InputError, match="skin must be 0 or more"):
            Evaluator(path, skin=skin)
    huge = Evaluator(path, skin=1e6)  # more neighbours than there is room for: without it, then
    for _ in range(4):
        evaluate(huge, *crystal(), True)
    assert huge.searches == 4
